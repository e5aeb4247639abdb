"""Checkpoints as the paper's authors published them: their settings and weights as a prior of this program."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .gate import LEVELS, MOST_PARAMETERS, check_finite, check_parameters, check_shapes, shapes
from .network import CQTDiff, NetworkConfig
from .prior import Prior, PriorError
from .refusals import refused, shown, unusable
from .torch_file import AGAIN, NUMPY_ARRAYS, Inert, StoredTensor, TorchFile, open_torch_file

MOST_STEPS = 300  # to the value of one setting, through wrappings and interpolations
LTAS_BINS = (1025, 2049)


def read_official(path: str | os.PathLike) -> Prior:
    """The prior of an official checkpoint: its EMA weights, its sizes, and its LTAS if it has one. On the CPU.

    Nothing else is read, so that the optimizer's state and the other copy of the weights take no memory.

    Raises:
        PriorError: the file is not an official checkpoint or is damaged; nothing in it was run.
    """
    path = Path(path)
    with open_torch_file(path) as file:
        return _prior(file, path)


# ------------------------------------------------------------------------------------------ the configuration

class _Settings:
    """The checkpoint's `args`: values by their paths, freed of the wrapping of the configuration's classes."""

    def __init__(self, args: object):
        self.args = args
        self.steps_left = 0  # of the current look-up; settings can refer to each other in circles

    def get(self, path: str) -> Any:
        """The value at a path such as "network.cqt.window", or None where the path leads nowhere."""
        self.steps_left = MOST_STEPS
        return self._at(tuple(path.split(".")))

    def number(self, path: str, low: float, high: float, whole: bool = True, default: float | None = None) -> Any:
        value = self.get(path)
        if value is None:
            value = default
        if type(value) is not int and (whole or type(value) is not float) or not low <= value <= high:
            raise unusable(f"has no usable setting {path}: it must be a {'whole ' if whole else ''}number "
                            f"from {low} to {high}, not {shown(value)}.")
        return value

    def whole_numbers(self, path: str, low: int, high: int) -> tuple[int, ...]:
        values = self.get(path)
        if type(values) is not list or len(values) > 100:
            raise unusable(f"has no usable setting {path}: it must be a list of numbers, not "
                            f"{shown(values)}.")
        return tuple(self.number(f"{path}.{i}", low, high) for i in range(len(values)))

    def _at(self, where: tuple[str, ...]) -> Any:
        node = self._plain(self.args, ())
        for depth, key in enumerate(where, 1):
            if type(node) is dict:
                node = node.get(key)
            else:
                found = type(node) is list and key.isdecimal() and int(key) < len(node)
                node = node[int(key)] if found else None
            node = self._plain(node, where[:depth])
        return node

    def _plain(self, node: Any, where: tuple[str, ...]) -> Any:
        """A node without its wrapping: a dictionary or list of nodes, or one value, interpolated."""
        while True:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise unusable("has settings that refer to each other without end.")
            if isinstance(node, Inert) and type(node.state) is dict:
                node = node.state.get("_content", node.state.get("_val"))
            elif isinstance(node, str) and node.startswith("${"):
                reference = re.fullmatch(r"\$\{(\.*)([\w.]{1,200})\}", node)
                if not reference:
                    raise unusable(f"has {shown(node)} for {'.'.join(where)}, which is not understood.")
                up = len(reference[1])  # dots lead up from the node; without them the path is from the top
                node = self._at((where[:-up] if up else ()) + tuple(reference[2].split(".")))
            else:
                return node


def _config(settings: _Settings) -> NetworkConfig:
    """The network's sizes. The limits lie far beyond anything sensible; they keep sizes from being traps."""
    window = settings.get("network.cqt.window")
    if window not in ("kaiser", "hann"):
        raise unusable(f"has the CQT window {shown(window)}, where 'kaiser' and 'hann' are known.")
    sizes = {
        "sample_rate": settings.number("exp.sample_rate", 8000, 192000),
        "block_length": settings.number("exp.audio_len", 256, 2 ** 22),
        "octaves": settings.number("network.cqt.num_octs", 1, 12),
        "bins_per_octave": settings.number("network.cqt.bins_per_oct", 4, 512),
        "window": window,
        "window_beta": float(settings.number("network.cqt.beta", 0, 100, whole=False, default=1.0)),
        "channels": settings.whole_numbers("network.Ns", 8, 4096),
        "layers": settings.whole_numbers("network.num_dils", 1, 16),
        "bottlenecks": settings.number("network.num_bottleneck_layers", 1, 16, default=1),
        "embedding": settings.number("network.emb_dim", 1, 8192)}
    try:
        return NetworkConfig(**sizes)
    except ValueError as error:
        raise unusable(f"has settings that do not go together: {str(error).rstrip('.')}.") from error


# -------------------------------------------------------------------------------------------------- the prior

def _prior(file: TorchFile, path: Path) -> Prior:
    checkpoint = file.content
    if type(checkpoint) is not dict or type(checkpoint.get("ema")) is not dict or "args" not in checkpoint:
        raise unusable("is not an official checkpoint: it has no weights `ema` and settings `args`.")
    settings = _Settings(checkpoint["args"])
    config = _config(settings)
    with torch.device("meta"):  # sizes only: the weights come from the file
        network = CQTDiff(config)
    sigma_data = float(settings.number("diff_params.sigma_data", *LEVELS, whole=False))
    ema = checkpoint["ema"]
    try:
        check_parameters(network, MOST_PARAMETERS)
    except ValueError as error:
        raise unusable(f"is too large: {error}.") from error
    _check_weights(ema, shapes(network), file.size)
    try:
        weights = {name: check_finite(name, file.tensor(stored)) for name, stored in ema.items()}
    except ValueError as error:
        raise PriorError(f"is damaged: {error}. {AGAIN}") from error
    network.load_state_dict(CQTDiff.constants() | weights, assign=True)
    try:
        network.transform(config.block_length)  # made at first use otherwise, which is late to fail
    except (IndexError, ValueError) as error:
        raise unusable(f"has settings that do not go together: {str(error).rstrip('.')}.") from error
    origin: dict[str, Any] = {"file": path.name}
    if type(checkpoint.get("it")) is int:
        origin["iterations"] = checkpoint["it"]
    ltas = _ltas(checkpoint.get("LTAS"), file)
    return Prior(network, sigma_data, _level(sigma_data), ltas, info={"origin": origin})


def _check_weights(ema: dict, expected: dict[str, tuple[int, ...]], file_bytes: int) -> None:
    """Raises PriorError where the weights are not those of the network that the settings describe."""
    stored = {str(name): tensor for name, tensor in ema.items()}
    found = {name: tensor.size if isinstance(tensor, StoredTensor) and tensor.storage.dtype.is_floating_point else None
             for name, tensor in stored.items()}
    try:
        check_shapes(found, expected, optional=frozenset(CQTDiff.constants()))
    except ValueError as error:
        raise PriorError(f"has weights that are not those of the network its settings describe: {error}. "
                         "Only CQT-Diff+ networks without attention can be used.") from error
    # Tensors may share their numbers, and then many large ones come out of little.
    if sum(math.prod(tensor.size) * tensor.storage.dtype.itemsize for tensor in stored.values()) > file_bytes:
        raise refused(f"lies about the size of its tensors, which need more than its {file_bytes} bytes.")


def _level(sigma_data: float) -> float:
    """Standard deviation of recordings to restore: the training data's, but 0.07 for the published piano.

    It is not read from the settings. The `sigma_norm` there belongs to demonstrations made during training, and in
    the authors' configuration it is 1 for the piano as well, which they restore at 0.07.
    """
    return 0.07 if math.isclose(sigma_data, 0.063, rel_tol=1e-3) else sigma_data


def _ltas(value: object, file: TorchFile) -> Tensor | None:
    if value is None:
        return None
    ltas = None if isinstance(value, StoredTensor) else _array(value)
    if isinstance(value, StoredTensor) and value.storage.dtype.is_floating_point and math.prod(value.size) in LTAS_BINS:
        ltas = file.tensor(value).reshape(-1)
    if ltas is None or len(ltas) not in LTAS_BINS or not ltas.isfinite().all() or ltas.min() < 0 or ltas.max() == 0:
        raise unusable(f"has an unusable LTAS: it must be a power spectrum of {LTAS_BINS[0]} or "
                        f"{LTAS_BINS[1]} values that are finite, not negative and not all zero.")
    return ltas


def _array(value: object) -> Tensor | None:
    """The numbers of a NumPy array of floats as one row, without help from NumPy; None if it is something else."""
    if not (isinstance(value, Inert) and value.name in NUMPY_ARRAYS):
        return None
    match value.state:
        case (_, tuple(), Inert("numpy.dtype", (str(code), *_), (_, "<", *_)), _, data):
            dtype = {"f2": torch.float16, "f4": torch.float32, "f8": torch.float64}.get(code)
        case _:
            return None
    match data:  # bytes, or how pickles of protocol 2 write them
        case Inert("_codecs.encode", (str(text), "latin1")):
            data = text.encode("latin1", errors="replace")
    if dtype is None or not isinstance(data, bytes) or not data or len(data) % dtype.itemsize:
        return None
    return torch.frombuffer(bytearray(data), dtype=dtype).float()
