"""Degradations do exactly what their records say."""

import json

import numpy as np
import pytest

from babe2_fx.evaluation import (
    DegradationError,
    Response,
    add_noise,
    apply_response,
    random_response,
    read_response,
)
from babe2_fx.evaluation.degradations import KINDS, read_record

RATE = 44100


@pytest.mark.parametrize("kind", KINDS)
def test_tones_come_through_at_the_recorded_level(kind):
    response = random_response(3, kind)
    time_s = np.arange(RATE) / RATE
    for hz in (150, 437, 1000, 2210, 3900):
        tone = np.sin(2 * np.pi * hz * time_s)[None]
        inside = slice(RATE // 3, 2 * RATE // 3)
        passed = apply_response(tone, RATE, response)[0, inside]
        level_db = 10 * np.log10(np.mean(passed ** 2) / np.mean(tone[0, inside] ** 2))
        assert level_db == pytest.approx(float(response.at(hz)), abs=0.1)
        assert abs(np.corrcoef(passed, tone[0, inside])[0, 1]) > 0.999  # zero-phase


def test_nothing_comes_round_from_the_other_end():
    click = np.zeros((1, RATE))
    click[0, 10] = 1
    passed = apply_response(click, RATE, random_response(0, "breakpoints"))
    assert np.abs(passed[0, -RATE // 4:]).max() < 1e-4 * np.abs(passed).max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_draws_one_response_and_others_draw_others(kind):
    assert random_response(5, kind) == random_response(5, kind)
    curves = [random_response(seed, kind).at(np.geomspace(100, 8000, 50)) for seed in range(20)]
    assert min(np.abs(a - b).max() for i, a in enumerate(curves) for b in curves[:i]) > 1
    for seed in range(20):  # as a medium: the middle passes, the ends do not
        response = random_response(seed, kind)
        assert abs(float(response.at(1000))) < 8 and response.at(15000) < -25 and response.at(25) < -12
        json.dumps(response.record())


def test_a_breakpoint_response_is_equation_18():
    response = random_response(7, "breakpoints")
    p = response.parameters
    hz = np.geomspace(p["fc_m"][0] * 1.01, p["fref"] * 0.99, 20)
    assert np.allclose(response.at(hz), p["A_m"][0] * np.log2(hz / p["fref"]), atol=0.05)
    hz = np.geomspace(p["fc_p"][0] * 1.01, p["fc_p"][1] * 0.99, 20)
    expected = p["A_p"][0] * np.log2(p["fc_p"][0] / p["fref"]) + p["A_p"][1] * np.log2(hz / p["fc_p"][0])
    assert np.allclose(response.at(hz), expected, atol=0.2)


def test_noise_has_the_asked_for_ratio_or_the_asked_for_gain(make_notes):
    music = make_notes(RATE, 2.0, channels=2).astype(float)
    noise = np.random.default_rng(0).normal(0, 0.01, (1, 3000))
    noisy, record = add_noise(music, noise, snr_db=20.0, seed=4)
    added = noisy - music
    assert 10 * np.log10(np.mean(music ** 2) / np.mean(added ** 2)) == pytest.approx(20, abs=1e-9)
    assert record["snr_db"] == pytest.approx(20) and record["noise_dbfs"] == pytest.approx(
        10 * np.log10(np.mean(added ** 2)), abs=1e-3)
    assert np.allclose(added[0, :1000], record["noise_gain"] * np.roll(noise[0], -record["noise_start_sample"])[:1000])
    noisy, record = add_noise(music, noise, gain=0.5, seed=4)
    assert record["noise_gain"] == 0.5 and np.allclose((noisy - music).std(), 0.005, rtol=0.05)


def test_bad_noise_is_refused(make_notes):
    music = make_notes(RATE, 1.0, channels=2)
    for noise, wanted, says in ((np.zeros((1, 9)), {"snr_db": 3.0}, "noise is silent"),
                                (np.ones((3, 9)), {"snr_db": 3.0}, "3 channels and the recording 2"),
                                (None, {"gain": 2.0}, "recording of it and a gain"), (None, {}, "either")):
        with pytest.raises(DegradationError, match=says):
            add_noise(music, noise, **wanted)
    with pytest.raises(DegradationError, match="recording is silent"):
        add_noise(0 * music, None, snr_db=3.0)


def test_curves_are_read_and_bad_ones_named(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("hz,db\n100,-6\n1000,0\n4000,-12\n")
    assert float(read_response(path).at(2000)) == pytest.approx(-6)
    exported = tmp_path / "eq.json"
    exported.write_text(json.dumps({"freqs_hz": [100, 1000], "response_db": [-10, 0]}))
    assert float(read_response(exported).at(100)) == -10
    assert read_record(exported)["response_db"] == [-10, 0]
    for name, text, says in (("one.txt", "100 3\n", "fewer than two points"), ("gone.csv", None, "no such file"),
                             ("music.flac", "", "must be a curve")):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(DegradationError, match=says) as error:
            read_response(tmp_path / name)
        assert name in str(error.value)
    (tmp_path / "bad.json").write_text('{"freqs_hz": [1, 2]}')
    with pytest.raises(DegradationError, match="bad.json.*response_db"):
        read_record(tmp_path / "bad.json")


def test_kinds_that_there_are_not_are_refused():
    with pytest.raises(DegradationError, match="breakpoints, horn"):
        random_response(0, "telephone")
    assert Response("curve", (100.0, 200.0), (0.0, 6.0)).at([50, 400]).tolist() == [0.0, 6.0]
