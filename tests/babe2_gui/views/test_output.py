"""Playing in the real window, with and without a sound device."""

import numpy as np
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402


def test_playing_works_without_a_sound_device_and_says_so_once(opened, wait, monkeypatch):
    from babe2_gui.views.output import Player
    monkeypatch.setattr(Player, "has_device", False)
    said = []
    opened.player.failed.connect(said.append)
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_Space)
    assert opened.player.playing
    wait(lambda: opened.player.position_s > 0.2)
    assert opened.player.levels_db.max() > -60 and opened.transport.meter.highest > -60
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_Space)
    assert not opened.player.playing
    opened.player.play()
    opened.player.stop()
    assert len(said) == 1 and "no sound device" in said[0]


def test_the_selection_is_looped(opened, wait, monkeypatch):
    from babe2_gui.views.output import Player
    monkeypatch.setattr(Player, "has_device", False)
    opened.timeline.select((0.3, 0.45))
    QTest.keyClick(opened.eq.plot, "L")
    rate = opened.session.recording.sample_rate
    assert opened.session.listening.mixer.loop == (round(0.3 * rate), round(0.45 * rate))
    opened.player.play()
    wait(at_most_s=0.4)
    assert 0.3 <= opened.player.position_s <= 0.45 and opened.player.playing


def test_the_plain_stream_gives_a_device_what_the_mixer_has(opened):
    """What a sound device would read: stereo floats from a mono mixer, at its own rate or another."""
    multimedia = pytest.importorskip("PySide6.QtMultimedia", reason="needs sound libraries", exc_type=ImportError)
    QAudioFormat = multimedia.QAudioFormat

    from babe2_gui.views.output import _Stream
    mixer = opened.session.listening.mixer
    wanted = QAudioFormat()
    wanted.setChannelCount(2)
    wanted.setSampleFormat(QAudioFormat.SampleFormat.Float)
    wanted.setSampleRate(mixer.sample_rate)
    mixer.seek(1000)
    data = np.frombuffer(_Stream(opened.player, wanted, mixer).readData(8 * 500), "<f4").reshape(-1, 2)
    original = opened.session.recording.audio[0, 1000:1500]
    assert np.array_equal(data[:, 0], original) and np.array_equal(data[:, 1], original)
    wanted.setSampleRate(48000)
    wanted.setSampleFormat(QAudioFormat.SampleFormat.Int16)
    mixer.seek(0)
    data = _Stream(opened.player, wanted, mixer).readData(4 * 4800)
    assert len(data) == 4 * 4800 and np.abs(np.frombuffer(data, "<i2")).max() > 1000
