"""GenerativeEQ: the restoration as an effect, shaped like a Pedalboard plugin."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .attributes import SettledAttributes, nearest
from .audio.mapped import allocate, chunks
from .audio.pedalboard_layout import Layout, from_planar
from .catalogue.presets import QUALITIES, load_preset
from .operators import OPERATORS, Measurement, as_operators, operator_values
from .priors import Prior, PriorError, load_prior
from .progress import Run
from .restoration import Journal, Progress, RestorationResult, Restorer, effective_settings
from .settings import NAMES, REMOVED, SettingError, Settings
from .spectra import TargetProfile, ltas, ltas_distance_db, ltas_fft_size, match_target, smooth_octave

DEVICES = ("auto", "cpu", "cuda")
WORSE_DB = 1.0  # of the distance from the target: what is worse by more is pointed out

_priors: dict[tuple[str, str], tuple[object, Prior]] = {}  # (path, device) -> (file state, prior)
_priors_lock = threading.Lock()


def shared_prior(path: str | os.PathLike[str], device: str = "auto") -> Prior:
    """The prior in a file, loaded once per device and shared by all effects and threads.

    A file that has since been replaced is loaded again.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    real, stamp = os.path.realpath(path), None
    with contextlib.suppress(OSError):  # `load_prior` gives the better error
        stamp = os.stat(real).st_mtime_ns, os.stat(real).st_size
    with _priors_lock:
        known = _priors.get((real, device))
        if known is None or known[0] != stamp:
            known = _priors[real, device] = stamp, load_prior(path, device)
        return known[1]


def _choice(name: str, choices: tuple[str, ...], help: str) -> property:
    def set(self: GenerativeEQ, value: str) -> None:
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        self._values[name] = value
    return property(lambda self: self._values[name], set, doc=f"{help} ({', '.join(choices)}).")


def _number(name: str, low: float, high: float, help: str) -> property:
    def set(self: GenerativeEQ, value: float) -> None:
        if isinstance(value, (str, bool)) or not low <= float(value) <= high:
            raise ValueError(f"{name} must lie from {low:g} to {high:g}, not {value!r}.")
        self._values[name] = float(value)
    return property(lambda self: self._values[name], set, doc=f"{help} ({low:g} to {high:g}).")


def _setting(name: str) -> property:
    """A parameter backed by a setting: the preset's value until it is set, and again when it is set to None."""
    def get(self: GenerativeEQ) -> Any:
        if name in self._settings:
            return self._settings[name]
        chosen = self._chosen()
        if chosen.idle(name):
            raise AttributeError(f"{name} does nothing with {chosen.idle(name)}.", name=name)
        return chosen[name]

    def set(self: GenerativeEQ, value: Any) -> None:
        others = {other: own for other, own in self._settings.items() if other != name}
        self._settings = others if value is None else others | {name: self._chosen(name).replace(**{name: value})[name]}
    return property(get, set, doc=NAMES[name].help + ".")


class GenerativeEQ(SettledAttributes):
    """Restores recordings: undoes what the medium did to their spectrum and synthesises what it lost.

    Call it like any Pedalboard plugin: `effect(audio, sample_rate)` returns float32 of the same shape. It works
    offline: it has to hear the whole recording before it can tell what is missing.

    Args:
        preset: the kind of music; `babe2 presets` lists the names.
        quality: "draft", "standard" or "paper".
        target: the spectrum to aim for: a `TargetProfile`, or a file that holds one (a curve, a reference recording or
            a folder of those); None: the prior's own.
        target_match: 0 to 1, how far the restored spectrum is pulled towards the target at the end.
        channels, low_band, seed: as in `Settings`; None: as in the preset ("auto", "keep" and 0 in the shipped ones).
        mix: 0 (the input) to 1 (restored).
        output_gain_db: gain of the output, -60 to 60 dB.
        device: "auto", "cpu" or "cuda".
        progress: called with a `Progress` after each step; an exception from it cancels the run.
        prior: a prior to use instead of the preset's.
        operators: what was done to the recording, in order: operators, or dicts of their name and parameters; None: as
            in the preset, the blind EQ in the shipped ones.
        settings: any other expert setting; overrides the preset and quality.

    All of these are attributes as well, which may be changed between runs; an expert setting set to None is the
    preset's again. A name that there is not is an AttributeError, which suggests the nearest.

    Raises:
        ValueError: an unknown name or a value out of range; the message says which and what is allowed.
        PresetError, PriorError, TargetError: a preset, prior or target that cannot be used.

    After a run, `result` holds the `RestorationResult` of the latest run in any thread, or None; `ltas_distance_db` its
    spectrum's distance from the target before and after, in dB (Eq. 14), within the prior's band.
    """

    channels = _setting("channels")
    low_band = _setting("low_band")
    seed = _setting("seed")
    device = _choice("device", DEVICES, "Where to compute")
    quality = _choice("quality", QUALITIES, "How much work to put in")
    mix = _number("mix", 0.0, 1.0, "Share of the restored signal")
    output_gain_db = _number("output_gain_db", -60.0, 60.0, "Gain of the output, in dB")
    target_match = _number("target_match", 0.0, 1.0, "How far to pull the restored spectrum towards the target")

    is_effect = True
    is_instrument = False
    only_reads = True  # what it is given

    def __init__(self, preset: str = "piano", quality: str = "standard", channels: str | None = None, mix: float = 1.0,
                 output_gain_db: float = 0.0, low_band: str | None = None,
                 target: TargetProfile | str | os.PathLike[str] | None = None, target_match: float = 0.0,
                 device: str = "auto", seed: int | None = None, progress: Callable[[Progress], None] | None = None,
                 prior: Prior | None = None, operators: Sequence[Measurement | dict[str, Any]] | None = None,
                 **settings: Any):
        self._values: dict[str, Any] = {}
        self._layout = Layout()
        self.result: RestorationResult | None = None
        self.ltas_distance_db: tuple[float, float] | None = None
        self.progress, self.prior = progress, prior
        self.preset = preset
        self.quality, self.mix, self.output_gain_db = quality, mix, output_gain_db
        self.target, self.target_match, self.device, self.operators = target, target_match, device, operators
        settings |= {name: value for name, value in (("channels", channels), ("low_band", low_band), ("seed", seed))
                     if value is not None}
        for name in settings.keys() - NAMES.keys() - REMOVED.keys():
            raise SettingError(f"GenerativeEQ has no parameter or setting called {name!r}."
                               f"{nearest(name, PARAMETERS)}", "unknown-setting", name=name)
        values = self._preset.settings(quality, **settings).flat()
        self._settings = {name: values[name] for name in settings}

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> "GenerativeEQ":
        """An effect with a preset's values; `overrides` are any arguments of the class."""
        return cls(preset=name, **overrides)

    @property
    def preset(self) -> str:
        """The kind of music. Setting it reads the preset's file."""
        return str(self._values["preset"])

    @preset.setter
    def preset(self, name: str) -> None:
        self._preset = load_preset(name)
        self._values["preset"] = name

    @property
    def operators(self) -> tuple[Measurement, ...] | None:
        """What was done to the recording, in order; None: as in the preset."""
        return self._operators

    @operators.setter
    def operators(self, operators: Sequence[Measurement | dict[str, Any]] | None) -> None:
        self._operators = None if operators is None else as_operators(operators)

    @property
    def target(self) -> TargetProfile | None:
        """The spectrum to aim for; set it to a `TargetProfile`, a file, or None for the prior's own."""
        return self._target

    @target.setter
    def target(self, target: TargetProfile | str | os.PathLike[str] | None) -> None:
        self._target_file = None
        if isinstance(target, (str, os.PathLike)):
            self._target_file, target = os.fspath(target), TargetProfile.from_file(target)
        if target is not None and not isinstance(target, TargetProfile):
            raise TypeError(f"target must be a TargetProfile, a file or None, not {type(target).__name__}.")
        self._target = target

    @property
    def prior(self) -> Prior:
        """The preset's prior, loaded once per device for all effects, or the one set instead."""
        if self._prior_left:
            raise PriorError("The prior that was given to this effect is not kept in its pickle, being large. Set "
                             "`prior` again, to None for the preset's own.")
        return self._prior or shared_prior(self._preset.prior_path, self.device)

    @prior.setter
    def prior(self, prior: Prior | None) -> None:
        self._prior, self._prior_left = prior, False

    @property
    def settings(self) -> Settings:
        """All hyper-parameters in effect.

        Raises SettingError where one that was set does nothing in this quality, or with these operators.
        """
        chosen = effective_settings(self._preset.settings(self.quality, **self._settings), self._all_operators)
        values = chosen.flat()
        for name, value in self._settings.items():
            if values.get(name) != value:
                raise SettingError(f"{name} = {value} does nothing with these operators.", "idle-setting", name=name,
                                   value=value)
        return chosen

    def _chosen(self, but: str = "") -> Settings:
        """The quality's settings with the user's own changes that have an effect there, save one."""
        chosen = self._preset.settings(self.quality)
        for name, value in self._settings.items():
            if name != but:
                with contextlib.suppress(SettingError):
                    chosen = chosen.replace(**{name: value})
        return chosen

    @property
    def _all_operators(self) -> tuple[Measurement, ...] | None:
        return self._preset.operators if self.operators is None else self.operators

    def reset(self) -> None:
        """Forgets the layout of the last array, as every Pedalboard plugin does; there is no other state."""
        self._layout.forget()

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192,
                reset: bool = True) -> np.ndarray:
        """Restores a whole recording.

        Args:
            input_array: (samples,), (channels, samples) or (samples, channels), float32 or float64. The smaller
                dimension is taken as the channels; a square array is read like the last one, as in Pedalboard.
            sample_rate: Hz.
            buffer_size: ignored; the recording is processed in the prior's own blocks.
            reset: must be True: the effect cannot be fed piece by piece.

        Returns:
            float32 of the same shape.
        """
        return self.run(input_array, sample_rate, buffer_size, reset).finish()

    __call__ = process

    def run(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192, reset: bool = True,
            journal: Journal | None = None, passage: tuple[int, int] | None = None) -> Run[Progress, np.ndarray]:
        """Like `process`, step by step: a run of `Progress` whose value is the output. Closing it cancels.

        The array is not copied: do not change it until the run ends. A `journal` keeps finished blocks; blocks in it
        are not made again. With a `passage` (first sample, end sample excluded), only that part is restored and
        returned, based on the whole recording.
        """
        if not reset:
            raise ValueError("GenerativeEQ needs the whole recording at once and cannot be streamed with reset=False. "
                             "Apply what follows it to its output instead.")
        audio, layout = self._layout.planar(input_array)
        sample_rate = float(sample_rate)
        if not sample_rate >= 1000 or not np.isfinite(sample_rate):
            raise ValueError(f"The sample rate must be a finite number of Hz, at least 1000, not {sample_rate!r}.")
        return Run(self._run(copy.copy(self), audio, layout, sample_rate, journal, passage))

    def _run(self, chosen: GenerativeEQ, audio: np.ndarray, layout: str, sample_rate: float, journal: Journal | None,
             passage: tuple[int, int] | None) -> Generator[Progress, None, np.ndarray]:
        """`run` with all parameters as they were `chosen`: they may be changed meanwhile."""
        settings, target, match, operators = chosen.settings, chosen.target, chosen.target_match, chosen._all_operators
        mix, gain = chosen.mix, 10 ** (chosen.output_gain_db / 20)
        whole, audio = audio, audio[:, slice(*passage)] if passage else audio
        restored, result, distances = audio, None, None
        if audio.size and mix:
            prior = chosen.prior
            run = Restorer(prior, settings, target, journal, operators).run(whole, sample_rate, passage)
            result = yield from run.map(self._tell)
            restored = result.audio
            wanted = target or TargetProfile.from_prior(prior)
            highest_hz = min(sample_rate, prior.sample_rate) / 2
            if match:
                restored = match_target(torch.from_numpy(restored), sample_rate, wanted, match, highest_hz).numpy()
            before, after = (_distance_db(x, sample_rate, wanted, highest_hz) for x in (audio, restored))
            distances = before, after
            if after > before + WORSE_DB:
                result = replace(result, notes=(*result.notes, (
                    f"The long-term spectrum ended {after - before:.1f} dB further from the target than it began. "
                    "Compare with the original before you keep this.")))
        output = allocate(*audio.shape)
        for part in chunks(audio.shape[1], audio, restored, output):
            mixed = mix * restored[:, part] + (1 - mix) * audio[:, part] if mix < 1 else restored[:, part]
            np.multiply(mixed, gain, out=output[:, part])
        self.result, self.ltas_distance_db = result, distances
        return from_planar(output, layout)

    def _tell(self, now: Progress) -> Progress:
        if self.progress is not None:
            self.progress(now)
        return now

    def __repr__(self) -> str:
        defaults = {"quality": "standard", "mix": 1.0, "output_gain_db": 0.0, "target_match": 0.0, "device": "auto"}
        shown: dict[str, Any] = {"preset": self.preset}
        shown |= {name: getattr(self, name) for name, default in defaults.items() if getattr(self, name) != default}
        if self.target is not None:
            shown["target"] = self._target_file or self.target
        if self.operators is not None:
            shown["operators"] = [operator_values(one) if type(one) in OPERATORS.values() else one
                                  for one in self.operators]
        shown |= self._settings
        return f"GenerativeEQ({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __getstate__(self) -> dict[str, Any]:
        # Weights are large and already in a file; callbacks belong to the program that set them.
        left = self._prior_left or self._prior is not None
        return self.__dict__ | {"_prior": None, "_prior_left": left, "progress": None, "result": None,
                                "ltas_distance_db": None}

    def __copy__(self) -> "GenerativeEQ":
        other = type(self).__new__(type(self))
        other.__dict__ = self.__dict__ | {"_values": dict(self._values), "_settings": dict(self._settings),
                                          "_layout": copy.copy(self._layout)}
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "GenerativeEQ":
        for shared in (self._prior, self.progress, self.result):  # which are never changed in place
            memo[id(shared)] = shared
        other = memo[id(self)] = type(self).__new__(type(self))
        other.__dict__ = copy.deepcopy(self.__dict__, memo)
        return other


for _name in NAMES.keys() - vars(GenerativeEQ).keys():  # the expert settings
    setattr(GenerativeEQ, _name, _setting(_name))
PARAMETERS = {*inspect.signature(GenerativeEQ).parameters, *NAMES} - {"settings"}


def _distance_db(audio: np.ndarray, sample_rate: float, target: TargetProfile, highest_hz: float) -> float:
    """Eq. 14 for audio (channels, samples) against a target, both at unit variance, within the prior's band."""
    power = smooth_octave(ltas(torch.from_numpy(audio), ltas_fft_size(sample_rate), mirrored=False))
    reference = target.to_ltas(sample_rate, len(power))
    # Ratios mean nothing where resampling has removed both.
    band = torch.linspace(0, sample_rate / 2, len(power)) <= 0.95 * highest_hz
    power, reference = power[band], reference[band]
    if not float(power.max()) > 0:
        return float("nan")
    return ltas_distance_db(power / power.mean(), reference / reference.mean())
