"""Prior files: one safetensors file holds weights, sizes, LTAS, emphasis and origin, and no code.

`load_prior` also takes official checkpoints, which are another kind of file (`official`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..documents import parse_json
from ..files import whole_file
from ..tensor_files import Head, read_head
from .cqt_network import TransformConfig
from .gate import (
    FLOATS,
    LEVELS,
    MOST_COMPANION_PARAMETERS,
    MOST_PARAMETERS,
    check_curves,
    check_finite,
    check_number,
    check_parameters,
    check_shapes,
    shapes,
    try_once,
)
from .kinds import from_plain, make_network, sized, to_plain
from .levels import LevelConfig, LevelModel
from .official import read_official
from .prior import Emphasis, Prior, PriorError
from .response import ResponseConfig, ResponseModel

FORMAT = "babe2-prior-1"
OFFICIAL = (".pt", ".pth", ".ckpt")  # suffixes of checkpoints as PyTorch writes them
# Small models that may come with a prior's network: the name of its attribute, and of the entries in a file.
COMPANIONS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "levels": (LevelConfig, LevelModel), "response": (ResponseConfig, ResponseModel)}
CURVES = ("ltas", "emphasis_db", "ltas_spread_db")
OPTIONAL = frozenset({"response.deviation_scale"})  # files from before deviations were measured lack it


def save_prior(path: str | os.PathLike, weights: dict[str, Tensor], config: TransformConfig, sigma_data: float,
               level: float, ltas: Tensor | None, emphasis_db: Tensor | None, info: dict,
               dtype: torch.dtype = torch.float16, ltas_spread_db: Tensor | None = None,
               levels: LevelModel | None = None, response: ResponseModel | None = None) -> None:
    """Writes a prior file, whole or not at all. `config` has the sizes of its network, `weights` its
    state dict; the rest as in `Prior`.

    Raises PriorError if it could not be read again, because some number is not finite, or none in `dtype`.
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
    try:
        for name, value in tensors.items():
            check_finite(name, value)
    except ValueError as error:
        raise PriorError(f"{path} was not written: {error}, or too large for its format.", path=path) from error
    with whole_file(path) as part:  # not save_file, which makes a file of its own, and leaves that when it is killed
        part.write_bytes(save(tensors, metadata))


def load_prior(path_or_id: str | os.PathLike, device: str | torch.device | None = None) -> Prior:
    """A prior from a file, or that of a preset.

    Args:
        path_or_id: path of a prior file or of an official checkpoint, or the name of a preset ("piano").
        device: where to put it; None is the CPU.

    Raises:
        PriorError: if there is no such prior, or the file cannot be used: damaged, too large, with values
            out of range, or not working when it is tried. Nothing in it is run.

    Examples:
        >>> prior = load_prior("piano")
        >>> prior.sample_rate, prior.block_length
        (22050, 184184)
    """
    path = Path(path_or_id)
    if not path.suffix and not os.path.exists(path):
        from ..catalogue.presets import load_preset
        path = load_preset(str(path_or_id)).prior_path
    if not os.path.isfile(path):
        raise PriorError(f"{path} is not a file." if os.path.exists(path) else f"There is no prior file {path}.")
    prior = read_official(path) if _is_official(path) else _read(path)
    try:
        try_once(prior, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error
    return prior.to(device or "cpu")


def _read(path: Path) -> Prior:
    """The prior of a prior file, on the CPU; all in it checked, but not tried yet. Raises PriorError."""
    head = read_head(path, PriorError)
    metadata = head.metadata
    if metadata.get("format") != FORMAT:
        raise PriorError(f"{path} is a safetensors file but not a prior of this program (its format is "
                         f"{metadata.get('format', 'not stated')!r:.60}).")
    try:
        sigma_data, level = (check_number(name, _stated(metadata, name), *LEVELS)
                             for name in ("sigma_data", "level"))
        info = parse_json(_stated(metadata, "info"))
        if not isinstance(info, dict):
            raise ValueError("what it says of its origin is not a table")
        config = from_plain(parse_json(_stated(metadata, "network")))
        with torch.device("meta"):  # sizes only: the weights come from the file
            parts: dict[str, Any] = {"network": make_network(config)}
            parts |= {name: kind(sized(sizes, parse_json(metadata[name]), f"a {name.rstrip('s')} model"))
                      for name, (sizes, kind) in COMPANIONS.items() if name in metadata}
        tensors = _tensors(path, head, parts)
        check_curves(tensors)
        for name, part in parts.items():
            prefix = f"{name}."
            weights = {key.removeprefix(prefix): value.float() for key, value in tensors.items()
                       if key.startswith(prefix)}
            part.load_state_dict(weights | (part.constants() if name == "network" else {}), assign=True)
        emphasis = Emphasis(tensors["emphasis_db"]) if "emphasis_db" in tensors else None
        return Prior(parts.pop("network"), sigma_data, level, tensors.get("ltas"), emphasis, info,
                     tensors.get("ltas_spread_db"), **parts)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error


def _tensors(path: Path, head: Head, parts: dict[str, Any]) -> dict[str, Tensor]:
    """All tensors of a file, once its head says that they are those of its parts; their numbers finite."""
    expected: dict[str, tuple[int, ...]] = {}
    for name, part in parts.items():
        check_parameters(part, MOST_PARAMETERS if name == "network" else MOST_COMPANION_PARAMETERS)
        own = shapes(part, part.constants() if name == "network" else None)
        expected |= {f"{name}.{key}": shape for key, shape in own.items()}
    found = {name: stored.shape if stored.dtype in FLOATS else None for name, stored in head.tensors.items()}
    curves = {name: shape for name, shape in found.items() if name in CURVES and shape is not None}
    check_shapes(found, expected | curves, optional=OPTIONAL)
    with safe_open(str(path), framework="pt") as file:
        return {name: check_finite(name, file.get_tensor(name)) for name in found}


def _stated(metadata: dict[str, str], name: str) -> str:
    if name not in metadata:
        raise ValueError(f"it does not state its {name}")
    return metadata[name]


def _unusable(path: Path, error: Exception) -> PriorError:
    return PriorError(f"{path} cannot be used as a prior: {str(error).rstrip('.')}.", path=path)


def _is_official(path: Path) -> bool:
    """Whether a file is, or should be, as PyTorch writes checkpoints: by its content, then by its name."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise PriorError(f"{path} cannot be read: {error.strerror or error}.") from error
    if start[:4] == b"PK\x03\x04":  # "PK" alone may be the length that a prior file begins with
        return True
    return path.suffix.lower() in OFFICIAL and start[8:] != b"{"
