"""What is drawn of a recording, for the visible part only: envelopes and spectrograms of any length at once."""

from __future__ import annotations

import numpy as np
from scipy import fft

BLOCK = 256  # samples that an envelope sums up
FRAME_S = 0.046  # of a spectrogram: 2048 samples at 44.1 kHz
MOST_FRAMES = 3  # averaged in one column, where a column is longer than a frame
FLOOR_DB = -140.0


class Envelope:
    """Lowest and highest samples of audio (channels, samples), prepared for any zoom.

    `read` gives (columns,) times in samples, lows and highs of all channels.
    """

    def __init__(self, audio: np.ndarray):
        self.audio = audio
        whole = audio.shape[1] // BLOCK * BLOCK
        lows, highs = [], []
        step = BLOCK << 12
        for start in range(0, whole, step):  # a chunk at a time: no copy of the whole
            blocks = audio[:, start:min(start + step, whole)].reshape(len(audio), -1, BLOCK)
            lows.append(blocks.min(axis=(0, 2)))
            highs.append(blocks.max(axis=(0, 2)))
        self.low = np.concatenate(lows) if lows else np.zeros(0, np.float32)
        self.high = np.concatenate(highs) if highs else np.zeros(0, np.float32)

    def read(self, begin: int, end: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        begin, end = max(begin, 0), min(end, self.audio.shape[1])
        if end <= begin:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        if (end - begin) / columns <= 2 * BLOCK:
            low, high, unit = self.audio[:, begin:end].min(axis=0), self.audio[:, begin:end].max(axis=0), 1
            first = begin
        else:
            first, last = begin // BLOCK, max(end // BLOCK, begin // BLOCK + 1)
            low, high, unit = self.low[first:last], self.high[first:last], BLOCK
        if len(low) > columns:
            edges = np.linspace(0, len(low), columns + 1).astype(int)[:-1]
            at = (first + edges) * unit
            return at, np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges)
        return (first + np.arange(len(low))) * unit, low, high


def spectrogram_db(audio: np.ndarray, sample_rate: float, begin: float, end: float, columns: int) -> np.ndarray:
    """Levels in dB of a full-scale sine: (bins, columns) float32 from 0 Hz to Nyquist.

    audio: (channels, samples), drawn as the mean of its channels · begin, end: in samples; beyond the recording
    there is silence.
    """
    frame = 1 << max(8, round(np.log2(FRAME_S * sample_rate)))
    window = np.hanning(frame).astype(np.float32)
    width = (end - begin) / columns
    frames = int(np.clip(width / frame, 1, MOST_FRAMES))
    centres = (np.arange(columns * frames) + 0.5) * width / frames + begin
    samples = audio.shape[1]
    # A frame that reaches over an end would show the cut, not the music.
    within = (centres >= 0) & (centres < samples) & (samples >= frame)
    offsets = np.where(within, np.clip(centres - frame / 2, 0, max(samples - frame, 0)), centres - frame / 2)
    power = np.zeros((columns, frame // 2 + 1), np.float32)
    scale = np.float32(2 / window.sum())
    for start in range(0, len(offsets), 512 * frames):
        at = np.rint(offsets[start:start + 512 * frames]).astype(np.int64)
        spectra = np.abs(fft.rfft(_frames(audio, at, frame) * window, axis=1) * scale) ** 2
        first = start // frames
        power[first:first + len(at) // frames] = spectra.reshape(-1, frames, frame // 2 + 1).mean(axis=1)
    return np.maximum(10 * np.log10(power.T + 1e-20), FLOOR_DB).astype(np.float32)


def _frames(audio: np.ndarray, at: np.ndarray, frame: int) -> np.ndarray:
    """Frames that begin at the samples `at`, (frames, frame); zeros beyond the ends."""
    out = np.zeros((len(at), frame), np.float32)
    for row, begin in enumerate(at):
        low, high = max(begin, 0), min(begin + frame, audio.shape[1])
        if high > low:
            piece = audio[:, low:high]
            out[row, low - begin:high - begin] = piece.mean(axis=0) if len(piece) > 1 else piece[0]
    return out
