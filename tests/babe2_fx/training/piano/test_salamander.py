"""The sampled piano, on a stand-in for its samples."""

import numpy as np
import pytest

from babe2_fx.training.piano import SAMPLE_RATE
from babe2_fx.training.piano.salamander import load_samples, mix_notes


@pytest.fixture
def piano(make_piano):
    return make_piano(np.random.default_rng(0))


@pytest.mark.parametrize("key", [38, 57, 60, 70, 79])
def test_a_key_sounds_its_pitch(piano, key, notes, strongest_hz):
    audio = mix_notes(piano, notes((0.1, 1.0, key, 64)), 1.2)[0]
    cents = 1200 * np.log2(strongest_hz(audio, SAMPLE_RATE) / (440 * 2 ** ((key - 69) / 12)))
    assert abs(cents) < 12  # the instrument's own mistuning is a few cents


def test_notes_begin_when_they_are_played(piano, notes):
    for onset in (0.05, 0.5, 1.234):
        audio = mix_notes(piano, notes((onset, onset + 0.5, 69, 90)), 2.0)[0]
        begins = np.argmax(np.abs(audio) > 0.1 * np.abs(audio).max()) / SAMPLE_RATE
        assert begins == pytest.approx(onset, abs=0.003)


def test_level_rises_with_velocity(piano, notes):
    levels = [np.std(mix_notes(piano, notes((0.1, 0.9, 60, v)), 1.0)) for v in range(10, 127, 6)]
    assert np.all(np.diff(levels) >= 0)
    assert levels[-1] > 2 * levels[0]


def test_dampers_stop_a_note_without_a_click(piano, notes):
    audio = mix_notes(piano, notes((0.1, 0.5, 57, 100)), 1.2)[0]
    after = audio[int(0.95 * SAMPLE_RATE) :]
    assert np.abs(after).max() == 0
    # A click is a step: larger than the steepest slope of the sounding note.
    slope, release = np.abs(np.diff(audio)), int(0.45 * SAMPLE_RATE)
    assert slope[release:].max() <= slope[:release].max()


def test_a_folder_without_samples_is_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        load_samples(tmp_path)
