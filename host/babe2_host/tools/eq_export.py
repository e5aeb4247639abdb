"""Takes a learned equalizer elsewhere: as a table, an impulse response, or text for other equalizers.

What is exported is the *correction*, which undoes the learned response (`correction.py`).
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal.windows import tukey

from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE
from babe2_fx.files import write_whole

from ..audio.chunks import Extras
from ..audio.destinations import check_destination
from ..audio.riff import info_chunk, write_wave
from .correction import HIGHEST_HZ, LOWEST_HZ, Correction, EqExportError, read_correction
from .parametric import bands_db, fit_bands

ENDINGS = {"csv": ".csv", "fir": ".wav", "graphic-eq": ".txt", "parametric": ".txt"}
PHASES = ("minimum", "linear")
LIMIT_DB = (1.0, 60.0)
LENGTH = (64, 1 << 20)  # samples of an impulse response
BANDS = (1, 20)
TAPER = 0.25  # the share of an impulse response that fades out, so that cutting it leaves no ripple
AIM_DB = 0.5  # the most by which an impulse response should miss the correction
SIMPLER_DB = 0.02  # by which a graphic equalizer's few points may miss the curve


@dataclass(frozen=True)
class EqExport:
    """What was written: the file · notes: sentences for the user · figures: the numbers in them, by name."""

    path: Path
    notes: tuple[str, ...]
    figures: dict[str, float]


def export_eq(source: str | os.PathLike, kind: str, output: str | os.PathLike | None = None, *,
              limit_db: float = 20.0, sample_rate: int = 44100, phase: str = "minimum",
              length: int | None = None, bands: int = 6) -> EqExport:
    """Writes the correction of a learned equalizer in the form that another program takes.

    Args:
        source: JSON as `babe2 restore --eq-out` writes it; never written to.
        kind: "csv": frequency, learned response and correction · "fir": an impulse response as a WAV file of
            32-bit floats, for any convolver · "graphic-eq": Equalizer APO's `GraphicEQ:` · "parametric": a
            few bands fitted to the correction, as Equalizer APO's `Filter N:`.
        output: the file to write; by default next to the source, named after it.
        limit_db: the most by which the correction lifts, 1 to 60.
        sample_rate: Hz; of "fir", and that at which the bands of "parametric" are fitted.
        phase: of "fir": "minimum" has no latency, "linear" has one of `length // 2` samples and keeps
            waveforms.
        length: of "fir", in samples; by default a third of a second, or more for steeper corrections.
        bands: of "parametric", 1 to 20.

    Raises:
        EqExportError: the source or an argument cannot be used; the sentence names it.
        FileError: the output cannot be written.
    """
    if kind not in ENDINGS:
        raise EqExportError(f"An equalizer is exported as one of {', '.join(ENDINGS)}, not {kind!r}.")
    _check_number("limit_db", limit_db, *LIMIT_DB, "dB")
    _check_number("sample_rate", sample_rate, LOWEST_RATE, HIGHEST_RATE, "Hz", whole=True)
    _check_number("bands", bands, *BANDS, whole=True)
    if phase not in PHASES:
        raise EqExportError(f"phase must be one of {', '.join(PHASES)}, not {phase!r}.")
    if length is not None:
        _check_number("length", length, *LENGTH, "samples", whole=True)
    correction = read_correction(source, limit_db)
    path = Path(output) if output is not None else default_output(source, kind)
    if kind == "fir" and path.suffix.lower() != ".wav":
        raise EqExportError(f"{path} cannot be written: an impulse response is a WAV file; end its name in "
                            ".wav.")
    check_destination(path, source)
    write, notes, figures = {
        "csv": lambda: _csv(correction),
        "fir": lambda: _fir(correction, sample_rate, phase, length),
        "graphic-eq": lambda: _graphic_eq(correction),
        "parametric": lambda: _parametric(correction, sample_rate, bands)}[kind]()
    write_whole(path, write)
    return EqExport(path, (correction.sentence(), *notes),
                    {"low_hz": correction.low_hz, "high_hz": correction.high_hz, **figures})


def default_output(source: str | os.PathLike, kind: str) -> Path:
    """EQ.json as a parametric equalizer is EQ.parametric.txt, next to it."""
    source = Path(source)
    return source.with_name(f"{source.stem}.{kind}{ENDINGS[kind]}" if kind != "csv" else f"{source.stem}.csv")


def _check_number(name: str, value, low: float, high: float, unit: str = "", whole: bool = False) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.number)
    unit = unit and " " + unit
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise EqExportError(f"{name} must be a {kind} from {low:.16g} to {high:.16g}{unit}, not {value!r}.")


# ------------------------------------------------------------------------------------------------------ table

def _csv(correction: Correction) -> tuple[Callable[[Path], object], list[str], dict]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("frequency_hz", "response_db", "correction_db"))
    hz = correction.freqs_hz
    writer.writerows((f"{f:.3f}", f"{r:.3f}", f"{c:.3f}")
                     for f, r, c in zip(hz, correction.response_db, correction.at(hz) + 0.0))
    return _text(table.getvalue()), [], {}


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text.encode("utf-8", "replace"))


# ------------------------------------------------------------------------------------------ impulse responses

def _fir(correction: Correction, sample_rate: int, phase: str, length: int | None):
    hz = correction.errors_hz(sample_rate / 2)

    def made(length: int) -> tuple[np.ndarray, float]:
        impulse = impulse_response(correction, sample_rate, phase, length)
        return impulse, float(np.abs(_response_db(impulse, hz, sample_rate) - correction.at(hz)).max())

    if length is not None:
        impulse, error_db = made(length)
    else:
        length = 2 ** round(math.log2(0.35 * sample_rate))
        while (tried := made(length))[1] > AIM_DB / 2 and 2 * length <= LENGTH[1]:
            length *= 2
        impulse, error_db = tried
    latency = length // 2 if phase == "linear" else 0
    gain_db = convolution_gain_db(impulse)
    notes = [f"{length} samples at {sample_rate} Hz, {phase} phase: a latency of {latency} samples "
             f"({1000 * latency / sample_rate:.1f} ms).",
             f"It is within {error_db:.2f} dB of the correction from {hz[0]:.0f} to {hz[-1]:.0f} Hz.",
             f"pedalboard.Convolution changes the level of every impulse response; follow it by "
             f"Gain({gain_db:.2f})."]
    if error_db > AIM_DB:
        notes.append(f"{length} samples are too few for this correction; take more.")
    extras = Extras((info_chunk({"INAM": correction.sentence(), "ICMT": " ".join(notes)}),))
    samples = impulse.astype(np.float32)[:, None]

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            write_wave(file.write, [samples], length, 1, int(sample_rate), "FLOAT", extras)
    return write, notes, {"error_db": error_db, "latency_samples": latency, "convolution_gain_db": gain_db}


def impulse_response(correction: Correction, sample_rate: float, phase: str, length: int) -> np.ndarray:
    """The correction as an impulse response (length,), at its own level: 0 dB where it does nothing.

    With linear phase it is symmetric about sample `length // 2`.
    """
    size = 2 ** math.ceil(math.log2(8 * max(length, sample_rate / 4)))  # enough for nothing to wrap around
    level_db = correction.at(np.fft.rfftfreq(size, 1 / sample_rate))
    if phase == "linear":
        impulse = np.roll(np.fft.irfft(10 ** (level_db / 20), size), length // 2)[:length]
        # An even length has no middle; its first sample, which stands alone, gets the window's 0.
        return impulse * tukey(length + 1 - length % 2, TAPER)[:length]
    # The cepstrum of a minimum-phase response has nothing before time 0.
    cepstrum = np.fft.irfft(level_db / 20 * np.log(10), size)
    cepstrum[1:size // 2] *= 2
    cepstrum[size // 2 + 1:] = 0
    impulse = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)[:length]
    return impulse * tukey(2 * length, TAPER)[length:]


def convolution_gain_db(impulse: np.ndarray) -> float:
    """The gain to set after `pedalboard.Convolution`, which scales all impulses to an energy of 1/64.

    Examples:
        >>> round(convolution_gain_db(np.array([1.0, 0.0])), 2)
        18.06
    """
    return 20 * math.log10(8 * math.sqrt(float(np.square(impulse, dtype=float).sum())))


def _response_db(impulse: np.ndarray, hz: np.ndarray, sample_rate: float) -> np.ndarray:
    size = 2 ** math.ceil(math.log2(4 * max(len(impulse), sample_rate)))
    level = np.abs(np.fft.rfft(impulse, size))
    return 20 * np.log10(np.interp(hz, np.fft.rfftfreq(size, 1 / sample_rate), level).clip(1e-10))


# ------------------------------------------------------------------------------------------------- graphic EQ

def _graphic_eq(correction: Correction):
    hz, db = graphic_points(correction)
    points = "; ".join(f"{f:.1f} {v + 0.0:.2f}" for f, v in zip(hz, db))
    text = f"{_head(correction)}{_preamp(db)}GraphicEQ: {points}\n"
    return _text(text), [_preamp_note(db)], {"points": len(hz)}


def graphic_points(correction: Correction) -> tuple[np.ndarray, np.ndarray]:
    """Few points (Hz, dB), from 20 Hz to 20 kHz, between which straight lines over log frequency are the
    correction. Equalizer APO draws those lines itself, and holds the ends.
    """
    ends = (correction.low_hz / 2, 2 * correction.high_hz)
    grid = np.concatenate([np.geomspace(LOWEST_HZ, HIGHEST_HZ, 481), correction.corners_hz, ends])
    # As they will be written; where two would look the same, one is enough.
    grid = np.unique(np.round(grid[(grid >= LOWEST_HZ) & (grid <= HIGHEST_HZ)], 1))
    octaves, db = np.log2(grid), np.round(correction.at(grid), 2)
    kept = np.zeros(len(grid), dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, len(grid) - 1)]
    while spans:  # Ramer, Douglas and Peucker: keep what lies farthest from the line, then go on to both sides of it
        start, end = spans.pop()
        line = np.interp(octaves[start:end + 1], octaves[[start, end]], db[[start, end]])
        away = np.abs(db[start:end + 1] - line)
        if away.max() > SIMPLER_DB:
            farthest = start + int(away.argmax())
            kept[farthest] = True
            spans += [(start, farthest), (farthest, end)]
    return grid[kept], db[kept]


def _head(correction: Correction, *more: str) -> str:
    preamp = "The preamp makes room for what is lifted; leave it out where nothing clips."
    lines = (correction.sentence(), preamp, *more)
    return "".join("# " + " ".join(line.split()) + "\n" for line in lines)


def _preamp_db(db: np.ndarray) -> float:
    return min(0.0, -math.ceil(10 * db.max()) / 10) + 0.0


def _preamp(db: np.ndarray) -> str:
    return f"Preamp: {_preamp_db(db):.1f} dB\n"


def _preamp_note(db: np.ndarray) -> str:
    return f"A preamp of {_preamp_db(db):.1f} dB makes room for what is lifted."


# ------------------------------------------------------------------------------------------- parametric bands


def _parametric(correction: Correction, sample_rate: int, count: int):
    bands = fit_bands(correction, sample_rate, count)
    hz = correction.errors_hz(0.98 * sample_rate / 2)
    error = bands_db(bands, hz, sample_rate) - correction.at(hz)
    # By octaves: `hz` is denser where the response has its points.
    rms_db = math.sqrt(np.trapezoid(error ** 2, np.log2(hz)) / math.log2(hz[-1] / hz[0]))
    most_db, worst_hz = float(np.abs(error).max()), hz[np.abs(error).argmax()]
    note = (f"{len(bands)} bands fitted at {sample_rate} Hz. Error from {hz[0]:.0f} to {hz[-1]:.0f} Hz: "
            f"{rms_db:.2f} dB RMS, {most_db:.2f} dB at most (at {worst_hz:.0f} Hz).")
    audible = np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, 0.49 * sample_rate), 4000)
    everywhere = bands_db(bands, audible, sample_rate)
    lines = "".join(band.text(number) + "\n" for number, band in enumerate(bands, 1))
    return (_text(_head(correction, note) + _preamp(everywhere) + lines), [note, _preamp_note(everywhere)],
            {"rms_db": rms_db, "most_db": most_db, "bands": len(bands)})


