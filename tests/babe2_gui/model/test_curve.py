"""A target as the user edits it."""

import numpy as np
import pytest

from babe2_gui.model.curve import TOLERANCE_DB, TargetCurve, aligned

FLAT = TargetCurve(((100.0, 0.0), (1000.0, 0.0), (10000.0, 0.0)))


def test_levels_are_smooth_over_octaves_and_constant_beyond():
    curve = TargetCurve(((100.0, 0.0), (1600.0, -8.0)))
    assert np.allclose(curve.at([50, 100, 400, 1600, 20000]), [0, 0, -4, -8, -8])
    assert curve.slope_after(0) == pytest.approx(-2.0)
    assert curve.slope_after(1) is None


def test_a_point_stays_between_its_neighbours():
    moved = FLAT.moved(1, 50000.0, 3.0)
    assert 1000 < moved.points[1][0] < 10000 and moved.points[1][1] == 3.0
    assert FLAT.moved(0, 1.0, 0.0).points[0][0] == 20.0


def test_a_point_is_added_where_it_is_put_and_moves_the_one_that_is_there():
    curve, index = FLAT.with_point(3000.0, 6.0)
    assert curve.points[index] == (3000.0, 6.0) and len(curve.points) == 4
    again, same = curve.with_point(3001.0, -6.0)
    assert len(again.points) == 4 and same == index and again.points[index][1] == -6.0


def test_two_points_are_left():
    with pytest.raises(ValueError, match="two points"):
        FLAT.without({0, 1})
    assert FLAT.without({1}).points == (FLAT.points[0], FLAT.points[2])


def test_a_slope_moves_what_lies_beyond_it_seen_from_1_khz():
    curve = TargetCurve(tuple((hz, 0.0) for hz in (125.0, 500.0, 2000.0, 8000.0, 16000.0)))
    treble = curve.steeper(4000.0, -3.0)
    assert np.allclose(treble.db, [0, 0, 0, -6, -6])
    assert treble.slope_after(2) == pytest.approx(-3.0)
    bass = curve.steeper(250.0, 2.0)
    assert np.allclose(bass.db, [-4, 0, 0, 0, 0])
    assert bass.slope_after(0) == pytest.approx(2.0)


def test_a_drawn_line_replaces_what_lies_under_it_alone():
    path = [(hz, 12.0) for hz in np.geomspace(700, 3000, 60)]
    drawn = FLAT.drawn(path)
    assert np.allclose(drawn.at([800, 1500, 2800]), 12.0, atol=0.1)
    assert drawn.points[0] == FLAT.points[0] and drawn.points[-1] == FLAT.points[-1]
    assert len(drawn.points) < 8


def test_smoothing_takes_a_peak_down_and_keeps_the_whole():
    hz = np.geomspace(50, 12800, 33)
    peaky = TargetCurve(tuple((f, 12.0 if i == 16 else 0.0) for i, f in enumerate(hz)))
    smooth = peaky.smoothed(1 / 3)
    assert 2 < smooth.at(hz[16]) < 8
    area = [np.trapezoid(curve.at(np.geomspace(50, 12800, 2000))) for curve in (peaky, smooth)]
    assert area[1] == pytest.approx(area[0], rel=0.2)
    assert abs(float(smooth.at(100.0))) < 0.5


def test_a_spectrum_becomes_few_points_that_follow_it():
    hz = np.linspace(10, 11025, 1025)
    db = 20 - 12 * np.log2(hz / 500) ** 2 / 4 + 3 * np.sin(np.log2(hz) * 3)
    curve = TargetCurve.from_spectrum(hz, db, "a recording")
    inside = (hz > 30) & (hz < 10000)
    assert np.abs(curve.at(hz[inside]) - aligned(hz, db)[inside]).max() < 2 * TOLERANCE_DB + 0.6
    assert len(curve.points) < 80
    assert abs(curve.at(np.linspace(300, 3000, 500)).mean()) < 0.5


def test_a_curve_that_is_none_is_refused():
    for points in (((100.0, 0.0),), ((200.0, 0.0), (100.0, 0.0)), ((100.0, float("nan")), (200.0, 0.0))):
        with pytest.raises(ValueError):
            TargetCurve(points)


def test_the_engine_is_given_the_same_levels():
    profile = FLAT.moved(1, 900.0, -7.0).profile()
    hz = np.geomspace(50, 20000, 200)
    assert np.allclose(profile.at(hz), FLAT.moved(1, 900.0, -7.0).at(hz), atol=0.05)
