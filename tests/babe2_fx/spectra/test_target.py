"""Targets from points, from several recordings, from folders and from priors; and the filter that goes to them."""

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.files import FileError
from babe2_fx.priors import load_prior
from babe2_fx.spectra import (
    TargetError,
    TargetProfile,
    ltas,
    match_target,
    third_octave_levels_db,
    zero_phase,
)
from babe2_host import cli

RATE = 22050


def noise(cutoff_hz: float, level: float = 0.1, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Two seconds of noise through a slope of a first-order lowpass, (samples,) float32."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=2 * rate))
    hz = np.fft.rfftfreq(2 * rate, 1 / rate)
    audio = np.fft.irfft(spectrum / np.sqrt(1 + (hz / cutoff_hz) ** 2))
    return (level * audio / audio.std()).astype(np.float32)


def test_points_in_any_order_make_a_smooth_curve_through_them():
    points = [(4000, -20), (100, -6), (1000, 0)]
    target = TargetProfile.from_points(points)
    np.testing.assert_allclose(target.at([hz for hz, _ in points]), [db for _, db in points], atol=1e-6)
    between = target.at(np.geomspace(100, 4000, 200))
    assert between.max() < 0.05 and between.min() > -20.05 and np.abs(np.diff(between)).max() < 0.6
    assert target.at([20, 20000]).tolist() == [-6, -20]


@pytest.mark.parametrize("points", [[], [(100, 0)], [(100, 0), (100, 3)], [(0, 0), (100, 3)],
                                    [(100, np.nan), (200, 0)]])
def test_points_that_make_no_curve_are_refused(points):
    with pytest.raises(TargetError):
        TargetProfile.from_points(points)


def test_several_recordings_count_alike_whatever_their_level(tmp_path):
    soundfile.write(tmp_path / "dull.wav", noise(300, 0.2), RATE)
    soundfile.write(tmp_path / "bright.wav", noise(5000, 0.002, 44100), 44100, subtype="FLOAT")
    both = TargetProfile.from_recordings([tmp_path / "dull.wav", tmp_path / "bright.wav"])
    one, other = (TargetProfile.from_file(tmp_path / name) for name in ("dull.wav", "bright.wav"))
    hz = np.array([200.0, 1000, 4000, 8000])
    expected = 10 * np.log10((10 ** (one.at(hz) / 10) + 10 ** (other.at(hz) / 10)) / 2)
    np.testing.assert_allclose(both.at(hz), expected, atol=0.2)
    assert both.freqs_hz[-1] <= RATE / 2 + 1
    assert TargetProfile.from_file(tmp_path).at(hz) == pytest.approx(both.at(hz), abs=1e-6)


def test_a_folder_without_recordings_or_with_a_broken_one_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("no recording")
    with pytest.raises(TargetError, match=f"{tmp_path} holds no recordings"):
        TargetProfile.from_file(tmp_path)
    (tmp_path / "broken.wav").write_text("no recording either")
    with pytest.raises(FileError, match="broken.wav is not an audio file"):
        TargetProfile.from_file(tmp_path)
    with pytest.raises(TargetError, match="at least one recording"):
        TargetProfile.from_recordings([])


def test_the_embedded_priors_own_spectrum_is_that_of_its_music_not_of_its_domain():
    prior = load_prior("piano")
    target = TargetProfile.from_prior(prior)
    level = target.at(np.array([250.0, 1000, 4000, 8000]))
    # A piano falls by far more than the flattened spectrum, of whose slope in dB 60 % is taken away.
    assert level[0] - level[2] > 25 and (np.diff(level) < 0).all()


def test_a_prior_that_does_not_know_its_spectrum_is_no_target():
    prior = load_prior("piano")
    prior.ltas = None
    with pytest.raises(TargetError, match="Choose another target"):
        TargetProfile.from_prior(prior)


def test_one_convolution_filters_without_phase_or_clicks():
    time_s = np.arange(4 * RATE) / RATE
    tone = torch.from_numpy(np.sin(2 * np.pi * 80 * time_s)).float()[None]
    hz = torch.linspace(0, RATE / 2, 2049)
    raised = zero_phase(tone, torch.where(hz < 160, 24.0, -24.0))
    inside = slice(RATE // 2, -RATE // 2)
    np.testing.assert_allclose(raised[0, inside], tone[0, inside] * 10 ** 1.2, atol=0.1)
    power = ltas(raised, 4096, mirrored=False)
    assert 10 * torch.log10(power[int(2000 / RATE * 4096):].max() / power.max()) < -100


@pytest.mark.parametrize("rate", [22050, 44100])
def test_a_target_far_below_its_peak_is_followed(rate):
    """As music is: 60 dB from its lows to 8 kHz, with the lows of the recording missing."""
    audio = torch.from_numpy(noise(2000, rate=rate))[None]
    target = TargetProfile((50, 300, 8000, rate / 2), (10, 0, -60, -80))
    hz, level_db = third_octave_levels_db(match_target(audio, rate, target), rate)
    counts = (hz >= 100) & (hz <= 8000)
    apart = (level_db - target.at(hz))[counts]
    assert np.sqrt(np.mean((apart - apart.mean()) ** 2)) < 1.0


def test_the_command_takes_several_targets(tmp_path, monkeypatch, make_notes, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    soundfile.write("a.wav", noise(300), RATE)
    soundfile.write("b.wav", noise(3000), RATE)
    options = ["--preset", "piano", "--baseline", "ltas-eq", "--target-match", "1"]
    targets = ["--target", "a.wav", "--target", "b.wav"]
    assert cli.main(["restore", "in.wav", "-o", "out.wav", *options, *targets]) == cli.OK
    assert "dB from the target before" in capsys.readouterr().err
    assert cli.main(["restore", "in.wav", "-o", "b.wav", *options, *targets]) == cli.MISTAKE
    assert "b.wav is an input and is not written over" in capsys.readouterr().err
    assert cli.main(["restore", "in.wav", "-o", "out.wav", "--preset", "piano", "--target-match", "2"]) == cli.MISTAKE
    assert "--target-match must lie from 0 to 1, not 2." in capsys.readouterr().err


@pytest.mark.parametrize("samples", [1, 2, 500, 2048, 2049, 5000, 44100])
def test_a_filter_and_its_inverse_leave_music_that_begins_and_ends_in_the_middle_as_it_was(samples):
    audio = torch.from_numpy(noise(300)[:samples].copy())[None]
    gain_db = torch.linspace(0, 24, 2049)
    undone = zero_phase(zero_phase(audio, gain_db), -gain_db)
    assert undone.shape == audio.shape
    assert samples < 2049 or (undone - audio).abs().max() < 1e-3 * audio.abs().max()
