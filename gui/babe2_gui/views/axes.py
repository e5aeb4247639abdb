"""Axes as engineers read them: octaves with 100, 1k, 10k; clock time; kHz."""

from __future__ import annotations

import math

import pyqtgraph as pg

from . import theme

LABELLED_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def hz_text(hz: float) -> str:
    """ "100", "1k", "1.25k"."""
    return f"{hz / 1000:.3g}k" if hz >= 999.5 else f"{hz:.3g}"


def time_text(seconds: float, step: float = 1.0) -> str:
    """ "1:05", "1:05.25", "1:02:03": as many digits as neighbours need to differ."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    whole = round(seconds, digits)
    minutes, rest = int(whole // 60), whole % 60
    hours, minutes = minutes // 60, minutes % 60
    rest_text = f"{rest:0{3 + digits if digits else 2}.{digits}f}"
    return f"{hours}:{minutes:02}:{rest_text}" if hours else f"{minutes}:{rest_text}"


def dress(axis: pg.AxisItem) -> None:
    """The look that all axes have."""
    axis.setTextPen(theme.DIM)
    axis.setPen(theme.LINE)
    axis.setStyle(tickLength=0, tickTextOffset=5, autoExpandTextSpace=False, hideOverlappingLabels=True)


def unit(plot: pg.PlotItem, text: str) -> pg.LabelItem:
    """The unit of the vertical axis, above it."""
    made = pg.LabelItem(text, color=theme.DIM, size="8pt", justify="left")
    made.setParentItem(plot)
    made.setPos(3, -2)
    return made


class FrequencyAxis(pg.AxisItem):
    """Frequency on a logarithmic scale; its values are log10 of Hz."""

    def tickValues(self, low, high, size):
        labelled = [math.log10(hz) for hz in LABELLED_HZ if low <= math.log10(hz) <= high]
        if high - low < 0.5:  # zoomed far in: labels from pyqtgraph's own rule for Hz
            ticks = super().tickValues(10 ** low, 10 ** high, size)[:2]
            return [(spacing, [math.log10(hz) for hz in hzs if hz > 0]) for spacing, hzs in ticks]
        fine = [math.log10(digit * 10 ** decade) for decade in range(1, 5) for digit in range(1, 10)]
        return [(1.0, labelled), (0.1, [value for value in fine if low <= value <= high and value not in labelled])]

    def tickStrings(self, values, scale, spacing):
        return [hz_text(10 ** value) if spacing != 0.1 else "" for value in values]


class TimeAxis(pg.AxisItem):
    """Seconds as clock time."""

    def tickStrings(self, values, scale, spacing):
        return [time_text(value, spacing) if value >= 0 else "" for value in values]
