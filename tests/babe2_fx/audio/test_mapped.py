"""Arrays of recordings of any length: in memory or in files, with the same content and the same results."""

import errno
import os
import sys

import numpy as np
import pytest
import torch

from awkward_arrays import awkward
from babe2_fx.audio import mapped
from babe2_fx.audio.mapped import (
    RoomError,
    all_finite,
    allocate,
    allocate_like,
    as_tensor,
    chunks,
    peak,
    plain_audio,
    release,
)
from babe2_fx.audio.resampling import resample
from babe2_fx.restoration import Restorer
from babe2_fx.settings import Settings
from babe2_fx.spectra import ltas
from babe2_fx.spectra.fir import zero_phase
from standin import tiny_prior


def small_chunks(monkeypatch):
    monkeypatch.setattr(mapped, "LARGE", 0)
    monkeypatch.setattr("babe2_fx.audio.resampling.CHUNK", 1 << 14)


def test_small_arrays_are_in_memory_and_large_ones_in_files_without_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(mapped._mapped)
    assert allocate(2, 1000).shape == (2, 1000) and len(mapped._mapped) == before
    monkeypatch.setattr(mapped, "LARGE", 4000)
    large = allocate(2, 1000)
    assert len(mapped._mapped) == before + 1 and not list(tmp_path.iterdir())
    large[:] = np.arange(2000).reshape(2, 1000)
    release(large, torch.from_numpy(large)[:, 10:])
    assert (large == np.arange(2000).reshape(2, 1000)).all()
    del large
    assert len(mapped._mapped) == before


def test_what_has_been_done_of_a_large_array_leaves_the_memory(monkeypatch):
    if not os.path.exists("/proc/self/status"):
        pytest.skip("this system does not tell how much memory is in use")

    def of_files_mb():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(("RssFile", "RssShmem"))) / 1000

    monkeypatch.setattr(mapped, "LARGE", 0)
    before, large, most = of_files_mb(), allocate(2, 1 << 24), 0.0  # 134 MB
    for part in chunks(1 << 24, large, length=1 << 18):
        large[:, part] = 1.0
        most = max(most, of_files_mb())
    assert most - before < 60 and large.min() == 1.0 and of_files_mb() - before > 100


def test_a_full_disk_is_a_sentence_and_not_a_crash(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(mapped, "LARGE", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RoomError, match=r"A recording of 0\.4 GB needs .*No space left.*set TMPDIR"):
        allocate(2, 50_000_000)


def test_pieces_are_all_of_it_and_figures_of_the_whole_are_found_in_chunks():
    assert [(p.start, p.stop) for p in chunks(10, length=4)] == [(0, 4), (4, 8), (8, 10)] and not list(chunks(0))
    audio = np.zeros((2, 3 << 20), dtype=np.float32)
    audio[1, -1] = -0.5
    assert peak(audio) == 0.5 and all_finite(audio) and peak(np.zeros((2, 0))) == 0.0
    audio[0, 2 << 20] = np.nan
    assert not all_finite(audio)
    assert allocate_like(torch.zeros(3, 7)).shape == (3, 7) and allocate_like(torch.zeros(3, 7), 2).shape == (3, 2)


def test_resampling_in_chunks_is_resampling(monkeypatch, make_notes):
    audio = torch.from_numpy(make_notes(44100, 3.0))
    for source, target in ((44100, 22050), (96000, 22050), (22050, 96000), (44100, 48000)):
        monkeypatch.undo()
        expected = resample(audio, source, target)
        small_chunks(monkeypatch)
        assert torch.allclose(resample(audio, source, target), expected, atol=1e-6)


def test_filters_and_spectra_do_not_depend_on_where_the_chunks_end(monkeypatch, make_notes):
    long = torch.from_numpy(make_notes(22050, 14.0))  # more than one chunk of the filter
    gain_db = torch.linspace(-12, 12, 2049)
    whole = zero_phase(long, gain_db)
    assert torch.allclose(zero_phase(long[:, 100_000:], gain_db)[:, 9000:], whole[:, 109_000:], atol=1e-5)
    expected = ltas(long, 2048)
    monkeypatch.setattr(sys.modules["babe2_fx.spectra.ltas"], "CHUNK_FRAMES", 37)
    assert torch.allclose(ltas(long, 2048), expected, rtol=1e-9)


@pytest.mark.parametrize("channels, ltas", [("linked", "objective"), ("mono", "objective"), ("independent", "only")])
def test_a_restoration_through_files_is_the_one_in_memory(monkeypatch, make_notes, channels, ltas):
    audio = np.concatenate([make_notes(48000, 4.0, seed=1), make_notes(48000, 4.0, seed=2)])
    given = audio.copy()
    settings = Settings.of(steps=2, guidance="direct", filter_fit="global", recording_noise="measured",
                        channels=channels, high_band="keep").replace(ltas=ltas)
    expected = Restorer(tiny_prior(), settings).restore(audio, 48000).audio
    small_chunks(monkeypatch)
    result = Restorer(tiny_prior(), settings).restore(audio, 48000).audio
    assert np.abs(result - expected).max() < 1e-4 * np.abs(expected).max()
    assert (audio == given).all()


def test_plain_audio_shares_memory_only_where_pytorch_can_read_it_as_it_is():
    audio = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    for array in (audio, audio.T, audio[:, ::2], audio[:1]):
        assert np.shares_memory(plain_audio(array), array)
    for array in awkward(audio).values():
        made = plain_audio(array)
        assert type(made) is np.ndarray and made.dtype == np.float32 and np.array_equal(made, np.array(array))
        assert made.flags.writeable and as_tensor(array).shape == (2, 50)
