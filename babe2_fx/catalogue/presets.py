"""Presets: a prior, and the settings it was found to work best with.

Shipped presets are folders in the package `babe2_presets`; the user's own are `presets/NAME/preset.toml` or
`presets/NAME.toml` in the configuration folder. The prior is a file next to the preset, or weights by name.
A preset file anywhere, or a prior file alone, can be given by its path.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ..documents import parse_toml, read_toml
from ..errors import UserError
from ..settings import NAMES, SettingError, Settings, unknown_setting
from ..tensor_files import read_head
from ..texts import printable
from .weights import NAME, config_folder, how_to_get, weights_path

if TYPE_CHECKING:  # it imports PyTorch, and listing presets should not wait for that
    from ..operators import Measurement

QUALITIES = ("draft", "standard", "paper")
TEXTS = ("title", "description", "prior", "weights", "meanwhile")
TABLES = ("settings", *QUALITIES)
LARGEST_FILE = 1 << 20  # bytes; a preset has a few thousand
EMBEDDED, INSTALLED, MISSING = "embedded", "installed", "weights not installed"


class PresetError(UserError):
    """A preset that does not exist or cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Preset:
    """One preset.

    Attributes:
        file: its preset.toml.
        prior: its prior file, relative to the preset; not used if `weights` are named.
        weights: the name of installed weights, or None.
        meanwhile: the preset to use until the weights are installed, or None.
        shipped: whether it comes with this program.
        qualities: the settings of each quality.
        operators: what was done to recordings of this kind, in order; None: an unknown equalization.
    """

    name: str
    title: str
    description: str
    file: Path
    prior: str
    weights: str | None
    meanwhile: str | None
    shipped: bool
    qualities: dict[str, Settings]
    operators: tuple[Measurement, ...] | None = None

    @property
    def state(self) -> str:
        """EMBEDDED, INSTALLED or MISSING: whether its prior is there, and where it came from."""
        if not os.path.isfile(self._prior_file):
            return MISSING
        return EMBEDDED if self.shipped and not self.weights else INSTALLED

    @property
    def prior_path(self) -> Path:
        """Its prior file. Raises PresetError if it is missing, saying how to get it."""
        if self.state != MISSING:
            return self._prior_file
        if not self.weights:
            raise PresetError(f"{self.file} needs the prior {self._prior_file}, which is missing.")
        sentence = f"The weights of preset {self.name} are not installed: {how_to_get(self.weights)}."
        if self._meanwhile_is_there():
            sentence += f" Meanwhile you can use the embedded preset {self.meanwhile}."
        raise PresetError(sentence)

    @property
    def card(self) -> str:
        """Its card, or an empty string."""
        path = self.file.with_name("CARD.md") if self.file.name == "preset.toml" else self.file.with_suffix(".md")
        return path.read_text(encoding="utf-8", errors="replace") if os.path.isfile(path) else ""

    def settings(self, quality: str = "standard", **overrides) -> Settings:
        """The settings for a quality, with the user's own changes on top.

        Raises ValueError for an unknown quality, an unknown setting or a value out of range.
        """
        if quality not in QUALITIES:
            raise ValueError(f"The quality must be one of {', '.join(QUALITIES)}, not {quality!r}.")
        return self.qualities[quality].replace(**overrides)

    @property
    def _prior_file(self) -> Path:
        return weights_path(self.weights) if self.weights else self.file.parent / self.prior

    def _meanwhile_is_there(self) -> bool:
        try:
            return self.meanwhile is not None and load_preset(self.meanwhile).state == EMBEDDED
        except PresetError:
            return False


def list_presets() -> list[str]:
    """Names of all presets, sorted, including those that `load_preset` will find fault with."""
    return sorted(_shipped() | set(_users()))


def load_preset(name: str) -> Preset:
    """The preset of this name, whether or not its weights are installed, or at this path.

    A path ends in .toml (a preset file) or .safetensors (a prior file). A prior file's preset is the .toml of the same
    name next to it, as `babe2 train` writes it; failing that, it has settings that suit the prior's level.

    Raises:
        PresetError: there is no such preset (the message lists those that exist); or it cannot be used (the message
            names the file and the key at fault); or a user's preset has the name of a shipped one, so it is not clear
            which is meant.
    """
    if name.lower().endswith((".toml", ".safetensors")):
        return _at(Path(name))
    shipped, users = name in _shipped(), _users().get(name, [])
    if shipped and users:
        raise PresetError(f"{users[0]} has the name of a preset that ships with this program; rename it.")
    if shipped:
        return _read(_folder() / name / "preset.toml", name, shipped=True)
    if not users:
        raise PresetError(f"There is no preset called {name!r}; there are: {', '.join(list_presets())}.")
    if len(users) > 1:
        raise PresetError(f"{users[0]} and {users[1]} have the same name; rename one of them.")
    if not NAME.fullmatch(name):
        raise PresetError(f"{users[0]} cannot be used: a preset's name may have lower-case letters a to z, digits and "
                          "hyphens; rename it.")
    return _read(users[0], name, shipped=False)


def is_shipped(path: Path) -> bool:
    """Whether a file is one of those that come with this program."""
    try:
        return path.resolve().is_relative_to(_folder().resolve())
    except PresetError:  # the library is there without its presets
        return False


def _folder() -> Path:
    try:
        return Path(str(files("babe2_presets")))
    except ModuleNotFoundError as error:
        raise PresetError("The presets that ship with this program are not installed; reinstall the whole "
                          "package.") from error


def _shipped() -> set[str]:
    return {path.parent.name for path in _folder().glob("*/preset.toml")}


def _users() -> dict[str, list[Path]]:
    """The user's preset files by name. There should be one of each name."""
    folder = config_folder() / "presets"
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/preset.toml")):
        found.setdefault(path.parent.name, []).append(path)
    for path in sorted(folder.glob("*.toml")):
        found.setdefault(path.stem, []).append(path)
    return found


def preset_text(title: str, description: str, prior: str, sigma_data: float) -> str:
    """A preset file for a prior (a file next to it) of this level, with settings that work well for small priors.

    Noise levels are the embedded piano's (level 0.063), scaled; `paper` has Table 3's.
    """
    def level(value: float) -> str:
        return f"{value * sigma_data / 0.063:.3g}"

    fast = ('recording_noise = "measured"\nresponse_prior = "learned"\nguidance = "direct"\n'
            'filter_fit = "global"\n'
            f"observation_noise_db = -45.0\nsigma_start = {level(0.2)}\nsigma_min = {level(1e-3)}\n"
            "rho = 7.0\n")
    return (f"title = {_quoted(title)}\ndescription = {_quoted(description)}\nprior = {_quoted(prior)}\n\n"
            f"[paper]\nsigma_start = {level(0.5)}\nsigma_min = {level(4e-5)}\n"
            f"noise_regularization = {level(0.25)}\n\n"
            f"[standard]\n{fast}steps = 8\norder = 1\ns_churn = 0.0\n\n"
            f"[draft]\n{fast}steps = 5\norder = 1\ns_churn = 0.0\n")


def _quoted(text: str) -> str:
    """Text as a TOML string, on one line."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False).replace("\x7f", "\\u007f")


def _at(path: Path) -> Preset:
    """The preset of a preset file or of a prior file."""
    if not os.path.isfile(path):
        raise PresetError(f"There is no file {path}.")
    if path.suffix.lower() == ".toml":
        return _read(path, path.stem, shipped=False)
    preset_file = path.with_suffix(".toml")
    if os.path.isfile(preset_file):
        preset = _read(preset_file, path.stem, shipped=False)
        if not preset.weights and preset.file.parent / preset.prior == path:
            return preset
    sigma_data = _sigma_data(path)
    # The text cannot hold a name that is no Unicode.
    text = preset_text(printable(path.stem), printable(f"The prior {path}."), "its own", sigma_data)
    try:
        return replace(_checked(parse_toml(text), preset_file, path.stem, shipped=False), prior=path.name)
    except PresetError as error:
        raise PresetError(f"{path} has a level of {sigma_data:g}, which settings for music do not suit. It needs a "
                          f"preset of its own, {preset_file.name}.", path=path) from error


def _sigma_data(path: Path) -> float:
    """The level of a prior file's training data. Raises PresetError if it is not a prior file."""
    stated = read_head(path, PresetError).metadata.get("sigma_data", "")  # read without importing torch
    try:
        if not 0 < float(stated) < math.inf:
            raise ValueError
        return float(stated)
    except ValueError:
        raise PresetError(f"{path} is not a prior file of this program: it states no level.") from None


def _read(path: Path, name: str, shipped: bool) -> Preset:
    """Reads and checks a preset file. Raises PresetError naming it and the key at fault."""
    return _checked(read_toml(path, PresetError), path, name, shipped)


def _checked(content: dict, path: Path, name: str, shipped: bool) -> Preset:
    """The preset that the content of a preset file at `path` describes. Raises as `_read` does."""
    _check_keys(path, content)
    if content.get("weights") and content.get("prior"):
        raise PresetError(f"{path} names both a prior and weights; it can have only one of them.")
    if content.get("weights") and not NAME.fullmatch(content["weights"]):
        raise PresetError(f"{path}: weights must be a name of lower-case letters a to z, digits and hyphens, not "
                          f"{content['weights']!r}.")
    return Preset(name, content["title"], content["description"], path, content.get("prior", "prior.safetensors"),
                  content.get("weights"), content.get("meanwhile"), shipped,
                  _qualities(path, content), _operators(path, content.get("operators")))


def _qualities(path: Path, content: dict) -> dict[str, Settings]:
    """Each quality's settings: the paper's, changed by the table for all qualities and then by its own."""
    result, at = {}, "[settings]"
    try:
        shared = Settings.of(**content.get("settings", {}))
        for quality in QUALITIES:
            at = f"quality {quality}"
            result[quality] = shared.replace(**content.get(quality, {}))
    except (SettingError, OverflowError) as error:  # OverflowError: an infinite whole number
        raise PresetError(f"{path}, {at}: {error}", path=path, at=at) from error
    return result


def _operators(path: Path, listed) -> tuple[Measurement, ...] | None:
    """What a preset says was done to recordings of its kind: tables [[operators]] with a name and parameters."""
    if listed is None:
        return None
    from ..operators import OperatorError, as_operators  # which imports PyTorch; few presets need it
    try:
        return as_operators(listed)
    except OperatorError as error:
        raise PresetError(f"{path}, [[operators]]: {error}", path=path) from error


def _check_keys(path: Path, content: dict) -> None:
    for key in content:
        if key not in (*TEXTS, *TABLES, "operators"):
            what = "table" if isinstance(content[key], dict) else "key"
            raise PresetError(f"{path} has an unknown {what} {key!r}; a preset has the keys {', '.join(TEXTS)} and the "
                              f"tables {', '.join(TABLES)}.")
    for key in TEXTS:
        if key in content and not (isinstance(content[key], str) and content[key].strip()):
            raise PresetError(f"{path}: {key} must be a string, not {content[key]!r}.")
        if key not in content and key in ("title", "description"):
            raise PresetError(f"{path} lacks a {key}.")
    for table in TABLES:
        if not isinstance(content.get(table, {}), dict):
            raise PresetError(f"{path}: {table} must be a table, [{table}], not {content[table]!r}.")
        for key in content.get(table, {}):
            if key not in NAMES:
                raise PresetError(f"{path}, [{table}]: {unknown_setting(key)}; `babe2 settings` lists them.")
