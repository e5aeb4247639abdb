"""What every prior must be before it is used, whichever file it came from and whoever asked for it.

Nothing in a file is believed: its sizes are checked by the configurations (`cqt_network`), its head and the shapes in
it before anything is made of them, its numbers one tensor after the other, and at last the prior is tried on noise.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..catalogue.presets import is_shipped
from ..catalogue.weights import cache_folder
from ..documents import read_json
from ..files import FileError, whole_file
from ..spectra.cells import BANDS, FINE
from ..version import __version__
from .cqt import OctaveCQT
from .refusals import shown
from .response import FRAMES

if TYPE_CHECKING:
    from .prior import Prior

CURVE_BINS = (257, 513, 1025, 2049, 4097)
LEVELS = (1e-6, 1e3)  # of standard deviations in a prior's domain
RANGES = {"ltas": (0.0, 1e12), "ltas_spread_db": (0.0, 200.0), "emphasis_db": (-120.0, 120.0),
          "response.deviation_scale": (1e-3, 1e3)}
SILENT = 1e-24  # power
FLOATS = ("F16", "BF16", "F32", "F64")
MOST_PARAMETERS, MOST_COMPANION_PARAMETERS = 3 * 10 ** 8, 10 ** 7  # the largest published have 5 * 10^7, and 10^6
# The trial: noise levels in units of sigma_data; the shortest block, as a power of two of a whole one; and how much
# louder than what it is given a denoiser may be. An honest one is quieter, an untrained one about as loud.
TRIAL_SIGMAS, SHORTEST, MOST_GAIN = (10.0, 0.1), 6, 100.0
LONG_TRIAL_S = 1.0  # longer trials are not repeated as long as the file stays as it is
MOST_REMEMBERED = 100


def check_number(name: str, value: float | str, low: float, high: float) -> float:
    """The value, which may stand in a text. Raises ValueError unless it is a number within the range."""
    with contextlib.suppress(ValueError):
        if low <= float(value) <= high:
            return float(value)
    raise ValueError(f"its {name} is {shown(str(value))}, where a number from {low:g} to {high:g} is needed")


def check_shapes(found: Mapping[str, tuple[int, ...] | None], expected: Mapping[str, tuple[int, ...]],
                 optional: frozenset[str] = frozenset()) -> None:
    """Raises ValueError unless tensors are those that the sizes ask for.

    found: shapes by name; None for what is not a tensor of fractional numbers · expected: the same, of which those in
    `optional` may be missing.
    """
    faults = []
    for fault, names in (("lacks", [name for name in expected if name not in found and name not in optional]),
                         ("also has", [name for name in found if name not in expected])):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            faults.append(f"it {fault} {shown(names[0])}{more}")
    for name, shape in found.items():
        if not faults and shape is None:
            faults.append(f"{shown(name)} is not a tensor of fractional numbers")
        if not faults and shape != expected[name]:
            faults.append(f"{name} has the shape {shape}, not {expected[name]}")
    if faults:
        raise ValueError("; ".join(faults))


def shapes(network: nn.Module, without: Mapping[str, Tensor] | None = None) -> dict[str, tuple[int, ...]]:
    """The shapes of all of a network's tensors, some left out."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items() if name not in (without or {})}


def check_parameters(network: nn.Module, most: int) -> None:
    """Raises ValueError if a network is larger than anything sensible."""
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > most:
        raise ValueError(f"its sizes are those of a network of {count:.1e} parameters, where {most:.0e} are the most")


def check_finite(name: str, tensor: Tensor) -> Tensor:
    """The tensor. Raises ValueError unless all its numbers are finite."""
    # What is not finite stays so in a sum, and float32 numbers cannot overflow one in float64; half as many passes.
    wide = torch.float64 if tensor.dtype == torch.float32 else torch.float32
    if not math.isfinite(tensor.sum(dtype=wide)) and not tensor.isfinite().all():
        raise ValueError(f"it has values that are not finite numbers, in {name}")
    return tensor


def check_curves(tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError unless the curves among a file's tensors are (bins,) of a usual length, with sensible values.

    They are, where there are any: the spectrum, which must not be silent, its spread, the emphasis; and how sure of
    itself the response model is, whose shape is known otherwise.
    """
    for name, (low, high) in RANGES.items():
        if name not in tensors:
            continue
        curve = tensors[name]
        if "." not in name and (curve.dim() != 1 or len(curve) not in CURVE_BINS):
            raise ValueError(f"its {name} has the shape {tuple(curve.shape)}, where one row of "
                             f"{', '.join(map(str, CURVE_BINS[:-1]))} or {CURVE_BINS[-1]} values is needed")
        wrong = curve[~((curve >= low) & (curve <= high))]
        if len(wrong):
            raise ValueError(f"its {name} has the value {float(wrong[0]):g}, where all must lie from {low:g} to "
                             f"{high:g}")
    if "ltas" in tensors and not tensors["ltas"].max() > SILENT:
        raise ValueError("its ltas is zero everywhere")


# -------------------------------------------------------------------------------------------------- the trial

def try_once(prior: Prior, path: Path) -> None:
    """`try_out`, unless the prior ships with this program or its file has passed a long trial before."""
    if is_shipped(path):
        return
    memory, known = cache_folder() / "tried.json", {}
    with contextlib.suppress(FileError):
        known = read_json(memory, most=1 << 20)
    real, there = os.path.realpath(path), path.stat()
    stamp = [there.st_size, there.st_mtime_ns, __version__]
    known = known if isinstance(known, dict) else {}
    if known.get(real) == stamp:
        return
    begun = time.monotonic()
    try_out(prior)
    if time.monotonic() - begun > LONG_TRIAL_S:
        known.pop(real, None)
        kept = dict(list(known.items())[1 - MOST_REMEMBERED:]) | {real: stamp}
        with contextlib.suppress(OSError, ValueError):  # a name that is not text, or a folder that cannot be written
            memory.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(memory) as part:
                part.write_text(json.dumps(kept), encoding="utf-8")


@torch.no_grad()
def try_out(prior: Prior) -> None:
    """Raises ValueError unless a prior makes finite sound of sensible loudness out of noise, and what comes with it
    finite levels and responses. It takes a few hundredths of the time of a restoration's step.
    """
    draw = torch.Generator().manual_seed(0)
    try:
        prior.network.transform(prior.block_length)  # made at first use otherwise, which is late to fail
    except (IndexError, ValueError) as error:
        raise ValueError(f"its sizes do not go together: {error}") from error
    sigma = prior.sigma_data * torch.tensor(TRIAL_SIGMAS)[:, None]
    loudness = (sigma ** 2 + prior.sigma_data ** 2).sqrt()
    made = prior.denoise(loudness * torch.randn(len(sigma), _short_block(prior), generator=draw), sigma)
    gain = float((made.double().square().mean(1, keepdim=True).sqrt() / loudness).amax())
    if not gain < MOST_GAIN:
        what = f"{20 * math.log10(gain):.0f} dB louder than it" if math.isfinite(gain) else "of infinite loudness"
        raise ValueError(f"it cannot be trusted: what it makes of noise is {what}")
    level_db = 10 * torch.randn(2, FINE, FRAMES, generator=draw) - 20
    if prior.levels:
        found = prior.levels(level_db[:1, :, :8], torch.ones(1, BANDS, 8), torch.full((1, BANDS, 8), -80.0))
        check_finite("what its level model says", found.mean + found.log_variance)
    if prior.response:
        estimate = prior.response.estimate_from(level_db[:, :BANDS])
        check_finite("what its response model says", estimate.response_db + estimate.deviation_db)


def _short_block(prior: Prior) -> int:
    """The shortest block, halved and halved again, for which there is a transform."""
    config = prior.network.config
    for halvings in range(SHORTEST, 0, -1):
        with contextlib.suppress(IndexError, ValueError):
            length = config.block_length >> halvings
            OctaveCQT(config.octaves, config.bins_per_octave, config.sample_rate, length, config.window,
                      config.window_beta)
            return length
    return config.block_length
