"""The bar at the bottom: play, stop, loop, which version is heard, and how loud it is."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QButtonGroup, QCheckBox, QWidget

from ..model.listening import VERSIONS
from . import theme
from .axes import time_text
from .icons import icon
from .output import Player
from .widgets import label, named, row, tool

LOWEST_DB, FALL_DB, HOLD_TICKS = -60.0, 1.2, 45
SCALE_DB = (-48, -36, -24, -12, 0)
CALM_MS = 600  # after an edit, until the plain equalizer's version is made again


class Meter(QWidget):
    """True peak of each channel in dB below full scale, with the highest held for a while; click to reset."""

    def __init__(self):
        super().__init__()
        named(self, "Level meter", "True peak of what is heard, dBTP (ITU-R BS.1770). Click to reset the highest")
        self.levels, self.held, self.ages = np.full(1, LOWEST_DB), np.full(1, LOWEST_DB), np.zeros(1)
        self.highest = -np.inf
        self.setMinimumWidth(170)
        self.setFixedHeight(34)

    def sizeHint(self) -> QSize:
        return QSize(230, 34)

    def reset(self, channels: int) -> None:
        channels = min(max(channels, 1), 2)
        self.levels, self.held, self.ages = np.full(channels, LOWEST_DB), np.full(channels, LOWEST_DB), \
            np.zeros(channels)
        self.highest = -np.inf
        self.update()

    def show_levels(self, levels_db: np.ndarray) -> None:
        levels = np.asarray(levels_db)[:len(self.levels)]
        if len(levels) < len(self.levels):
            return
        self.levels = np.maximum(np.maximum(levels, self.levels - FALL_DB), LOWEST_DB)
        self.ages += 1
        new = (self.levels >= self.held) | (self.ages > HOLD_TICKS)
        self.held, self.ages = np.where(new, self.levels, self.held), np.where(new, 0, self.ages)
        if levels.max() > LOWEST_DB:
            self.highest = max(self.highest, float(levels.max()))
        self.update()

    def mousePressEvent(self, event) -> None:
        self.highest = -np.inf
        self.update()

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, bar_height = self.width() - 56, 12 / len(self.levels) - 1

        def x(db: float) -> float:
            return width * (db - LOWEST_DB) / (3 - LOWEST_DB)
        for row_number, (level, held) in enumerate(zip(self.levels, self.held)):
            top = 3 + row_number * (bar_height + 2)
            painter.fillRect(QRectF(0, top, width, bar_height), QColor("#14161a"))
            for low, high, colour in ((LOWEST_DB, -12, "#009e73"), (-12, -1, "#e69f00"), (-1, 3, "#d55e00")):
                if level > low:
                    painter.fillRect(QRectF(x(low), top, x(min(level, high)) - x(low), bar_height), QColor(colour))
            if held > LOWEST_DB:
                painter.fillRect(QRectF(x(min(held, 3)) - 1, top, 2, bar_height), QColor(theme.TEXT))
        font = painter.font()
        font.setPointSizeF(7)
        painter.setFont(font)
        painter.setPen(QColor(theme.DIM))
        for db in SCALE_DB:
            painter.drawText(QRectF(x(db) - 14, 19, 28, 12), Qt.AlignmentFlag.AlignCenter, str(db).replace("-", "−"))
        painter.setPen(QColor(theme.ERROR if self.highest > -1 else theme.TEXT))
        text = f"{self.highest:+.1f}".replace("-", "−") if np.isfinite(self.highest) else "−∞"
        font.setPointSizeF(8.5)
        painter.setFont(font)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(width + 4, 1, 52, 16), right, text)
        font.setPointSizeF(7)
        painter.setFont(font)
        painter.setPen(QColor(theme.DIM))
        painter.drawText(QRectF(width + 4, 18, 52, 14), right, "dBTP")


class Transport(QWidget):
    """Buttons for the player; what they do is the player's and the session's."""

    def __init__(self, session, player: Player):
        super().__init__()
        self.setObjectName("bar")
        self.session, self.player = session, player
        self.play = tool("play", "Play", "Play or pause (Space)")
        self.stop = tool("stop", "Stop", "Stop and go back to where playing began (Shift+Space)")
        self.loop = tool("loop", "Loop", "Loop the selection, or the whole recording (L)", checkable=True)
        for button in (self.play, self.stop, self.loop):
            button.setIconSize(QSize(16, 16))
            button.setFixedSize(38, 32)
        self.clock = label("0:00.0", "clock")
        self.clock.setAccessibleName("Position")
        self.length = label("", "dim")
        keys = {"original": "A", "equalized": "E", "restored": "B"}
        self.versions = {}
        group = QButtonGroup(self)
        for name, title in VERSIONS.items():
            button = tool(None, f"Hear: {title}", f"Hear {title.lower()} ({keys[name]})", f"{keys[name]}   {title}",
                          checkable=True)
            button.setFixedHeight(32)
            group.addButton(button)
            button.clicked.connect(lambda *_, name=name: self.choose(name))
            self.versions[name] = button
        self.versions["original"].setChecked(True)
        self.matched = named(QCheckBox("Match loudness"), "Match loudness", "Play all versions as loud as the original "
                             "(ITU-R BS.1770), so that the louder one does not seem better")
        self.matched.setChecked(True)
        self.matched.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.meter = Meter()
        self.setLayout(row(self.play, self.stop, self.loop, self.clock, self.length, 1, *self.versions.values(),
                           self.matched, 1, self.meter, spacing=7, margins=(12, 6, 12, 6)))
        self._equalize = QTimer(self, singleShot=True, timeout=session.listening.equalize)
        self.play.clicked.connect(player.toggle)
        self.stop.clicked.connect(player.stop)
        self.loop.toggled.connect(self._set_loop)
        self.matched.toggled.connect(session.listening.set_matched)
        player.ticked.connect(self._tick)
        player.changed.connect(self._show_playing)
        session.listening.replaced.connect(self._new_mixer)
        session.listening.changed.connect(self.refresh)
        session.changed.connect(self.refresh)
        self.refresh()

    def _new_mixer(self) -> None:
        mixer, view = self.session.listening.mixer, self.session.view
        self.player.set_mixer(mixer)
        self.meter.reset(mixer.channels)
        self.length.setText(f"/ {time_text(mixer.samples / mixer.sample_rate, 0.1)}")
        self.player.seek(view.position_s)
        self.loop.setChecked(view.loop)
        self.selection_changed()

    def refresh(self) -> None:
        listening = self.session.listening
        there = listening.mixer.names if listening.mixer else set()
        for button in (self.play, self.stop, self.loop):
            button.setEnabled(listening.mixer is not None)
        for name, button in self.versions.items():
            waiting = name == "equalized" and listening.mixer is not None  # made when it is asked for
            button.setEnabled(name in there or waiting)
        wanted = self.session.view.version
        preparing = wanted == "equalized" and wanted not in there and listening.mixer is not None
        self.versions["equalized"].setText("E   Preparing…" if preparing else "E   EQ only")
        if listening.mixer:
            if wanted == "equalized":
                self._equalize.start(CALM_MS if wanted in there else 0)
            listening.mixer.choose(wanted if wanted in there else "original")
        shown = wanted if wanted in there or preparing else "original"
        self.versions[shown].setChecked(True)

    def choose(self, version: str) -> None:
        """Hears a version: at once if it is there, otherwise as soon as it is made."""
        if self.versions[version].isEnabled():
            self.session.view.version = version
            self.refresh()

    def selection_changed(self) -> None:
        self._set_loop(self.loop.isChecked())

    def _set_loop(self, on: bool) -> None:
        mixer, view = self.session.listening.mixer, self.session.view
        view.loop = on
        if mixer is None:
            return
        span = None
        if on:
            selection = view.selection_s
            span = tuple(round(s * mixer.sample_rate) for s in selection) if selection else (0, mixer.samples)
        mixer.set_loop(span)

    def _show_playing(self) -> None:
        playing = self.player.playing
        self.play.setIcon(icon("pause" if playing else "play"))
        self.play.setAccessibleName("Pause" if playing else "Play")

    def _tick(self) -> None:
        position = self.player.position_s
        self.session.view.position_s = position
        self.clock.setText(time_text(position, 0.1))
        self.meter.show_levels(self.player.levels_db)
