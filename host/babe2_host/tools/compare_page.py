"""A page to compare versions of one recording by ear and eye, whole in one HTML file."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import soundfile
import torchaudio.functional as AF

from babe2_fx.audio.mapped import as_tensor
from babe2_fx.audio.reading import AudioFile
from babe2_fx.errors import UserError
from babe2_fx.spectra import ltas, ltas_fft_size, smooth_octave
from babe2_fx.texts import printable

from .report import RANGE_DB, colours_on_white, spectrogram_db

COLOURS = ("#5f6670", "#0b5fa5", "#d9822b", "#a3195b", "#2a8f6f", "#7a5fb5", "#8a6d1f", "#b03a2e", "#3b3b98")
LENGTHS_APART_S = 0.1
SHORTEST_S = 0.5  # loudness is measured in blocks of 0.4 s
LOUDEST = -16.0  # LUFS: as streaming services have it
PEAK = 0.99
COLUMNS, ROWS = 1000, 300  # of a spectrogram
WAVEFORM_COLUMNS = 900
LTAS_POINTS, LOWEST_HZ = 200, 30.0
FLOOR_DB = -150.0


class CompareError(UserError):
    """Recordings that cannot be compared; the message names them."""


def comparison_page(recordings: list[AudioFile], title: str) -> str:
    """The page of two to nine versions of one recording, as HTML that needs nothing else.

    They are embedded as FLAC of 16 bits at one loudness (ITU-R BS.1770), as loud as the peaks of all allow.

    Raises CompareError for too few or too many, silent ones, and lengths that differ.
    """
    if not 2 <= len(recordings) <= len(COLOURS):
        raise CompareError(f"A comparison takes two to {len(COLOURS)} recordings, not {len(recordings)}.")
    first = recordings[0]
    for recording in recordings:
        if abs(recording.duration_s - first.duration_s) > LENGTHS_APART_S:
            raise CompareError(f"{first.path} lasts {first.duration_s:.2f} s and {recording.path} "
                               f"{recording.duration_s:.2f} s; versions to compare must be equally long.")
        if recording.duration_s < SHORTEST_S:
            raise CompareError(f"{recording.path} lasts {recording.duration_s:.2f} s; {SHORTEST_S} s are needed to "
                               "measure how loud it is.")
        if recording.channels > 2:
            raise CompareError(f"{recording.path} has {recording.channels} channels; a browser plays two at most.")
    loudness = [loudness_lufs(recording) for recording in recordings]
    room_db = [20 * np.log10(PEAK / np.abs(recording.audio).max()) for recording in recordings]
    level = min(LOUDEST, *(lufs + room for lufs, room in zip(loudness, room_db)))
    gains_db = [level - lufs for lufs in loudness]
    levelled = [recording.audio * np.float32(10 ** (gain / 20)) for recording, gain in zip(recordings, gains_db)]

    top_hz = max(recording.sample_rate for recording in recordings) / 2
    ltas_hz = np.geomspace(LOWEST_HZ, 0.97 * top_hz, LTAS_POINTS)
    images = [spectrogram_db(audio, recording.sample_rate, recording.sample_rate / 2)
              for audio, recording in zip(levelled, recordings)]
    loudest = max(float(image.max()) for image in images)
    called, versions = names(recordings), []
    for i, (recording, audio, image) in enumerate(zip(recordings, levelled, images)):
        rate = recording.sample_rate
        versions.append({
            "name": called[i], "colour": COLOURS[i], "audio": _base64(_flac(audio, rate)),
            "facts": f"{rate / 1000:g} kHz, {loudness[i]:.1f} LUFS, played {gains_db[i]:+.1f} dB",
            "peaks": _peaks(audio), "ltas_db": _ltas_db(audio, rate, ltas_hz),
            "spectrogram": "data:image/png;base64," + _base64(_png(image, rate / 2 / top_hz, loudest))})
    data = {"title": printable(title), "duration_s": min(recording.duration_s for recording in recordings),
            "peak": float(max(np.abs(audio).max() for audio in levelled)), "top_khz": round(top_hz / 1000, 2),
            "ltas_hz": [round(float(hz), 1) for hz in ltas_hz], "versions": versions}
    page = Path(__file__).with_name("compare_page.html").read_text(encoding="utf-8")
    # A name may hold what would end the script; in JSON that can be escaped.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!", "\\u003c!")
    return page.replace("@DATA@", text)


def names(recordings: list[AudioFile]) -> list[str]:
    """What to call them: by their file names, or by more of their paths where those are alike."""
    paths = [recording.path for recording in recordings]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        called = [printable("/".join(path.with_suffix("").parts[-parts:])) for path in paths]
        if len(set(called)) == len(called):
            return called
    return [printable(f"{path.stem} ({number})") for number, path in enumerate(paths, 1)]


def loudness_lufs(recording: AudioFile) -> float:
    """Integrated loudness (ITU-R BS.1770). Raises CompareError for silence."""
    lufs = float(AF.loudness(as_tensor(recording.audio), recording.sample_rate))
    if not np.isfinite(lufs):
        raise CompareError(f"{recording.path} is silent, or too quiet to measure how loud it is.")
    return lufs


def _flac(audio: np.ndarray, sample_rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio.T, sample_rate, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _peaks(audio: np.ndarray) -> list[list[float]]:
    """Lowest and highest sample of each column of the waveform."""
    pieces = np.array_split(audio, min(WAVEFORM_COLUMNS, audio.shape[1]), axis=1)
    return [[round(float(piece.min()), 4), round(float(piece.max()), 4)] for piece in pieces]


def _ltas_db(audio: np.ndarray, sample_rate: int, hz: np.ndarray) -> list[float]:
    power = smooth_octave(ltas(as_tensor(audio), ltas_fft_size(sample_rate))).numpy()
    level_db = np.interp(hz, np.linspace(0, sample_rate / 2, len(power)), 10 * np.log10(power + 1e-15), right=FLOOR_DB)
    return [round(float(db), 2) for db in level_db]


def _png(level_db: np.ndarray, share: float, loudest: float) -> bytes:
    """A spectrogram (bins, columns) as a picture; `share` (0 to 1) is how far up the axis it reaches."""
    from matplotlib.image import imsave
    bins = max(1, -(-level_db.shape[0] // round(ROWS * share)))
    columns = -(-level_db.shape[1] // COLUMNS)
    # The loudest of what falls into one pixel: thin partials and short clicks remain visible.
    padded = np.pad(level_db, ((0, -level_db.shape[0] % bins), (0, -level_db.shape[1] % columns)), mode="edge")
    small = padded.reshape(padded.shape[0] // bins, bins, -1, columns).max(axis=(1, 3))
    empty = np.full((round(len(small) / share) - len(small), small.shape[1]), FLOOR_DB)
    file = io.BytesIO()
    imsave(file, np.concatenate([small, empty]), vmin=loudest - RANGE_DB, vmax=loudest, cmap=colours_on_white(),
           origin="lower", format="png")
    return file.getvalue()
