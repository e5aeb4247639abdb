"""The EQ view in the real window: the target under the mouse and the keys, its numbers, and the legend."""

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import QEvent, QPointF, Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402

from babe2_gui.model.render import RenderState  # noqa: E402
from babe2_gui.model.take import Learned  # noqa: E402
from babe2_gui.views import theme  # noqa: E402
from hands import LEFT, drag, key, mouse, wheel  # noqa: E402


def test_a_point_is_dragged_to_where_the_mouse_is(opened, wait):
    plot, session = opened.eq.plot, opened.session
    hz, db = session.shown_target.points[2]
    drag(plot, plot.place(hz, db), plot.place(hz * 1.01, db - 3), plot.place(hz * 1.05, db - 10))
    moved = session.document.target.points[2]
    assert moved[0] == pytest.approx(hz * 1.05, rel=0.02) and moved[1] == pytest.approx(db - 10, abs=0.5)
    assert opened.eq.hz.value() == pytest.approx(moved[0], abs=0.1)
    opened.menus.undo.trigger()
    assert session.document.target is None  # one step, whatever the way of the mouse


def test_points_are_added_by_double_click_and_deleted_by_key(opened):
    plot, session = opened.eq.plot, opened.session
    count = len(session.shown_target.points)
    mouse(plot, QEvent.Type.MouseButtonDblClick, plot.place(4000.0, 5.0))
    target = session.document.target
    assert len(target.points) == count + 1
    index = next(iter(session.selected))
    assert target.points[index][0] == pytest.approx(4000, rel=0.02)
    assert target.points[index][1] == pytest.approx(5.0, abs=0.3)
    key(plot, Qt.Key.Key_Delete)
    assert len(session.document.target.points) == count and not session.selected


def test_the_keys_do_what_the_mouse_does(opened):
    plot, session = opened.eq.plot, opened.session
    key(plot, Qt.Key.Key_N)
    assert session.selected == {0}
    key(plot, Qt.Key.Key_N)
    before = session.shown_target.points[1]
    key(plot, Qt.Key.Key_Up)
    key(plot, Qt.Key.Key_Right)
    after = session.document.target.points[1]
    assert after[1] == pytest.approx(before[1] + 0.5) and after[0] > before[0]
    key(plot, Qt.Key.Key_P)
    assert session.selected == {0}


def test_several_points_are_selected_with_a_frame_and_moved_together(opened):
    plot, session = opened.eq.plot, opened.session
    (low, high), (bottom, top) = plot.view()
    drag(plot, plot.place(low * 1.01, top - 0.5), plot.place(300, 0), plot.place(1000, bottom + 0.5))
    inside = {i for i, (hz, _) in enumerate(session.shown_target.points) if hz < 1000}
    assert session.selected == inside and len(inside) > 1
    hz, db = session.shown_target.points[0]
    before = session.shown_target.db
    drag(plot, plot.place(hz, db), plot.place(hz, db - 6))
    change = session.document.target.db - before
    assert np.allclose(change[:len(inside)], -6, atol=0.5) and np.allclose(change[len(inside):], 0)


def test_the_wheel_changes_the_slope_under_it_and_with_control_zooms(opened):
    plot, session = opened.eq.plot, opened.session
    before = session.shown_target
    position = plot.place(5000.0, 0.0)
    wheel(plot, position, 2)
    index = int(np.searchsorted(before.hz, 5000.0)) - 1
    assert session.document.target.slope_after(index) == pytest.approx(before.slope_after(index) + 1.0)
    (low, high), _ = plot.view()
    document = session.document
    wheel(plot, position, 3, Qt.KeyboardModifier.ControlModifier)
    assert math.log(plot.view()[0][1] / plot.view()[0][0]) < 0.8 * math.log(high / low)
    assert session.document is document


def test_a_target_is_drawn_by_hand(opened):
    plot, session = opened.eq.plot, opened.session
    QTest.mouseClick(opened.eq.draw, LEFT)
    drag(plot, *(plot.place(hz, -20.0) for hz in np.geomspace(600, 5000, 40)))
    assert np.allclose(session.document.target.at([700, 2000, 4500]), -20, atol=0.6)
    assert session.history.undo_label == "Draw target"


def test_numbers_are_entered_for_the_selected_point(opened):
    eq, session = opened.eq, opened.session
    key(eq.plot, Qt.Key.Key_N)
    key(eq.plot, Qt.Key.Key_N)
    for box, text in ((eq.hz, "250"), (eq.db, "-4.5")):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)
    assert session.document.target.points[1] == (250.0, -4.5)
    eq.slope.setValue(-2.0)
    assert session.document.target.slope_after(1) == pytest.approx(-2.0, abs=1e-6)


def test_a_curve_is_switched_off_in_the_legend(opened):
    plot, entry = opened.eq.plot, opened.eq.legend["target"]
    assert plot.curves["target"].isVisible()
    QTest.mouseClick(entry, LEFT)
    assert not plot.curves["target"].isVisible() and not plot.points.isVisible()
    assert opened.session.view.hidden == ("target",)
    QTest.mouseClick(entry, LEFT)
    assert plot.curves["target"].isVisible()


def test_curves_are_told_apart_without_their_colours():
    looks = {(style.stroke, style.width) for style in theme.CURVES.values()}
    assert len(looks) == len(theme.CURVES)


def told(**changes):
    """A learned response with a gap in its deviation."""
    hz = np.geomspace(20, 11025, 300)
    doubt_db = np.where((hz > 90) & (hz < 5000) & ~((hz > 1000) & (hz < 1100)), 2.0, np.nan)
    return Learned(hz, -12 * np.log2(hz / 3000).clip(0), (50.0, 500.0, 1000.0, 3000.0, 6000.0), (0.0, 0.0, -1.0, -12.0),
                   1000.0, **{"deviation_db": doubt_db, **changes})


def test_the_deviation_is_a_band_around_the_learned_curve_with_gaps_where_nothing_is_known(opened, wait):
    plot, entry = opened.eq.plot, opened.eq.legend["deviation"]
    assert entry.isHidden() and plot.learned.band.path().isEmpty()
    opened.session.progressed(RenderState(0.5, 1, 1, 2, 5, 0.1, None, told()))
    path = plot.learned.band.path()

    def within(hz, db):
        return path.contains(QPointF(math.log10(hz), db))
    assert within(500, 1.9) and within(500, -1.9) and not within(500, 2.1) and not within(500, -2.1)
    assert within(4000, -12 * math.log2(4 / 3)) and not within(1050, 0) and not within(60, 0) and not within(8000, -17)
    assert not entry.isHidden() and "standard deviation" in entry.toolTip()
    moved = replace(told(), db=told().db - 3)
    opened.session.progressed(RenderState(0.6, 1, 1, 3, 5, 0.1, None, moved))
    wait(lambda: plot.learned.band.path().contains(QPointF(math.log10(500), -4.9)))  # it glides with the curve
    opened.session.progressed(RenderState(0.7, 1, 1, 4, 5, 0.1, None, told(deviation_db=None)))
    assert entry.isHidden()
    wait(lambda: plot.learned.band.path().isEmpty())


def test_the_band_is_switched_off_alone_or_with_its_curve(opened):
    plot, legend = opened.eq.plot, opened.eq.legend
    opened.session.progressed(RenderState(0.5, 1, 1, 2, 5, 0.1, None, told()))
    assert plot.learned.band.isVisible()
    legend["deviation"].click()
    assert not plot.learned.band.isVisible() and plot.curves["learned"].isVisible()
    legend["deviation"].click()
    legend["learned"].click()
    assert not plot.learned.band.isVisible() and not plot.curves["learned"].isVisible()
