"""The published models: what they are, where to get them, and where they are once installed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..documents import parse_json
from ..tensor_files import read_head

PUBLISHED_AT = "http://research.spa.aalto.fi/publications/papers/dafx-babe2/checkpoints/"
NAME = re.compile(r"[a-z0-9-]+")  # of weights and of presets: the same on every file system, safe in a path

_VOICE = ("not stated; the published code is MIT. Singer from VocalSet (CC BY 4.0), after training on research "
          "corpora of singing, some of them for non-commercial use only")


@dataclass(frozen=True)
class KnownModel:
    """A published checkpoint: its file, what it is for, and what is known about its licence."""

    name: str
    file: str
    purpose: str
    licence: str

    @property
    def address(self) -> str:
        return base_address() + self.file


KNOWN = {model.name: model for model in (
    KnownModel("piano-maestro", "MAESTRO_22kHz_8s-850kits.pt", "solo piano, 22.05 kHz",
               "not stated; the published code is MIT. Trained on MAESTRO (CC BY-NC-SA 4.0)"),
    KnownModel("tenor-caruso", "VocalSet_male2_44kHz_6s-8kits.pt",
               "tenor, 44.1 kHz; the paper's for Enrico Caruso (VocalSet male 2)", _VOICE),
    KnownModel("tenor-gigli", "VocalSet_male11_44kHz_6s-8kits.pt",
               "tenor, 44.1 kHz; the paper's for Beniamino Gigli (VocalSet male 11)", _VOICE),
    KnownModel("soprano-melba", "VocalSet_female1_44kHz_6s-8kits.pt",
               "soprano, 44.1 kHz; the paper's for Nellie Melba (VocalSet female 1)", _VOICE),
    KnownModel("soprano-patti", "VocalSet_female5_44kHz_6s-8kits.pt",
               "soprano, 44.1 kHz; the paper's for Adelina Patti (VocalSet female 5)", _VOICE),
    KnownModel("singing-voice-pretrain", "singing_voice_pretrain_44kHz_6s-325kits.pt",
               "singing, 44.1 kHz; what the voices above were fine-tuned from. No preset uses it",
               "not stated; the published code is MIT. Trained on research corpora of singing, some of them for "
               "non-commercial use only"),
)}


def base_address() -> str:
    """Where the published files are; the environment variable BABE2_WEIGHTS_URL names another place (a mirror)."""
    return (os.environ.get("BABE2_WEIGHTS_URL") or PUBLISHED_AT).rstrip("/") + "/"


def cache_folder() -> Path:
    """The user's cache folder for this program, or the one that BABE2_CACHE names."""
    return _folder("BABE2_CACHE", platformdirs.user_cache_path("babe2", appauthor=False))


def config_folder() -> Path:
    """The user's configuration folder for this program, or the one that BABE2_CONFIG names."""
    return _folder("BABE2_CONFIG", platformdirs.user_config_path("babe2", appauthor=False))


def _folder(variable: str, default: Path) -> Path:
    named = os.environ.get(variable)
    return Path(named).absolute() if named else default


def weights_folder() -> Path:
    return cache_folder() / "weights"


def weights_path(name: str) -> Path:
    """Where the weights of this name are if installed."""
    return weights_folder() / f"{name}.safetensors"


def how_to_get(name: str) -> str:
    """The end of a sentence: how to install weights."""
    model = KNOWN.get(name)
    if model is None:
        return f"import a file with `babe2 weights import FILE --name {name}`"
    return (f"get them with `babe2 weights pull {name}`, or download {model.address} and run "
            f"`babe2 weights import {model.file}`")


def prior_info(path: Path) -> dict:
    """What a prior file says about its origin. Raises FileError or ValueError if it cannot be read."""
    info = parse_json(read_head(path).metadata.get("info", "{}"))
    if not isinstance(info, dict):
        raise ValueError("what it says about its origin is not a table")
    return info
