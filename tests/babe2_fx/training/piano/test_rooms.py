"""Rooms, colours and what a recording keeps."""

import numpy as np
import pytest

from babe2_fx.training.piano import SAMPLE_RATE
from babe2_fx.training.piano.rooms import colour_db, record, room_response, upright_db


@pytest.mark.parametrize("seed", range(30))
def test_rooms_decay(seed):
    energy = room_response(np.random.default_rng(seed)) ** 2
    quarter = len(energy) // 4
    assert np.all(np.diff([energy[i * quarter : (i + 1) * quarter].sum() for i in range(4)]) < 0)


def test_colours_are_mild_in_the_middle_and_bright_or_dull_above():
    freq = np.array([110.0, 350, 700, 1400, 8000])
    gain = np.array([colour_db(freq, np.random.default_rng(seed)) for seed in range(300)])
    assert np.abs(gain[:, 1:3]).max() <= 4.0
    assert gain[:, -1].min() < -6 and gain[:, -1].max() > 6
    assert np.abs(gain.mean(0)).max() < 1  # no side is preferred
    smooth = colour_db(np.geomspace(50, 11025, 2000), np.random.default_rng(0))
    assert np.abs(np.diff(smooth)).max() < 0.1


def test_an_upright_has_less_bass_and_more_box_than_a_grand():
    octaves = np.geomspace(30, 8000, 400)
    gain = np.mean([upright_db(octaves, np.random.default_rng(seed)) for seed in range(100)], axis=0)
    assert np.interp(40, octaves, gain) < -4 and 1 < np.interp(420, octaves, gain) < 5
    assert abs(np.interp(6000, octaves, gain)) < 0.5


@pytest.mark.parametrize("sample_rate", [22050, 44100])
def test_a_recording_is_tuned_within_reason_and_starts_when_the_piano_does(sample_rate, strongest_hz):
    time_s = np.arange(3 * sample_rate) / sample_rate
    note = np.where(time_s > 0.5, np.sin(2 * np.pi * 440 * time_s), 0).astype(np.float32)
    tunings = []
    for seed in range(10):
        audio = record(np.stack([note, note]), sample_rate, np.random.default_rng(seed))
        assert audio.dtype == np.float32 and audio.ndim == 1 and np.isfinite(audio).all()
        assert len(audio) == pytest.approx(3 * SAMPLE_RATE, rel=0.02)
        begins = np.argmax(np.abs(audio) > 0.3 * np.abs(audio).max()) / SAMPLE_RATE
        assert begins == pytest.approx(0.5, abs=0.02)
        tunings.append(strongest_hz(audio[SAMPLE_RATE:], SAMPLE_RATE))
    assert min(tunings) > 434 and max(tunings) < 446 and np.ptp(tunings) > 2


def test_a_room_is_heard_after_the_last_note():
    click = np.zeros((2, 2 * SAMPLE_RATE), np.float32)
    click[:, 1000] = 1
    for seed in range(10):
        audio = record(click, SAMPLE_RATE, np.random.default_rng(seed))
        tail = audio[int(0.1 * SAMPLE_RATE) : int(0.25 * SAMPLE_RATE)]
        assert 1e-5 < np.abs(tail).max() / np.abs(audio).max() < 0.3
