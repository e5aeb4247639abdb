import math

import pytest
import torch

from babe2_fx.beyond import Medium
from babe2_fx.beyond.lowest_tone import lowest_tone_hz
from babe2_fx.spectra import apply_response, ltas, smooth_octave

RATE = 22050


def notes(lowest_hz: float, seconds: float = 10.0) -> torch.Tensor:
    """Two octaves of a scale from a pitch upwards, struck twice a second, each with eight partials."""
    time_s = torch.arange(round(seconds * RATE)) / RATE
    audio = torch.zeros_like(time_s)
    for number in range(round(2 * seconds)):
        since_s = (time_s - number / 2).clamp(min=0)
        for partial in range(1, 9):
            pitch_hz = lowest_hz * 2 ** ((7 * number % 24) / 12)
            envelope = torch.exp(-3 * since_s) * (time_s >= number / 2) / partial
            audio += envelope * torch.sin(2 * math.pi * pitch_hz * partial * since_s)
    return audio / 8


def rumble(seconds: float = 10.0) -> torch.Tensor:
    """Noise with most of its power in the lows, which comes and goes as thumps do."""
    noise = torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    hz = torch.arange(2049) * RATE / 4096
    time_s = torch.arange(len(noise)) / RATE
    return apply_response(noise, (60 / hz.clamp(min=20)).clamp(max=1)) * (1 + torch.sin(12 * time_s))


def steep(lowest_hz: float) -> torch.Tensor:
    """A medium that takes away 36 dB per octave below a frequency."""
    hz = torch.arange(2049) * RATE / 4096
    return (hz.clamp(min=10) / lowest_hz).clamp(max=1) ** 6


@pytest.mark.parametrize("pitch_hz", [65.4, 130.8, 261.6])
def test_the_lowest_tone_is_found_within_half_an_octave_under_rumble(pitch_hz):
    found = lowest_tone_hz(notes(pitch_hz) + 0.03 * rumble(), RATE)
    assert pitch_hz / 2 ** 0.5 < found <= pitch_hz


@pytest.mark.parametrize("pitch_hz", [65.4, 130.8, 261.6])
def test_a_medium_that_weakens_the_lows_does_not_hide_their_tones(pitch_hz):
    weakened = apply_response(notes(pitch_hz) + 0.001 * rumble(), steep(250.0))
    assert pitch_hz / 2 ** 0.5 < lowest_tone_hz(weakened, RATE) <= pitch_hz


def test_a_steep_fall_of_noise_is_no_tone():
    assert lowest_tone_hz(apply_response(rumble(), steep(250.0)), RATE) == 0
    assert lowest_tone_hz(torch.zeros(10 * RATE), RATE) == 0
    assert lowest_tone_hz(notes(100.0, 1.0), RATE) == 0  # too short to tell


def test_real_pianos_have_their_lowest_tone_where_it_is_with_and_without_their_medium(shared):
    import soundfile
    for name, low_hz, high_hz in (("ragtime", 60, 115), ("waltz", 150, 200)):
        for kind in ("clean", "degraded"):
            audio, rate = soundfile.read(shared / "audio" / f"piano_{name}_{kind}.flac", dtype="float32")
            assert low_hz < lowest_tone_hz(torch.from_numpy(audio), rate) < high_hz, (name, kind)


def test_lows_without_tones_are_not_taken_for_lost():
    """Music of low notes for a reference; a recording of high ones, with rumble where the others were."""
    reference = smooth_octave(ltas(notes(65.4), 2048))
    recording = notes(261.6) + 0.003 * rumble()
    reference, margin_db = reference / reference.mean() * 0.75, torch.full((1025,), 2.0)
    medium = Medium.of(recording, reference, RATE, 43.0, True, margin_db)
    hz = torch.arange(2049) * RATE / 4096
    assert medium.response_db[(hz > 50) & (hz < 200)].min() > medium.most_db[(hz > 50) & (hz < 200)].max() + 5
    assert medium.response_db[hz < 200].unique().numel() == 1  # nothing is known there, so nothing changes there
    same_music = Medium.of(apply_response(notes(65.4), steep(130.0)), reference, RATE, 43.0, True, margin_db)
    assert same_music.response_db[(hz > 60) & (hz < 75)].max() < -20  # where there are tones, a fall is the medium's
