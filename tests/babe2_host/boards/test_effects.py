"""The offline effects beside GenerativeEQ."""

import copy
import pickle

import numpy as np
import pytest

from awkward_arrays import awkward
from babe2_host import Board, Mix
from babe2_host.boards.effects import PeakNormalize, SpectralGate

RATE = 44100


@pytest.mark.parametrize("effect", [SpectralGate(), SpectralGate(stationary=False), PeakNormalize()], ids=repr)
@pytest.mark.parametrize("shape", [(30000,), (2, 30000), (30000, 2), (1,), (2, 1), (0,), (2, 0)])
def test_any_shape_comes_back_as_float32(effect, shape):
    audio = (0.1 * np.random.default_rng(0).normal(size=shape)).astype(np.float64)
    made = effect(audio, RATE)
    assert made.shape == shape and made.dtype == np.float32 and np.isfinite(made).all()


def test_the_gate_takes_the_noise_between_notes_and_leaves_the_notes():
    rng = np.random.default_rng(0)
    time_s = np.arange(4 * RATE) / RATE
    notes = 0.3 * np.sin(2 * np.pi * 440 * time_s) * (time_s % 2 < 1)
    noise = 0.003 * rng.normal(size=len(notes))
    made = SpectralGate(reduction=0.8)((notes + noise).astype(np.float32), RATE)
    pause = (time_s % 2 > 1.2) & (time_s % 2 < 1.8)
    assert made[pause].std() < 0.3 * noise[pause].std()
    sounding = (time_s % 2 > 0.2) & (time_s % 2 < 0.8)
    assert 0.9 < made[sounding].std() / notes[sounding].std() < 1.05


def test_digital_silence_is_not_taken_for_the_noise():
    rng = np.random.default_rng(0)
    audio = np.concatenate([np.zeros(2 * RATE), 0.01 * rng.normal(size=2 * RATE)]).astype(np.float32)
    made = SpectralGate()(audio, RATE)
    assert made[2 * RATE:].std() < 0.5 * audio[2 * RATE:].std() and not made[:RATE].any()


def test_the_highest_peak_of_all_channels_comes_to_the_level():
    audio = np.array([[0.1, -0.2, 0.0, 0.1], [0.4, 0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(PeakNormalize(-6.0)(audio, RATE), audio * 10 ** (-0.3) / 0.4, rtol=1e-6)
    assert not PeakNormalize()(np.zeros((2, 100), np.float32), RATE).any()


@pytest.mark.parametrize("make", [lambda: SpectralGate(reduction=1.5), lambda: SpectralGate(stationary=0.5),
                                  lambda: PeakNormalize(3.0), lambda: PeakNormalize("loud"),
                                  lambda: PeakNormalize(float("nan"))])
def test_a_bad_value_is_named(make):
    with pytest.raises(ValueError, match="reduction|stationary|peak_db"):
        make()


def test_they_cannot_be_streamed():
    with pytest.raises(ValueError, match="whole recording at once"):
        SpectralGate()(np.zeros(100, np.float32), RATE, reset=False)


@pytest.mark.parametrize("effect, wrong, right", [
    (SpectralGate(), "reducton", "reduction"), (SpectralGate(), "stationery", "stationary"),
    (PeakNormalize(), "peak", "peak_db"), (PeakNormalize(), "peakdb", "peak_db")])
def test_a_misspelt_parameter_is_refused_and_the_nearest_named(effect, wrong, right):
    for do in (lambda: setattr(effect, wrong, -3.0), lambda: getattr(effect, wrong)):
        with pytest.raises(AttributeError, match=rf"has no attribute '{wrong}'\. Did you mean '{right}'\?"):
            do()


@pytest.mark.parametrize("do", [copy.copy, copy.deepcopy, lambda effect: pickle.loads(pickle.dumps(effect))])
def test_copies_are_of_their_own(do):
    one = PeakNormalize(-3.0)
    one(np.full((50, 2), 0.1, np.float32), RATE)
    made = do(one)
    assert made == one
    made.peak_db = -6.0
    assert one.peak_db == -3.0
    with pytest.raises(RuntimeError, match="does not say which dimension"):  # it has not seen the other's array
        made(np.ones((2, 2), np.float32), RATE)


@pytest.mark.parametrize("effect", [SpectralGate(), PeakNormalize(), Board([PeakNormalize()]),
                                    Mix([None, SpectralGate()])], ids=repr)
def test_an_array_of_any_kind_is_taken_and_not_written_to(effect):
    audio = (0.1 * np.random.default_rng(0).normal(size=(2, 9000))).astype(np.float32)
    expected = effect(audio.copy(), RATE)
    for name, array in awkward(audio).items():
        kept = np.array(array)
        made = effect(array, RATE)
        assert type(made) is np.ndarray and np.array_equal(made, expected), name
        assert np.array_equal(np.array(array), kept), name
