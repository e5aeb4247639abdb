"""Training material: any folder, decoded once, with what a prior must know of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from babe2_fx.priors import Emphasis
from babe2_fx.spectra import ltas
from babe2_fx.training.config import TrainingError
from babe2_fx.training.material import (
    Material,
    common_level,
    decode,
    find_recordings,
    flattening,
    mean_power,
    prepare,
    split,
    typical_ltas,
)

RATE = 22050


def read(folder, cache, rate=RATE):
    """The recordings of a folder, and what was said of those left out."""
    notes = []
    return [r for r in prepare(find_recordings(folder), folder, cache, rate, notes) if r], notes


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, make_notes):
    """Six recordings of notes of different lengths and levels, in the cache."""
    data = tmp_path_factory.mktemp("data")
    for i in range(6):
        soundfile.write(data / f"{i}.wav", (0.5 + 0.1 * i) * make_notes(RATE, 2.0 + i, seed=i).T, RATE)
    return read(data, tmp_path_factory.mktemp("cache"))[0]


# ---------------------------------------------------------------------------------------------------- reading

@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".ogg", ".mp3", ".w64"])
@pytest.mark.parametrize("rate, channels", [(44100, 2), (22050, 1), (48000, 1)])
def test_any_format_and_rate_is_read_as_mono_at_the_priors_rate(tmp_path, suffix, rate, channels):
    if (suffix, rate) == (".mp3", 22050):
        rate = 32000
    time_s = np.arange(2 * rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / f"a{suffix}", np.repeat(tone[:, None], channels, 1), rate)
    audio = np.concatenate(list(decode(tmp_path / f"a{suffix}", RATE)))
    assert audio.dtype == np.float32 and abs(len(audio) - 2 * RATE) < 2000  # MP3 pads
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(len(audio)) / RATE)
    middle = slice(RATE // 2, 3 * RATE // 2)
    if suffix == ".mp3":  # its delay is not the same in every decoder
        assert audio[middle].std() == pytest.approx(0.3 / math.sqrt(2), rel=0.02)
    else:
        assert np.abs(audio[middle] - expected[middle]).max() < 0.01


def test_resampling_in_pieces_keeps_the_signal_and_takes_what_would_alias(tmp_path, monkeypatch):
    monkeypatch.setattr("babe2_fx.training.material.CHUNK", 10000)
    rate, time_s = 48000, np.arange(96000) / 48000
    soundfile.write(tmp_path / "a.flac", 0.3 * np.sin(2 * np.pi * 1000 * time_s)
                    + 0.3 * np.sin(2 * np.pi * 15000 * time_s), rate)
    audio = np.concatenate(list(decode(tmp_path / "a.flac", RATE)))
    wanted = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(len(audio)) / RATE)
    assert len(audio) == 2 * RATE and np.abs(audio - wanted)[500:-500].max() < 1e-3


def test_all_subfolders_are_searched_and_other_files_and_hidden_ones_are_not(tmp_path, make_notes):
    for name in ("b/deep/er/x.flac", "a.WAV", ".hidden.wav", ".cache/y.wav", "a.run/examples/z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, make_notes(RATE, 0.2).T, RATE)
    (tmp_path / "notes.txt").write_text("no audio")
    assert [path.name for path in find_recordings(tmp_path)] == ["a.WAV", "x.flac"]


def test_files_that_cannot_be_used_are_named_and_left_out(tmp_path, make_notes):
    data = tmp_path / "data"
    data.mkdir()
    audio = make_notes(RATE, 1.0).T
    soundfile.write(data / "good.wav", audio, RATE)
    soundfile.write(data / "silent.wav", 0 * audio, RATE)
    soundfile.write(data / "tiny.wav", audio[:100], RATE)
    soundfile.write(data / "nan.wav", np.where(np.arange(len(audio))[:, None] == 77, np.nan, audio), RATE, "FLOAT")
    soundfile.write(data / "whole.flac", audio, RATE)
    (data / "cut.flac").write_bytes((data / "whole.flac").read_bytes()[:9000])
    (data / "text.mp3").write_text("this is no music")
    (data / "empty.flac").write_bytes(b"")
    found, notes = read(data, tmp_path / "cache")
    assert [r.name for r in found] == ["good.wav", "whole.flac"]
    said = "\n".join(notes)
    for name, why in (("silent.wav", "is silent"), ("tiny.wav", "is too short: 0.00 s"), ("cut.flac", "damaged or"),
                      ("nan.wav", "samples that are not finite"), ("text.mp3", "is not an audio file"),
                      ("empty.flac", "is empty")):
        assert f"{data / name} {why}" in said or (name in said and why in said), name
    assert len(notes) == 6 and all(note.endswith("It is left out.") for note in notes)


@pytest.mark.parametrize("make, sentence", [
    (lambda path: None, "There is no folder"),
    (lambda path: path.write_text("x"), "is a file; training needs a folder"),
    (lambda path: path.mkdir(), "holds no audio files")])
def test_a_folder_that_is_missing_or_empty_is_named(tmp_path, make, sentence):
    make(tmp_path / "data")
    with pytest.raises(TrainingError, match=f"data.*{sentence}|{sentence}.*data"):
        find_recordings(tmp_path / "data")


def test_a_recording_is_decoded_once_and_again_only_when_it_changed(tmp_path, make_notes, monkeypatch):
    import babe2_fx.training.material as material
    data, cache, decoded, real = tmp_path / "data", tmp_path / "cache", [], material.decode
    data.mkdir()
    monkeypatch.setattr(material, "decode", lambda path, rate: decoded.append(path.name) or real(path, rate))
    for name in ("a.wav", "b.wav"):
        soundfile.write(data / name, make_notes(RATE, 1.0, seed=ord(name[0])).T, RATE)
    first, _ = read(data, cache)
    (cache / f"{first[0].key}-{RATE}.npz").unlink()  # as a kill between the samples and what is known of them leaves it
    soundfile.write(data / "b.wav", make_notes(RATE, 1.5, seed=9).T, RATE)
    second, _ = read(data, cache)
    third, _ = read(data, cache)
    assert sorted(decoded) == ["a.wav", "a.wav", "b.wav", "b.wav"]
    assert [r.key for r in second] == [r.key for r in third] and second[0].key == first[0].key != second[1].key


def test_a_damaged_cache_is_said_and_not_trained_on(tmp_path, make_notes):
    (tmp_path / "data").mkdir()
    soundfile.write(tmp_path / "data" / "a.wav", make_notes(RATE, 1.0).T, RATE)
    (recording,), _ = read(tmp_path / "data", tmp_path / "cache")
    recording.file.write_bytes(recording.file.read_bytes()[:1000])
    found, notes = read(tmp_path / "data", tmp_path / "cache")
    assert not found and "is no longer as long as when it was written. Delete the folder" in notes[0]


# ---------------------------------------------------------------------------------------------- what is held out

def test_the_split_keeps_each_recording_on_its_side_when_others_come_and_names_change(recordings, tmp_path):
    trained, held_out = split(recordings, 0.3, tmp_path)
    assert trained and held_out and {r.key for r in trained} | {r.key for r in held_out} == {r.key for r in recordings}
    renamed = [replace(r, name=f"other/{r.name}") for r in reversed(recordings)]
    assert {r.key for r in split(renamed, 0.3, tmp_path)[1]} == {r.key for r in held_out}
    more = recordings + [replace(r, key=f"{i:08x}{r.key[8:]}") for i, r in enumerate(recordings)]
    assert {r.key for r in held_out} <= {r.key for r in split(more, 0.3, tmp_path)[1]} | {recordings[0].key}
    copied = recordings + [replace(r, name=f"copy of {r.name}") for r in recordings]
    again, apart = split(copied, 0.3, tmp_path)
    assert not {r.key for r in again} & {r.key for r in apart} and len(again) == len(trained)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_something_is_always_held_out_and_something_is_left_to_train_on(recordings, tmp_path, share):
    for some in (recordings[:2], recordings[1:3], recordings[3:5]):
        trained, held_out = split(some, share, tmp_path)
        assert len(trained) == len(held_out) == 1


def test_a_folder_called_heldout_is_what_is_held_out(recordings, tmp_path):
    placed = [replace(r, name=f"{'heldout' if i in (1, 4) else 'train'}/{r.name}") for i, r in enumerate(recordings)]
    assert [r.name for r in split(placed, 0.05, tmp_path)[1]] == ["heldout/1.wav", "heldout/4.wav"]


def test_one_recording_is_too_few(recordings, tmp_path):
    with pytest.raises(TrainingError, match="holds one recording that can be used; there must be at least two"):
        split(recordings[:1] * 2, 0.05, tmp_path)


# ---------------------------------------------------------------------------------------------- level and spectrum

def test_flattening_takes_its_share_of_the_slope():
    hz = torch.linspace(0, 11025, 2049)
    power = 10 ** (-12 * torch.log2(hz.clamp(min=50) / 1000) / 10)  # 12 dB an octave
    gain = flattening(power, 22050, 0.5, 86)
    slope = (np.interp(4000, hz, gain) - np.interp(500, hz, gain)) / 3
    assert slope == pytest.approx(6, abs=0.3)


def test_level_and_ltas_in_a_domain_are_as_those_of_the_emphasised_signal(shared, tmp_path):
    recordings, _ = read(shared / "audio", tmp_path)
    emphasis = Emphasis(flattening(mean_power(recordings), RATE, 0.6, 86))
    signals = [emphasis.apply(torch.from_numpy(np.fromfile(r.file, np.float16).astype(np.float32)))
               for r in recordings]
    for recording, signal in zip(recordings, signals):
        assert recording.level(emphasis) == pytest.approx(float(signal.std()), rel=0.005)
        true = ltas(signal / signal.std(), 2048)
        error_db = 10 * torch.log10(typical_ltas([recording], emphasis, RATE).double() / true)[8:]
        assert error_db.abs().mean() < 0.1


def test_a_typical_spectrum_lies_in_the_middle_in_db_and_has_the_detail_of_all(recordings):
    tilt_db = torch.linspace(0, 30, len(recordings[0].ltas))
    comb = 1 + 0.5 * (torch.arange(len(tilt_db)) % 16 == 0)
    dull = replace(recordings[0], ltas=comb)
    bright = replace(dull, ltas=comb * 10 ** (tilt_db / 10))
    ratio_db = 10 * (typical_ltas([dull, bright], None, RATE) / typical_ltas([dull], None, RATE)).log10()
    assert torch.allclose(ratio_db[200:960], tilt_db[200:960] / 2, atol=1.0)  # of powers alone it would come to 25 dB
    powers_db = 10 * ((1 + 10 ** (tilt_db / 10)) / 2).log10()
    assert torch.allclose(ratio_db[:40], powers_db[:40], atol=0.1)  # low notes: what is played is typical
    detail = typical_ltas([dull, bright], None, RATE)
    assert float(detail[512] / detail[511]) == pytest.approx(1.5, rel=0.05)


def test_the_common_level_is_that_of_all_recordings_as_one(recordings):
    joined = np.concatenate([np.fromfile(r.file, np.float16).astype(np.float64) for r in recordings])
    assert common_level(recordings, None) == pytest.approx(joined.std(), rel=1e-3)


def whole(material, gain_db=0.0):
    """Each recording in full, as the material gives it."""
    rng = np.random.default_rng(0)
    return [material._crop(i, r.samples, gain_db, rng) for i, r in enumerate(material.recordings)]


def test_emphasised_crops_are_flatter_and_as_cut_from_the_emphasised_recording(recordings):
    emphasis = Emphasis(flattening(mean_power(recordings), RATE, 0.6, 86))
    material = Material(recordings, emphasis, 0.063)
    signal = emphasis.apply(torch.from_numpy(np.fromfile(recordings[3].file, np.float16).astype(np.float32)))
    signal *= 0.063 / recordings[3].level(emphasis)
    material.chances = np.eye(6)[3]
    crop = material.batch(1, 16384, 0.0, np.random.default_rng(5))[0]
    start = int(torch.nn.functional.conv1d(signal[None, None], crop[None, None])[0, 0].abs().argmax())
    piece = signal[start:start + 16384]
    assert min((piece - crop).abs().max(), (piece + crop).abs().max()) < 1e-4
    tilt = [ltas(torch.cat(whole(m)), 2048) for m in (Material(recordings, None, 0.063), material)]
    fall = [float(10 * torch.log10(t[20:60].mean() / t[300:600].mean())) for t in tilt]
    assert fall[1] < fall[0] - 5


@pytest.mark.parametrize("normalization, level_ratio", [("recording", 1.0), ("crop", 1.0), ("collection", None),
                                                        ("none", None)])
def test_normalization_brings_what_it_says_to_the_level(recordings, normalization, level_ratio):
    crops = whole(Material(recordings, None, 0.1, normalization))
    levels = np.array([float(crop.std()) for crop in crops])
    deviations = np.array([r.deviation for r in recordings])
    if level_ratio:
        assert levels == pytest.approx(0.1, rel=1e-3)
    else:
        assert levels / deviations == pytest.approx(levels[0] / deviations[0], rel=1e-3)
        every = math.sqrt(sum(float(c.double().square().sum()) for c in crops) / sum(len(c) for c in crops))
        level = 0.1 if normalization == "collection" else common_level(recordings, None)
        assert every == pytest.approx(level, rel=2e-3)


def test_the_random_gain_has_its_deviation_and_both_polarities(recordings):
    material, rng = Material(recordings, None, 0.1), np.random.default_rng(1)
    length = recordings[0].samples
    plain = material._crop(0, length, 0.0, np.random.default_rng(0))
    ratios = np.array([float((material._crop(0, length, 4.0, rng) @ plain) / (plain @ plain)) for _ in range(300)])
    assert (20 * np.log10(np.abs(ratios))).std() == pytest.approx(4.0, rel=0.15)
    assert 0.4 < (ratios > 0).mean() < 0.6


def test_a_recording_shorter_than_a_crop_is_padded(recordings):
    crop = Material(recordings[:1], None, 0.1).batch(1, 65536, 0.0, np.random.default_rng(0))[0]
    assert crop.shape == (65536,) and crop[:recordings[0].samples].std() > 0 and not crop[recordings[0].samples:].any()


def test_what_a_header_says_wrongly_is_said_in_training_too(tmp_path, make_notes, caplog):
    soundfile.write(tmp_path / "a.wav", make_notes(RATE, 1.0).T, RATE, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(content)
    assert sum(len(chunk) for chunk in decode(tmp_path / "a.wav", RATE)) == RATE
    assert "a.wav does not say how long it is. All that is there was read, 1.00 s." in caplog.text
