"""Learned equalizers as files, for tests of what is made of them."""

import json

import numpy as np


def breakpoints(hz, *points):
    """A response in dB: straight lines over log frequency through (Hz, dB), and 80 dB per octave beyond."""
    octaves, at, db = np.log2(hz), *np.array(points, float).T
    steep = 80 * np.maximum(np.log2(at[0]) - octaves, octaves - np.log2(at[-1])).clip(0)
    return np.maximum(np.interp(octaves, np.log2(at), db) - steep, -120)


def horn(hz):
    """A smooth response with resonances, falling at 12 dB per octave below 150 Hz and 24 above 4.5 kHz."""
    bumps = sum(gain * np.exp(-(np.log2(hz / at) / width) ** 2)
                for gain, at, width in ((6, 700, 0.2), (9, 1600, 0.25), (-5, 3000, 0.3)))
    return bumps - 10 * np.log10(1 + (150 / hz) ** 4) - 10 * np.log10(1 + (hz / 4500) ** 8)


RESPONSES = {
    # As in babe2's own exports: 400 points up to the prior's Nyquist frequency.
    "78": (np.geomspace(20, 11025, 400), lambda hz: breakpoints(hz, (150, -14), (420, -3), (1000, 0), (1800, 4),
                                                                 (3600, -10))),
    "horn": (np.geomspace(20, 22050, 400), horn),
    "tape": (np.geomspace(20, 22050, 400), lambda hz: breakpoints(hz, (30, -6), (100, 2), (1000, 0), (9000, -12))),
    "dull": (np.geomspace(20, 11025, 400), lambda hz: -3 * np.log2(hz / 1000).clip(0)),  # no edge within its range
    "notched": (np.geomspace(20, 22050, 400),
                lambda hz: breakpoints(hz, (80, -3), (1000, 0), (5000, -5))
                - 30 * np.exp(-(np.log2(hz / 2000) / 0.2) ** 2)),
    "flat": (np.array([20.0, 20000.0]), np.zeros_like),
}


def write_eq(folder, name="78", **changes):
    hz, response = RESPONSES[name]
    values = {"freqs_hz": [round(float(f), 3) for f in hz], "response_db": [round(float(v), 3) for v in response(hz)],
              "breakpoints_hz": None, "slopes_db_per_octave": None, "reference_hz": 1000.0, **changes}
    path = folder / "EQ.json"
    path.write_text(json.dumps(values))
    return path
