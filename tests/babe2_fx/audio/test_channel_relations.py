"""What is measured between the channels of a recording, against how they were made."""

import numpy as np
import pytest
import torch
from scipy import signal

from babe2_fx.audio.channel_relations import Relation, relate
from channel_pairs import crackle, hum, late, music, noise, reverb

RATE = 22050


def pair(left: np.ndarray, right: np.ndarray, sample_rate: int = RATE) -> Relation:
    found = relate(torch.from_numpy(np.stack([left, right]).astype(np.float32)), sample_rate)
    assert found.live == (0, 1)
    return found.to_reference[0]


@pytest.fixture(scope="module")
def one() -> np.ndarray:
    return music(seed=0)


@pytest.fixture(scope="module")
def other() -> np.ndarray:
    return music(seed=1)


@pytest.mark.parametrize("rate, samples, sign", [
    (22050, 0.0, 1), (22050, 0.0, -1), (22050, 0.25, 1), (22050, 1.5, -1), (22050, 6.0, 1), (22050, -11.3, 1),
    (22050, -100.4, -1), (8000, 2.2, 1), (8000, -6.0, -1), (96000, 12.5, 1), (96000, -400.0, -1)])
def test_delay_and_polarity_are_found_to_a_fraction_of_a_sample(rate, samples, sign):
    left = music(rate=rate, duration_s=4)
    right = sign * late(left, samples)
    found = pair(left + noise(left, -30, 1), right + noise(left, -30, 2) + 0.2, rate)
    assert found.one and found.inverted == (sign < 0)
    assert found.delay == pytest.approx(samples, abs=0.05 * max(1, rate / RATE))
    assert found.gain_db == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("gain_db", [-12, -3, -1, 3])
def test_balance_is_measured_on_the_music(one, gain_db):
    right = 10 ** (gain_db / 20) * one
    found = pair(one + noise(one, -25, 1), right + noise(one, -25, 2))
    assert found.one and found.gain_db == pytest.approx(gain_db, abs=0.3)


def one_grooves():
    yield "exactly the same", lambda x: (x, x)
    for level_db in (-12, -20, -30, -40):
        yield f"noise at {level_db} dB", lambda x, db=level_db: (x + noise(x, db, 1), x + noise(x, db, 2))
    yield "crackle", lambda x: (x + crackle(x, -25, 1), x + crackle(x, -25, 2))
    yield "one worn wall", lambda x: (x + noise(x, -35, 1), x + noise(x, -8, 2))
    yield "hum in both", lambda x: (x + hum(x, 0) + noise(x, -30, 1), x + hum(x, 0) + noise(x, -30, 2))
    yield "offset in both", lambda x: (x + 0.25 + noise(x, -25, 1), x + 0.25 + noise(x, -25, 2))
    yield "rumble across the groove", lambda x: (x + 3 * hum(x, 0, 20), x - 3 * hum(x, 0, 20))
    yield "one duller", lambda x: (x + noise(x, -30, 1), shelved(x, -6) + noise(x, -30, 2))


def shelved(x: np.ndarray, gain_db: float, corner_hz: float = 2000) -> np.ndarray:
    corner = 2 * np.pi * corner_hz
    return signal.lfilter(*signal.bilinear([10 ** (gain_db / 20), corner], [1, corner], RATE), x)


def stereos():
    for level_db in (-3, -11, -15, -20):
        yield f"side at {level_db} dB", lambda x, y, db=level_db: (x + scaled(y, x, db), x - scaled(y, x, db))
        yield f"side at {level_db} dB, noisy", lambda x, y, db=level_db: (
            x + scaled(y, x, db) + noise(x, -20, 1), x - scaled(y, x, db) + noise(x, -20, 2))
    yield "two recordings", lambda x, y: (x, y)
    yield "offset in both", lambda x, y: (x + 0.25, y + 0.25)
    yield "hum in both", lambda x, y: (x + hum(x, 6), y + hum(x, 6))
    yield "rumble in both", lambda x, y: (x + 10 * hum(x, 0, 20), y + 10 * hum(x, 0, 20))
    yield "two instruments, panned by 2 dB each", lambda x, y: (1.26 * x + scaled(y, x, 0), x + 1.26 * scaled(y, x, 0))
    yield "reverberation on one side", lambda x, y: (x, x + reverb(x, -12, 1))
    yield "half of it mono", lambda x, y: (x, np.where(np.arange(len(x)) < len(x) // 2, x, x + 0.5 * y))
    yield "lows in mono", lambda x, y: (x, shelved(x - y, -40, 200) + y)
    yield "spaced microphones", lambda x, y: (x + late(scaled(y, x, 0), 9), late(x, 7) + scaled(y, x, 0))
    yield "a polarity that would cancel", lambda x, y: (scaled(y, x, -3) + x, scaled(y, x, -3) - x)


def scaled(x: np.ndarray, like: np.ndarray, level_db: float) -> np.ndarray:
    return x * (like.std() / x.std() * 10 ** (level_db / 20))


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in one_grooves()])
def test_two_walls_of_one_groove_are_known_whatever_their_noise(one, make):
    found = pair(*make(one))
    assert found.one and not found.inverted and abs(found.delay) < 1


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in stereos()])
def test_stereo_is_known_however_narrow_and_whatever_its_channels_share(one, other, make):
    assert not pair(*make(one, other)).one


def test_of_a_tone_the_shortest_delay_is_taken():
    time_s = np.arange(3 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time_s)
    assert pair(tone, tone).delay == pytest.approx(0, abs=0.01)
    tone += noise(tone, -50, 1)
    found = pair(tone, late(tone, 4))
    assert found.one and (found.delay, found.inverted) == (pytest.approx(4, abs=0.2), False)
    found = pair(tone, -tone)
    assert found.one and (found.delay, found.inverted) == (pytest.approx(0, abs=0.01), True)


@pytest.mark.parametrize("dead", [
    lambda x: 0 * x, lambda x: 0 * x + 0.25, lambda x: noise(x, -80, 5), lambda x: noise(x, -25, 5),
    lambda x: hum(x, -15) + noise(x, -70, 5), lambda x: 0.0005 * x + noise(x, -70, 5)],
    ids=["silence", "offset", "faint hiss", "hiss", "hum", "crosstalk"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_channel_without_music_is_dead(one, dead, at):
    channels = [one, dead(one)][::1 if at else -1]
    found = relate(torch.from_numpy(np.stack(channels).astype(np.float32)), RATE)
    assert found.live == (1 - at,) and not found.to_reference


def test_soft_music_is_not_dead_but_a_channel_of_lows_is(one, other):
    lows = signal.sosfilt(signal.butter(4, 120, fs=RATE, output="sos"), one + other + hum(one, 0, 40))
    channels = np.stack([one, other, scaled(music(seed=2), one, -40), lows, reverb(other, -30, 1)])
    assert relate(torch.from_numpy(channels.astype(np.float32)), RATE).live == (0, 1, 2, 4)


def test_of_several_channels_each_is_compared_with_the_first_that_lives(one):
    channels = np.stack([0 * one, one, late(one, 3), 0 * one, -one])
    found = relate(torch.from_numpy(channels.astype(np.float32)), RATE)
    assert found.live == (1, 2, 4) and found.one
    assert [(round(r.delay, 1), r.inverted) for r in found.to_reference] == [(3.0, False), (0.0, True)]


@pytest.mark.parametrize("samples", [1, 2, 100, 3000, 12000])
def test_what_is_too_short_to_measure_is_one_only_if_it_is_the_same(samples):
    x, y = (music(seed=seed)[5000:5000 + samples] for seed in (0, 1))
    assert pair(x, x).one
    if samples > 2:
        assert not pair(x, y).one and not pair(x, x + scaled(y, x, -11)).one


def test_silence_is_one_signal():
    assert pair(np.zeros(30000), np.zeros(30000)).one


def test_the_wall_with_more_noise_is_told(one):
    found = pair(one + noise(one, -30, 1), one + noise(one, -12, 2))
    assert 10 * np.log10(found.noise / found.reference_noise) == pytest.approx(18, abs=4)
