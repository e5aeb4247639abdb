import numpy as np
import pytest
import torch

from babe2_fx.beyond.noise_floor import heard, noise_floor
from babe2_fx.spectra import apply_response, ltas, smooth_octave

RATE, SIZE = 22050, 2048


def at(hz: float) -> int:
    return round(hz * SIZE / RATE)


def db(power: torch.Tensor) -> np.ndarray:
    return 10 * np.log10(power.clamp(min=1e-30).numpy())


def coloured_noise(seconds: float = 10.0, seed: int = 0) -> torch.Tensor:
    """White noise, 12 dB lower above 3 kHz."""
    noise = torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))
    gain = torch.where(torch.arange(2049) * RATE / 4096 < 3000, 1.0, 0.25)
    return apply_response(noise, gain)


def test_noise_alone_is_all_floor():
    noise = coloured_noise()
    floor, mean = db(noise_floor(noise, SIZE)), db(smooth_octave(ltas(noise, SIZE)))
    for hz in (60, 200, 1000, 2000, 5000, 9000):
        assert floor[at(hz)] == pytest.approx(mean[at(hz)], abs=1.5), hz


def test_the_floor_under_music_is_that_of_the_noise(make_notes):
    music = torch.from_numpy(make_notes(RATE, 10.0)[0])
    noise = 10 ** (-50 / 20) * coloured_noise()
    floor, alone = db(noise_floor(music + noise, SIZE)), db(smooth_octave(ltas(noise, SIZE)))
    for hz in (2000, 5000, 9000):
        assert floor[at(hz)] == pytest.approx(alone[at(hz)], abs=3), hz
    for hz in (300, 1000):  # where the music leaves few gaps, it is at least far below the music
        assert floor[at(hz)] < db(smooth_octave(ltas(music, SIZE)))[at(hz)] - 10, hz


def test_music_is_heard_up_to_where_it_ends(make_notes):
    music = torch.from_numpy(make_notes(RATE, 10.0)[0]) + 0.003 * coloured_noise()
    audible = heard(smooth_octave(ltas(music, SIZE)), noise_floor(music, SIZE))
    assert audible[at(250):at(1500)].all()
    assert not audible[at(6000):].any()


def test_in_noise_alone_no_music_stands_out():
    noise = coloured_noise()
    assert not heard(smooth_octave(ltas(noise, SIZE)), noise_floor(noise, SIZE)).any()


def test_silent_ends_do_not_lower_the_floor():
    noise = coloured_noise()
    padded = torch.cat([torch.zeros(RATE * 5), noise, torch.zeros(RATE * 5)])
    assert db(noise_floor(padded, SIZE))[at(1000)] == pytest.approx(db(noise_floor(noise, SIZE))[at(1000)], abs=0.5)


def test_what_is_too_short_has_no_floor():
    assert not noise_floor(torch.randn(1, 3000), SIZE).any()


def test_a_quiet_channel_does_not_hide_the_noise_of_a_loud_one(make_notes):
    loud = torch.from_numpy(make_notes(RATE, 10.0)[0]) + 10 ** (-50 / 20) * coloured_noise()
    both, alone = db(noise_floor(torch.stack([loud, loud / 100]), SIZE)), db(noise_floor(loud, SIZE))
    for hz in (300, 1000, 2000, 5000, 9000):
        assert both[at(hz)] == pytest.approx(alone[at(hz)] - 3.01, abs=0.1), hz  # the mean of it and next to nothing
