"""Recordings of which more is known than a spectrum: operators in a restoration, with the embedded piano's prior."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx import GenerativeEQ
from babe2_fx.operators import BlindEQ, Clip, LowPass, Operator, OperatorError, TimeMask
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer
from babe2_fx.settings import Settings
from standin import tiny_prior

EXAMPLES, RATE = Path(__file__).resolve().parents[3] / "examples", 44100
DRAFT = {"quality": "draft", "steps": 3}
GAP = 1.2, 1.35


@pytest.fixture(scope="module")
def music():
    """Two seconds of piano, clean and as a 78 would have it, (samples,) each."""
    return [soundfile.read(EXAMPLES / f"piano_78{name}.flac", dtype="float32", start=2 * RATE, frames=2 * RATE)[0]
            for name in ("_clean", "")]


def power_db(audio, at=slice(None), low_hz=100, high_hz=10000):
    """Mean power in dB of a stretch of audio (samples,) in a band."""
    part = audio[at] * np.hanning(len(audio[at]))
    spectrum = np.abs(np.fft.rfft(part)) ** 2
    hz = np.fft.rfftfreq(len(part), 1 / RATE)
    return 10 * np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() / len(part) + 1e-20)


def cut(audio):
    """Audio (samples,) with silence in the gap, and where that is."""
    inside = slice(round(GAP[0] * RATE), round(GAP[1] * RATE))
    gapped = audio.copy()
    gapped[inside] = 0
    return gapped, inside


def test_a_gap_is_filled_and_all_else_stays(music):
    gapped, inside = cut(music[0])
    filled = GenerativeEQ(operators=[TimeMask([GAP])], **DRAFT)(gapped, RATE)
    assert power_db(filled, inside) > power_db(music[0], inside) - 25 and power_db(gapped, inside) < -150
    before = slice(4410, inside.start - 882)
    kept = filled[before] - music[0][before]
    assert power_db(kept, high_hz=9000) < power_db(music[0][before], high_hz=9000) - 20


def test_a_gap_and_an_unknown_response_in_one_recording(music):
    gapped, inside = cut(music[1])
    filled = GenerativeEQ(operators=[{"name": "blind-eq"}, {"name": "time-mask", "gaps_s": [GAP]}], **DRAFT)
    audio = filled(gapped, RATE)
    assert power_db(audio, inside) > power_db(music[1], inside) - 25
    whole = GenerativeEQ(ltas="initial", **DRAFT)
    whole(music[1], RATE)
    apart = filled.result.response_db - whole.result.response_db
    band = (whole.result.frequencies_hz > 200) & (whole.result.frequencies_hz < 4000)
    assert np.sqrt(np.mean(apart[band] ** 2)) < 3  # the gap does not disturb what is learned of the medium


def test_a_passage_has_the_gaps_of_the_whole(music):
    gapped, inside = cut(music[0])
    effect = GenerativeEQ(operators=[TimeMask([GAP])], **DRAFT)
    passage = effect.run(gapped[None], RATE, passage=(RATE, 2 * RATE)).finish()[0]
    there = slice(inside.start - RATE, inside.stop - RATE)
    assert power_db(passage, there) > power_db(music[0], inside) - 25


def test_a_known_low_pass_extends_the_band_and_learns_nothing(music):
    effect = GenerativeEQ(operators=[LowPass(4000.0)], **DRAFT)
    restored = effect(music[1], RATE)
    assert effect.result.equalizer is None
    assert power_db(restored, low_hz=5000, high_hz=9000) > -60
    lows = slice(4410, -4410)
    assert power_db(restored, lows, 300, 2000) == pytest.approx(power_db(music[1], lows, 300, 2000), abs=1.5)


def test_a_clipper_leaves_what_it_let_through(music):
    level_db = 20 * np.log10(0.3 * np.abs(music[0]).max())
    clipped = np.clip(music[0], -10 ** (level_db / 20), 10 ** (level_db / 20))
    restored = GenerativeEQ(operators=[Clip(float(level_db))], **DRAFT)(clipped, RATE)
    through = np.abs(clipped) < 0.9 * 10 ** (level_db / 20)
    assert np.abs(restored).max() > 1.1 * np.abs(clipped).max()
    assert np.corrcoef(restored[through], clipped[through])[0, 1] > 0.98


@pytest.mark.parametrize("guidance", ["direct", "gradient"])
@pytest.mark.parametrize("blocks", ["autoregressive", "time-invariant"])
def test_operators_go_with_every_guidance_and_order_of_blocks(make_notes, guidance, blocks):
    audio = make_notes(22050, 5.0)
    settings = Settings.of(steps=2, order=1, guidance=guidance, filter_fit="global", s_churn=0.0, blocks=blocks)
    restorer = Restorer(tiny_prior(), settings, operators=[BlindEQ(), TimeMask("1-1.2, 3-3.1"), Clip(-3.0)])
    result = restorer.restore(audio, 22050)
    assert result.audio.shape == audio.shape and np.isfinite(result.audio).all() and result.equalizer is not None


def test_a_block_that_is_all_gap_is_not_taken_for_silence(make_notes):
    audio = make_notes(22050, 6.0)
    audio[:, 22050:3 * 22050] = 0
    settings = Settings.of(steps=2, order=1, guidance="direct", s_churn=0.0, filter_fit="none")
    silent, gap = (Restorer(tiny_prior(), settings, operators=operators).restore(audio, 22050).audio
                   for operators in (None, [TimeMask("1-3")]))
    inside = slice(35000, 55000)
    assert np.abs(gap[:, inside]).max() > 10 * np.abs(silent[:, inside]).max()


def test_what_is_hidden_is_of_no_consequence(music):
    """A burst in a gap, louder than all music, or silence: the same comes out, and nothing of the burst."""
    gapped, inside = cut(music[1])
    burst = gapped.copy()
    burst[inside] = 0.9 * np.sign(np.sin(np.arange(inside.stop - inside.start)))
    operators = [BlindEQ(), TimeMask([GAP])]
    silent, loud = (GenerativeEQ(operators=operators, **DRAFT)(audio, RATE) for audio in (gapped, burst))
    assert np.array_equal(silent, loud)


@pytest.mark.parametrize("gaps", ["0-10", "0-1, 1.0001-10"])
def test_a_recording_that_is_nearly_all_gap_gives_numbers(make_notes, gaps):
    audio = make_notes(22050, 2.0)
    settings = Settings.of(steps=2, order=1, guidance="direct", s_churn=0.0, recording_noise="measured")
    result = Restorer(tiny_prior(), settings, operators=[BlindEQ(), TimeMask(gaps)]).restore(audio, 22050)
    assert np.isfinite(result.audio).all() and result.audio.shape == audio.shape


class Gain(Operator):
    """An operator with something of its own to find, as anyone may write one."""

    gain = 1.0

    def apply(self, x):
        return self.gain * x

    def fit(self, denoised, observation, sigma):
        self.gain = float(observation.norm() / denoised.norm())


def test_a_fitted_operator_of_a_users_own_begins_afresh_and_is_not_kept(make_notes):
    audio, kept = make_notes(22050, 3.2), {}

    class Journal:
        def read(self, name):
            return kept.get(name)

        def write(self, name, tensors):
            kept[name] = tensors
    settings = Settings.of(steps=2, order=1, s_churn=0.0)
    restorer = Restorer(tiny_prior(), settings, journal=Journal(), operators=[Gain()])
    first, again = (restorer.restore(audio, 22050).audio for _ in range(2))
    assert np.array_equal(first, again) and not kept


def test_the_settings_are_those_that_have_an_effect_with_the_operators():
    masked = GenerativeEQ(operators=[TimeMask([GAP])], quality="draft")
    assert masked.settings["filter_fit"] == "none" and masked.settings["ltas"] == "off"
    both = GenerativeEQ(operators=[BlindEQ(), TimeMask([GAP])], quality="draft")
    assert both.settings["filter_fit"] == "global" and both.settings["ltas"] == "initial"
    for changes in ({"ltas": "initial"}, {"filter_fit": "adam"}, {"response_prior": "learned"}):
        with pytest.raises(ValueError, match="does nothing with these operators"):
            GenerativeEQ(operators=[TimeMask([GAP])], quality="draft", **changes).settings  # noqa: B018
    assert GenerativeEQ(operators=[TimeMask([GAP])], filter_fit="adam").seed == 0


@pytest.mark.parametrize("operators, changes, sentence", [
    ([], {}, "list of operators is empty"), ([BlindEQ()], {"filter_fit": "none"}, "needs a fit of its EQ"),
    ([Clip()], {"ltas": "only"}, "samples nothing")])
def test_what_does_not_go_together_is_said(operators, changes, sentence):
    with pytest.raises(OperatorError, match=sentence):
        Restorer(load_prior("piano"), Settings.of(**changes), operators=operators)
