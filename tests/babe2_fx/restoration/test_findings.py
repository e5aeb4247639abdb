"""What a response is said to hold: what stands out from its doubt, where it is, and nothing more."""

import numpy as np
import pytest

from babe2_fx.restoration.findings import MOST_FINDINGS, findings, findings_note

HZ = np.geomspace(50, 10000, 400)
OCTAVES = np.log2(HZ / 1000)


def doubt(db):
    return np.full(len(HZ), db)


def upper(hz, slope=24.0):
    return -slope * np.log2(HZ / hz).clip(0)


def lower(hz, slope=18.0):
    return -slope * np.log2(hz / HZ).clip(0)


def hump(hz, db, octaves=0.25):
    return db * np.exp(-0.5 * (np.log2(HZ / hz) / octaves) ** 2)


def test_the_limits_of_the_band_are_where_the_response_has_fallen_by_10_db():
    low, high = sorted(findings(HZ, upper(3000) + lower(200), doubt(1.0)), key=lambda found: found.hz)
    assert low.kind == "lower limit" and low.hz == pytest.approx(200 * 2 ** (-10 / 18), rel=0.1)
    assert high.kind == "upper limit" and high.hz == pytest.approx(3000 * 2 ** (10 / 24), rel=0.1)
    assert low.certainty == high.certainty == 2 and high.db > 20
    assert high.words == "upper band limit at 4.1 kHz, certain" and low.words.startswith("lower band limit near ")


def test_the_more_doubt_the_weaker_the_words():
    response = upper(3000, 20.0)
    assert [findings(HZ, response, doubt(db))[0].certainty for db in (1.0, 4.0, 6.0)] == [2, 1, 0]
    assert findings(HZ, response, doubt(30.0)) == ()


@pytest.mark.parametrize("kind,sign", [("resonance", 1), ("dip", -1)])
def test_resonances_and_dips_have_place_and_height(kind, sign):
    found, = findings(HZ, hump(900, 6.0 * sign), doubt(1.5))
    assert found.kind == kind and found.hz == pytest.approx(900, rel=0.1) and found.db == pytest.approx(6, abs=0.3)
    assert found.words == f"a {kind} near {round(found.hz, -1):.0f} Hz of about 6 dB, certain"
    assert findings(HZ, hump(900, 6.0 * sign), doubt(4.0))[0].certainty == 1
    assert findings(HZ, hump(900, 6.0 * sign), doubt(7.0)) == ()


@pytest.mark.parametrize("what", [hump(900, 2.5), hump(900, 6.0, 0.05), hump(900, 6.0, 1.2)],
                         ids=["low", "narrow", "wide"])
def test_what_is_no_resonance_is_not_called_one(what):
    assert not any(found.kind == "resonance" for found in findings(HZ, what, doubt(1.0)))


def test_the_pass_band_itself_and_its_corners_are_no_resonances():
    assert {found.kind for found in findings(HZ, upper(2000) + lower(500), doubt(1.0))} == {
        "upper limit", "lower limit"}


def test_a_gentle_slope_is_a_tilt_and_no_limit():
    found, = findings(HZ, -3.0 * OCTAVES, doubt(1.0))
    assert found.kind == "tilt" and found.db == pytest.approx(-3.0, abs=0.01)
    assert found.words == "about 3 dB per octave darker from 50 Hz to 9.6 kHz, certain"
    assert findings(HZ, 3.0 * OCTAVES, doubt(1.0))[0].words.startswith("about 3 dB per octave brighter")
    assert findings(HZ, -1.0 * OCTAVES, doubt(0.5)) == ()


def test_nothing_is_said_of_what_is_not_known():
    response, known = upper(3000), HZ < 2500
    assert findings(HZ, response, np.where(known, 1.0, np.nan)) == ()
    assert findings(HZ, response, np.where(known, 1.0, np.inf)) == ()
    assert findings(HZ, response, np.full(len(HZ), np.nan)) == ()
    assert findings_note(HZ, response, np.full(len(HZ), np.nan), response) is None
    assert findings_note(HZ, response, np.where((HZ > 900) & (HZ < 1100), 1.0, np.nan), response) is None


def test_the_level_of_the_response_does_not_matter():
    response = upper(3000) + hump(700, 7.0)
    assert [one.words for one in findings(HZ, response, doubt(1.0))] == [
        one.words for one in findings(HZ, response - 31.0, doubt(1.0))]


def test_the_most_important_comes_first_and_no_more_than_four_are_named():
    response = upper(4000) + lower(150) + sum(hump(hz, 7.0, 0.15) for hz in (300, 700, 1600))
    found = findings(HZ, response, doubt(1.0))
    assert len(found) == MOST_FINDINGS
    assert [(-one.certainty, -abs(one.db)) for one in found] == sorted((-one.certainty, -abs(one.db)) for one in found)


def test_the_note_says_it_in_one_sentence():
    response = upper(3000) + hump(800, 5.0)
    note = findings_note(HZ, response, np.where(HZ < 1500, 3.0, 1.5), response)
    assert note == "Upper band limit at 4 kHz, certain; a resonance near 800 Hz of about 5 dB, likely."


def test_clean_recordings_are_left_as_they_are_only_if_they_are():
    flat = 0.5 * np.sin(OCTAVES)
    assert findings_note(HZ, flat, doubt(1.0), flat) == (
        "No response of a medium stands out, and none was undone.")
    assert findings_note(HZ, flat, doubt(1.0), upper(6000)) == "No response of a medium stands out."
    vague = hump(900, 6.0)
    assert "but nothing in it stands out" in findings_note(HZ, vague, doubt(8.0), vague)
