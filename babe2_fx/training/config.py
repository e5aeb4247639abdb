"""Every setting of a training run in one frozen dataclass, and the TOML files that hold such settings."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..priors import MixerConfig, NetworkConfig, TransformConfig, kind_of
from ..settings import Name, SettingError
from ..texts import read_text

RECIPES = Path(__file__).with_name("recipes")
TRANSFORM = ("sample_rate", "block_length", "octaves", "bins_per_octave", "window")
SIZES = {"mixer": ("width", "depth", "mix_channels", "reach", "token_bands"),  # of one kind of network only
         "unet": ("channels", "layers", "companding")}
# What a fine-tuned prior takes over from the prior it came from.
NETWORK = ("architecture", *TRANSFORM, "embedding", *SIZES["mixer"], *SIZES["unet"])
# What may change while a run is under way.
FREE = ("title", "description", "credit", "minutes", "steps", "save_minutes", "report_minutes")


class TrainingError(UserError):
    """Why a run cannot begin or continue; the message is a sentence for the user."""


def setting(default, help: str, low: float | None = None, high: float | None = None,
             choices: tuple[str, ...] | None = None):
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class TrainingConfig:
    """How a prior is trained. The defaults have proved themselves for small priors trained on a CPU.

    Raises:
        TrainingError: a value is outside its range, or values do not go together; the message names them.
    """

    # What it is called: for its preset and its card
    title: str = setting("", "what the prior models, as `babe2 presets` lists it; the file's name if empty")
    description: str = setting("", "one more sentence")
    credit: str = setting("", "whose recordings these are, and under which licence")
    # The network
    architecture: str = setting("mixer", "kind of network: a mixer learns far more in an hour on a CPU; the unet "
                              "is the paper's", choices=tuple(SIZES))
    sample_rate: int = setting(22050, "Hz; the prior knows nothing above half of it", 8000, 192000)
    block_length: int = setting(184184, "samples that are restored at once", 4096, 2 ** 22)
    octaves: int = setting(7, "octaves below half the sample rate; nothing below them is heard", 1, 12)
    bins_per_octave: int = setting(64, "bands in each octave", 4, 512)
    window: str = setting("hann", "window of the transform; the published networks' is kaiser",
                           choices=("hann", "kaiser"))
    embedding: int = setting(64, "size of the embedding of the noise level", 1, 8192)
    noise_detail: float = setting(1.0, "how finely the network tells noise levels apart: standard deviation of "
                                   "the frequencies of its Fourier features of ln(sigma) / 4; the paper's is 16",
                                   0.01, 1000.0)
    # A mixer's own sizes
    width: int = setting(96, "channels of a token, which stands for a few bands and a short time", 1, 4096)
    depth: int = setting(6, "layers", 1, 64)
    mix_channels: int = setting(16, "channels in which all bands are mixed with each other", 1, 1024)
    reach: int = setting(2, "how far a layer sees to either side in time, in tokens", 0, 32)
    token_bands: int = setting(4, "bands of a token, which divide those in an octave", 1, 512)
    # The unet's own sizes (App. A.2)
    channels: tuple[int, ...] = setting((16, 32, 32, 32, 32, 48, 48), "channels from the highest octave to the "
                                         "lowest, multiples of 8", 8, 4096)
    layers: tuple[int, ...] = setting((2, 2, 3, 3, 3, 4, 5), "dilated convolutions from the highest octave to the "
                                       "lowest", 1, 16)
    companding: str = setting("on", "magnitudes compressed in units of the noise: a small network then learns in an "
                               "hour what it would not learn otherwise; a mixer always does it", choices=("on", "off"))
    # The material (App. A.1)
    normalization: str = setting("recording", "what is scaled to sigma_data: each recording, each crop, the whole "
                                  "collection by one factor, or nothing (none)",
                                  choices=("recording", "crop", "collection", "none"))
    sigma_data: float = setting(0.063, "standard deviation of the training data; 0: as measured", 0.0, 1e3)
    flattening: float = setting(0.6, "share of the slope of the material's spectrum that is removed, so that all "
                                 "bands count; the paper's is 0", 0.0, 1.0)
    gain_db: float = setting(4.0, "standard deviation of the random gain of each crop", 0.0, 40.0)
    held_out: float = setting(0.05, "share of the recordings that is kept aside to measure the loss on", 0.0, 0.5)
    # The loss (Eqs. 3, 15), weighted by 1 / c_out². Levels are drawn evenly from a scale warped as in Eq. 16.
    sigma_max: float = setting(12.7, "highest noise level, in units of sigma_data", 1.0, 1e5)
    sigma_min: float = setting(6.35e-4, "lowest noise level, in units of sigma_data", 1e-8, 1.0)
    sigma_rho: float = setting(7.0, "warping of the noise levels; more draws more low ones", 1.0, 100.0)
    # The optimiser
    batch: int = setting(2, "crops per step, on each GPU", 1, 4096)
    crop: int = setting(46046, "samples of a crop; 0: a whole block. In half a block, or a quarter, frames come as "
                      "often as in a whole one", 0, 2 ** 22)
    optimizer: str = setting("muon", "adam: the paper's; muon: for what maps channels to channels, and Adam "
                              "for the rest",
                              choices=("muon", "adam"))
    learning_rate: float = setting(1e-3, "Adam's", 0.0, 1.0)
    muon_rate: float = setting(1.5e-3, "Muon's, scaled to Adam's size of step", 0.0, 1.0)
    decay: str = setting("cosine", "how the learning rate falls over the run", choices=("cosine", "none"))
    warmup_steps: int = setting(100, "steps in which the learning rate rises", 0, 10 ** 7)
    max_gradient_norm: float = setting(1.0, "longer gradients are shortened to this", 1e-6, 1e9)
    ema_rate: float = setting(0.999, "rate of the moving average of the weights, which is what is kept; it rises to "
                               "this at the beginning", 0.0, 0.999999)
    precision: str = setting("float32", "of the layers; bfloat16 pays off on GPUs but not on CPUs",
                              choices=("float32", "bfloat16"))
    # The run: it ends with whichever comes first
    minutes: float = setting(90.0, "how long to train, interruptions not counted; 0: no limit", 0.0, 1e7)
    steps: int = setting(0, "how many steps to train; 0: no limit", 0, 10 ** 9)
    save_minutes: float = setting(5.0, "how often the state and the prior are saved", 0.01, 1e5)
    report_minutes: float = setting(30.0, "how often the loss on what is held out is measured and an example drawn; "
                                     "0: only at the end", 0.0, 1e5)
    seed: int = setting(0, "seed of all random numbers", 0, 2 ** 63 - 1)

    def __post_init__(self):
        for item in fields(self):
            object.__setattr__(self, item.name, checked(item, getattr(self, item.name)))
        if not self.minutes and not self.steps:
            raise TrainingError("minutes and steps are both 0: the run would have no end. Set one of them.")
        for other in set(SIZES) - {self.architecture}:
            for name in SIZES[other]:
                if getattr(self, name) != _default(name):
                    raise TrainingError(f"{name} is a setting of the architecture {other}, and does nothing in a "
                                        f"{self.architecture}. Leave it out, or set architecture to {other}.")
        self.network(self.sigma_data or 1.0)

    def network(self, sigma_data: float) -> TransformConfig:
        """The sizes of the network, for data of this standard deviation."""
        sizes = {name: getattr(self, name) for name in (*TRANSFORM, "embedding", *SIZES[self.architecture])}
        try:
            if self.architecture == "mixer":
                return MixerConfig(**sizes, sigma_data=sigma_data)
            return NetworkConfig(**sizes | {"companding": sigma_data if self.companding == "on" else 0.0})
        except ValueError as error:
            raise TrainingError(str(error)) from error

    def as_network(self, network: TransformConfig) -> "TrainingConfig":
        """The settings with the kind and the sizes of a network; what belongs to other kinds is as by default."""
        kind = kind_of(network)
        own = {name: getattr(network, name) for name in (*TRANSFORM, "embedding", *SIZES[kind])}
        if isinstance(network, NetworkConfig):
            own["companding"] = "on" if network.companding else "off"
        others = {name: _default(name) for other in SIZES if other != kind for name in SIZES[other]}
        return self.replace(architecture=kind, **own, **others)

    @property
    def crop_length(self) -> int:
        """Samples of a crop."""
        return self.crop or self.block_length

    def replace(self, **changes) -> "TrainingConfig":
        """A copy with some values changed. Raises TrainingError for an unknown name or a bad value."""
        unknown = sorted(set(changes) - {item.name for item in fields(self)})
        if unknown:
            raise TrainingError(f"There is no training setting called {unknown[0]!r}; "
                                "`babe2 train --list-settings` lists them.")
        return replace(self, **changes)

    def to_toml(self) -> str:
        """Every setting with its value and what it does, as a file that `read_config` reads."""
        return settings_toml(self)


def settings_toml(config) -> str:
    """Every setting of a frozen dataclass of such settings, with its value and what it does, as TOML."""
    lines = []
    for item in fields(config):
        meta, value = item.metadata, getattr(config, item.name)
        extent = ", ".join(meta["choices"]) if meta["choices"] else (
            "" if meta["low"] is None else f"{meta['low']:g} to {meta['high']:g}")
        lines.append(f"# {meta['help']}{f' ({extent})' if extent else ''}\n{item.name} = "
                     f"{json.dumps(value, ensure_ascii=False)}\n")  # these values read the same in JSON and TOML
    return "\n".join(lines)


def _default(name: str) -> Any:
    return TrainingConfig.__dataclass_fields__[name].default


def read_config(path_or_recipe: str | os.PathLike) -> dict:
    """What a TOML file, or a recipe given by name, sets: changes to the defaults, each value checked.

    Raises TrainingError naming the file and what is wrong in it.
    """
    path = Path(path_or_recipe)
    if str(path_or_recipe) in recipes():
        path = RECIPES / f"{path_or_recipe}.toml"
    if not path.is_file():
        raise TrainingError(f"There is no configuration {path}; it must be a TOML file or one of the recipes "
                            f"{', '.join(recipes())}.")
    try:
        content = tomllib.loads(read_text(path, unicode=True))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise TrainingError(f"{path} is not a TOML file: {error}.") from error
    known = {item.name: item for item in fields(TrainingConfig)}
    for name, value in content.items():
        try:
            if name not in known:
                raise TrainingError(f"there is no training setting called {name!r}; `babe2 train --list-settings` "
                                    "lists them.")
            content[name] = checked(known[name], value)
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from error
    return content


def recipes() -> list[str]:
    """Names of the configurations that come with this program."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def checked(item, value):
    """A setting's value in its own type. Raises TrainingError naming it, the value and what was expected."""
    if isinstance(item.default, str) and not item.metadata["choices"]:
        if not isinstance(value, str):
            raise TrainingError(f"{item.name} must be text, not {value!r}.")
        return value
    try:
        if not isinstance(item.default, tuple):
            return Name(item.name, "", item.default, **item.metadata).checked(value)
        if not isinstance(value, (tuple, list)) or not value:
            raise TrainingError(f"{item.name} must be a list of whole numbers, not {value!r}.")
        return tuple(Name(f"{item.name}[{i}]", "", item.default[0], **item.metadata).checked(number)
                     for i, number in enumerate(value))
    except SettingError as error:
        raise TrainingError(str(error), **error.fields) from error
