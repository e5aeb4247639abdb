"""Plays a mixer: through the sound device if there is one, otherwise silently, so that everything else works."""

from __future__ import annotations

import time

import numpy as np
from PySide6.QtCore import QIODevice, QObject, QTimer, Signal

try:
    from PySide6.QtMultimedia import QAudioFormat, QAudioSink, QMediaDevices
except ImportError:  # a system without the libraries for sound
    QMediaDevices = None

from ..model.loudness import SILENCE_LUFS, true_peak_db
from ..model.mixer import Mixer

TICK_MS = 33
BUFFER_S = 0.12
NO_DEVICE = ("There is no sound device, so playing is silent; everything else works. Connect one and start the app "
             "again to listen.")


class _Stream(QIODevice):
    """Gives the sound device the mixer's samples as it asks for them."""

    def __init__(self, player: Player, audio_format: QAudioFormat, mixer: Mixer):
        super().__init__()
        self.player, self.mixer, self.resampler = player, mixer, None
        self.channels = audio_format.channelCount()
        self.whole = audio_format.sampleFormat() == QAudioFormat.SampleFormat.Int16
        self.kept = np.zeros((mixer.channels, 0), np.float32)
        if audio_format.sampleRate() != mixer.sample_rate:
            from pedalboard.io import StreamResampler
            self.resampler = StreamResampler(mixer.sample_rate, audio_format.sampleRate(), mixer.channels)
        self.open(QIODevice.OpenModeFlag.ReadOnly)

    def readData(self, most: int) -> bytes:
        frames = most // (self.channels * (2 if self.whole else 4))
        audio = self._next(frames)
        self.player.heard(audio)
        out = _to_channels(audio, self.channels).T
        if self.whole:
            return np.rint(out.clip(-1, 1) * 32767).astype("<i2").tobytes()
        return np.ascontiguousarray(out.clip(-1, 1), "<f4").tobytes()

    def _next(self, frames: int) -> np.ndarray:
        if self.resampler is None:
            return self.mixer.read(frames)
        while self.kept.shape[1] < frames:
            piece = self.mixer.read(max(frames, 1024))
            if not piece.shape[1]:
                break
            self.kept = np.concatenate([self.kept, self.resampler.process(piece)], axis=1)
        out, self.kept = self.kept[:, :frames], self.kept[:, frames:]
        return out

    def bytesAvailable(self) -> int:
        return 1 << 20  # there is always more, until reading says otherwise

    def isSequential(self) -> bool:
        return True

    def writeData(self, data) -> int:
        return -1


def _to_channels(audio: np.ndarray, channels: int) -> np.ndarray:
    """(any, samples) for a device of so many channels: mono goes to all, channels too many are left out."""
    if len(audio) == channels:
        return audio
    return np.repeat(audio, channels, axis=0) if len(audio) == 1 else np.resize(audio, (channels, audio.shape[1])) \
        if len(audio) < channels else audio[:channels]


class Player(QObject):
    """Signals: ticked, thirty times a second while it plays · changed, when it starts or stops · failed, with a
    sentence."""

    ticked = Signal()
    changed = Signal()
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.mixer: Mixer | None = None
        self.playing = False
        self.started_at = 0  # the sample to which stop goes back
        self.levels_db: np.ndarray = np.zeros(0)
        self._sink: QAudioSink | None = None
        self._stream: _Stream | None = None
        self._silent_since: float | None = None
        self._warned = False
        self._timer = QTimer(self, interval=TICK_MS, timeout=self._tick)

    @property
    def has_device(self) -> bool:
        return QMediaDevices is not None and not QMediaDevices.defaultAudioOutput().isNull()

    def set_mixer(self, mixer: Mixer | None) -> None:
        self.stop()
        self.mixer = mixer
        self.levels_db = np.full(mixer.channels if mixer else 0, SILENCE_LUFS)

    def play(self) -> None:
        if self.mixer is None or self.playing:
            return
        if self.mixer.position >= self.mixer.samples:
            self.mixer.seek(0)
        self.started_at = self.mixer.position
        self.playing = True
        if self.has_device:
            self._open_device()
        else:
            if not self._warned:
                self._warned = True
                self.failed.emit(NO_DEVICE)
            self._silent_since = time.monotonic()
        self._timer.start()
        self.changed.emit()

    def _open_device(self) -> None:
        device = QMediaDevices.defaultAudioOutput()
        wanted = QAudioFormat()
        wanted.setSampleRate(self.mixer.sample_rate)
        wanted.setChannelCount(2)
        wanted.setSampleFormat(QAudioFormat.SampleFormat.Float)
        if not device.isFormatSupported(wanted):
            wanted = device.preferredFormat()
            if wanted.sampleFormat() not in (QAudioFormat.SampleFormat.Float, QAudioFormat.SampleFormat.Int16):
                wanted.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        self._sink = QAudioSink(device, wanted, self)
        self._sink.setBufferSize(int(BUFFER_S * wanted.sampleRate()) * wanted.bytesPerFrame())
        self._stream = _Stream(self, wanted, self.mixer)
        self._sink.start(self._stream)

    def pause(self) -> None:
        if not self.playing:
            return
        self.playing = False
        self._timer.stop()
        self._silent_since = None
        if self._sink:
            self._sink.stop()
            self._sink.deleteLater()
            self._sink = self._stream = None
        self.levels_db = np.full_like(self.levels_db, SILENCE_LUFS)
        self.changed.emit()
        self.ticked.emit()

    def toggle(self) -> None:
        self.pause() if self.playing else self.play()

    def stop(self) -> None:
        """Back to where it started."""
        was = self.playing
        self.pause()
        if self.mixer and was:
            self.mixer.seek(self.started_at)
            self.ticked.emit()

    def seek(self, seconds: float) -> None:
        if self.mixer:
            self.mixer.seek(round(seconds * self.mixer.sample_rate))
            self.started_at = self.mixer.position
            self.ticked.emit()

    @property
    def position_s(self) -> float:
        """What is heard now: what the device still holds has been read but not played."""
        if self.mixer is None:
            return 0.0
        position = self.mixer.position / self.mixer.sample_rate
        if self._sink and not self.mixer.loop:
            waiting = self._sink.bufferSize() - self._sink.bytesFree()
            position -= self._sink.format().durationForBytes(max(waiting, 0)) / 1e6
        return max(position, 0.0)

    def heard(self, audio: np.ndarray) -> None:
        """Measures what goes out."""
        if audio.shape[1]:
            self.levels_db = true_peak_db(audio)

    def _tick(self) -> None:
        if self._silent_since is not None:
            now = time.monotonic()
            audio = self.mixer.read(round((now - self._silent_since) * self.mixer.sample_rate))
            self._silent_since = now
            self.heard(audio)
        self.ticked.emit()
        if self.mixer.position >= self.mixer.samples and not self.mixer.loop and (
                self._sink is None or self._sink.bufferSize() - self._sink.bytesFree() <= 0):
            self.pause()
