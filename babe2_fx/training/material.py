"""Training material: a folder of audio, decoded once into a cache, from which random crops are read.

The cache holds each recording as mono half-precision samples at the prior's rate, with its level and its spectrum.
It is mapped into memory rather than read, so a folder may be larger than the memory. All that a prior must know about
the material (level, emphasis, LTAS) follows from the spectra, in any domain.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.kinds import is_recording, sentence_on_others
from ..audio.mapped import allocate, chunks
from ..audio.reading import read_audio
from ..audio.resampling import resample
from ..documents import read_json
from ..errors import UserError
from ..files import FileError, whole_file
from ..priors import Emphasis
from ..priors.prior import EMPHASIS_TAPS
from ..spectra import ltas, ltas_fft_size, smooth_octave
from .config import TrainingConfig, TrainingError

FFT_SIZE = 4096  # of the spectrum that the emphasis is made from
CHUNK = 1 << 20  # samples that are worked on at once
SILENT = 1e-5  # standard deviation; half precision resolves no music below
MOST_SPECTRA = 200  # for the spread of the spectra: more would add nothing
HELD_OUT_FOLDER = "heldout"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One recording of the cache.

    key: hash of the file's content · file: its samples, float16 · samples: how many · deviation: their standard
    deviation · power: their power spectrum (2049,) · ltas: the same at the LTAS's resolution (bins,).
    """

    name: str
    key: str
    file: Path
    samples: int
    deviation: float
    power: Tensor
    ltas: Tensor

    def level(self, emphasis: Emphasis | None) -> float:
        """Standard deviation in a prior's domain."""
        if emphasis is None:
            return self.deviation
        power = self.power.double().numpy()
        return self.deviation * math.sqrt(float(power @ emphasis.power(len(power)) / power.sum()))


# ---------------------------------------------------------------------------------------------------- reading

def find_recordings(folder: Path) -> list[Path]:
    """All audio files below a folder, sorted. Raises TrainingError if it holds no audio.

    Hidden files and folders do not count, nor do folders NAME.run, where a run keeps the examples it drew.
    """
    if not folder.exists():
        raise TrainingError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise TrainingError(f"{folder} is a file; training needs a folder of recordings.")
    try:
        files = [path for path in folder.rglob("*") if path.is_file() and not any(
            part.startswith(".") or part.endswith(".run") for part in path.relative_to(folder).parts)]
    except OSError as error:
        raise TrainingError(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    found = sorted(path for path in files if is_recording(path))
    if others := sentence_on_others(sorted(files), folder):
        logger.warning(others)
    if not found:
        raise TrainingError(f"{folder} holds no audio files (WAV, FLAC, AIFF, OGG, MP3, ...).")
    return found


def prepare(files: list[Path], folder: Path, cache: Path, sample_rate: int,
            notes: list[str]) -> Iterator[Recording | None]:
    """Decodes what is not in the cache yet; yields the recording of each file of the folder as it is ready, in order.

    For a file that cannot be used, it yields None and adds a sentence to `notes`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    index = _Index(cache / "index.json")

    def ready(path: Path) -> Recording | UserError:
        try:
            return _cached(path, path.relative_to(folder).as_posix(), cache, sample_rate, index)
        except UserError as error:
            return error

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for result in pool.map(ready, files):
                if isinstance(result, UserError):
                    notes.append(f"{result} It is left out.")
                yield result if isinstance(result, Recording) else None
        finally:
            pool.shutdown(cancel_futures=True)
            index.save()


def file_hash(path: Path) -> str:
    """BLAKE2b of a file's content, 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class _Index:
    """The hashes of files that have not changed since they were read, so that a large folder opens at once."""

    def __init__(self, path: Path):
        self.path, self.keys = path, {}
        try:
            self.keys = dict(read_json(path))
        except (FileError, ValueError, TypeError):  # it can be made again
            pass

    def key(self, path: Path) -> str:
        there = path.stat()
        state = f"{path.resolve()}|{there.st_size}|{there.st_mtime_ns}"
        if state not in self.keys:
            self.keys[state] = file_hash(path)
        return self.keys[state]

    def save(self) -> None:
        with whole_file(self.path) as part:
            part.write_text(json.dumps(self.keys, indent=0), encoding="utf-8")


def _cached(path: Path, name: str, cache: Path, sample_rate: int, index: _Index) -> Recording:
    """A recording from the cache, put there first if need be. Raises UserError where it cannot be used."""
    try:
        key = index.key(path)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}.") from error
    samples_file = cache / f"{key}-{sample_rate}.f16"
    facts_file = samples_file.with_suffix(".npz")  # written last: where it is, the samples are whole
    if not facts_file.exists():
        _decode_into(path, samples_file, sample_rate)
        facts = _facts(np.memmap(samples_file, np.float16, "r"), sample_rate)
        with whole_file(facts_file) as part, open(part, "wb") as file:
            np.savez(file, **facts)
    with np.load(facts_file) as facts:
        recording = Recording(name, key, samples_file, int(facts["samples"]), float(facts["deviation"]),
                              torch.from_numpy(facts["power"]), torch.from_numpy(facts["ltas"]))
    if recording.samples * 2 != samples_file.stat().st_size:
        raise TrainingError(f"{samples_file} is damaged: it is no longer as long as when it was written. Delete "
                            f"the folder {cache}; it is made again from the recordings.")
    if not math.isfinite(recording.deviation):
        raise TrainingError(f"{path} has samples that are not finite numbers.")
    if recording.deviation < SILENT:
        raise TrainingError(f"{path} is silent.")
    return recording


def _decode_into(path: Path, target: Path, sample_rate: int) -> None:
    with whole_file(target) as part:
        with open(part, "wb") as file, np.errstate(over="ignore"):
            for chunk in decode(path, sample_rate):
                file.write(chunk.astype(np.float16).tobytes())
        if part.stat().st_size < 2 * FFT_SIZE:
            raise TrainingError(f"{path} is too short: {part.stat().st_size / 2 / sample_rate:.2f} s.")


def decode(path: Path, sample_rate: int) -> Iterator[np.ndarray]:
    """A recording as mono float32 (samples,) at `sample_rate`, in chunks. Raises FileError as `read_audio`.

    What a user should know of how it was read is logged.
    """
    recording = read_audio(path)
    for note in recording.notes:
        logger.warning(note)
    audio = recording.audio
    mono = allocate(audio.shape[1])
    for part in chunks(audio.shape[1], audio, mono):
        audio[:, part].mean(axis=0, out=mono[part])
    mono = resample(torch.from_numpy(mono), recording.sample_rate, sample_rate).numpy()
    for part in chunks(len(mono), mono):
        yield mono[part]


def _facts(audio: np.ndarray, sample_rate: int) -> dict:
    sizes = {"power": FFT_SIZE, "ltas": ltas_fft_size(sample_rate)}
    sums = {name: torch.zeros(size // 2 + 1, dtype=torch.float64) for name, size in sizes.items()}
    first = second = 0.0
    for start in range(0, len(audio), CHUNK):
        chunk = torch.from_numpy(audio[start:start + CHUNK].astype(np.float32))
        first += float(chunk.double().sum())
        second += float(chunk.double().square().sum())
        for name, size in sizes.items():
            sums[name] += ltas(chunk, size) * len(chunk)
    spectra = {name: (total / len(audio)).numpy() for name, total in sums.items()}
    variance = second / len(audio) - (first / len(audio)) ** 2
    return spectra | {"samples": len(audio), "deviation": np.sqrt(np.maximum(variance, 0))}


def split(recordings: list[Recording], share: float, folder: Path) -> tuple[list[Recording], list[Recording]]:
    """Recordings to train on, and those held out: what lies in `heldout/`, else a share by the hash of their content.

    A recording is on the same side in every run, whatever else is in the folder, and so are its copies.
    Raises TrainingError where there are not two different recordings.
    """
    unique = sorted({recording.key: recording for recording in recordings}.values(), key=lambda r: r.key)
    if len(unique) < 2:
        raise TrainingError(f"{folder} holds {'one recording' if unique else 'no recording'} that can be used; there "
                            "must be at least two different ones, to train on and to measure the loss on.")
    apart = {r.key for r in recordings if r.name.split("/")[0] == HELD_OUT_FOLDER}
    if not apart or len(apart) == len(unique):
        apart = {r.key for r in unique if int(r.key[:8], 16) < share * 2 ** 32} or {unique[0].key}
    if len(apart) == len(unique):
        apart = {unique[0].key}
    ordered = sorted(unique, key=lambda r: r.name)
    return [r for r in ordered if r.key not in apart], [r for r in ordered if r.key in apart]


# ---------------------------------------------------------------------------------------------- what it is like

def flattening(power: Tensor, sample_rate: int, share: float, lowest_hz: float) -> Tensor:
    """Gain in dB (bins,) that takes away `share` (0 to 1) of a power spectrum's slope in dB.

    Smoothed over about an octave, so that the filter is short and follows the class of instrument rather than one.
    Constant below `lowest_hz`, where the prior hears nothing.
    """
    bins = len(power)
    hz = torch.linspace(0, sample_rate / 2, bins)
    level = 10 * torch.log10(power.float().clamp(min=1e-20))
    octave = torch.log2(hz.clamp(min=lowest_hz))
    # Weights by 1/f, so that an octave counts the same wherever it lies.
    weights = torch.exp(-0.5 * ((octave[:, None] - octave[None]) / 0.35) ** 2) / hz.clamp(min=lowest_hz)[None]
    weights[:, hz < lowest_hz] = 0
    return -share * (weights @ level) / weights.sum(1)


def mean_power(recordings: list[Recording]) -> Tensor:
    """Power spectrum (2049,) over recordings of unit variance."""
    return torch.stack([r.power.double() / r.deviation ** 2 for r in recordings]).mean(0)


def typical_ltas(recordings: list[Recording], emphasis: Emphasis | None, sample_rate: float) -> Tensor:
    """LTAS (bins,) in a prior's domain of a typical recording of unit variance there.

    The mean of the powers, moved by third octaves to the mean in dB: gradually from 500 Hz, fully from 2 kHz. The mean
    of the powers is that of the brightest instruments; where instruments differ by 10 dB it lies 11 dB above the
    middle. Below 500 Hz, spectra differ by the notes that were played, and one without low notes is not typical.
    """
    spectra = [r.ltas.double() / r.level(emphasis) ** 2 for r in recordings]
    mean = torch.stack(spectra).mean(0)
    middle = torch.stack([smooth_octave(spectrum).clamp(min=1e-30).log() for spectrum in spectra]).mean(0)
    lowering = middle - smooth_octave(mean).clamp(min=1e-30).log()
    hz = torch.linspace(0, sample_rate / 2, len(mean), dtype=torch.float64)
    share = (torch.log2(hz.clamp(min=1.0) / 500) / 2).clamp(0, 1)
    gain = torch.from_numpy(emphasis.power(len(mean))) if emphasis else 1.0
    return (mean * (share * lowering).exp() * gain).float()


def spectral_spread_db(recordings: list[Recording]) -> Tensor:
    """Standard deviation in dB of the recordings' third-octave spectra, (bins,).

    Each is first aligned by its mean level over log frequency, since loudness is not a property of a recording's
    spectrum. A fixed emphasis does not change it.
    """
    recordings = recordings[:: math.ceil(len(recordings) / MOST_SPECTRA)]
    levels = torch.stack([10 * smooth_octave(r.ltas.double()).clamp(min=1e-20).log10() for r in recordings])
    weight = 1 / torch.arange(1, levels.shape[1], dtype=torch.float64)
    mean = (levels[:, 1:] @ weight) / weight.sum()
    return (levels - mean[:, None]).std(dim=0, unbiased=False).float()


def common_level(recordings: list[Recording], emphasis: Emphasis | None) -> float:
    """Standard deviation over all samples of all recordings, in a prior's domain."""
    energy = sum(r.level(emphasis) ** 2 * r.samples for r in recordings)
    return math.sqrt(energy / sum(r.samples for r in recordings))


# ------------------------------------------------------------------------------------------------------- crops

class Material:
    """Recordings at a prior's level and in its domain, crop by crop.

    Args:
        recordings: of the cache.
        emphasis: the prior's domain.
        sigma_data: standard deviation of the data in that domain.
        normalization: what is scaled to it, as in `TrainingConfig`.
    """

    def __init__(self, recordings: list[Recording], emphasis: Emphasis | None, sigma_data: float,
                 normalization: str = TrainingConfig.normalization):
        self.recordings, self.emphasis = recordings, emphasis
        self.sigma_data, self.normalization = sigma_data, normalization
        self.samples = [np.memmap(r.file, np.float16, "r") for r in recordings]
        self.levels = [r.level(emphasis) for r in recordings]
        self.common = common_level(recordings, emphasis)
        lengths = np.array([r.samples for r in recordings], dtype=float)
        self.chances = lengths / lengths.sum()

    def batch(self, count: int, length: int, gain_db: float, rng: np.random.Generator) -> Tensor:
        """Random crops (count, length), each with a random gain of standard deviation `gain_db`."""
        return torch.stack([self._crop(index, length, gain_db, rng)
                            for index in rng.choice(len(self.recordings), count, p=self.chances)])

    def _crop(self, index: int, length: int, gain_db: float, rng: np.random.Generator) -> Tensor:
        audio = self.samples[index]
        start = int(rng.integers(0, max(len(audio) - length, 0) + 1))
        reach = EMPHASIS_TAPS // 2 if self.emphasis else 0  # what the emphasis sees beyond the crop
        left = max(start - reach, 0)
        crop = torch.from_numpy(audio[left:start + length + reach].astype(np.float32))
        if self.emphasis:
            crop = self.emphasis.apply(crop)
        crop = crop[start - left:start - left + length]
        crop = F.pad(crop, (0, length - len(crop)))
        sign = rng.choice((-1.0, 1.0))  # polarity carries no meaning
        return crop * float(self._scale(index, crop) * sign * 10 ** (rng.normal(0, gain_db) / 20))

    def _scale(self, index: int, crop: Tensor) -> float:
        if self.normalization == "none":
            return 1.0
        if self.normalization == "collection":
            return self.sigma_data / self.common
        level = self.levels[index]
        if self.normalization == "crop":
            level = max(float(crop.std()), 0.1 * level)  # a pause is not blown up into music
        return self.sigma_data / level
