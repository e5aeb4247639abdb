"""The timeline in the real window: a passage selected in it, zoom, and what is drawn."""

import numpy as np
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QPointF, Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402

from hands import drag, wheel  # noqa: E402


def test_a_passage_is_selected_and_both_rows_zoom_together(opened, wait):
    timeline = opened.timeline
    wait(lambda: timeline.upper.image.image is not None)
    row = timeline.upper
    a, b = (QPointF(row.mapFromScene(row.box.mapViewToScene(QPointF(s, 2.0)))) for s in (0.4, 1.0))
    drag(timeline.upper, a, (a + b) / 2, b)
    begin, end = opened.session.view.selection_s
    assert begin == pytest.approx(0.4, abs=0.01) and end == pytest.approx(1.0, abs=0.01)
    assert timeline.upper.region.isVisible() and opened.restore_panel.passage.isEnabled()
    wheel(timeline.lower, a, 3)
    assert timeline.upper.time() == pytest.approx(timeline.lower.time())
    assert timeline.upper.time()[1] - timeline.upper.time()[0] < 0.8
    timeline.fit()
    assert timeline.upper.time() == pytest.approx((0.0, opened.session.recording.duration_s))
    drag(timeline.upper, b, b)  # a click
    assert opened.session.view.selection_s is None and opened.player.position_s == pytest.approx(1.0, abs=0.01)


def test_waveforms_and_spectrograms_are_drawn(opened, wait):
    timeline = opened.timeline
    wait(lambda: timeline.upper.image.image is not None)
    image = timeline.upper.image.image
    assert np.ptp(image) > 60  # dB: it shows something
    opened.activateWindow()
    QTest.keyClick(opened.eq.plot, Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    assert timeline.wave.isChecked()
    wait(lambda: timeline.upper.wave.getData()[1] is not None and len(timeline.upper.wave.getData()[1]) > 100)
    peak = np.abs(opened.session.recording.audio).max()
    assert np.abs(timeline.upper.wave.getData()[1]).max() == pytest.approx(peak, abs=1e-4)
