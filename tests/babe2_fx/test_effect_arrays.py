"""Arrays of every kind give the same result as a plain one, without a warning, and are not written to."""

import warnings

import numpy as np
import pedalboard
import pytest
import torch

from awkward_arrays import awkward
from babe2_fx import GenerativeEQ, TargetProfile
from babe2_fx.evaluation import denoising_gains_db, recording_ltas
from babe2_fx.restoration import Restorer
from babe2_fx.settings import BASELINES
from standin import tiny_prior

RATE = 22050
SLOW = ("sampled", "denoising", "each channel")  # are given one array of each reason to copy it
REASONS = ("read-only", "big-endian", "backwards", "packed")
PRIOR = tiny_prior()
QUICK = {"prior": PRIOR, "quality": "draft", **BASELINES["ltas-eq"]}
SAMPLED = {"prior": PRIOR, "steps": 2, "order": 1, "quality": "draft", "channels": "linked"}
TARGET = TargetProfile((100, 1000, 8000), (0, -10, -30))
DOORS = {
    "effect": lambda audio: GenerativeEQ(**QUICK)(audio, RATE),
    "sampled": lambda audio: GenerativeEQ(**SAMPLED)(audio, RATE),
    "with a target": lambda audio: GenerativeEQ(target=TARGET, target_match=0.5, **QUICK)(audio, RATE),
    "each channel": lambda audio: GenerativeEQ(channels="independent", high_band="keep", **QUICK)(audio, 2 * RATE),
    "dry": lambda audio: GenerativeEQ(mix=0.0, **QUICK)(audio, RATE),
    "restorer": lambda audio: Restorer(PRIOR, GenerativeEQ(**QUICK).settings).restore(audio, RATE).audio,
    "target": lambda audio: np.array(TargetProfile.from_audio(audio, RATE).level_db),
    "spectrum": lambda audio: recording_ltas(np.asarray(audio)[0], RATE).numpy(),
    "denoising": lambda audio: denoising_gains_db(PRIOR, np.asarray(audio)[0], RATE)[0]["prior_db"],
}


@pytest.fixture(autouse=True)
def every_warning_is_an_error():
    torch.set_warn_always(True)  # else PyTorch warns only the first time
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    torch.set_warn_always(False)


@pytest.mark.parametrize("door", DOORS)
def test_an_array_of_any_kind_is_taken(make_notes, door):
    audio = make_notes(RATE, 0.4, channels=2)
    expected = DOORS[door](audio.copy())
    arrays = awkward(audio)
    for name in REASONS if door in SLOW else arrays:
        array = arrays[name]
        kept = np.array(array)
        made = DOORS[door](array)
        assert np.array_equal(made, expected), name
        assert np.array_equal(np.array(array), kept), name
        assert type(made) is type(expected), name


@pytest.mark.parametrize("door", [name for name in DOORS if name not in ("target", "spectrum", "denoising")])
def test_silence_that_is_read_only_is_taken(door):
    silence = np.zeros((2, 4000), np.float32)
    silence.flags.writeable = False
    assert not DOORS[door](silence).any()


@pytest.mark.parametrize("array", [np.zeros(8, np.int32), np.zeros(8, np.float16), np.zeros(8, np.longdouble),
                                   np.zeros(8, bool), np.zeros(8, object), np.array(1.0, np.float32),
                                   np.zeros((1, 2, 9)), torch.zeros(8), [0.0] * 8, "audio"], ids=repr)
def test_what_a_native_plugin_refuses_is_refused_with_the_same_kind_of_error(array):
    with pytest.raises((TypeError, RuntimeError)) as native:
        pedalboard.Gain()(array, RATE)
    with pytest.raises(native.type, match="^The audio must"):
        GenerativeEQ(**QUICK)(array, RATE)
