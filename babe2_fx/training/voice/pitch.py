"""The pitch of a sung line: legato, portamento, scoops, vibrato and what no singer can help.

Vibrato as in J. Sundberg, "Acoustic and psychoacoustic aspects of vocal vibrato", STL-QPSR 2-3/1994, and E.
Prame, "Measurements of the vibrato rate of ten singers", JASA 96, 1994: 5 to 6.5 Hz, quicker at a note's end.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import FRAME_RATE


def wander(rng, frames, rate_hz):
    """Slow random movement (frames,) of about unit deviation, nothing faster than about rate_hz."""
    width = FRAME_RATE / (2 * np.pi * rate_hz)
    pad = int(4 * width) + 1
    noise = gaussian_filter1d(rng.normal(0, 1, frames + 2 * pad), width)[pad : pad + frames]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * max(width, 0.3))


def frame_at(seconds):
    """The frame, or frames, at a time in s, none before the first."""
    return np.maximum(np.round(np.asarray(seconds) * FRAME_RATE).astype(int), 0)


def slope(frames):
    """A smooth rise from 0 to 1, (frames,)."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / max(frames, 1))


def held(values, start, frames):
    """Each note's value from its start frame to the next note's, (frames, ...)."""
    at = np.clip(np.searchsorted(start, np.arange(frames), side="right") - 1, 0, None)
    return np.asarray(values)[at]


def pitch_track(line, singer, rng, frames):
    """Key as a real number (frames,): steps joined by glides, scoops, drift and vibrato."""
    start, end = frame_at(line.start_s), frame_at(line.end_s)
    key = held(line.key.astype(float), start, frames)
    length = line.end_s - line.start_s
    for i in range(len(line.key)):
        first = i == 0 or line.phrase[i] != line.phrase[i - 1]
        if first:
            if rng.random() < singer.scoop:
                n = frame_at(rng.uniform(0.06, 0.16))
                part = key[start[i] : start[i] + n]
                part -= rng.uniform(0.5, 2.5) * (1 - slope(n))[: len(part)]
            continue
        leap = line.key[i] - line.key[i - 1]
        if leap == 0:
            continue
        glide_s = singer.glide_s * rng.uniform(0.75, 1.3) * (0.85 + 0.04 * min(abs(leap), 8))
        carried = abs(leap) >= 2 and length[i] > 0.3 and rng.random() < singer.portamento
        if carried:
            glide_s = rng.uniform(0.16, 0.4)
        glide_s = min(glide_s, 0.75 * length[i - 1], 0.75 * length[i])
        n = max(frame_at(glide_s), 4)
        # A glide ends about on the beat: most of it belongs to the old note.
        begin = max(start[i] - int((0.8 if carried else 0.6) * n), 0)
        part = key[begin : begin + n]
        part[:] = (line.key[i - 1] + leap * slope(n))[: len(part)]
        # The larynx arrives a little too far and comes back.
        after = key[begin + n : begin + n + frame_at(0.12)]
        place = np.linspace(0, np.pi, len(after))
        after += 0.012 * leap * rng.uniform(0, 1.6) * np.sin(place) * np.exp(-place / 2)
    return key + vibrato(line, singer, rng, start, end, frames) + _unsteadiness(singer, rng, frames)


def _unsteadiness(singer, rng, frames):
    drift = 0.06 * wander(rng, frames, 0.5) + 0.035 * wander(rng, frames, 4.0)
    # Cycle-to-cycle jitter is band-limited by the cycles themselves.
    return drift + 12 / np.log(2) * singer.jitter * wander(rng, frames, 60.0) + singer.tuning_cents / 100


def vibrato(line, singer, rng, start, end, frames):
    """Semitones (frames,): rate and width wander, it starts late and quickens at the end of a long note."""
    length = line.end_s - line.start_s
    rate = np.ones(frames)
    width = np.zeros(frames)
    for i in range(len(length)):
        n = end[i] - start[i]
        first = i == 0 or line.phrase[i] != line.phrase[i - 1]
        # A vibrato that is under way goes on; after a breath, and now and then within a phrase, it starts afresh.
        delay = singer.vibrato_delay_s * rng.uniform(0.5, 1.5)
        delay *= 1.0 if first or rng.random() < 0.3 else 0.25
        delay = min(delay, 0.4 * length[i])
        grown = np.clip((np.arange(n) / FRAME_RATE - delay) / rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.5), 1)
        size = np.exp(rng.normal(0, 0.2)) * np.clip((length[i] - 0.1) / 0.4, 0.15, 1)
        if length[i] > 0.8 and rng.random() < 0.07:
            size *= rng.uniform(0.1, 0.35)  # a tone held almost straight
        cents = np.minimum(singer.vibrato_cents * size * (0.75 + 0.5 * line.effort[i]), 135)
        here = slice(start[i], end[i])
        width[here] = (cents / 200 * grown)[: len(width[here])]
        rate[here] = np.exp(rng.normal(0, 0.025))
        late = np.clip((np.arange(n) - (n - 0.5 * FRAME_RATE)) / (0.5 * FRAME_RATE), 0, 1)
        if length[i] > 0.6:
            rate[here] *= (1 + 0.06 * late)[: len(rate[here])]
    width = gaussian_filter1d(width, 0.03 * FRAME_RATE)
    width *= np.clip(1 + 0.16 * wander(rng, frames, 1.5), 0.4, 1.6)
    rate = gaussian_filter1d(rate, 0.1 * FRAME_RATE)
    rate *= np.clip(1 + singer.vibrato_drift * wander(rng, frames, 1.2), 0.85, 1.15)
    ornament = np.zeros(frames)
    for i in np.flatnonzero(line.trill):  # a trill is a vibrato as wide as its interval, above the note
        n = end[i] - start[i]
        grown = np.interp(np.arange(n) / n, [0, 0.15, 0.3, 0.85, 0.93, 1], [0, 0, 1, 1, 0, 0])
        ornament[start[i] : end[i]] = 0.5 * line.trill[i] * grown[: len(ornament[start[i] : end[i]])]
    trilled = np.clip(ornament * 4, 0, 1)
    phase = np.cumsum(2 * np.pi / FRAME_RATE * singer.vibrato_hz * rate * (1 + 0.08 * trilled))
    phase += rng.uniform(0, 2 * np.pi)
    swing = np.sin(phase) + rng.normal(0, 0.06) * np.sin(2 * phase + 1)  # not quite a sine, each singer's own
    return ornament + (width * (1 - trilled) + ornament) * swing
