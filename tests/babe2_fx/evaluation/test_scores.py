"""Scores of single recordings, against the project's scorer and closed forms."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from babe2_fx.evaluation import (
    filter_error_db,
    full_reference_scores,
    mean_ltas,
    random_response,
    recording_ltas,
    reference_distance_db,
)

RATE = 22050


@pytest.fixture(scope="module")
def scorer(shared):
    """The scorer that the project's restorations are judged with."""
    path = shared / "tools" / "score_restoration.py"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    spec = importlib.util.spec_from_file_location("score_restoration", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("piece", ["ragtime", "waltz"])
def test_scores_are_those_of_the_projects_scorer(scorer, shared, piece):
    clean, degraded = (scorer.load(shared / "audio" / f"piano_{piece}_{what}.flac") for what in ("clean", "degraded"))
    expected, own = scorer.score(clean, degraded), full_reference_scores(clean, degraded)
    assert own["ltas_error_db"] == pytest.approx(expected["ltas_error_db"], abs=1e-6)
    assert own["ltas_distance_db"] == pytest.approx(expected["ltas_distance_db"], abs=1e-6)
    assert own["lsd_db"] == pytest.approx(expected["lsd_db"], abs=1e-6)


@pytest.mark.parametrize("piece", ["ragtime", "waltz"])
def test_the_filter_error_is_that_of_the_projects_scorer(scorer, shared, tmp_path, piece):
    true = shared / "audio" / f"piano_{piece}_filter.json"
    for seed, kind in ((0, "breakpoints"), (1, "horn")):
        learned = tmp_path / f"{kind}.json"
        learned.write_text(json.dumps(random_response(seed, kind).record()))
        own = filter_error_db(json.loads(true.read_text()), json.loads(learned.read_text()))
        assert own == pytest.approx(scorer.filter_error(true, learned), abs=1e-6)
        assert own > 1


def test_a_perfect_restoration_at_another_level_has_no_error(make_notes):
    clean = make_notes(RATE, 2.0)[0].astype(float)
    scores = full_reference_scores(clean, 0.1 * clean)
    assert scores["ltas_error_db"] < 1e-6 and max(scores["lsd_db"].values()) < 1e-6
    assert scores["ltas_distance_db"] < -100


def test_what_is_done_to_one_range_counts_in_that_range_alone():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=2 * RATE)
    spectrum = np.fft.rfft(clean)
    hz = np.fft.rfftfreq(len(clean), 1 / RATE)
    spectrum[hz > 4500] *= 10 ** (-12 / 20)
    scores = full_reference_scores(clean, np.fft.irfft(spectrum, len(clean)))["lsd_db"]
    assert scores["8000-10500"] == pytest.approx(12, abs=0.1) and scores["1000-4000"] < 0.05


def test_the_filter_error_of_a_shift_is_nothing_and_of_a_tilt_its_own():
    hz = np.geomspace(20, 20000, 300)
    flat = {"freqs_hz": hz, "response_db": np.zeros_like(hz)}
    shifted = {"freqs_hz": hz, "response_db": np.full_like(hz, -7.0)}
    tilted = {"freqs_hz": hz, "response_db": 3 * np.log2(hz / 1000)}
    assert filter_error_db(flat, shifted) == pytest.approx(0)
    thirds = np.arange(-9, 7) / 3  # octaves from 1 kHz: 125 Hz to 4 kHz
    assert filter_error_db(flat, tilted) == pytest.approx(np.sqrt(np.mean((3 * thirds) ** 2)), abs=0.01)


def test_the_distance_to_a_reference_is_equation_14(make_notes):
    a, b = (recording_ltas(make_notes(RATE, 3.0, seed=seed)[0], RATE) for seed in (0, 1))
    reference = mean_ltas([a, b])
    assert torch.allclose(reference, (a + b) / 2)
    assert reference_distance_db(a, a, RATE) < -200
    # 2 R from R: |2 R - R| / R is 1 everywhere, 0 dB.
    assert reference_distance_db(2 * reference, reference, RATE) == pytest.approx(0, abs=1e-9)
    assert reference_distance_db(1.1 * reference, reference, RATE) == pytest.approx(-10, abs=1e-6)
