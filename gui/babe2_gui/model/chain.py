"""Effects before and after the restoration, as plain values; the host's boards are their files and their engine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from babe2_fx.files import write_whole
from babe2_fx.texts import read_text
from babe2_host.audio.destinations import check_destination
from babe2_host.boards.board import Board
from babe2_host.boards.board_files import read_board
from babe2_host.boards.catalogue import find_board
from babe2_host.boards.plugins import EXTERNAL, LIMITS, NATIVE, BoardError, is_enum
from babe2_host.boards.values import OFFLINE, make_plugins, plugin_values

from . import plugins_apart
from .curve import TargetCurve
from .plugins_apart import WHERE

RESTORATION = "GenerativeEQ"
# What a knob should cover; the host's limits are what an effect can take, which is far more.
RANGES = {"cutoff_frequency_hz": (20, 20000), "cutoff_hz": (20, 20000), "centre_frequency_hz": (20, 20000),
          "rate_hz": (0.01, 20), "target_sample_rate": (8000, 96000), "*_ms": (0.1, 2000), "gain_db": (-36, 36),
          "ceiling_db": (-24, 0), "threshold_db": (-100, 0), "drive_db": (0, 60), "ratio": (1, 20), "drive": (1, 20),
          "q": (0.1, 20), "feedback": (-0.95, 0.95), "bit_depth": (1, 32), "delay_seconds": (0, 5),
          "semitones": (-24, 24), "vbr_quality": (0, 9)}
UNITS = {"_hz": "Hz", "_db": "dB", "_ms": "ms", "_seconds": "s", "sample_rate": "Hz", "semitones": "semitones",
         "bit_depth": "bit"}


@dataclass(frozen=True)
class Effect:
    """One effect: its class's name and its parameters, as in a board file · enabled: whether it is heard."""

    plugin: str
    values: dict = field(default_factory=dict)
    enabled: bool = True

    @classmethod
    def of(cls, plain: dict) -> "Effect":
        """From the host's values of a plugin."""
        return cls(plain["plugin"], {name: value for name, value in plain.items() if name != "plugin"})

    @property
    def plain(self) -> dict:
        """The host's values of the plugin."""
        return {"plugin": self.plugin, **self.values}

    @property
    def is_program(self) -> bool:
        """Whether it is a VST3 plugin or an Audio Unit, which runs in a process of its own."""
        return self.plugin in EXTERNAL

    @property
    def title(self) -> str:
        if self.is_program:
            return Path(str(self.values.get("path", self.plugin))).stem
        return spaced(self.plugin)


@dataclass(frozen=True)
class Parameter:
    """How to edit a parameter: a number from low to high (log: over a logarithmic scale), one of `choices`, or a
    switch (low is None and there are no choices)."""

    name: str
    value: object
    unit: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        words = self.name
        for ending in UNITS:
            if ending.startswith("_"):
                words = words.removesuffix(ending)
        return words.replace("_", " ").capitalize()


def spaced(name: str) -> str:
    """ "HighpassFilter" as "Highpass Filter"."""
    words = "".join(f" {c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name))
    return words.replace("GSMFull", "GSM Full").replace("MP3C", "MP3 C").strip()


def known_effects() -> list[str]:
    """Names of the effects that can be added without a file, sorted."""
    return sorted((set(NATIVE) | set(OFFLINE)) - {"Convolution", RESTORATION})


def new_effect(plugin: str) -> Effect:
    """An effect as it is when it is made. Raises BoardError for an unknown name."""
    return effects_of(board_of([Effect(plugin)]))[0]


def convolution(path: str) -> Effect:
    """A convolution with an impulse response. Raises BoardError if the file is not one."""
    return effects_of(board_of([Effect("Convolution", {"impulse_response_filename": str(Path(path).absolute())})]))[0]


def external(path: str) -> Effect:
    """A VST3 plugin (or Audio Unit) from its file. Loads it, which runs it; that takes a while. Raises BoardError."""
    kind = "AudioUnitPlugin" if path.endswith(".component") else "VST3Plugin"
    return Effect.of(plugins_apart.ask("load", {"plugin": kind, "path": str(Path(path).absolute())}))


def processed(effects: Iterable[Effect], audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Audio (channels, samples) through those effects that are enabled. Raises BoardError."""
    effects = [effect for effect in effects if effect.enabled]
    if not effects:
        return audio
    if any(effect.is_program for effect in effects):
        return plugins_apart.ask("process", [effect.plain for effect in effects], audio, sample_rate)
    return board_of(effects)(audio, sample_rate)


def parameters(effect: Effect) -> list[Parameter]:
    """What can be changed of an effect, in its own order; nothing of external ones, which have editors."""
    if effect.plugin not in NATIVE and effect.plugin not in OFFLINE:
        return []
    plugin, found = board_of([replace(effect, enabled=True)])[0], []
    for name in effect.values:
        value = getattr(plugin, name)
        if isinstance(value, bool):
            found.append(Parameter(name, value))
        elif is_enum(value):
            found.append(Parameter(name, value.name, choices=tuple(type(value).__members__)))
        elif isinstance(value, (int, float)):
            low, high = _range(plugin, name)
            unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
            low, high = min(low, value), max(high, value)
            found.append(Parameter(name, float(effect.values[name]), unit, low, high, log=low > 0 and high / low > 50))
    return found


def _range(plugin, name: str) -> tuple[float, float]:
    if is_dataclass(plugin):  # the host's own effects say it themselves
        meta = next(item.metadata for item in fields(plugin) if item.name == name)
        if "low" in meta:
            return meta["low"], meta["high"]
    for table in (RANGES, LIMITS):
        for pattern, limits in table.items():
            if fnmatch(name, pattern):
                return limits
    return 0.0, 1.0


def board_of(effects: Iterable[Effect], title: str = "") -> Board:
    """A board of those effects that are enabled. Raises BoardError, naming the one at fault."""
    return Board(make_plugins([effect.plain for effect in effects if effect.enabled], where=WHERE), title=title)


def effects_of(board: Board) -> tuple[Effect, ...]:
    """A board's plugins as plain values. Raises BoardError for one that cannot be kept."""
    return tuple(map(Effect.of, plugin_values(board, where=WHERE)))


def load_chain(path: str, allow_external: bool = False) -> tuple[tuple[Effect, ...], dict, tuple[Effect, ...]]:
    """The effects before the restoration in a board file, its parameters ({} if it has none), and those after.

    Raises BoardError, for a restoration in a Mix or a Board within it too: here there is one, in the row of effects.
    """
    effects = effects_of(read_board(find_board(path), Board, allow_external=allow_external))
    within = next((effect for effect in effects if _restores(effect.values.get("plugins", ()))), None)
    if within is not None:
        raise BoardError(f"{path} has a restoration inside a {within.plugin}, which the app cannot show. "
                         "`babe2 render` can use it.")
    at = next((index for index, effect in enumerate(effects) if effect.plugin == RESTORATION), None)
    if at is None:
        return (), {}, effects
    rest = tuple(effect for effect in effects[at + 1:] if effect.plugin != RESTORATION)
    return effects[:at], effects[at].values, rest


def _restores(plugins: Iterable[dict]) -> bool:
    """Whether there is a restoration among these plain values of plugins or within them."""
    return any(plugin["plugin"] == RESTORATION or _restores(plugin.get("plugins", ())) for plugin in plugins)


def names_programs(path: str) -> bool:
    """Whether a board file names VST3 plugins or Audio Units, which run when they are loaded."""
    try:
        text = read_text(path)
        return any(f'"{kind}"' in text for kind in EXTERNAL)
    except (OSError, ValueError):
        return False  # loading it says what is wrong


def save_chain(path: str, before: Iterable[Effect], restoration: dict, after: Iterable[Effect]) -> None:
    """Writes a board file of all three; effects that are switched off are left out. Raises UserError."""
    effects = [effect for effect in (*before, Effect(RESTORATION, restoration), *after) if effect.enabled]
    if any(effect.is_program for effect in effects):
        plugins_apart.ask("save", [effect.plain for effect in effects], Path(path).stem, path)
    else:
        board_of(effects, Path(path).stem).save(path)


def save_curve(board: str, target: TargetCurve) -> str:
    """Writes a target next to a board, which can only name one; returns its path. Raises FileError."""
    path = Path(board).with_suffix(".target.csv")
    write_curve(path, target)
    return str(path)


def write_curve(path: Path, target: TargetCurve) -> None:
    """Writes a target as text that the engine reads as the same curve. Raises FileError."""
    profile = target.profile()  # the engine draws straight lines between what a file has, so that must be fine
    text = "Hz,dB\n" + "".join(f"{hz:.9g},{db:.3f}\n" for hz, db in zip(profile.freqs_hz, profile.level_db))
    write_whole(check_destination(path), lambda part: part.write_text(text, encoding="utf-8"))


def position(parameter: Parameter, value: float) -> float:
    """Where a value is on its slider, 0 to 1."""
    low, high = parameter.low, parameter.high
    if parameter.log:
        return math.log(max(value, low) / low) / math.log(high / low)
    return (value - low) / (high - low) if high > low else 0.0


def value_at(parameter: Parameter, place: float) -> float:
    """The value at a place on the slider, with three digits."""
    low, high = parameter.low, parameter.high
    value = low * (high / low) ** place if parameter.log else low + place * (high - low)
    return min(max(float(f"{value:.3g}"), low), high)
