"""How a line is sung: loudness with swells, vowels that glide into each other, and all of it put together."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import FRAME_RATE
from .articulation import NASALS, SHAPES, articulate
from .pitch import frame_at, held, pitch_track, wander
from .synthesis import Tracks
from .tract import CLUSTER_HZ, FORMANTS, bandwidths, vowel_formants


def effort_track(line, singer, rng, frames):
    """0 (softest) to 1 (loudest), (frames,): the notes' efforts, swells within them, and unrest."""
    start, end = frame_at(line.start_s), frame_at(line.end_s)
    effort = held(line.effort, start, frames)
    for i in np.flatnonzero(line.swell):
        n = end[i] - start[i]
        hill = np.sin(np.pi * np.linspace(0, 1, n) ** rng.uniform(0.7, 1.3)) ** 1.3
        effort[start[i] : end[i]] += (line.swell[i] * hill)[: len(effort[start[i] : end[i]])]
    unrest = 0.02 * wander(rng, frames, 2.0) + 0.012 * wander(rng, frames, 9.0)
    return np.clip(gaussian_filter1d(effort, 0.05 * FRAME_RATE) + unrest, 0.0, 1.1)


def tract_tracks(line, singer, rng, f0_hz, effort, spoken):
    """Formants and their widths, both (frames, FORMANTS) Hz: vowels, coarticulation, cover, tuning to the note."""
    frames = len(f0_hz)
    starts = frame_at(line.start_s - 0.03)  # the mouth is ready before the note
    shapes = np.stack([vowel_formants(singer.voice, *vowel) for vowel in line.vowel])
    # No vowel is spoken twice alike; a slur goes on with the one it began with.
    spread = np.exp(np.where(line.slurred, 0, rng.normal(0, 0.035, len(line.slurred))))
    begun = np.maximum.accumulate(np.where(line.slurred, 0, np.arange(len(line.slurred))))
    shapes[:, :2] *= spread[begun][:, None]
    log_track = np.log(held(shapes, starts, frames))
    widen = np.zeros(frames)
    for begin, end, name in spoken:
        log_track[begin:end, :3] = np.log(SHAPES[name][2])
        if name in NASALS:
            widen[begin:end] = 1.2
    log_track = gaussian_filter1d(log_track, rng.uniform(0.016, 0.026) * FRAME_RATE, axis=0)
    log_track += np.log(singer.formant_scale * singer.tract_scale)
    for n in range(FORMANTS):  # nor does the mouth stand still
        log_track[:, n] += 0.015 * wander(rng, frames, 1.0) + 0.006 * wander(rng, frames, 7.0)
    formants = np.exp(log_track)
    _ring(formants, singer, effort)
    _tune(formants, singer, f0_hz)
    # The glottis that does not close takes energy from the tract, and so does the nose.
    losses = 1 + gaussian_filter1d(widen, 6) + 0.25 * (1 - effort)
    widths = singer.width_scale * bandwidths(formants) * losses[:, None]
    return formants, widths


def _ring(formants, singer, effort):
    # Louder: the larynx sinks and the third to fifth formants draw together.
    pull = singer.ring * 0.3 * np.clip(effort, 0, 1)[:, None]
    if singer.voice == "tenor":
        cluster, centre = formants[:, 2:5], CLUSTER_HZ * singer.tract_scale
    else:  # a soprano's fifth formant lies too high for a cluster
        cluster, centre = formants[:, 2:4], formants[:, 2:5].mean(1, keepdims=True)
    cluster += pull * (centre - cluster)


def _tune(formants, singer, f0_hz):
    """The first formant is raised with the note once the note passes it; sopranos live above that point.

    J. Sundberg, "Formant technique in a professional female singer", Acustica 32, 1975; E. Joliveau, J. Smith
    and J. Wolfe, "Vocal tract resonances in singing: the soprano voice", JASA 116, 2004.
    """
    if singer.voice == "tenor":  # above about F4 open vowels are covered: their first formant sinks
        high = np.clip((12 * np.log2(f0_hz / 349.2) + 1) / 4, 0, 1)
        formants[:, 0] *= 1 - 0.14 * singer.cover * high * np.clip((formants[:, 0] - 400) / 250, 0, 1)
    lowest = 1.04 * f0_hz
    formants[:, 0] = (formants[:, 0] ** 14 + lowest**14) ** (1 / 14)
    # The opening jaw brings the second formant with it, towards a neutral place.
    opened = np.clip(np.log2(f0_hz / 600), 0, 0.8)
    formants[:, 1] *= np.exp(0.5 * opened * (np.log(1500 * singer.tract_scale) - np.log(formants[:, 1])))
    # Closer than this two formants would ring as no tract does; above the fifth they keep a tube's distance.
    for n in range(1, FORMANTS):
        closest_hz = 180 if n < 3 else 240 if n < 5 else 650
        formants[:, n] = np.maximum(formants[:, n], formants[:, n - 1] + closest_hz)


def perform(line, singer, rng, duration_s):
    """`Tracks` of a `Line` sung by a `Singer`, duration_s long, which must be longer than the line."""
    frames = int(duration_s * FRAME_RATE)
    f0_hz = 440 * 2 ** ((pitch_track(line, singer, rng, frames) - 69) / 12)
    effort = effort_track(line, singer, rng, frames)
    voice, breath, bursts, spoken = articulate(line, singer, rng, frames, effort)
    formants, widths = tract_tracks(line, singer, rng, f0_hz, effort, spoken)
    level_db = (effort - 1) * singer.range_db + 0.45 * wander(rng, frames, 5.0)
    level = voice * 10 ** (level_db / 20) * (1 + singer.shimmer * wander(rng, frames, 60.0)).clip(0.5)
    rd = singer.rd_soft + (singer.rd_loud - singer.rd_soft) * np.clip(effort, 0, 1.1)
    # Folds that begin or stop swinging do not close firmly.
    rd = np.clip(rd + 0.05 * wander(rng, frames, 3.0) + 0.7 * (1 - voice), 0.3, 2.7)
    return Tracks(singer.voice, f0_hz, level, rd, breath, formants, widths, singer.dips_hz, bursts)
