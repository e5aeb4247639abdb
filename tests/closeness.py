"""How far numbers are from those of the published implementation."""

import numpy as np


def relative(value, expected) -> float:
    """The largest deviation, in units of the largest expected magnitude."""
    value, expected = np.asarray(value), np.asarray(expected)
    return float(np.abs(value - expected).max() / np.abs(expected).max())
