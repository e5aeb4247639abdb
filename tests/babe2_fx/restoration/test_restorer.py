"""Whole recordings through the engine; the stand-in prior where only the plumbing is at stake."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from babe2_fx.beyond import Completion
from babe2_fx.catalogue.presets import EMBEDDED, QUALITIES, PresetError, list_presets, load_preset
from babe2_fx.priors import load_prior
from babe2_fx.priors.response import ResponseEstimate
from babe2_fx.restoration import Restorer, restorer
from babe2_fx.settings import BASELINES, NAMES, Settings, baseline
from babe2_fx.spectra import TargetProfile, apply_response, filter_frequencies
from babe2_fx.spectra.cells import band_centres_hz
from standin import tiny_prior

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

QUICK = Settings.of(steps=2, order=1, guidance="direct", filter_fit="global", s_churn=0.0)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_length_rate_and_channels_come_back(make_notes, rate, channels):
    audio = make_notes(rate, 0.7, channels)
    result = Restorer(tiny_prior(), QUICK).restore(audio, rate)
    assert result.audio.shape == audio.shape and result.audio.dtype == np.float32 and result.sample_rate == rate
    assert np.isfinite(result.audio).all()


@pytest.mark.parametrize("samples", [1, 2, 100, 40000, 70001])
def test_any_number_of_samples_is_taken(samples):
    audio = np.random.default_rng(0).normal(0, 0.1, (1, samples)).astype(np.float32)
    assert Restorer(tiny_prior(), QUICK).restore(audio, 22050).audio.shape == audio.shape


@pytest.mark.parametrize("settings", [
    QUICK, QUICK.replace(guidance="gradient"), QUICK.replace(filter_fit="adam"), QUICK.replace(filter_fit="sgd"),
    QUICK.replace(filter_fit="none"), QUICK.replace(ltas="off"), QUICK.replace(ltas="initial"),
    QUICK.replace(blocks="time-invariant"), QUICK.replace(order=2, steps=5), QUICK.replace(overlap=0.0),
    baseline("ltas-eq", QUICK), baseline("babe", QUICK)], ids=str)
def test_every_way_of_working_runs_and_is_repeatable(make_notes, settings):
    audio = make_notes(22050, 3.2)
    first, again = (Restorer(tiny_prior(), settings).restore(audio, 22050) for _ in range(2))
    assert np.isfinite(first.audio).all() and first.audio.std() > 0
    assert np.array_equal(first.audio, again.audio)
    assert np.array_equal(first.response_db, again.response_db)


def test_another_seed_gives_other_audio(make_notes):
    audio = make_notes(22050, 1.0)
    results = [Restorer(tiny_prior(), QUICK.replace(seed=s)).restore(audio, 22050).audio for s in (1, 2)]
    assert not np.array_equal(*results)


def test_silence_comes_back_as_silence():
    result = Restorer(tiny_prior(), QUICK).restore(np.zeros((2, 30000), np.float32), 44100)
    assert not result.audio.any()


def test_a_silent_stretch_within_a_recording_stays_silent(make_notes):
    audio = make_notes(22050, 6.0)
    audio[:, 44100:120000] = 0
    restored = Restorer(tiny_prior(), QUICK).restore(audio, 22050).audio
    assert np.abs(restored[:, 75000:90000]).max() < 0.1 * restored.std()


def test_a_dc_offset_is_taken_out(make_notes):
    audio = make_notes(22050, 1.0)
    plain, shifted = (Restorer(tiny_prior(), QUICK).restore(a, 22050).audio for a in (audio, audio + 0.25))
    assert abs(float(shifted.mean())) < 0.01
    assert np.abs(plain - shifted).max() < 0.02


def test_level_of_the_input_does_not_change_what_is_done(make_notes):
    audio = make_notes(22050, 1.5)
    loud, soft = (Restorer(tiny_prior(), QUICK).restore(a, 22050).audio for a in (audio, audio / 64))
    assert np.allclose(loud / 64, soft, atol=1e-5)


def test_a_restoration_is_as_loud_as_its_recording(make_notes):
    """Lifted highs weigh more in the prior's emphasised domain than in the ear."""
    rate = 22050
    dull = apply_response(torch.from_numpy(make_notes(rate, 8.0)[:1]), torch.linspace(1, 0.03, 2049)).numpy()
    settings = Settings.of(ltas="only")
    restorer = Restorer(load_prior(load_preset("piano").prior_path), settings)
    restored = restorer.restore(dull, rate).audio
    assert 20 * np.log10(restored.std() / dull.std()) == pytest.approx(0, abs=0.3)


def test_what_an_eq_takes_away_below_the_prior_is_not_lifted_without_end():
    """With no noise measured everything passes for music, down to 0 Hz."""
    audio, rate = soundfile.read(EXAMPLES / "piano_78_clean.flac", dtype="float32", always_2d=True)
    preset = load_preset("piano")
    settings = preset.settings("draft").replace(recording_noise="ignored")
    restored = Restorer(load_prior(preset.prior_path), settings).restore(audio.T[:1, :5 * rate], rate).audio
    assert 20 * np.log10(restored.std() / audio[:5 * rate, 0].std()) == pytest.approx(0, abs=1)


def test_two_channels_of_one_groove_become_one_and_true_stereo_does_not(make_notes):
    mono = make_notes(22050, 1.0)
    dual = Restorer(tiny_prior(), QUICK).restore(np.concatenate([mono, mono]), 22050)
    assert np.array_equal(dual.audio[0], dual.audio[1]) and "same signal" in " ".join(dual.notes)
    stereo = Restorer(tiny_prior(), QUICK).restore(np.concatenate([mono, make_notes(22050, 1.0, seed=5)]), 22050)
    assert not np.array_equal(stereo.audio[0], stereo.audio[1])


def test_progress_counts_blocks_and_steps_and_can_be_cancelled(make_notes):
    audio = make_notes(22050, 4.0)
    seen = list(Restorer(tiny_prior(), QUICK).run(audio, 22050))
    assert seen[-1].block == seen[-1].blocks and seen[-1].share_done == pytest.approx(1)
    assert all(a.share_done < b.share_done for a, b in zip(seen, seen[1:]))
    run = Restorer(tiny_prior(), QUICK).run(audio, 22050)
    next(run)
    run.close()


@pytest.mark.parametrize("audio", [np.zeros((1, 0)), np.zeros(10), np.full((1, 10), np.nan), np.full((1, 9), np.inf)])
def test_unusable_audio_is_refused_at_once(audio):
    with pytest.raises(ValueError, match="audio"):
        Restorer(tiny_prior(), QUICK).run(audio, 22050)


def test_target_takes_the_place_of_the_reference(make_notes):
    audio = make_notes(22050, 2.0)
    dark = TargetProfile((50, 500, 11000), (0, 0, -60))
    bright = TargetProfile((50, 500, 11000), (0, 0, 0))
    level = []
    for target in (dark, bright):
        result = Restorer(tiny_prior(), baseline("ltas-eq", QUICK), target).restore(audio, 22050)
        level.append(np.interp(3000, result.ltas_hz, result.restored_ltas_db))
    assert level[1] > level[0] + 5


def test_export_holds_what_the_interfaces_name(make_notes):
    export = Restorer(tiny_prior(), QUICK).restore(make_notes(22050, 1.0), 22050).eq_export()
    assert set(export) == {"freqs_hz", "response_db", "deviation_db", "breakpoints_hz", "slopes_db_per_octave",
                           "reference_hz"}
    assert export["deviation_db"] is None  # this prior has no response model
    assert len(export["breakpoints_hz"]) == 5 and len(export["slopes_db_per_octave"]) == 4
    at_reference = np.interp(export["reference_hz"], export["freqs_hz"], export["response_db"])
    assert at_reference == pytest.approx(0, abs=0.05)


def told_prior(response_db, deviation_db):
    """A prior whose response model says this of every recording."""
    prior = tiny_prior()
    estimate = ResponseEstimate(torch.as_tensor(response_db).float(), torch.full((83,), deviation_db))
    prior.response = SimpleNamespace(estimate=lambda audio: estimate)
    return prior


LEARNED = QUICK.replace(response_prior="learned", recording_noise="measured")


def test_a_response_model_s_deviation_is_reported_and_what_it_found_is_a_note(make_notes):
    fall = -30 * np.log2(band_centres_hz() / 1000).clip(0)
    audio = make_notes(22050, 2.0)
    run = Restorer(told_prior(fall, 1.5), LEARNED).run(audio, 22050)
    assert all(now.deviation_db is not None and now.deviation_db.shape == (2049,) for now in run)
    result = run.value
    known = np.isfinite(result.deviation_db)
    assert known.any() and np.allclose(result.deviation_db[known], 1.5)
    assert not known[result.frequencies_hz < 80].any()  # the model has no bands there
    exported = json.loads(result.eq_json())["deviation_db"]
    assert [value is None for value in exported] == (~known).tolist()
    assert result.found == result.notes[-1] and result.found.startswith("Upper band limit at")


@pytest.mark.parametrize("fit", ["global", "adam", "sgd"])
def test_every_fit_that_is_held_to_what_the_model_says_reports_its_deviation(make_notes, fit):
    settings = LEARNED.replace(ltas="initial", filter_fit=fit)
    result = Restorer(told_prior(np.linspace(0, -30, 83), 1.0), settings).restore(make_notes(22050, 1.0), 22050)
    assert result.found and np.nanmax(result.deviation_db) == pytest.approx(1.0)


@pytest.mark.parametrize("ltas", ["only", "objective"])
@pytest.mark.parametrize("low_hz,high_hz", [(200, 400), (2000, 3000)])
def test_a_passage_is_as_loud_as_within_the_whole(ltas, low_hz, high_hz):
    """Notes that the medium has weakened are lifted in a passage of theirs, too, as are those it has not, lowered."""
    rng, time_s = np.random.default_rng(0), np.arange(6 * 22050) / 22050
    low, high = (sum(np.sin(2 * np.pi * hz * time_s) for hz in rng.uniform(*band, 5)) for band in (
        (low_hz, high_hz), (500, 1000)))
    audio = (0.05 * np.where(time_s < 3, low, high) + 1e-4 * rng.normal(size=len(time_s))).astype(np.float32)[None]
    settings = LEARNED.replace(filter_fit="none", ltas=ltas) if ltas == "objective" else LEARNED.replace(ltas="only")
    fall = np.interp(np.log2(band_centres_hz() / 1000), [-1, 0, 1], [0, 0, -20])
    restorer = Restorer(told_prior(fall, 1.0), settings)
    whole, passage = (restorer.run(audio, 22050, part).finish().audio for part in (None, (22050, 44100)))
    difference_db = 20 * np.log10(passage[:, 4000:-4000].std() / whole[:, 26050:40100].std())
    assert abs(difference_db) < 1


def test_a_recording_of_which_only_rumble_stands_out_is_restored():
    rng, time_s = np.random.default_rng(0), np.arange(6 * 22050) / 22050
    audio = np.sin(2 * np.pi * 15 * time_s) * (time_s % 1 > 0.5) + 0.05 * rng.normal(size=len(time_s))
    result = Restorer(tiny_prior(), LEARNED).restore(0.1 * audio[None], 22050)
    assert np.isfinite(result.audio).all()


@pytest.mark.parametrize("settings", [LEARNED.replace(ltas="off", filter_fit="none"),
                                      LEARNED.replace(ltas="initial", filter_fit="none"), QUICK], ids=str)
def test_a_response_that_the_model_did_not_tell_has_no_deviation(make_notes, settings):
    result = Restorer(told_prior(np.linspace(0, -30, 83), 1.0), settings).restore(make_notes(22050, 1.0), 22050)
    assert result.deviation_db is None and result.found is None


@pytest.mark.parametrize("name,value,says", [("steps", 1, "from 2 to 1000"), ("steps", 2.5, "whole"), ("xi", -1, "xi"),
                                             ("xi", float("nan"), "xi"), ("filter_fit", "magic", "adam"),
                                             ("sigma_min", 0.5, "below sigma_start"), ("seed", True, "number"),
                                             ("nothing", 1, "no setting called 'nothing'"),
                                             ("ltas_margin", 0.5, "no setting ltas_margin any more: .*response")])
def test_bad_settings_are_refused_by_name(name, value, says):
    with pytest.raises(ValueError, match=says):
        Settings().replace(**{name: value})


def test_paper_settings_are_those_of_table_3():
    s = SimpleNamespace(**load_preset("piano").settings("paper").flat())
    assert (s.steps, s.sigma_start, s.sigma_min, s.rho, s.s_churn) == (51, 0.5, 4e-5, 13, 10)
    assert (s.xi, s.noise_regularization, s.filter_learning_rate, s.filter_iterations) == (1.0, 0.25, 10, 100)
    assert (s.collapse_decay, s.collapse_weight, s.guidance, s.filter_fit, s.order) == (0.1, 10, "gradient", "adam", 2)


def test_every_preset_has_every_quality_and_a_prior_that_loads():
    for name in list_presets():
        preset = load_preset(name)
        for quality in QUALITIES:
            assert preset.settings(quality, seed=3)["seed"] == 3
        if preset.state != EMBEDDED:
            continue  # published weights, which do not ship
        prior = load_prior(name)
        assert prior.ltas is not None and prior.info["steps"] > 0
        assert preset.prior_path.stat().st_size <= 10e6 and preset.card


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(PresetError, match="piano"):
        load_preset("kazoo")
    with pytest.raises(ValueError, match="standard"):
        load_preset("piano").settings("perfect")
    with pytest.raises(ValueError, match="babe"):
        baseline("kazoo", Settings())
    assert set(BASELINES) == {"ltas-eq", "babe"}


def test_settings_say_what_they_are():
    assert all(known.help for known in NAMES.values())


@torch.no_grad()
@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.1])
def test_embedded_prior_takes_noise_from_music_it_never_heard(sigma):
    audio, rate = soundfile.read(EXAMPLES / "piano_78_clean.flac", dtype="float32")
    prior = load_prior("piano")
    clean = torchaudio.functional.resample(torch.from_numpy(audio)[None], rate, prior.sample_rate)[:, :184184]
    flat = prior.emphasis.apply(clean)
    flat = prior.band_limit(flat * (prior.level / flat.std()))
    noise = prior.band_limit(sigma * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0)))
    left = prior.band_limit(prior.denoise(flat + noise, torch.tensor(sigma))) - flat
    assert 20 * torch.log10(noise.norm() / left.norm()) > 3


def test_where_no_music_is_heard_nothing_is_taken_neither_as_a_whole_nor_spot_by_spot(make_notes, monkeypatch):
    """The completion sees the noise as the operator does, from the moment it is made."""
    seen = []

    class Watched(Completion):
        def __init__(self, prior, reference, noise, *others):
            super().__init__(prior, reference, noise, *others)
            seen.append((noise, noise.clone()))
    monkeypatch.setattr(restorer, "Completion", Watched)
    audio = make_notes(22050, 3.0) + 0.003 * np.random.default_rng(0).normal(size=(1, 3 * 22050)).astype(np.float32)
    result = Restorer(tiny_prior(), QUICK.replace(recording_noise="measured")).restore(audio, 22050)
    noise, at_first = seen[0]
    assert "stands out" in " ".join(result.notes) and 100 < (at_first == restorer.UNHEARD).sum() < 2000
    assert all(torch.equal(noise, at_first) for noise, at_first in seen)


def test_channels_may_be_summed_or_restored_each_for_itself(make_notes):
    audio = np.concatenate([make_notes(22050, 1.5, seed=0), make_notes(22050, 1.5, seed=1)])
    summed = Restorer(tiny_prior(), QUICK.replace(channels="mono")).restore(audio, 22050)
    assert np.array_equal(summed.audio[0], summed.audio[1]) and not summed.parts
    each = Restorer(tiny_prior(), QUICK.replace(channels="independent")).restore(audio, 22050)
    for channel, part in zip(audio, each.parts):
        alone = Restorer(tiny_prior(), QUICK).restore(channel[None], 22050)
        assert np.array_equal(part.audio, alone.audio)
    assert np.array_equal(each.audio, np.concatenate([part.audio for part in each.parts]))


def test_progress_of_independent_channels_rises_to_one(make_notes):
    audio = np.concatenate([make_notes(22050, 1.5, seed=0), make_notes(22050, 1.5, seed=1)])
    shares = [now.share_done for now in Restorer(tiny_prior(), QUICK.replace(channels="independent")).run(audio, 22050)]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_the_lows_below_the_prior_are_the_recordings_own_or_nothing(make_notes):
    rate, seconds = 22050, 3.0
    hum = 0.05 * np.sin(2 * np.pi * 40 * np.arange(int(rate * seconds)) / rate)
    audio = (make_notes(rate, seconds) + hum).astype(np.float32)
    prior = tiny_prior()
    assert prior.lowest_hz > 100

    def hum_of(low_band: str) -> float:
        restored = Restorer(prior, QUICK.replace(low_band=low_band)).restore(audio, rate).audio[0]
        inside = np.arange(4410, len(hum) - 4410)
        return 2 * abs(np.mean(restored[inside] * np.exp(-2j * np.pi * 40 * inside / rate)))

    assert hum_of("keep") == pytest.approx(0.05, rel=0.05)
    assert hum_of("drop") < 0.002


def test_music_that_is_cut_off_gets_no_click_at_its_ends(make_notes):
    """LTAS-EQ with the embedded prior: what is lifted by 20 dB must not ring at an end."""
    notes = make_notes(22050, 6.0)[:, 4000:-4000]
    dull = apply_response(torch.from_numpy(notes), 1 / (1 + filter_frequencies(22050) / 800) ** 2).numpy()
    restored = Restorer(load_prior("piano"), baseline("ltas-eq", Settings())).restore(dull, 22050).audio
    body = np.abs(restored[:, 3000:-3000]).max()
    assert np.abs(restored[:, :300]).max() < 1.1 * body and np.abs(restored[:, -300:]).max() < 1.1 * body
