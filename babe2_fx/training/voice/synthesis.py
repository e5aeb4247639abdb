"""Sound from movements: harmonics and breath through the vocal tract, and the noise of consonants.

Every harmonic is one sinusoid whose complex amplitude is the source's times the tract's at its momentary frequency.
That is what a slowly moving filter does, and as harmonics above the Nyquist frequency are never made, nothing aliases.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.signal.windows import hann

from . import HOP, SAMPLE_RATE
from .glottis import MOST_HARMONICS, source_harmonics
from .tract import FORMANTS, higher_poles_db, tract_response

BLOCK = 128  # frames at a time: what stays in a processor's cache
HIGHEST_HZ = 10900.0


@dataclass(frozen=True)
class Tracks:
    """A singer's movements, one value a frame: (frames,) unless it says (frames, FORMANTS).

    voice: "tenor" or "soprano" · f0_hz · level: of the pulses, linear, 0 where voiceless · rd: pulse shape ·
    breath: of the noise, linear · formants, widths: (frames, FORMANTS) Hz · dips_hz: see `tract` · bursts:
    consonants' noises.
    """

    voice: str
    f0_hz: np.ndarray
    level: np.ndarray
    rd: np.ndarray
    breath: np.ndarray
    formants: np.ndarray
    widths: np.ndarray
    dips_hz: tuple = ()
    bursts: list = field(default_factory=list)


@dataclass(frozen=True)
class Burst:
    """Noise made in the mouth: start_s, duration_s · level, linear · a hill of width_octaves about centre_hz ·
    decaying: a plosive's, which begins at once, rather than a fricative's, which swells."""

    start_s: float
    duration_s: float
    level: float
    centre_hz: float
    width_octaves: float
    decaying: bool


def _tract(tracks, rows, hz, table):
    response = tract_response(hz, tracks.formants[rows], tracks.widths[rows], tracks.dips_hz)
    return response * np.interp(hz, *table)


def _higher_poles(tracks):
    hz = np.linspace(0, SAMPLE_RATE / 2, 200)
    highest = float(np.median(tracks.formants[:, -1]))
    spacing = highest / (FORMANTS - 0.5)  # as in a tube that is closed at one end
    return hz, 10 ** (higher_poles_db(hz, spacing, highest) / 20)


def phase_of(f0_hz):
    """Phase (frames * HOP,) in radians of a fundamental (frames,) Hz that glides between the frames."""
    frames = len(f0_hz)
    hz = np.interp(np.arange(frames * HOP) / HOP, np.arange(frames), f0_hz)
    return np.cumsum(2 * np.pi / SAMPLE_RATE * hz)


def harmonics(tracks, phase):
    """The voiced sound, (frames * HOP,) float32, for a phase as `phase_of` gives."""
    frames = len(tracks.f0_hz)
    audio = np.zeros(frames * HOP, np.float32)
    table = _higher_poles(tracks)
    glide = np.arange(HOP, dtype=np.float32) / HOP  # from one frame's amplitude to the next
    for begin in range(0, frames, BLOCK):
        end = min(begin + BLOCK, frames)
        rows = np.minimum(np.arange(begin, end + 1), frames - 1)
        if not tracks.level[rows].any():
            continue
        f0 = tracks.f0_hz[rows]
        count = min(int(HIGHEST_HZ / f0.min()), MOST_HARMONICS)
        hz = f0[:, None] * np.arange(1, count + 1)
        amplitude = source_harmonics(tracks.rd[rows], count) * _tract(tracks, rows, hz, table)
        amplitude *= tracks.level[rows, None] * np.clip((HIGHEST_HZ - hz) / 400, 0, 1)
        amplitude = np.ascontiguousarray(amplitude.T, dtype=np.complex64)
        turn = np.exp(1j * phase[begin * HOP : end * HOP]).astype(np.complex64).reshape(-1, HOP)
        spin, total = turn.copy(), np.zeros(turn.shape, np.float32)
        for k in range(count):
            now, step = amplitude[k, :-1, None], np.diff(amplitude[k])[:, None]
            total += ((now + step * glide) * spin).real
            spin *= turn
        audio[begin * HOP : end * HOP] = total.ravel()
    return audio


def breath_noise(tracks, phase, rng):
    """Noise of the breath through the tract, (frames * HOP,) float32: it pulses with the voice."""
    samples = len(phase)
    step, size = 2 * HOP, 8 * HOP
    frame = np.arange(samples) / HOP
    frames = np.arange(len(tracks.level))
    voiced = np.interp(frame, frames, tracks.level > 0)
    # Most of it comes before the closure, where the flow is greatest.
    pulsing = (1 + 0.6 * voiced * np.cos(phase + 0.9)) * np.interp(frame, frames, tracks.breath)
    noise = np.concatenate([np.zeros(size // 2), rng.normal(0, 1, samples) * pulsing, np.zeros(size)])
    pieces = np.lib.stride_tricks.sliding_window_view(noise, size)[::step][: -(-samples // step) + 1]
    rows = np.minimum(2 * np.arange(len(pieces)), len(tracks.f0_hz) - 1)
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    # The turbulence is white up to a few kHz and the opening lets the lowest frequencies leak away.
    source = (hz / (hz + 250)) ** 2 / (1 + (hz / 4500) ** 2)
    table, gain = _higher_poles(tracks), np.empty((len(rows), len(hz)))
    for begin in range(0, len(rows), BLOCK):
        some = rows[begin : begin + BLOCK]
        response = _tract(tracks, some, np.tile(hz, (len(some), 1)), table)
        gain[begin : begin + BLOCK] = np.abs(response) * source
    window = np.sqrt(hann(size, False) / 2)  # taken twice, four overlapping windows sum to 1
    shaped = window * np.fft.irfft(np.fft.rfft(window * pieces) * gain, size)
    out = np.zeros(len(noise) + size)
    for part in range(size // step):  # the windows that do not overlap go in one stroke
        some = shaped[part :: size // step]
        out[part * step : part * step + some.size] += some.ravel()
    return out[size // 2 : size // 2 + samples].astype(np.float32)


def burst_noise(burst, rng):
    """The noise of one consonant, (samples,) float32."""
    samples = max(int(burst.duration_s * SAMPLE_RATE), 16)
    size = samples + 512
    hz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 20.0)
    hill = np.exp(-0.5 * (np.log2(hz / burst.centre_hz) / burst.width_octaves) ** 2)
    hill *= np.clip((HIGHEST_HZ - hz) / 800, 0, 1)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, size)) * hill, size)[:samples]
    place = np.linspace(0, 1, samples)
    rise = np.clip(place / (0.04 if burst.decaying else 0.35), 0, 1)
    fall = np.exp(-4 * place) * (1 - place) if burst.decaying else np.clip((1 - place) / 0.25, 0, 1)
    shape = np.sin(0.5 * np.pi * rise) ** 2 * (fall if burst.decaying else np.sin(0.5 * np.pi * fall) ** 2)
    return (burst.level * shape * noise / (np.sqrt(np.mean(noise**2)) + 1e-9)).astype(np.float32)


def synthesise(tracks, rng, breath_db=None):
    """The dry voice, (frames * HOP,) float32, pulses at about unit level.

    breath_db: level of the breath noise against the voiced sound, over the voiced frames; None leaves all
    noise out.
    """
    phase = phase_of(tracks.f0_hz)
    audio = harmonics(tracks, phase)
    if breath_db is None:
        return audio
    voiced = np.repeat(tracks.level > 0.3 * tracks.level.max(), HOP)
    loudness = np.sqrt(np.mean(audio[voiced] ** 2))
    noise = breath_noise(tracks, phase, rng)
    audio += noise * (10 ** (breath_db / 20) * loudness / np.sqrt(np.mean(noise[voiced] ** 2)))
    for burst in tracks.bursts:
        begin = int(burst.start_s * SAMPLE_RATE)
        sound = burst_noise(burst, rng)[: max(len(audio) - begin, 0)] * loudness
        audio[begin : begin + len(sound)] += sound
    return audio
