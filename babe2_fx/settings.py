"""Every hyper-parameter of a restoration (paper, Table 3): in parts, some of them with variants, and by flat names.

A part with variants is a tagged union: `guidance` is `Gradient` or `Direct`, each with only the settings it uses.
Settings given by name (`--set`, presets, the app, `Settings.replace`) share one flat list, `NAMES`, made from the
variants: a part's tag is a name like any other, and a name that the chosen variant lacks is an error that says which
variant has it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar

from .attributes import nearest
from .errors import UserError


class SettingError(UserError, ValueError):
    """A setting that does not exist, has a bad value or does nothing here; the message says which and why."""


def _setting(default: Any, help: str, low: float = -math.inf, high: float = math.inf,
             choices: tuple[str, ...] | None = None) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class _Values:
    """Settings of one variant. Raises SettingError naming a value outside its range, and the range."""

    tag: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, NAMES[item.name].checked(getattr(self, item.name)))


@dataclass(frozen=True)
class Solver(_Values):
    """The sampler (Eq. 16; Karras et al., Algorithm 2)."""

    steps: int = _setting(51, "discretisation steps T; twice as many evaluations of the network", 2, 1000)
    sigma_start: float = _setting(0.5, "noise level at the start", 1e-6, 1e3)
    sigma_min: float = _setting(4e-5, "last noise level before zero", 1e-8, 1e3)
    rho: float = _setting(13.0, "warping of the noise levels", 1.0, 100.0)
    s_churn: float = _setting(10.0, "stochasticity of the sampler", 0.0, 1000.0)
    order: int = _setting(2, "1: Euler, 2: Heun with correction", 1, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma_min >= self.sigma_start:
            raise SettingError(f"sigma_min ({self.sigma_min:g}) must be below sigma_start ({self.sigma_start:g}).",
                               name="sigma_min", value=self.sigma_min)


@dataclass(frozen=True)
class Gradient(_Values):
    """Guidance through the network (Eqs. 4, 5, 17; Sec. 3.3)."""

    tag = "gradient"
    xi: float = _setting(1.0, "step size of the guidance, ξ'", 0.0, 100.0)
    noise_regularization: float = _setting(0.25, "noise added to the observation, γ", 0.0, 1e3)


@dataclass(frozen=True)
class Direct(_Values):
    """The estimate corrected in closed form (`beyond/direct_guidance.py`)."""

    tag = "direct"
    observation_noise_db: float = _setting(-30.0, "noise assumed in the recording, relative to its level", -120.0, 20.0)
    levels: str = _setting("learned", "the level that music is expected to have where the recording does not say. "
                           "learned: from what it says elsewhere, by the prior's level model if it has one; long-term: "
                           "from the prior's long-term spectrum", choices=("learned", "long-term"))


@dataclass(frozen=True)
class Adam(_Values):
    """The paper's fit of the breakpoint EQ (Secs. 3.1, 3.2, App. A.4)."""

    tag = "adam"
    filter_shape: str = _setting("equalizer", "equalizer: five free breakpoints; lowpass: strictly decaying (BABE)",
                                 choices=("equalizer", "lowpass"))
    filter_learning_rate: float = _setting(10.0, "step size of the filter's optimiser", 1e-6, 1e4)
    filter_iterations: int = _setting(100, "iterations of the filter's optimiser per step", 1, 10000)
    collapse_weight: float = _setting(10.0, "weight of the breakpoint-collapse regularisation", 0.0, 1e4)
    collapse_decay: float = _setting(0.1, "its decay rate β, per Hz", 1e-6, 1e3)


@dataclass(frozen=True)
class Sgd(Adam):
    """The same with plain gradient descent, as in BABE."""

    tag = "sgd"


@dataclass(frozen=True)
class Bands(_Values):
    """Band levels, fitted as a whole at every step (`beyond/band_fit.py`)."""

    tag = "global"


@dataclass(frozen=True)
class Known(_Values):
    """No EQ is fitted: there is only what LTAS-EQ finds, or a given operator."""

    tag = "none"


@dataclass(frozen=True)
class LongTerm(_Values):
    """What the long-term spectrum is taken to say about the medium (Sec. 3.4)."""

    ltas: str = _setting("objective", "what LTAS-EQ is used for: off, the initial signal, initial signal and "
                         "objective, or alone as a plain equalizer", choices=("off", "initial", "objective", "only"))
    response_prior: str = _setting("ltas", "what is known of the response before the fit. learned: what the prior's "
                                   "response model finds, as surely as it claims; ltas: the long-term spectrum against "
                                   "the reference (also with a target, and if the prior has no such model); none: as "
                                   "ltas, but the fit is not held to it", choices=("learned", "ltas", "none"))
    ltas_floor_db: float = _setting(-20.0, "lowest LTAS response that is inverted", -120.0, 0.0)


@dataclass(frozen=True)
class Autoregressive(_Values):
    """Block after block, each knowing the end of the one before; the filter carries over (App. A.5)."""

    tag = "autoregressive"
    overlap: float = _setting(0.1, "share of a block that overlaps the one before", 0.0, 0.5)


@dataclass(frozen=True)
class TimeInvariant(Autoregressive):
    """One filter is estimated first, then all blocks are restored with it."""

    tag = "time-invariant"
    estimation_blocks: int = _setting(2, "blocks from the middle of the recording that the filter is estimated on",
                                      1, 16)


@dataclass(frozen=True)
class RecordingSettings(_Values):
    """How the recording itself is treated."""

    recording_noise: str = _setting("ignored", "measured: LTAS-EQ, the filter fit and the direct guidance do not take "
                                    "what remains in the recording's pauses for music",
                                    choices=("ignored", "measured"))
    channels: str = _setting("auto", "auto: channels that hold one groove are summed, others share a filter; mono: all "
                             "are summed; linked: all share a filter; independent: each has its own; those "
                             "without music take no part",
                             choices=("auto", "mono", "linked", "independent"))
    low_band: str = _setting("keep", "what is below the prior's lowest octave: keep the recording's own, or drop it",
                             choices=("keep", "drop"))
    high_band: str = _setting("drop", "what is above the prior's highest frequency: drop it (in old recordings it is "
                              "noise), or keep the recording's own", choices=("keep", "drop"))
    seed: int = _setting(0, "seed of all random numbers", 0, 2 ** 63 - 1)


@dataclass(frozen=True)
class Name:
    """A setting by its flat name: its default, what it does, its range or choices.

    part: where it belongs in `Settings` · tag: whether it chooses that part's variant · variants: the tags of those
    that have it; empty if the part has no variants.
    """

    name: str
    part: str
    default: Any
    help: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] | None = None
    tag: bool = False
    variants: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        """The allowed values, in words."""
        return ", ".join(self.choices) if self.choices else f"{self.low:g} to {self.high:g}"

    def checked(self, value: Any) -> Any:
        """The value in its own type. Raises SettingError."""
        def wrong(expected: str) -> SettingError:
            return SettingError(f"{self.name} must {expected}, not {value!r}.", name=self.name, value=value)
        if self.choices:
            if value not in self.choices:
                raise wrong(f"be one of {', '.join(self.choices)}")
            return value
        whole, number = isinstance(self.default, int), isinstance(value, Real) and not isinstance(value, bool)
        if not number or (whole and math.isfinite(value) and value != int(value)):
            raise wrong(f"be {'a whole number' if whole else 'a number'}")
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise wrong(f"lie from {self.low:g} to {self.high:g}")
        return type(self.default)(value)


# Part of `Settings`: the name that chooses its variant, what that does, and the variants, default first.
_PARTS: dict[str, tuple[str, str, tuple[type[_Values], ...]]] = {
    "solver": ("", "", (Solver,)),
    "guidance": ("guidance", "gradient: the paper's, through the network; direct: the estimate is corrected in closed "
                 "form, at less than half the cost", (Gradient, Direct)),
    "fit": ("filter_fit", "how the breakpoint EQ is fitted at each step", (Adam, Sgd, Bands, Known)),
    "spectrum": ("", "", (LongTerm,)),
    "blocks": ("blocks", "autoregressive: block after block, the filter carried on; time-invariant: one filter "
               "estimated first, then all blocks with it", (Autoregressive, TimeInvariant)),
    "recording": ("", "", (RecordingSettings,)),
}
_SAMPLING = ("solver", "guidance", "fit", "blocks")  # parts without effect if nothing is sampled


def _names() -> dict[str, Name]:
    result = {}
    for part, (tag, help, variants) in _PARTS.items():
        if tag:
            tags = tuple(variant.tag for variant in variants)
            result[tag] = Name(tag, part, tags[0], help, choices=tags, tag=True)
        for variant in variants:
            for item in fields(variant):
                having = tuple(v.tag for v in variants if tag and item.name in {f.name for f in fields(v)})
                result.setdefault(item.name, Name(item.name, part, item.default, **item.metadata, variants=having))
    return result


NAMES = _names()
# Of earlier versions: what became of them, as the end of a sentence.
REMOVED = {"ltas_margin": "what is the music's own is told by the prior's response model (response_prior = learned)"}


def unknown_setting(name: str) -> str:
    """What to say of a name that no setting has, as a clause."""
    if name in REMOVED:
        return f"there is no setting {name} any more: {REMOVED[name]}"
    return f"there is no setting called {name!r}{nearest(name, NAMES, ' (did you mean {!r}?)')}"


def check_values(values: dict[str, Any]) -> None:
    """Checks each setting on its own, whatever it will be combined with.

    Raises SettingError for an unknown name or a bad value.
    """
    for name, value in values.items():
        if name not in NAMES:
            words = unknown_setting(name)
            raise SettingError(f"{words[0].upper()}{words[1:]}.", "unknown-setting", name=name)
        NAMES[name].checked(value)


@dataclass(frozen=True)
class Settings:
    """How a recording is restored. Noise levels are in the prior's domain, at the prior's level.

    The defaults are the paper's values for piano.
    """

    solver: Solver = Solver()
    guidance: Gradient | Direct = Gradient()
    fit: Adam | Sgd | Bands | Known = Adam()
    spectrum: LongTerm = LongTerm()
    blocks: Autoregressive | TimeInvariant = Autoregressive()
    recording: RecordingSettings = RecordingSettings()

    def __post_init__(self) -> None:
        for part, (_, _, variants) in _PARTS.items():
            if type(getattr(self, part)) not in variants:
                raise SettingError(f"{part} must be {' or '.join(v.__name__ for v in variants)}, not "
                                   f"{getattr(self, part)!r}; `Settings.of` takes settings by name.", name=part)

    @classmethod
    def of(cls, **values: Any) -> "Settings":
        """The paper's settings with some changed, by their flat names. Raises as `replace` does."""
        return cls().replace(**values)

    def flat(self) -> dict[str, Any]:
        """The names that have an effect, with their values."""
        values = {}
        for part, (tag, _, _) in _PARTS.items():
            chosen = getattr(self, part)
            if tag:
                values[tag] = chosen.tag
            values |= {item.name: getattr(chosen, item.name) for item in fields(chosen)}
        return {name: values[name] for name in NAMES if name in values and not self.idle(name)}

    def __getitem__(self, name: str) -> Any:
        """A value by its flat name. Raises KeyError for one that has no effect."""
        return self.flat()[name]

    def replace(self, **changes: Any) -> "Settings":
        """A copy with some values changed, by their flat names. Changing a variant keeps the values both have.

        Raises:
            SettingError: an unknown name, a bad value, or a name that does nothing in the variants chosen.
        """
        check_values(changes)
        parts: dict[str, Any] = {}
        for part, (tag, _, variants) in _PARTS.items():
            before = getattr(self, part)
            wanted = changes.get(tag, before.tag)
            chosen = next(variant for variant in variants if variant.tag == wanted)
            own = {item.name for item in fields(chosen)}
            kept = {item.name: getattr(before, item.name) for item in fields(before) if item.name in own}
            parts[part] = chosen(**kept | {name: changes[name] for name in changes if name in own})
        result = dataclasses.replace(self, **parts)
        for name in changes:
            why = result.idle(name)
            if why:
                raise SettingError(f"{name} does nothing with {why}.", "idle-setting", name=name, value=changes[name])
        return result

    def idle(self, name: str) -> str:
        """Why a setting of this name has no effect, as the end of a sentence; empty if it has one."""
        known = NAMES[name]
        if self.spectrum.ltas == "only" and (known.part in _SAMPLING or name == "low_band"):
            return "ltas = only, which samples nothing"
        tag, _, variants = _PARTS[known.part]
        chosen = getattr(self, known.part).tag
        if not known.tag and tag and chosen not in known.variants:
            return f"{tag} = {chosen}; it belongs to {tag} = {' or '.join(known.variants)}"
        if name == "ltas_floor_db" and self.spectrum.ltas == "off" and not isinstance(self.fit, Bands):
            return "ltas = off, unless filter_fit = global"
        if name == "response_prior" and self.spectrum.ltas == "off" and isinstance(self.fit, Known):
            return "ltas = off and filter_fit = none"
        if name == "estimation_blocks" and isinstance(self.fit, Known):
            return "filter_fit = none, where no filter is estimated"
        return ""


# The paper's baselines (Sec. 4), as changes to any settings.
BASELINES: dict[str, dict[str, Any]] = {
    "ltas-eq": {"recording_noise": "ignored", "response_prior": "ltas", "ltas": "only"},
    "babe": {
        "recording_noise": "ignored", "response_prior": "none", "ltas": "off", "guidance": "gradient", "order": 2,
        "filter_fit": "sgd", "filter_shape": "lowpass", "collapse_weight": 0.0, "noise_regularization": 0.0,
        "sigma_start": 0.2, "sigma_min": 1e-4, "rho": 8.0, "s_churn": 20.0, "xi": 0.2},
}


def baseline(name: str, settings: Settings) -> Settings:
    """`settings` changed into one of the paper's baselines, "ltas-eq" or "babe" (with its published values)."""
    if name not in BASELINES:
        raise SettingError(f"There is no baseline called {name!r}; there are {', '.join(BASELINES)}.", name=name)
    return settings.replace(**BASELINES[name])
