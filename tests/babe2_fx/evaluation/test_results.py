"""Tables of methods and their intervals."""

import csv
import io

import numpy as np
import pytest
import torch
from scipy import stats

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.errors import UserError
from babe2_fx.evaluation import METHODS, Moments, embedding_statistics, frechet_distance, method_settings
from babe2_fx.evaluation.results import (
    Estimate,
    Scored,
    csv_text,
    jackknife,
    json_table,
    markdown,
    order_by_fad,
    summarise,
)
from babe2_fx.settings import Settings, baseline


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(3, 2, 12).tolist()
    estimate = jackknife(values, np.mean)
    low, high = stats.t.interval(0.95, 11, np.mean(values), stats.sem(values))
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.value - estimate.half_width == pytest.approx(low)
    assert estimate.value + estimate.half_width == pytest.approx(high)


def test_one_recording_has_no_interval():
    assert jackknife([2.0], np.mean).half_width is None and str(jackknife([2.0], np.mean)) == "2.00"


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    spectrum = torch.ones(1025, dtype=torch.float64)
    reference = rng.normal(size=(400, 4))
    scored = [Scored(f"piece {number}", method, spectrum * (1 + far + 0.01 * number),
                     {"ears": rng.normal(far, 1, (100, 4))}, {"clean_ltas_error_db": 3 * far + number})
              for number in range(3) for method, far in (("original", 1.0), ("babe2", 0.1))]
    return scored, reference, summarise(scored, spectrum, {"ears": Moments.of(reference)}, 22050, infinity=True)


def test_a_method_is_the_distance_of_all_its_recordings(table):
    scored, reference, summary = table
    frames = np.concatenate([s.frames["ears"] for s in scored if s.method == "babe2"])
    expected = frechet_distance(*embedding_statistics(reference), *embedding_statistics(frames))
    assert summary["babe2"]["fad_ears"].value == pytest.approx(expected)
    assert summary["babe2"]["fad_ears"].half_width > 0
    assert "fad_infinity_ears" not in summary["babe2"]  # 300 frames are too few
    assert summary["original"]["ltas_distance_db"].value == pytest.approx(
        np.mean([10 * np.log10(1 + 0.01 * n) for n in range(3)]))
    assert summary["original"]["clean_ltas_error_db"].value == pytest.approx(4.0)


def test_what_is_written_says_the_same_in_three_ways(table):
    summary = table[2]
    lines = markdown(summary).splitlines()
    assert lines[0].startswith("| method | FAD ears | LTAS distance, dB | LTAS error, dB |")
    assert len(lines) == 4 and lines[3].count("**") == 6 and "**" not in lines[2]
    rows = list(csv.DictReader(io.StringIO(csv_text(summary))))
    row = next(r for r in rows if r["method"] == "babe2" and r["figure"] == "fad_ears")
    kept = json_table(summary)["babe2"]["fad_ears"]
    assert float(row["value"]) == kept["value"] and kept["recordings"] == int(row["recordings"]) == 3
    assert float(row["high"]) - float(row["low"]) == pytest.approx(2 * kept["half_width"])


def test_methods_are_settings():
    paper, fast = (load_preset("piano").settings(quality) for quality in ("paper", "draft"))
    assert method_settings("original", paper) is None and method_settings("babe2", paper) == paper
    assert method_settings("babe", paper) == baseline("babe", paper)
    assert method_settings("ltas-eq", paper)["ltas"] == "only"
    assert method_settings("babe2-ltas-init", paper) == paper.replace(ltas="initial")
    assert method_settings("babe2-ltas-obj", Settings.of(ltas="off"))["ltas"] == "objective"
    assert method_settings("babe2-no-noise-reg", paper)["noise_regularization"] == 0
    assert method_settings("babe2-no-noise-reg", fast) == fast  # the direct guidance adds none
    assert len(METHODS) == 7
    with pytest.raises(UserError, match="babe2-ltas-obj"):
        method_settings("magic", paper)


def test_the_order_by_fad_is_told_beside_the_papers():
    def table(*values):
        return {name: {"fad_vibenet": Estimate(value, None, 4), "fad_infinity_vibenet": Estimate(9 - value, None, 4)}
                for name, value in zip(("original", "ltas-eq", "babe", "babe2"), values)}

    assert order_by_fad(table(4, 3, 2, 1)) == [
        "By FAD vibenet the order is babe2, babe, ltas-eq, original, best first, as in the paper."]
    assert order_by_fad(table(4, 2, 3, 1)) == [
        "By FAD vibenet the order is babe2, ltas-eq, babe, original, best first, where the paper has babe2, babe, "
        "ltas-eq, original."]
    assert order_by_fad({"babe2": table(4, 3, 2, 1)["babe2"]}) == []
