"""`babe2 degrade`: from a clean recording to an old one, and the record of how."""

import argparse
import importlib.util
import json

import numpy as np
import pytest
import soundfile

from babe2_fx.errors import UserError
from babe2_host.commands import degrade

RATE = 44100


def run(*args):
    parser = argparse.ArgumentParser()
    degrade.add(parser.add_subparsers())
    chosen = parser.parse_args(["degrade", *map(str, args)])
    chosen.run(chosen)


@pytest.fixture
def clean(make_notes, tmp_path):
    path = tmp_path / "clean.wav"
    soundfile.write(path, make_notes(RATE, 2.0, channels=2).T, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("kind", ["breakpoints", "horn"])
def test_the_record_is_what_was_done(clean, tmp_path, kind):
    out = tmp_path / "old.wav"
    run(clean, "-o", out, "--random", 3, "--kind", kind)
    audio, rate = soundfile.read(out, always_2d=True)
    before = soundfile.read(clean, always_2d=True)[0]
    record = json.loads((tmp_path / "old.json").read_text())
    assert audio.shape == before.shape and rate == record["sample_rate"] == RATE
    assert (record["kind"], record["seed"], record["input"]) == (kind, 3, str(clean))
    spectra = [np.abs(np.fft.rfft(x[:, 0] * np.hanning(len(x)))) for x in (before, audio)]
    hz = np.fft.rfftfreq(len(before), 1 / RATE)
    for centre in (200, 500, 1000, 2000, 3000):
        near = (hz > centre * 0.98) & (hz < centre * 1.02)
        measured = 10 * np.log10((spectra[1][near] ** 2).sum() / (spectra[0][near] ** 2).sum())
        expected = np.interp(np.log2(centre), np.log2(record["freqs_hz"]), record["response_db"])
        assert measured == pytest.approx(expected, abs=1.5)


def test_the_same_command_makes_the_same_file_and_the_projects_scorer_reads_the_record(clean, tmp_path, shared):
    for name in ("one", "two"):
        run(clean, "-o", tmp_path / f"{name}.flac", "--random", 5, "--snr", 30, "--seed", 2)
    assert (tmp_path / "one.flac").read_bytes() == (tmp_path / "two.flac").read_bytes()
    spec = importlib.util.spec_from_file_location("scorer", shared / "tools" / "score_restoration.py")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    assert scorer.filter_error(tmp_path / "one.json", tmp_path / "two.json") == 0
    known = json.loads((shared / "audio" / "piano_ragtime_filter.json").read_text())
    assert set(known) <= set(json.loads((tmp_path / "one.json").read_text()))


def test_a_recording_of_noise_is_added_at_a_gain_and_at_another_rate(clean, tmp_path):
    noise = 0.02 * np.random.default_rng(0).normal(size=22050)
    soundfile.write(tmp_path / "groove.wav", noise, 22050, subtype="FLOAT")
    run(clean, "-o", tmp_path / "old.wav", "--noise", tmp_path / "groove.wav", "--gain", 0.5)
    added = soundfile.read(tmp_path / "old.wav", always_2d=True)[0] - soundfile.read(clean, always_2d=True)[0]
    record = json.loads((tmp_path / "old.json").read_text())
    assert record["noise_gain"] == 0.5 and record["kind"] == "flat"
    assert added.std() == pytest.approx(0.01, rel=0.05)
    assert record["noise_dbfs"] == pytest.approx(20 * np.log10(added.std()), abs=0.05)


def test_a_level_that_does_not_fit_is_lowered_and_recorded(clean, tmp_path):
    (tmp_path / "loud.csv").write_text("20 20\n20000 20\n")
    run(clean, "-o", tmp_path / "old.flac", "--response", tmp_path / "loud.csv", "--depth", 16)
    record = json.loads((tmp_path / "old.json").read_text())
    gain = np.std(soundfile.read(tmp_path / "old.flac")[0]) / np.std(soundfile.read(clean)[0])
    assert record["level_lowered_db"] > 5
    assert 20 * np.log10(gain) == pytest.approx(20 - record["level_lowered_db"], abs=0.05)


@pytest.mark.parametrize("options,says", [
    ([], "nothing to do"), (["--gain", "1"], "needs --noise"), (["--noise", "{clean}"], "needs --snr DB or --gain G"),
    (["--random", "-1"], "--random must be 0 or more"), (["--snr", "nan"], "--snr must lie from -60 to 160 dB"),
    (["--noise", "{silent}", "--snr", "9"], "The noise is silent"), (["--response", "gone.csv"], "gone.csv"),
    (["--random", "1", "-o", "{clean}"], "is an input")])
def test_mistakes_are_sentences_and_leave_nothing(clean, tmp_path, options, says):
    before, silent = clean.read_bytes(), tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(500), RATE)
    with pytest.raises(UserError, match=says):
        run(clean, "-o", tmp_path / "old.wav", *(option.format(clean=clean, silent=silent) for option in options))
    assert not (tmp_path / "old.wav").exists() and not (tmp_path / "old.json").exists()
    assert clean.read_bytes() == before


def test_an_input_is_not_replaced_by_the_record(clean, tmp_path):
    curve = tmp_path / "old.json"
    curve.write_text('{"freqs_hz": [100, 1000], "response_db": [-3, 0]}')
    with pytest.raises(UserError, match="is an input"):
        run(clean, "-o", tmp_path / "old.wav", "--response", curve)
