"""Which channels of a recording are restored, and how."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..audio.mapped import allocate, chunks

DUAL_MONO_DB = -10.0  # side relative to mid; below this, two channels hold one groove


def channels_to_restore(audio: Tensor, channels: str, notes: list[str]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The signals to restore (rows, samples), and a function that turns them back into the input's channels.

    Two channels that hold one groove are summed, which also lowers the noise; true stereo shares one filter.
    """
    if len(audio) == 1:
        return audio, lambda x: x
    mid, side, power = torch.from_numpy(allocate(1, audio.shape[1])), 0.0, 0.0
    for part in chunks(audio.shape[1], audio, mid):
        mid[:, part] = audio[:, part].mean(dim=0)
        side += float((audio[:, part] - mid[:, part]).double().square().mean(dim=0).sum())
        power += float(mid[:, part].double().square().sum())
    count = audio.shape[1]
    alike = 10 * math.log10((side / count + 1e-20) / (power / count + 1e-20)) < DUAL_MONO_DB
    if channels == "mono" or (channels == "auto" and alike):
        notes.append(f"The {len(audio)} channels {'hold the same signal' if alike else 'were summed'}; their mean "
                     "was restored.")
        return mid, lambda x: _repeated(x, len(audio))
    notes.append(f"The {len(audio)} channels were restored separately, with one common filter.")
    return audio, lambda x: x


def _repeated(x: Tensor, channels: int) -> Tensor:
    """One channel (1, samples), repeated."""
    several = torch.from_numpy(allocate(channels, x.shape[1]))
    for part in chunks(x.shape[1], x, several):
        several[:, part] = x[:, part]
    return several
