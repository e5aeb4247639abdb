"""What lies between a singer and a file: microphone, room, level."""

import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import fftconvolve

from . import SAMPLE_RATE


def room_response(reverberation_s, rng):
    """A room's reverberation without the direct sound, (samples,) float32 of unit energy.

    A few early reflections, then noise that decays the sooner the higher it is: by 60 dB in `reverberation_s` at
    medium frequencies.
    """
    samples = next_fast_len(int(1.2 * reverberation_s * SAMPLE_RATE), real=True)
    t = np.arange(samples) / SAMPLE_RATE
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.normal(0, 1, samples))
    response = np.zeros(samples)
    centres = np.array([200, 800, 2500, 7000])
    shares = np.array([1.1, 1.0, 0.8, 0.45]) ** rng.uniform(0.7, 1.3)
    for centre, share in zip(centres, shares):
        octaves = np.abs(np.log2(np.maximum(hz, 30.0) / centre))
        band = np.fft.irfft(spectrum * np.clip(1.2 - 0.7 * octaves, 0, 1), samples)
        response += band * 10 ** (-3 * t / (share * reverberation_s))
    response *= np.clip((t - 0.005) / rng.uniform(0.01, 0.05), 0, 1)
    response /= np.sqrt(np.sum(response**2))
    for delay_s in rng.uniform(0.004, 0.06, 9):
        echo = np.array([0.25, 0.5, 0.25]) * rng.normal(0, 0.5) * np.exp(-delay_s / 0.03)
        response[int(delay_s * SAMPLE_RATE):][:3] += echo
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def colour_db(hz, rng):
    """The colour of a microphone and its distance, in dB at hz: a gentle tilt and one broad hill, within about ±4."""
    octave = np.log2(np.maximum(hz, 30.0) / 1000)
    tilt = rng.normal(0, 0.6) * octave
    hill = rng.normal(0, 1.2) * np.exp(-0.5 * ((octave - rng.uniform(-2, 3)) / rng.uniform(0.7, 1.4)) ** 2)
    return 4 * np.tanh((tilt + hill) / 4)


def record(voice, rng):
    """A recording of the voice (samples,): four in ten are dry, the others in a room; float32, at the same level."""
    samples = len(voice)
    size = next_fast_len(samples + SAMPLE_RATE, real=True)  # room for the filter to ring
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    rumble = 1 / np.sqrt(1 + (40 / np.maximum(hz, 1.0)) ** 8)  # nothing of a voice lies below
    spectrum = np.fft.rfft(voice, size) * 10 ** (colour_db(hz, rng) / 20) * rumble
    audio = np.fft.irfft(spectrum, size)[:samples]
    if rng.random() < 0.6:
        reverberation_s = np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
        wet = 10 ** (rng.uniform(-20, -4) / 20)
        audio = audio + wet * fftconvolve(audio, room_response(reverberation_s, rng))[:samples]
    return audio.astype(np.float32)
