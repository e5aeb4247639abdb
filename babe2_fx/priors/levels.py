"""How loud clean music is where a recording says nothing, learned from what it does say.

White noise hides all bands together, so a small denoiser never learns to look down from the highs to the lows. Levels
are easy to learn: from the bands that a recording has, this network gives each cell of time and log frequency
(`spectra.cells`) the level that clean music of its kind would have there, and how sure it is. It makes no sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spectra.cells import BANDS, FINE
from .cqt_network import check_size

UNKNOWN_DB = -60.0  # what stands in cells that are not known
NO_NOISE_DB = -80.0
UNIT_DB = 20.0  # levels in the network are in these units
# Where, as ratios of frequency, the relatives of a cell lie: the partials that share a fundamental with it.
RELATIVES = (1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 8, 2 / 3, 3 / 4)
PLACES = 8  # learned channels that tell bands apart
# Of each residual block: distance in bands and frames between the taps of its convolution.
DILATIONS = ((1, 1), (2, 1), (4, 2), (12, 4), (1, 1), (12, 8), (4, 2), (1, 1))
MOST_LOG_VARIANCE = 6.0


def check_sizes(config: object, of: str) -> None:
    """Raises ValueError unless every size is a whole number from 1 to 1024."""
    for name, value in vars(config).items():
        check_size(f"{name} of a {of}", value, 1, 1024)


@dataclass(frozen=True)
class LevelConfig:
    """Sizes of a `LevelModel`. Raises ValueError if one is not from 1 to 1024.

    channels: of the convolutions · mixes: patterns by which every other block mixes all bands of a frame · width: of
    the dense path from all known cells of a frame to all its cells · passed: planes it hands to the convolutions.
    """

    channels: int = 24
    mixes: int = 8
    width: int = 192
    passed: int = 4

    def __post_init__(self) -> None:
        check_sizes(self, "level model")


class Levels(NamedTuple):
    """The level of each cell in dB (batch, 249, frames), and the logarithm of its variance in dB²."""

    mean: Tensor
    log_variance: Tensor


class CellNorm(nn.Module):
    """Brings the channels (batch, channels, bands, frames) of each cell to unit power."""

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-5).rsqrt() * self.gain


class BandMix(nn.Module):
    """Every band of a frame from all bands of it, by a few learned patterns; nothing at first."""

    def __init__(self, channels: int, mixes: int):
        super().__init__()
        self.norm, self.enter = CellNorm(channels), nn.Conv2d(channels, mixes, 1)
        self.leave = nn.Conv2d(mixes, channels, 1)
        self.patterns = nn.Parameter(torch.randn(mixes, BANDS, BANDS) * BANDS ** -0.5)
        self.offset = nn.Parameter(torch.zeros(1, mixes, BANDS, 1))
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(F.gelu(self.patterns @ self.enter(self.norm(x)) + self.offset))


class LevelBlock(nn.Module):
    """A residual convolution over bands and frames, and after it, in every other block, a mix of all bands."""

    def __init__(self, config: LevelConfig, dilation: tuple[int, int], mixes: bool):
        super().__init__()
        channels, (bands, frames) = config.channels, dilation
        self.norm = CellNorm(channels)
        self.wide = nn.Conv2d(channels, channels, (5, 3), padding=(2 * bands, frames), dilation=dilation)
        self.point = nn.Conv2d(channels, channels, 1)
        self.mix = BandMix(channels, config.mixes) if mixes else None

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.point(F.gelu(self.wide(self.norm(x))))
        return x if self.mix is None else x + self.mix(x)


class LevelModel(nn.Module):
    """Levels of clean music from those of the cells that are known."""

    def __init__(self, config: LevelConfig = LevelConfig()):
        super().__init__()
        self.config = config
        self.place = nn.Parameter(0.1 * torch.randn(1, PLACES, BANDS, 1))
        # Frame by frame, from all known cells to every cell.
        self.dense = nn.ModuleList([nn.Conv1d(FINE + 2 * BANDS, config.width, 3, padding=1),
                                    nn.Conv1d(config.width, config.width, 3, padding=1),
                                    nn.Conv1d(config.width, config.width, 1)])
        self.dense_planes = nn.Conv1d(config.width, config.passed * BANDS, 1)
        self.dense_levels = nn.Conv1d(config.width, FINE, 1)
        per_band = FINE // BANDS
        planes = per_band * (1 + len(RELATIVES)) + 2 + PLACES + config.passed
        self.enter = nn.Conv2d(planes, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(LevelBlock(config, dilation, mixes=i % 2 == 1)
                                    for i, dilation in enumerate(DILATIONS))
        self.norm, self.leave = CellNorm(config.channels), nn.Conv2d(config.channels, 2 * per_band, 1)
        for parameter in self.dense_levels.parameters():
            nn.init.normal_(parameter, std=0.003)

    def forward(self, level_db: Tensor, known: Tensor, noise_db: Tensor) -> Levels:
        """Levels in dB relative to the mean power of the known cells, given and returned.

        Args:
            level_db: of the fine cells, (batch, 249, frames); what stands in those that are not known does not matter.
            known: 1 for twelfths of an octave that hold music, 0 for others, (batch, 83, frames).
            noise_db: of stationary noise in these cells, (batch, 83, frames); -80: none.
        """
        batch, _, frames = level_db.shape
        per_band = FINE // BANDS
        level = torch.where(known.repeat_interleave(per_band, 1) > 0, level_db, UNKNOWN_DB) / UNIT_DB
        noise = noise_db / UNIT_DB
        first, second, third = self.dense
        wide = F.gelu(first(torch.cat([level, known, noise], 1)))
        wide = F.gelu(third(wide + F.gelu(second(wide))))
        stack = [level] + [_shifted(level, round(36 * math.log2(ratio))) for ratio in RELATIVES]
        x = self.enter(torch.cat(
            [plane.view(batch, BANDS, per_band, frames).transpose(1, 2) for plane in stack]
            + [known[:, None], noise[:, None], self.place.expand(batch, -1, -1, frames),
               self.dense_planes(wide).view(batch, -1, BANDS, frames)], 1))
        for block in self.blocks:
            x = block(x)
        # (batch, 2 * 3, 83, frames) -> two of (batch, 249, frames)
        mean, log_variance = (half.transpose(1, 2).reshape(batch, FINE, frames)
                              for half in self.leave(self.norm(x)).chunk(2, dim=1))
        mean = UNIT_DB * (mean + self.dense_levels(wide) - 1)
        return Levels(mean, (log_variance + 3).clamp(-1.0, MOST_LOG_VARIANCE))


def _shifted(level: Tensor, bands: int) -> Tensor:
    """Levels (batch, 249, frames) in units, each moved up by -`bands`: what lies that far below comes to its place."""
    return F.pad(level[:, :bands], (0, 0, -bands, 0), value=UNKNOWN_DB / UNIT_DB)
