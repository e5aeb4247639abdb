"""Test material: clean recordings put through responses and noise that are known exactly."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..documents import read_json
from ..equalizer import BreakpointEQ
from ..errors import UserError
from ..spectra import TargetError, TargetProfile
from ..spectra.curve_files import CURVE_ENDINGS

KINDS = ("breakpoints", "horn")
POINTS_PER_OCTAVE = 40
LOWEST_HZ, HIGHEST_HZ = 20.0, 22050.0
DEEPEST_DB = -140.0
PADDING_S = 1.0  # the filter rings on both sides; nothing may wrap around from the other end


class DegradationError(UserError):
    """A degradation that cannot be made; the message says why."""


@dataclass(frozen=True)
class Response:
    """A zero-phase response: dB at rising frequencies in Hz, joined by straight lines over log f, level beyond.

    kind: "breakpoints", "horn" or "curve" · parameters: what it was made from, for the record.
    """

    kind: str
    freqs_hz: tuple[float, ...]
    response_db: tuple[float, ...]
    parameters: dict = field(default_factory=dict)

    def at(self, hz) -> np.ndarray:
        """Level in dB at frequencies (n,) in Hz."""
        return np.interp(np.log2(np.maximum(hz, 1e-3)), np.log2(self.freqs_hz), self.response_db)

    def record(self) -> dict:
        """As plain values for JSON."""
        return {"kind": self.kind, **self.parameters, "freqs_hz": list(self.freqs_hz),
                "response_db": list(self.response_db)}


def random_response(seed: int, kind: str = "breakpoints") -> Response:
    """A response as of an old medium: a breakpoint EQ, or a horn's smooth curve, which no such EQ matches exactly.

    The same seed gives the same response.
    """
    if kind not in KINDS:
        raise DegradationError(f"The kind of a response must be one of {', '.join(KINDS)}, not {kind!r}.")
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    octaves = np.log2(HIGHEST_HZ / LOWEST_HZ)
    hz = np.round(LOWEST_HZ * 2 ** (np.arange(int(octaves * POINTS_PER_OCTAVE) + 1) / POINTS_PER_OCTAVE), 2)
    level_db, parameters = (_breakpoints if kind == "breakpoints" else _horn)(hz, rng)
    level_db = np.round(level_db.clip(min=DEEPEST_DB), 3)
    return Response(kind, tuple(hz.tolist()), tuple(level_db.tolist()), {"seed": seed, **parameters})


def read_response(path: str | os.PathLike) -> Response:
    """From a curve: two columns of Hz and dB, or JSON with `freqs_hz` and `response_db`, as --eq-out writes it.

    Raises DegradationError naming the file.
    """
    if Path(path).suffix.lower() not in CURVE_ENDINGS:
        raise DegradationError(f"{path} cannot be used as a response: it must be a curve, a file that ends in "
                               f"{', '.join(CURVE_ENDINGS)}.")
    try:
        curve = TargetProfile.from_file(path)
    except TargetError as error:
        raise DegradationError(f"{path} cannot be used as a response: {error.fields['why']}", path=path) from error
    return Response("curve", curve.freqs_hz, curve.level_db, {"file": str(path)})


def apply_response(audio: np.ndarray, sample_rate: float, response: Response) -> np.ndarray:
    """Audio (channels, samples) through a response, zero-phase, over the whole recording at once: float64."""
    length = audio.shape[-1] + 2 * round(PADDING_S * sample_rate)
    gain = 10 ** (response.at(np.fft.rfftfreq(length, 1 / sample_rate)) / 20)
    return np.fft.irfft(np.fft.rfft(audio.astype(np.float64), length) * gain, length)[..., :audio.shape[-1]]


def add_noise(audio: np.ndarray, noise: np.ndarray | None, *, snr_db: float | None = None, gain: float | None = None,
              seed: int = 0) -> tuple[np.ndarray, dict]:
    """Audio (channels, samples) with noise, and what was added, for the record.

    Args:
        noise: (channels, samples) at the same rate; as many channels, or one for all. It is repeated or cut to the
            recording's length, from a place that the seed chooses. None: white noise.
        snr_db: how far the noise is to lie below the music, both as RMS over the whole.
        gain: what the noise is multiplied by instead; needs `noise`.

    Raises DegradationError for music or noise that is silent, and for channels that do not fit.
    """
    if (snr_db is None) == (gain is None) or (gain is not None and noise is None):
        raise DegradationError("Noise needs either a signal-to-noise ratio in dB, or a recording of it and a gain.")
    rng = np.random.default_rng(seed)
    start = 0
    if noise is None:
        noise = rng.normal(size=audio.shape)
    else:
        if noise.shape[0] not in (1, audio.shape[0]):
            raise DegradationError(f"The noise has {noise.shape[0]} channels and the recording {audio.shape[0]}; it "
                                   "must have as many, or one.")
        start = int(rng.integers(noise.shape[1]))
        noise = np.take(noise, np.arange(start, start + audio.shape[1]), axis=1, mode="wrap").astype(np.float64)
    music_rms, noise_rms = (float(np.sqrt(np.mean(x ** 2))) for x in (audio, noise))
    if not music_rms > 0 or not noise_rms > 0:
        raise DegradationError(f"The {'recording' if noise_rms > 0 else 'noise'} is silent; a signal-to-noise ratio "
                               "would have no meaning.")
    if gain is None:
        assert snr_db is not None
        gain = music_rms / noise_rms * 10 ** (-snr_db / 20)
    added_db = 20 * np.log10(noise_rms * gain)
    return audio + gain * noise, {"noise_dbfs": round(added_db, 3), "noise_gain": gain, "noise_start_sample": start,
                                  "noise_seed": seed, "snr_db": round(20 * np.log10(music_rms) - added_db, 3)}


def read_record(path: str | os.PathLike) -> dict:
    """The response in the record of a degradation: its `freqs_hz` and `response_db`. Raises DegradationError."""
    try:
        record = read_json(path, DegradationError, finite=False)
        hz, level_db = (np.asarray(record[name], float) for name in ("freqs_hz", "response_db"))
        if hz.ndim != 1 or hz.shape != level_db.shape or not len(hz) or not np.isfinite([hz, level_db]).all():
            raise ValueError("its lists are not numbers, as many of one as of the other")
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise DegradationError(f"{path} does not hold a response ({why}).") from error
    return {"freqs_hz": hz.tolist(), "response_db": level_db.tolist()}


def _breakpoints(hz: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    reference_hz = 2 ** rng.uniform(np.log2(600), np.log2(1400))
    above = reference_hz * 2 ** np.cumsum(rng.uniform((0.6, 0.5), (1.4, 1.3)))
    below = reference_hz * 2 ** -np.cumsum(rng.uniform((0.8, 1.2), (1.5, 2.0)))
    rising = rng.uniform((-10, -24), (6, -6))  # dB per octave above the reference, the nearer slope first
    falling = rng.uniform((-3, 4), (8, 16))  # below it: positive where the response falls towards the lows
    eq = BreakpointEQ((below[1], below[0], reference_hz, *above), (falling[1], falling[0], *rising), 2 * HIGHEST_HZ)
    rounded: dict[str, Any] = {"fref": reference_hz, "fc_p": above, "A_p": [*rising, -80.0], "fc_m": below,
                               "A_m": [*falling, 80.0]}
    return eq.response_db(hz), {name: np.round(value, 3).tolist() for name, value in rounded.items()}


def _horn(hz: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """A pass band that falls off smoothly on both sides, with resonances in it."""
    low_hz, high_hz = 2 ** rng.uniform(np.log2((110, 2800)), np.log2((300, 5000)))
    steep = rng.uniform((12, 24), (30, 60))  # dB per octave, far from the band
    resonances = [{"hz": float(np.round(low_hz * (high_hz / low_hz) ** place, 1)),
                   "db": float(np.round(rng.choice((-1, 1)) * rng.uniform(2, 7), 2)),
                   "octaves": float(np.round(rng.uniform(0.2, 0.5), 3))}
                  for place in (0.2, 0.45, 0.65, 0.9) + rng.uniform(-0.1, 0.1, 4)]
    octave = np.log2(hz)
    level_db = -steep[0] * _soft(np.log2(low_hz) - octave) - steep[1] * _soft(octave - np.log2(high_hz))
    for item in resonances:
        level_db += item["db"] * np.exp(-0.5 * ((octave - np.log2(item["hz"])) / item["octaves"]) ** 2)
    level_db -= np.interp(np.log2(1000), octave, level_db)
    return level_db, {"low_hz": round(low_hz, 1), "high_hz": round(high_hz, 1),
                      "slopes_db_per_octave": np.round(steep, 2).tolist(), "resonances": resonances}


def _soft(octaves: np.ndarray, width: float = 0.3) -> np.ndarray:
    """Octaves beyond an edge: 0 well within it, rising smoothly to the distance from it."""
    return width * np.logaddexp(0, octaves / width)
