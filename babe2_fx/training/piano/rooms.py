"""What lies between a piano and a file: microphones, tuning, room, colour."""

import numpy as np
import soxr
from scipy.signal import fftconvolve

from . import SAMPLE_RATE


def room_response(rng):
    """A synthetic room: (samples,) float32, its reverberation only, unit energy.

    Early reflections, then noise that decays sooner at high frequencies, RT60 0.3..2 s.
    """
    rt60_s = np.exp(rng.uniform(np.log(0.3), np.log(2.0)))
    n = int(1.1 * rt60_s * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.normal(0, 1, n))
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    edges = [0, 250, 1000, 3000, 7000, SAMPLE_RATE]
    damping = rng.uniform(0.1, 0.3)  # each band's RT60 is shorter by this share than the one below
    tail = np.zeros(n)
    for band, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        noise = np.fft.irfft(np.where((freq >= low) & (freq < high), spectrum, 0), n)
        tail += noise * 10 ** (-3 * t / (1.15 * rt60_s * (1 - damping) ** band)) * 10 ** (-2.0 * band / 20)
    rise = rng.uniform(0.01, 0.04)  # the diffuse part sets in after the first reflections
    tail *= np.clip((t - 0.004) / rise, 0, 1)
    early = np.zeros(n)
    at = (rng.uniform(0.004, 0.05, 10) * SAMPLE_RATE).astype(int)
    np.add.at(early, np.minimum(at, n - 1), rng.choice([-1, 1], 10) * np.exp(-at / SAMPLE_RATE / 0.025))
    early = np.convolve(early, [0.25, 0.5, 0.25], "same")
    tail /= np.sqrt(np.sum(tail**2)) + 1e-12
    early /= np.sqrt(np.sum(early**2)) + 1e-12
    response = tail + rng.uniform(0.3, 1.0) * early
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def colour_db(freq, rng):
    """A smooth random colour of piano and microphones at frequencies in Hz, in dB; 0 at about 700 Hz.

    A tilt and two hills an octave or two wide, within 4 dB; then what makes pianos bright or dull, thin or full: up to
    3 dB per octave either way in the treble, from a corner of 0.8..3 kHz, and 2 in the bass, from one of 100..300 Hz.
    """
    octave = np.log2(np.maximum(freq, 20.0) / 700.0)
    gain = rng.normal(0, 0.5) * octave
    for _ in range(2):
        gain = gain + rng.normal(0, 1.2) * np.exp(-0.5 * ((octave - rng.uniform(-4, 4)) / rng.uniform(0.7, 1.6)) ** 2)
    above, below = octave - np.log2(rng.uniform(800, 3000) / 700), np.log2(rng.uniform(100, 300) / 700) - octave
    treble = np.clip(rng.normal(0, 1.4), -3, 3) * np.maximum(above, 0)
    bass = np.clip(rng.normal(0, 0.9), -2, 2) * np.maximum(below, 0)
    return 4.0 * np.tanh(gain / 4.0) + treble + bass


def upright_db(freq, rng):
    """What an upright's small soundboard and box do to a grand at frequencies in Hz, in dB.

    Little below a corner of 100..170 Hz, a fuller octave at 300..600 Hz, and a row of narrower modes.
    """
    octave = np.log2(np.maximum(freq, 20.0))
    gain = -rng.uniform(3, 7) * np.maximum(np.log2(rng.uniform(100, 170)) - octave, 0)
    gain += rng.uniform(2, 4) * np.exp(-0.5 * ((octave - np.log2(rng.uniform(300, 600))) / 0.6) ** 2)
    for mode in np.log2(rng.uniform(120, 1800, 8)):
        gain += rng.normal(0, 2.0) * np.exp(-0.5 * ((octave - mode) / rng.uniform(0.08, 0.2)) ** 2)
    return gain


def record(microphones, sample_rate, rng):
    """A recording of a piano: mono float32 (samples,) at SAMPLE_RATE, natural level.

    microphones: (2, samples) at sample_rate (Hz). Their mix, the tuning (A at 435..445 Hz), distance, room and
    colour are drawn from `rng`; the length follows the tuning, within a fiftieth.
    """
    left = [1.0, 0.0, 0.5, rng.uniform(0.15, 0.85)][rng.integers(4)]
    audio = left * microphones[0] + (1 - left) * microphones[1]
    audio = soxr.resample(audio, sample_rate * rng.uniform(435, 445) / 440, SAMPLE_RATE, quality="VHQ")
    n = len(audio) + SAMPLE_RATE  # room for the equalizer to ring, which it hardly does
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    gain = colour_db(freq, rng)
    if rng.random() < 0.15:
        gain = gain + upright_db(freq, rng)
    audio = np.fft.irfft(np.fft.rfft(audio, n) * 10 ** (gain / 20), n)[: len(audio)].astype(np.float32)
    wet = 10 ** (rng.uniform(-38, -6) / 20)  # from next to the strings to the back of the room
    return audio + wet * fftconvolve(audio, room_response(rng))[: len(audio)].astype(np.float32)
