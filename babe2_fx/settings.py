"""Every hyper-parameter of a restoration (paper, Table 3), in one frozen dataclass."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace


def _setting(default, help: str, low: float | None = None, high: float | None = None,
             choices: tuple[str, ...] | None = None):
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """How a recording is restored. Noise levels are in the prior's domain, at the prior's level.

    Raises:
        ValueError: a value is outside its range; the message names it, its value and the range.
    """

    # The sampler (Eq. 16; Karras et al., Algorithm 2)
    steps: int = _setting(51, "discretisation steps T; twice as many evaluations of the network", 2, 1000)
    sigma_start: float = _setting(0.5, "noise level at the start", 1e-6, 1e3)
    sigma_min: float = _setting(4e-5, "last noise level before zero", 1e-8, 1e3)
    rho: float = _setting(13.0, "warping of the noise levels", 1.0, 100.0)
    s_churn: float = _setting(10.0, "stochasticity of the sampler", 0.0, 1000.0)
    order: int = _setting(2, "1: Euler, 2: Heun with correction", 1, 2)
    # Guidance (Eqs. 5, 12, 17; Sec. 3.3)
    guidance: str = _setting("gradient", "gradient: the paper's, through the network; direct: the estimate is "
                             "corrected in closed form, at less than half the cost", choices=("gradient", "direct"))
    observation_noise_db: float = _setting(-30.0, "noise assumed in the recording, against its level, by the direct "
                                           "guidance", -120.0, 20.0)
    recording_noise: str = _setting("ignored", "measured: what stays in the pauses of the recording is not taken for "
                                    "music by LTAS-EQ, the filter fit and the direct guidance",
                                    choices=("ignored", "measured"))
    extension: str = _setting("none", "what the direct guidance makes highs above the recording's band limit of. "
                              "octave: of the octave below, which the prior goes on from; none: of noise",
                              choices=("none", "octave"))
    xi: float = _setting(1.0, "step size of the guidance, ξ'", 0.0, 100.0)
    noise_regularization: float = _setting(0.25, "noise added to the observation, γ", 0.0, 1e3)
    # The filter (Secs. 3.1, 3.2, App. A.4)
    filter_fit: str = _setting("adam", "how the breakpoint EQ is fitted at each step",
                               choices=("adam", "sgd", "global", "none"))
    filter_shape: str = _setting("equalizer", "equalizer: five free breakpoints; lowpass: strictly decaying (BABE)",
                                 choices=("equalizer", "lowpass"))
    filter_learning_rate: float = _setting(10.0, "step size of the filter's optimiser", 1e-6, 1e4)
    filter_iterations: int = _setting(100, "iterations of the filter's optimiser a step", 1, 10000)
    collapse_weight: float = _setting(10.0, "weight of the breakpoint-collapse regularisation", 0.0, 1e4)
    collapse_decay: float = _setting(0.1, "its decay rate β, per Hz", 1e-6, 1e3)
    # LTAS-EQ (Sec. 3.4)
    ltas: str = _setting("objective", "what LTAS-EQ is used for: off, the initial signal, initial signal and "
                         "objective, or alone as a plain equalizer", choices=("off", "initial", "objective", "only"))
    ltas_floor_db: float = _setting(-20.0, "lowest LTAS response that is inverted", -120.0, 0.0)
    ltas_margin: float = _setting(0.0, "how much of a deviation from the reference is taken for the music's own and "
                                  "left alone, in standard deviations of the spectra of recordings; nothing is where "
                                  "the user gives a target", 0.0, 10.0)
    # Whole recordings (App. A.5)
    blocks: str = _setting("autoregressive", "autoregressive: block after block, the filter carried on; "
                           "time-invariant: one filter estimated first, then all blocks with it",
                           choices=("autoregressive", "time-invariant"))
    overlap: float = _setting(0.1, "share of a block that overlaps the one before", 0.0, 0.5)
    estimation_blocks: int = _setting(2, "blocks from the middle of the recording that the filter is estimated on "
                                      "in time-invariant processing", 1, 16)
    channels: str = _setting("auto", "auto: channels that hold one signal are summed, others share a filter; mono: all "
                             "are summed; linked: all share a filter; independent: each has its own",
                             choices=("auto", "mono", "linked", "independent"))
    low_band: str = _setting("keep", "what lies below the prior's lowest octave: keep the recording's own, or drop it",
                             choices=("keep", "drop"))
    high_band: str = _setting("drop", "what lies above the prior's highest frequency: drop it, for in old recordings "
                              "it is noise, or keep the recording's own", choices=("keep", "drop"))
    seed: int = _setting(0, "seed of all random numbers", 0, 2 ** 63 - 1)

    def __post_init__(self):
        for item in fields(self):
            value, meta = getattr(self, item.name), item.metadata
            if meta["choices"]:
                if value not in meta["choices"]:
                    raise ValueError(f"{item.name} must be one of {', '.join(meta['choices'])}, not {value!r}.")
                continue
            kind = int if item.type == "int" else float
            if isinstance(value, bool) or not isinstance(value, (int, float)) or (
                    kind is int and math.isfinite(value) and value != int(value)):
                raise ValueError(f"{item.name} must be {'a whole number' if kind is int else 'a number'}, "
                                 f"not {value!r}.")
            if not math.isfinite(value) or not meta["low"] <= value <= meta["high"]:
                raise ValueError(f"{item.name} must lie from {meta['low']:g} to {meta['high']:g}, not {value!r}.")
            object.__setattr__(self, item.name, kind(value))
        if self.sigma_min >= self.sigma_start:
            raise ValueError(f"sigma_min ({self.sigma_min:g}) must be below sigma_start ({self.sigma_start:g}).")

    def replace(self, **changes) -> "Settings":
        """A copy with some values changed. Raises ValueError for an unknown name or a bad value."""
        unknown = sorted(set(changes) - {item.name for item in fields(self)})
        if unknown:
            raise ValueError(f"There is no setting called {unknown[0]!r}.")
        return replace(self, **changes)


# The paper's baselines (Sec. 4), as changes of any settings.
_AS_PUBLISHED = {"recording_noise": "ignored", "extension": "none", "ltas_margin": 0.0}
BASELINES = {
    "ltas-eq": _AS_PUBLISHED | {"ltas": "only"},
    "babe": _AS_PUBLISHED | {
        "ltas": "off", "guidance": "gradient", "order": 2, "filter_fit": "sgd", "filter_shape": "lowpass",
        "collapse_weight": 0.0, "noise_regularization": 0.0, "sigma_start": 0.2, "sigma_min": 1e-4, "rho": 8.0,
        "s_churn": 20.0, "xi": 0.2},
}


def baseline(name: str, settings: Settings) -> Settings:
    """`settings` changed into one of the paper's baselines, "ltas-eq" or "babe" (with its published values)."""
    if name not in BASELINES:
        raise ValueError(f"There is no baseline called {name!r}; there are {', '.join(BASELINES)}.")
    return settings.replace(**BASELINES[name])
