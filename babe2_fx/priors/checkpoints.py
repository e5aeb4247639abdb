"""Prior files: one safetensors file holds weights, sizes, LTAS, emphasis and origin, and no code.

`load_prior` also takes official checkpoints, which are another kind of file (`official`).
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..files import whole_file
from .cqt_network import TransformConfig
from .kinds import from_plain, make_network, to_plain
from .levels import LevelConfig, LevelModel
from .official import read_official
from .prior import Emphasis, Prior, PriorError
from .response import ResponseConfig, ResponseModel

FORMAT = "babe2-prior-1"
OFFICIAL = (".pt", ".pth", ".ckpt")  # suffixes of checkpoints as PyTorch writes them
# Small models that may come with a prior's network: the name of its attribute, and of the entries in a file.
COMPANIONS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "levels": (LevelConfig, LevelModel), "response": (ResponseConfig, ResponseModel)}


def save_prior(path: str | os.PathLike, weights: dict[str, Tensor], config: TransformConfig, sigma_data: float,
               level: float, ltas: Tensor | None, emphasis_db: Tensor | None, info: dict,
               dtype: torch.dtype = torch.float16, ltas_spread_db: Tensor | None = None,
               levels: LevelModel | None = None, response: ResponseModel | None = None) -> None:
    """Writes a prior file, whole or not at all. `config` has the sizes of its network, `weights` its
    state dict; the rest as in `Prior`.
    """
    # The resampling kernels are constants and the noise frequencies need their precision.
    tensors = {f"network.{name}": value.contiguous().to(torch.float32 if "RFF" in name else dtype)
               for name, value in weights.items() if not name.endswith("kernel")}
    for name, curve in (("ltas", ltas), ("emphasis_db", emphasis_db), ("ltas_spread_db", ltas_spread_db)):
        if curve is not None:
            tensors[name] = curve.float().contiguous()
    metadata = {"format": FORMAT, "network": json.dumps(to_plain(config)), "sigma_data": repr(float(sigma_data)),
                "level": repr(float(level)), "info": json.dumps(info)}
    for companion, model in (("levels", levels), ("response", response)):
        if model:
            tensors |= {f"{companion}.{name}": value.contiguous().half()
                        for name, value in model.state_dict().items()}
            metadata[companion] = json.dumps(asdict(model.config))
    with whole_file(path) as part:  # not save_file, which makes a file of its own, and leaves that when it is killed
        part.write_bytes(save(tensors, metadata))


def load_prior(path_or_id: str | os.PathLike, device: str | torch.device | None = None) -> Prior:
    """A prior from a file, or that of a preset.

    Args:
        path_or_id: path of a prior file or of an official checkpoint, or the name of a preset ("piano").
        device: where to put it; None is the CPU.

    Raises:
        PriorError: if there is no such prior, or the file is not a whole prior file or official checkpoint.

    Examples:
        >>> prior = load_prior("piano")
        >>> prior.sample_rate, prior.block_length
        (22050, 184184)
    """
    path = Path(path_or_id)
    if not path.suffix and not path.exists():
        from ..catalogue.presets import load_preset
        path = load_preset(str(path_or_id)).prior_path
    if not path.is_file():
        raise PriorError(f"There is no prior file {path}.")
    if path.suffix.lower() in OFFICIAL or _begins_as_zip(path):
        return read_official(path).to(device or "cpu")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise PriorError(f"{path} is a safetensors file but not a prior of this program (its format is "
                                 f"{metadata.get('format', 'not stated')!r}).")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        config = from_plain(json.loads(metadata["network"]))
        with torch.device("meta"):  # sizes only: the weights come from the file
            network = make_network(config)
        weights = {name.removeprefix("network."): value.float() for name, value in tensors.items()
                   if name.startswith("network.")}
        network.load_state_dict(weights | network.constants(), assign=True)
        prior = Prior(network, _level(metadata, "sigma_data"), _level(metadata, "level"), tensors.get("ltas"),
                      Emphasis(tensors["emphasis_db"]) if "emphasis_db" in tensors else None,
                      json.loads(metadata["info"]), tensors.get("ltas_spread_db"),
                      **{companion: _companion(companion, tensors, metadata) for companion in COMPANIONS})
    except PriorError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, struct.error) as error:
        raise PriorError(f"{path} is not a whole prior file: {error}") from error
    return prior.to(device or "cpu")


def _companion(companion: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Any:
    """A small model from a file, or None if it has none of this name. Raises as PyTorch does on wrong sizes."""
    if companion not in metadata:
        return None
    sizes, kind = COMPANIONS[companion]
    config = sizes(**json.loads(metadata[companion]))
    with torch.device("meta"):
        model = kind(config)
    prefix = f"{companion}."
    model.load_state_dict({name.removeprefix(prefix): value.float() for name, value in tensors.items()
                           if name.startswith(prefix)}, assign=True)
    return model


def _level(metadata: dict[str, str], name: str) -> float:
    value = float(metadata[name])
    if not 0 < value < math.inf:
        raise ValueError(f"its {name} is {value:g}, where a positive number is needed.")
    return value


def _begins_as_zip(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"  # "PK" alone may be the length that a prior file begins with
    except OSError as error:
        raise PriorError(f"{path} cannot be read: {error.strerror or error}.") from error
