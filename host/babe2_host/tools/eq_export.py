"""Takes a learned equalizer elsewhere: as a table, an impulse response, or text for other equalizers.

What is exported is the *correction*, which undoes the learned response. It follows that response within the
band that the medium let through, where it lies above -`limit_db`. Beyond the band the original has nothing
left to lift: there the correction goes back to 0 dB within an octave, so that what there is (rumble, hiss)
stays as it is. Within the band, a notch deeper than the limit is lifted by the limit.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.signal.windows import tukey

from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE
from babe2_fx.errors import UserError
from babe2_fx.files import write_whole

from ..audio.destinations import check_destination
from ..audio.riff import WaveExtras, info_chunk, write_wave

ENDINGS = {"csv": ".csv", "fir": ".wav", "graphic-eq": ".txt", "parametric": ".txt"}
PHASES = ("minimum", "linear")
LIMIT_DB = (1.0, 60.0)
LENGTH = (64, 1 << 20)  # samples of an impulse response
BANDS = (1, 20)
LOWEST_HZ, HIGHEST_HZ = 20.0, 20000.0  # of hearing, and of equalizers' frequencies
ERRORS_FROM_HZ = 50.0  # up to the band's upper edge: where errors are stated
DEEPEST_CUT_DB = -100.0
MOST_RESPONSE_DB = 2000.0  # 80 dB per octave over all of hearing is 800
LARGEST_JSON = 16 << 20  # bytes
TAPER = 0.25  # the share of an impulse response that fades out, so that cutting it leaves no ripple
AIM_DB = 0.5  # the most by which an impulse response should miss the correction
TRIALS = 3  # places to try a band at, and bands to try elsewhere
SIMPLER_DB = 0.02  # by which a graphic equalizer's few points may miss the curve


class EqExportError(UserError):
    """An export that cannot be made; the message is a sentence that says why."""


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
        output: the file to write; by default beside the source, named after it.
        limit_db: the most by which the correction lifts, 1 to 60.
        sample_rate: Hz; of "fir", and that at which the bands of "parametric" are fitted.
        phase: of "fir": "minimum" has no latency, "linear" has one of `length // 2` samples and keeps
            waveforms.
        length: of "fir", in samples; by default a third of a second, or what steeper corrections take.
        bands: of "parametric", 1 to 20.

    Raises:
        EqExportError: the source or an argument does not do; the sentence names it.
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
    """EQ.json as a parametric equalizer is EQ.parametric.txt, beside it."""
    source = Path(source)
    return source.with_name(f"{source.stem}.{kind}{ENDINGS[kind]}" if kind != "csv" else f"{source.stem}.csv")


def _check_number(name: str, value, low: float, high: float, unit: str = "", whole: bool = False) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.number)
    unit = unit and " " + unit
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise EqExportError(f"{name} must be a {kind} from {low:.16g} to {high:.16g}{unit}, not {value!r}.")


# --------------------------------------------------------------------------------------------- the correction

@dataclass(frozen=True)
class Correction:
    """What undoes a learned response.

    name: the file it was read from · freqs_hz, response_db: the learned response, over rising frequencies ·
    limit_db: the most it lifts · low_hz, high_hz: the edges of the band within which it follows the
    response · corners_hz: where it is not smooth.
    """

    name: str
    freqs_hz: np.ndarray
    response_db: np.ndarray
    limit_db: float
    low_hz: float
    high_hz: float
    corners_hz: np.ndarray

    def at(self, hz) -> np.ndarray:
        """The correction in dB at frequencies (n,) in Hz, of which some may be 0."""
        hz = np.asarray(hz, dtype=float)
        nearest = np.log2(np.clip(hz, self.low_hz, self.high_hz))
        response_db = np.interp(nearest, np.log2(self.freqs_hz), self.response_db)
        wanted = (-response_db).clip(DEEPEST_CUT_DB, self.limit_db)
        # As far beyond an edge as it is not yet back at 0 dB: half a cosine over an octave.
        octaves = np.log2(np.maximum(hz, 1e-3))
        beyond = np.maximum(octaves - np.log2(self.high_hz), np.log2(self.low_hz) - octaves).clip(0, 1)
        return wanted * (0.5 + 0.5 * np.cos(np.pi * beyond))

    def errors_hz(self, highest_hz: float = np.inf) -> np.ndarray:
        """The frequencies over which errors are stated, 96 an octave at least, up to `highest_hz` at most."""
        high = min(self.high_hz, highest_hz)
        low = min(ERRORS_FROM_HZ, high / 2)
        steps = np.geomspace(low, high, 2 + math.ceil(96 * math.log2(high / low)))
        return np.union1d(steps, self.corners_hz[(self.corners_hz > low) & (self.corners_hz < high)])

    def sentence(self) -> str:
        return (f"Correction of {self.name} from {self.low_hz:.0f} to {self.high_hz:.0f} Hz, by "
                f"{self.limit_db:g} dB at most; beyond, back to 0 dB within an octave.")


def read_correction(source: str | os.PathLike, limit_db: float = 20.0) -> Correction:
    """The correction of a learned equalizer in a JSON file. Raises EqExportError that names file and key."""
    path = Path(source)
    values = _read_json(path)
    hz, db = (_numbers(path, values, key) for key in ("freqs_hz", "response_db"))
    if len(hz) != len(db):
        raise EqExportError(f"{path} has {len(hz)} values in freqs_hz and {len(db)} in response_db; there "
                            "must be as many.")
    if len(hz) < 2:
        raise EqExportError(f"{path} has fewer than two values in freqs_hz.")
    if hz[0] <= 0 or (np.diff(hz) <= 0).any():
        at = int(np.argmax(np.diff(hz) <= 0)) + 1 if hz[0] > 0 else 0
        after = f" after {hz[at - 1]:g} Hz" if at else ""
        raise EqExportError(f"{path}: the frequencies in freqs_hz must be above 0 and rise, but number "
                            f"{at + 1} is {hz[at]:g} Hz{after}.")
    if np.abs(db).max() > MOST_RESPONSE_DB:
        raise EqExportError(f"{path}: response_db holds {db[np.abs(db).argmax()]:g} dB, which no medium's "
                            "response has.")
    kept = db >= -limit_db
    if not kept.any():
        raise EqExportError(f"{path}: response_db lies below {-limit_db:g} dB everywhere, so nothing is left "
                            "to lift; set a higher limit_db.")
    before = np.nonzero(kept[1:] != kept[:-1])[0]  # the points after which the response passes the limit
    share = (db[before] + limit_db) / (db[before] - db[before + 1])
    passes = hz[before] * (hz[before + 1] / hz[before]) ** share
    low, high = hz[0] if kept[0] else passes[0], hz[-1] if kept[-1] else passes[-1]
    if high < 2 * LOWEST_HZ or low > HIGHEST_HZ:
        raise EqExportError(f"{path}: the response lies above {-limit_db:g} dB from {low:g} to {high:g} Hz "
                            "alone, where nothing is heard.")
    return Correction(path.name, hz, db, float(limit_db), float(low), float(high), np.union1d(hz, passes))


def _read_json(path: Path) -> dict:
    try:
        if path.is_dir():
            raise EqExportError(f"{path} is a folder, not an equalizer.")
        if not path.exists():
            raise EqExportError(f"There is no file {path}.")
        if not path.is_file():
            raise EqExportError(f"{path} is not a regular file.")
        if path.stat().st_size > LARGEST_JSON:
            raise EqExportError(f"{path} is too large to be an equalizer.")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except EqExportError:
        raise
    except OSError as error:
        raise EqExportError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or a zero byte in the path
        raise EqExportError(f"{path} is not JSON: {str(error) or type(error).__name__}.") from error
    if not isinstance(values, dict):
        raise EqExportError(f"{path} is not an equalizer: it holds no keys such as freqs_hz and response_db.")
    return values


def _numbers(path: Path, values: dict, key: str) -> np.ndarray:
    if key not in values:
        raise EqExportError(f"{path} has no {key}; take a file that `babe2 restore --eq-out` wrote.")
    numbers = values[key]
    if not isinstance(numbers, list):
        raise EqExportError(f"{path}: {key} must be a list of numbers.")
    for place, number in enumerate(numbers, 1):
        # Of a whole number of any length, only a comparison never fails.
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < 1e300:
            raise EqExportError(f"{path}: number {place} in {key} is {str(number)[:40]!r}, not a finite "
                                "number.")
    return np.array(numbers, dtype=float)


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
    extras = WaveExtras((info_chunk({"INAM": correction.sentence(), "ICMT": " ".join(notes)}),))
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
    """The gain to set behind `pedalboard.Convolution`, which scales all impulses to an energy of 1/64.

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
    while spans:  # Ramer, Douglas and Peucker: keep what lies farthest from the line, then go on beside it
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

@dataclass(frozen=True)
class Band:
    """One band of a parametric equalizer, as Equalizer APO names them: PK, a bell; LSC and HSC, shelves with
    the frequency in the middle of their slopes."""

    kind: str
    hz: float
    gain_db: float
    q: float

    def text(self, number: int) -> str:
        return f"Filter {number}: ON {self.kind} Fc {self.hz:g} Hz Gain {self.gain_db:g} dB Q {self.q:g}"


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


def fit_bands(correction: Correction, sample_rate: int, count: int) -> list[Band]:
    """Bands, in order of frequency, whose sum comes close to the correction: least squares over octaves.

    One band after another is put where the sum is farthest off, and all are fitted anew each time. Then bands
    that do little are put elsewhere, or bells at the ends made shelves, as long as that helps.
    """
    highest_hz = min(HIGHEST_HZ, 0.45 * sample_rate)
    hz = np.geomspace(LOWEST_HZ, highest_hz, 24 * 10)
    wanted, stated = correction.at(hz), correction.errors_hz(highest_hz)
    # What lies beyond matters less than where the error is stated, but must not run away.
    weights = np.where((hz >= stated[0]) & (hz <= stated[-1]), 1.0, 0.3)

    def errors(bands: list[Band]) -> np.ndarray:
        return (bands_db(bands, hz, sample_rate) - wanted) * weights

    def cost(bands: list[Band]) -> float:
        return float(np.square(errors(bands)).sum())

    def fitted(bands: list[Band]) -> list[Band]:
        return _fitted(bands, errors, (hz[0], hz[-1]), correction.limit_db + 10)

    def with_another(bands: list[Band]) -> list[Band]:
        starts = [[*bands, band] for band in _bands_for(hz, -errors(bands))[:TRIALS]]
        return min(map(fitted, starts), key=cost)

    bands: list[Band] = []
    for _ in range(count):
        bands = with_another(bands)
    for _ in range(count):
        without = sorted((bands[:i] + bands[i + 1:] for i in range(count)), key=cost)[:TRIALS]
        moved = min([*map(with_another, without), *map(fitted, _with_shelves(bands))], key=cost)
        if cost(moved) > 0.99 * cost(bands):
            break
        bands = moved
    rounded = [Band(b.kind, float(f"{b.hz:.4g}"), round(b.gain_db, 2) + 0.0, round(b.q, 3)) for b in bands]
    return sorted(rounded, key=lambda band: band.hz)


def _bands_for(hz: np.ndarray, missing_db: np.ndarray) -> list[Band]:
    """A band for each hump or hollow of what is missing, the largest first: a shelf where one goes on to an
    end."""
    humps = np.split(np.arange(len(hz)), 1 + np.nonzero(np.diff(np.sign(missing_db)))[0])
    bands = []
    for hump in sorted(humps, key=lambda at: -np.abs(missing_db[at]).sum()):
        top = hump[np.abs(missing_db[hump]).argmax()]
        high = hump[np.abs(missing_db[hump]) >= abs(missing_db[top]) / 2]
        left, right = high[0], high[-1]
        octaves = max(0.1, math.log2(hz[right] / hz[left]))
        if right == len(hz) - 1 and left > 0:
            kind, at, q = "HSC", left, 0.7
        elif left == 0:
            kind, at, q = "LSC", right, 0.7
        else:
            kind, at, q = "PK", top, 2 ** (octaves / 2) / (2 ** octaves - 1)
        bands.append(Band(kind, float(hz[at]), float(missing_db[top]), q))
    return bands


def _with_shelves(bands: list[Band]) -> list[list[Band]]:
    """The bands with the lowest, and with the highest, as a shelf in the place of a bell."""
    low, high = (key(range(len(bands)), key=lambda i: bands[i].hz) for key in (min, max))
    return [[*bands[:i], replace(bands[i], kind=kind, q=0.7), *bands[i + 1:]]
            for i, kind in ((low, "LSC"), (high, "HSC")) if bands[i].kind == "PK"]


def _fitted(bands: list[Band], errors: Callable[[list[Band]], np.ndarray], range_hz: tuple[float, float],
            most_db: float) -> list[Band]:
    """The bands nearby for which the squares of `errors` are least. No gain exceeds `most_db`: where
    neighbours may pull against each other, a little more precision costs a lot of gain."""
    kinds = [band.kind for band in bands]
    low = np.array([[math.log2(range_hz[0]), -most_db, math.log2(0.2)]] * len(bands))
    # Q is 8 at most, and 1 for a shelf: above that it overshoots, and few equalizers have it.
    high = np.array([[math.log2(range_hz[1]), most_db, 3 if kind == "PK" else 0] for kind in kinds])
    start = np.array([[math.log2(band.hz), band.gain_db, math.log2(band.q)] for band in bands])

    def as_bands(values: np.ndarray) -> list[Band]:
        return [Band(kind, 2.0 ** f, float(gain), 2.0 ** q)
                for kind, (f, gain, q) in zip(kinds, values.reshape(-1, 3))]

    fit = least_squares(lambda values: errors(as_bands(values)), start.clip(low + 1e-6, high - 1e-6).ravel(),
                        bounds=(low.ravel(), high.ravel()), x_scale=np.tile([0.3, 3.0, 0.5], len(bands)),
                        max_nfev=60)
    return as_bands(fit.x)


def bands_db(bands: list[Band], hz: np.ndarray, sample_rate: float) -> np.ndarray:
    """The response in dB of bands in series, at frequencies (n,) in Hz."""
    total, cosine = np.zeros(len(hz)), np.cos(2 * np.pi * hz / sample_rate)
    for band in bands:
        b, a = coefficients(band, sample_rate)
        total += 10 * np.log10(_power(b, cosine) / _power(a, cosine))
    return total


def _power(c, cosine: np.ndarray) -> np.ndarray:
    """|c0 + c1 z^-1 + c2 z^-2|^2 on the unit circle."""
    return (c[0] - c[2]) ** 2 + c[1] ** 2 + 2 * cosine * (c[1] * (c[0] + c[2]) + 2 * cosine * c[0] * c[2])


def coefficients(band: Band, sample_rate: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(b0, b1, b2) and (a0, a1, a2) of a band's biquad (R. Bristow-Johnson, Audio EQ Cookbook)."""
    amp = 10 ** (band.gain_db / 40)
    angle = 2 * math.pi * band.hz / sample_rate
    cos, alpha = math.cos(angle), math.sin(angle) / (2 * band.q)
    if band.kind == "PK":
        return ((1 + alpha * amp, -2 * cos, 1 - alpha * amp), (1 + alpha / amp, -2 * cos, 1 - alpha / amp))
    root = 2 * math.sqrt(amp) * alpha
    sign = 1 if band.kind == "LSC" else -1  # a high shelf is a low one, mirrored at half of Nyquist
    up, down = amp + 1, amp - 1
    return ((amp * (up - sign * down * cos + root), 2 * sign * amp * (down - sign * up * cos),
             amp * (up - sign * down * cos - root)),
            (up + sign * down * cos + root, -2 * sign * (down + sign * up * cos),
             up + sign * down * cos - root))
