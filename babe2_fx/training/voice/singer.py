"""Singers: what differs between one tenor (or soprano) and the next, drawn at random within published ranges."""

from dataclasses import dataclass

import numpy as np

RANGES = {"tenor": (48, 72), "soprano": (60, 84)}  # C3..C5 and C4..C6


@dataclass(frozen=True)
class Singer:
    """One singer's body and habits.

    voice: "tenor" or "soprano" · lowest, highest: keys · tract_scale: formants against the tables' ·
    formant_scale (FORMANTS,): this head's own deviations · width_scale: of bandwidths · ring: singer's
    formant, 0 none to 1 strong · dips_hz: of the side cavities · rd_soft, rd_loud: glottal pulse at the two
    ends of the dynamics · range_db: between them · breath_db: noise against voice at medium loudness ·
    jitter, shimmer: relative, per cycle · vibrato_hz, vibrato_cents (peak to peak), vibrato_delay_s,
    vibrato_drift (relative) · glide_s: of legato · portamento: share of the leaps with one · attack_s ·
    scoop: share of phrases begun from below · cover: how far the passaggio darkens vowels · tuning_cents.
    """

    voice: str
    lowest: int
    highest: int
    tract_scale: float
    formant_scale: np.ndarray
    width_scale: float
    ring: float
    dips_hz: tuple
    rd_soft: float
    rd_loud: float
    range_db: float
    breath_db: float
    jitter: float
    shimmer: float
    vibrato_hz: float
    vibrato_cents: float
    vibrato_delay_s: float
    vibrato_drift: float
    glide_s: float
    portamento: float
    attack_s: float
    scoop: float
    cover: float
    tuning_cents: float


def draw_singer(voice, rng):
    """A random `Singer` of a voice."""
    if voice not in RANGES:
        raise ValueError(f"There is no voice {voice!r}; there are {', '.join(RANGES)}.")
    tenor = voice == "tenor"
    lowest, highest = RANGES[voice]
    spread = np.concatenate([[0.02, 0.03], np.full(3, 0.025), np.full(9, 0.04)])
    return Singer(
        voice=voice,
        lowest=lowest,
        highest=highest - int(rng.integers(0, 4)),
        tract_scale=float(np.exp(rng.normal(0, 0.04))),
        formant_scale=np.exp(rng.normal(0, spread)),
        width_scale=float(np.exp(rng.normal(0, 0.15))),
        ring=float(rng.beta(2, 1.7) if tenor else 0.8 * rng.beta(1.5, 2)),
        dips_hz=(float(rng.uniform(3900, 4500)), float(rng.uniform(4700, 5500))),
        rd_soft=float(rng.uniform(1.5, 2.2) if tenor else rng.uniform(1.7, 2.4)),
        rd_loud=float(rng.uniform(0.35, 0.65) if tenor else rng.uniform(0.4, 0.75)),
        range_db=float(rng.uniform(16, 24)),
        breath_db=float(-40 + 14 * rng.beta(1.4, 2.6)),
        jitter=float(np.exp(rng.uniform(np.log(0.0005), np.log(0.002)))),
        shimmer=float(np.exp(rng.uniform(np.log(0.01), np.log(0.035)))),
        vibrato_hz=float(np.clip(rng.normal(5.8, 0.35), 5.1, 6.4)),
        vibrato_cents=float(np.clip(rng.normal(88, 18), 45, 118)),
        vibrato_delay_s=float(rng.uniform(0.1, 0.45)),
        vibrato_drift=float(rng.uniform(0.02, 0.06)),
        glide_s=float(rng.uniform(0.06, 0.13)),
        portamento=float(rng.beta(1.5, 4.0)),
        attack_s=float(rng.uniform(0.03, 0.08)),
        scoop=float(rng.uniform(0, 0.5)),
        cover=float(rng.uniform(0, 1)),
        tuning_cents=float(rng.normal(0, 25)),
    )
