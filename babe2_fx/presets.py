"""Presets: a prior, and the settings it was found to work best with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path

from .settings import Settings

QUALITIES = ("draft", "standard", "paper")


class PresetError(ValueError):
    """A preset that does not exist or cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Preset:
    """One preset. `quality_settings` maps each quality to the settings that it changes."""

    name: str
    title: str
    description: str
    folder: Path
    quality_settings: dict[str, dict]

    @property
    def prior_path(self) -> Path:
        return self.folder / "prior.safetensors"

    def settings(self, quality: str = "standard", **overrides) -> Settings:
        """The settings for a quality, with the user's own changes over them.

        Raises ValueError for an unknown quality, an unknown setting or a value out of range.
        """
        if quality not in QUALITIES:
            raise ValueError(f"The quality must be one of {', '.join(QUALITIES)}, not {quality!r}.")
        return Settings().replace(**(self.quality_settings[quality] | overrides))


def _shipped() -> Path:
    try:
        return Path(str(files("babe2_presets")))
    except ModuleNotFoundError as error:
        raise PresetError("The presets that ship with this program are not installed; install the whole package "
                          "again.") from error


def list_presets() -> list[str]:
    """Names of all presets, sorted."""
    return sorted(path.parent.name for path in _shipped().glob("*/preset.toml"))


def load_preset(name: str) -> Preset:
    """The preset of this name. Raises PresetError naming the ones there are, or the file and key at fault."""
    names = list_presets()
    if name not in names:
        raise PresetError(f"There is no preset called {name!r}; there are: {', '.join(names)}.")
    folder = _shipped() / name
    path = folder / "preset.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        qualities = {quality: dict(content.get("settings", {})) | dict(content.get(quality, {}))
                     for quality in QUALITIES}
        preset = Preset(name, str(content["title"]), str(content["description"]), folder, qualities)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise PresetError(f"{path} cannot be used as a preset: {error}.") from error
    known = {item.name for item in fields(Settings)}
    for quality, values in qualities.items():
        for key in values:
            if key not in known:
                raise PresetError(f"{path} sets {key!r}, which is no setting.")
        try:
            preset.settings(quality)
        except ValueError as error:
            raise PresetError(f"{path}, quality {quality}: {error}") from error
    return preset
