"""A take: one render that was kept, with what was learned in it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np

from .curve import TargetCurve
from .options import RenderOptions


@dataclass(frozen=True)
class Learned:
    """The learned response of the medium: over frequency, and its breakpoints (none, if it has none).

    deviation_db: its standard deviation, as many values as `hz`, NaN where it is not known; None: nowhere.
    """

    hz: np.ndarray
    db: np.ndarray
    breakpoints_hz: tuple[float, ...] = ()
    slopes_db_per_octave: tuple[float, ...] = ()
    reference_hz: float = 1000.0
    deviation_db: np.ndarray | None = None

    @classmethod
    def of(cls, progress) -> "Learned":
        """From a `Progress` with an equalizer: the response as it stands, with what was undone before sampling."""
        equalizer = progress.equalizer
        hz = np.geomspace(20, equalizer.sample_rate / 2, 300)
        db = equalizer.response_db(hz)
        if progress.removed is not None:
            removed = progress.removed.double().cpu().numpy()
            bins_hz = np.linspace(0, equalizer.sample_rate / 2, len(removed))
            removed_db = 20 * np.log10(np.maximum(np.interp(hz, bins_hz, removed), 1e-6))
            db = db + removed_db - np.interp(equalizer.reference_hz, hz, removed_db)
        doubt_db = None
        if progress.deviation_db is not None:
            # Here, because it loads PyTorch, which the window need not wait for.
            from babe2_fx.restoration.result import deviation_at
            doubt_db = deviation_at(hz, progress.deviation_db, equalizer.sample_rate)
        return cls(hz, np.maximum(db, -120.0), equalizer.breakpoints_hz, equalizer.slopes_db_per_octave,
                   equalizer.reference_hz, doubt_db)

    @property
    def breakpoints(self) -> tuple[np.ndarray, np.ndarray]:
        """Where to mark the breakpoints on the curve: Hz and dB, (5,) each or empty."""
        hz = np.array(self.breakpoints_hz)
        return hz, np.interp(np.log2(np.maximum(hz, 1.0)), np.log2(self.hz), self.db) if len(hz) else hz

    def export(self) -> dict:
        """As `RestorationResult.eq_export` has it."""
        from babe2_fx.restoration.result import deviation_export
        return {"freqs_hz": [round(float(f), 3) for f in self.hz], "response_db": [round(float(v), 3) for v in self.db],
                "deviation_db": deviation_export(self.deviation_db),
                "breakpoints_hz": list(self.breakpoints_hz) or None,
                "slopes_db_per_octave": list(self.slopes_db_per_octave) or None, "reference_hz": self.reference_hz}


@dataclass(frozen=True, eq=False)
class Take:
    """A render.

    audio: (channels, samples) float32 · start: the sample of the recording that it begins with · target: the one
    that it was rendered with, None for the preset's · spectra: (Hz, input dB, restored dB), third octaves, or None
    where nothing was measured · notes: what the engine decided, as sentences · taken_s: how long it took.
    """

    name: str
    audio: np.ndarray
    start: int
    options: RenderOptions
    target: TargetCurve | None = None
    learned: Learned | None = None
    spectra: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    taken_s: float = 0.0
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def samples(self) -> int:
        return self.audio.shape[1]

    def is_whole(self, samples: int) -> bool:
        """Whether it covers a recording of so many samples."""
        return self.start == 0 and self.samples == samples
