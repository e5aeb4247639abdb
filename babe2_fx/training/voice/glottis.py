"""The voice source: harmonics of the Liljencrants-Fant (LF) model of the glottal flow's derivative.

G. Fant, J. Liljencrants and Q. Lin, "A four-parameter model of glottal flow", STL-QPSR 4/1985; the
one-parameter family Rd (0.3 pressed and bright, 2.7 soft and breathy) is from G. Fant, "The LF-model
revisited", STL-QPSR 2-3/1995. The derivative of the flow includes the lips' radiation.
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq

RD_GRID = np.linspace(0.3, 2.7, 49)
MOST_HARMONICS = 140


def lf_parameters(rd):
    """Fant's (1995) predictions for a pulse of period 1 and peak -1: (tp, te, ta, alpha, epsilon)."""
    ra = (4.8 * rd - 1.0) / 100
    rk = (22.4 + 11.8 * rd) / 100
    rg = rk / (4 * (0.11 * rd / (0.5 + 1.2 * rk) - ra))
    tp = 1 / (2 * rg)
    te = tp * (1 + rk)
    rest = 1 - te
    # The return phase must reach zero at the period's end; the flow must return to where it began.
    epsilon = brentq(lambda e: e * ra - 1 + np.exp(-e * rest), 1e-3 / ra, 2 / ra)
    returned = -((1 - np.exp(-epsilon * rest)) / epsilon - rest * np.exp(-epsilon * rest)) / (epsilon * ra)

    def net_flow(alpha):
        return _open_phase(alpha, tp, te, 0.0).real + returned

    return tp, te, ra, brentq(net_flow, -60.0, 60.0), epsilon


def _open_phase(alpha, tp, te, omega):
    # Fourier integral of E0 exp(alpha t) sin(pi t / tp) from 0 to te, E0 such that the value at te is -1.
    growth, turn = alpha - 1j * np.asarray(omega), 1j * np.pi / tp
    up, down = growth + turn, growth - turn
    peak = -1 / (np.exp(alpha * te) * np.sin(np.pi * te / tp))
    return peak / 2j * (np.expm1(up * te) / up - np.expm1(down * te) / down)


def lf_harmonics(rd, count):
    """Complex Fourier coefficients (count,) of the harmonics of an LF pulse train, its phase zero at the closure."""
    tp, te, ta, alpha, epsilon = lf_parameters(rd)
    omega = 2 * np.pi * np.arange(1, count + 1)
    rest = 1 - te
    decay = epsilon + 1j * omega
    closing = (1 - np.exp(-decay * rest)) / decay
    closing = closing - np.exp(-epsilon * rest) * (1 - np.exp(-1j * omega * rest)) / (1j * omega)
    # Phases count from the closure, the strongest event of the cycle, so that pulses of neighbouring Rd blend.
    return 2 * (_open_phase(alpha, tp, te, omega) * np.exp(1j * omega * te) - closing / (epsilon * ta))


@cache
def _table():
    return np.stack([lf_harmonics(rd, MOST_HARMONICS) for rd in RD_GRID])


def source_harmonics(rd, count):
    """Harmonics (frames, count) complex of pulses of peak 1 for rd (frames,), clipped to 0.3..2.7."""
    place = np.clip((np.asarray(rd) - RD_GRID[0]) / (RD_GRID[1] - RD_GRID[0]), 0, len(RD_GRID) - 1.001)
    row = place.astype(int)
    share = (place - row)[:, None]
    table = _table()[:, :count]
    return (1 - share) * table[row] + share * table[row + 1]


def open_quotient(rd):
    """Share of the period in which the flow is not at rest, return phase included."""
    _, te, ta, _, _ = lf_parameters(rd)
    return te + ta
