"""GenerativeEQ keeps Pedalboard's contract; native plugins are asked what that is."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pedalboard
import pytest
import torch

from babe2_fx import GenerativeEQ, TargetProfile
from babe2_fx.catalogue.presets import PresetError, load_preset
from babe2_fx.spectra import third_octave_levels_db
from standin import tiny_prior

RATE = 22050
QUICK = {"steps": 3, "order": 1, "quality": "draft"}
PRIOR = tiny_prior()


def effect(**changes) -> GenerativeEQ:
    return GenerativeEQ(prior=PRIOR, **(QUICK | changes))


@pytest.mark.parametrize("shape", [(16000,), (1, 16000), (16000, 1), (2, 16000), (16000, 2), (3, 16000), (1,), (1, 1),
                                   (0,), (2, 0), (0, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types_are_those_of_a_native_plugin(make_notes, shape, dtype):
    audio = np.resize(make_notes(RATE, 1.0)[0], shape).astype(dtype)
    native, ours = pedalboard.Gain(0.0)(audio, RATE), effect()(audio, RATE)
    assert ours.shape == native.shape and ours.dtype == native.dtype == np.float32
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("bad", [np.zeros((1, 2, 3), np.float32), np.zeros(8, np.int16), np.zeros(8, np.float16),
                                 np.zeros(8, np.complex64), [0.0, 1.0], None, np.zeros((4, 4), np.float32),
                                 np.zeros((0, 0), np.float32)])
def test_what_a_native_plugin_refuses_is_refused_in_the_same_way(bad):
    with pytest.raises((TypeError, RuntimeError)) as native:
        pedalboard.Delay()(bad, RATE)
    with pytest.raises(native.type, match="[.]$"):
        effect()(bad, RATE)


def test_a_square_array_is_what_the_last_array_was():
    square = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32)
    one = effect(mix=0.0)
    one(np.zeros((50, 2), np.float32), RATE)
    assert np.array_equal(one(square, RATE), square)
    one.reset()
    with pytest.raises(RuntimeError, match="square"):
        one(square, RATE)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000, 44100.0])
def test_any_sample_rate(make_notes, rate):
    audio = make_notes(int(rate), 0.4)
    assert effect()(audio, rate).shape == audio.shape


def test_interleaved_and_planar_are_the_same_music(make_notes):
    audio = make_notes(RATE, 0.6, channels=2)
    assert np.array_equal(effect()(audio, RATE), effect()(audio.T.copy(), RATE).T)


def test_it_cannot_be_streamed_and_says_so():
    with pytest.raises(ValueError, match="whole recording at once"):
        effect()(np.zeros(100, np.float32), RATE, reset=False)


@pytest.mark.parametrize("name,value", [("mix", 1.5), ("mix", "wet"), ("output_gain_db", float("nan")), ("seed", -1),
                                        ("channels", "both"), ("low_band", "maybe"), ("quality", "best"),
                                        ("device", "tpu"), ("target_match", -0.1)])
def test_a_bad_value_is_named_and_changes_nothing(name, value):
    one = effect()
    before = getattr(one, name)
    with pytest.raises(ValueError, match=name):
        setattr(one, name, value)
    assert getattr(one, name) == before
    with pytest.raises(ValueError, match=name):
        effect(**{name: value})


def test_the_preset_is_read_when_it_is_named_and_not_at_every_look(tmp_path):
    """Settings, prior and operators of an effect are those of one moment, whatever becomes of the file."""
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\ndescription = "Mine."\n[draft]\nsteps = 7\n'
                    '[[operators]]\nname = "low-pass"\ncutoff_hz = 3000\n')
    one = GenerativeEQ(str(path), "draft", prior=PRIOR)
    path.unlink()
    assert one.settings["steps"] == 7 and one.operators is None and one._preset.operators[0].cutoff_hz == 3000
    assert copy.copy(one).settings == pickle.loads(pickle.dumps(one)).settings == one.settings


def test_what_does_nothing_is_said():
    with pytest.raises(ValueError, match="xi does nothing with guidance = direct"):
        effect(xi=0.5)
    one = effect(observation_noise_db=-40)
    one.quality = "paper"
    with pytest.raises(ValueError, match="observation_noise_db does nothing with guidance = gradient"):
        one.settings  # noqa: B018
    assert (one.seed, one.channels, one.low_band) == (0, "auto", "keep")  # which have nothing to do with it


def test_a_run_is_as_the_effect_was_when_it_began(make_notes):
    audio, one = make_notes(RATE, 0.6), effect()
    expected, run = one(audio, RATE), one.run(audio, RATE)
    one.mix, one.seed, one.output_gain_db = 0.0, 7, 6.0
    assert np.array_equal(run.finish(), expected)


def test_operators_are_named_and_shown():
    one = GenerativeEQ(operators=[{"name": "clip", "threshold_db": -3}, {"name": "time-mask", "gaps_s": "1-2"}])
    other = eval(repr(one), {"GenerativeEQ": GenerativeEQ})
    assert other.operators == one.operators and repr(other) == repr(one)
    with pytest.raises(ValueError, match="no operator called 'klip'"):
        GenerativeEQ(operators=[{"name": "klip"}])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="stepz"):
        GenerativeEQ(stepz=3)
    with pytest.raises(PresetError, match="kazoo"):
        GenerativeEQ("kazoo")


def test_the_repr_makes_the_same_effect():
    one = GenerativeEQ("piano", "draft", mix=0.5, seed=3, steps=7, target=TargetProfile((100, 1000), (0, -6)))
    other = eval(repr(one), {"GenerativeEQ": GenerativeEQ, "TargetProfile": TargetProfile})
    assert repr(other) == repr(one) and other.settings == one.settings and other.target == one.target
    assert repr(GenerativeEQ()) == "GenerativeEQ(preset='piano')"


def test_copies_are_independent_and_pickles_hold_no_weights():
    one = effect(mix=0.5)
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert repr(other) == repr(one)
        other.mix = 0.25
        assert one.mix == 0.5
    pickled = pickle.dumps(one)
    assert b"torch" not in pickled and b"numpy" not in pickled
    assert len(pickled) - len(str(load_preset("piano").file)) < 2000  # wherever it is installed


def test_mix_and_gain(make_notes):
    audio = make_notes(RATE, 0.6)
    wet = effect()(audio, RATE)
    np.testing.assert_allclose(effect(mix=0.25, output_gain_db=6.0)(audio, RATE),
                               10 ** 0.3 * (0.25 * wet + 0.75 * audio), atol=1e-6)
    assert np.array_equal(effect(mix=0.0)(audio, RATE), audio)


def test_the_result_and_the_progress_of_a_run(make_notes):
    seen = []
    one = effect(progress=seen.append)
    assert one.result is None
    one(make_notes(RATE, 0.6), RATE)
    assert [now.step for now in seen] == [1, 2, 3] and seen[-1].share_done == 1.0
    assert one.result.settings == one.settings and len(one.result.response_db)
    assert all(np.isfinite(one.ltas_distance_db))


def test_a_callback_that_raises_cancels(make_notes):
    def stop(now):
        raise KeyboardInterrupt
    one = effect(progress=stop)
    with pytest.raises(KeyboardInterrupt):
        one(make_notes(RATE, 0.6), RATE)
    assert one.result is None


def test_the_generator_can_be_closed(make_notes):
    one = effect()
    run = one.run(make_notes(RATE, 0.6), RATE)
    next(run)
    run.close()
    assert one.result is None


def test_a_passage_is_restored_by_what_the_whole_tells(make_notes):
    audio = make_notes(44100, 3.0)
    audio[:, 44100:] = np.diff(audio[:, 44099:])  # the rest of it is another music, with other spectra
    one = effect(filter_fit="none", steps=2)
    passage = one.run(audio, 44100, passage=(11025, 33075)).finish()
    assert passage.shape == (1, 22050)
    ltas_db, whole = one.result.response_db, one.run(audio, 44100).finish()
    np.testing.assert_allclose(one.result.response_db, ltas_db, atol=0.01)
    one.run(audio[:, 11025:33075], 44100).finish()
    assert np.abs(one.result.response_db - ltas_db).max() > 3
    assert np.corrcoef(passage[0], whole[0, 11025:33075])[0, 1] > 0.7
    with pytest.raises(ValueError, match="passage"):
        next(one.run(audio, 44100, passage=(0, 999999)))


def test_threads_get_what_they_would_get_alone(make_notes):
    audio = [make_notes(RATE, 0.6, seed=i) for i in range(4)]
    alone = [effect()(x, RATE) for x in audio]
    one, together = effect(), [None] * 4

    def work(i):
        together[i] = one(audio[i], RATE)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together))


@pytest.mark.parametrize("rate", [22050, 44100])
def test_with_a_full_match_the_spectrum_is_the_targets(make_notes, rate):
    target = TargetProfile((50, 300, 2000, 8000), (-3, 0, -12, -30))
    audio = make_notes(rate, 4.0) + 0.01 * np.random.default_rng(0).normal(size=(1, 4 * rate)).astype(np.float32)
    one = effect(target=target, target_match=1.0)
    restored = one(audio, rate)
    hz, level_db = third_octave_levels_db(torch.from_numpy(restored), rate)
    wanted_db = target.at(hz)
    inside = (hz >= 100) & (hz <= 0.9 * RATE / 2) & (wanted_db > wanted_db.max() - 30)
    apart = (level_db - wanted_db)[inside]
    assert np.sqrt(np.mean((apart - apart.mean()) ** 2)) < 1.0
    assert one.ltas_distance_db[1] < one.ltas_distance_db[0]


def test_the_real_prior_is_loaded_once_and_gives_the_same_twice(make_notes):
    audio = make_notes(RATE, 1.0)
    one, other = (GenerativeEQ(quality="draft", steps=2) for _ in range(2))
    assert np.array_equal(one(audio, RATE), other(audio, RATE))
    from babe2_fx.effect import _priors
    assert sum("piano" in path for path, _ in _priors) == 1


def test_importing_the_package_does_not_import_torch():
    code = ("import sys, babe2_fx; assert 'torch' not in sys.modules\n"
            "babe2_fx.GenerativeEQ; assert 'torch' in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
