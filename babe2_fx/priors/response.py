"""What a medium did to a recording's spectrum, told from the music that passed through it: its frequency response.

How the levels of bands vary in time and go together says what a long-term spectrum does not: which bands are weak in
the music, and which were made weak. The network reads segments of 3 s, two at a time, on twelfths of an octave
(`spectra.cells`), and says how sure it is. It makes no sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spectra.cells import BANDS, HOP, SIZE, cells
from .levels import BandMix, CellNorm, check_sizes

FRAMES = 64  # of a segment, 3 s
STEP = 4  # frames that the network takes as one
FEWEST_FRAMES = 16  # 0.9 s: of less audio nothing is said
LOWEST_DB, HIGHEST_DB = -80.0, 40.0  # of levels, relative to the mean power of the recording
QUIET_DB = 35.0  # segments whose loudest cell is that far below the loudest of all say nothing
SILENT = 1e-20  # mean power of a recording that is silent
# Segments that are read together. The more are read at once, the surer the network is, and the more wrong about singers
# and pianos that it has not heard.
TOGETHER = 2
# The network claims too much doubt: of true responses, 68 % are to lie within one deviation. This was the factor of the
# first model; since then each band's is measured after the training.
DEVIATION_SCALE = 0.75
GATE = 4  # shrinkage keeps r / (1 + r) of the response; r is this power of its square over its variance
SHRINKAGE_BANDS = 3.0  # standard deviation of the Gaussian by which both are averaged over bands for that
PIECE = 1024  # frames that are brought to cells at once; bounds memory, as does
BATCH = 8 * TOGETHER  # segments that pass the network at once; a multiple of TOGETHER
PLACES = 6  # learned channels that tell bands apart
RANKS = (1, 8, 24, 52, 62)  # which of a band's 64 levels, in rising order, go into its statistics
STATISTICS = 3 + len(RANKS)
# Distance in bands between the taps of each block's convolution, in the network over segments and in the head.
DILATIONS, HEAD_DILATIONS = (1, 2, 4, 12, 3), (1, 4, 12, 2)
LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -2.0, 6.0


@dataclass(frozen=True)
class ResponseConfig:
    """Sizes of a `ResponseModel`. Raises ValueError if one is not from 1 to 1024, or channels do not divide.

    channels: of the convolutions over a segment · mixes: patterns by which every other block mixes all bands ·
    weightings: ways to weigh the frames of a segment, for equal groups of channels · head_channels, head_mixes: of the
    part that reads the response from what was found in the segments.
    """

    channels: int = 32
    mixes: int = 8
    weightings: int = 4
    head_channels: int = 96
    head_mixes: int = 16

    def __post_init__(self) -> None:
        check_sizes(self, "response model")
        if self.channels % self.weightings:
            raise ValueError(f"channels of a response model must be a multiple of its weightings, {self.weightings}, "
                             f"not {self.channels}.")


class Response(NamedTuple):
    """Responses in dB up to a constant (batch, 83), and the logarithm of their variance in dB²."""

    mean: Tensor
    log_variance: Tensor


class ResponseEstimate(NamedTuple):
    """What `ResponseModel.estimate` says of a recording.

    Attributes:
        response_db: gain of the medium on twelfths of an octave (`spectra.cells.band_centres_hz`), (83,). The loudness
            of the music is not known, so only the shape counts: the mean, weighted by the precision that the network
            claims (`deviation_scale` aside), is set to zero.
        deviation_db: its standard deviation, (83,).
    """

    response_db: Tensor
    deviation_db: Tensor


class ResponseBlock(nn.Module):
    """A residual convolution over bands and frames."""

    def __init__(self, channels: int, dilation: int, frames: int):
        super().__init__()
        self.norm = CellNorm(channels)
        self.wide = nn.Conv2d(channels, channels, (5, frames), padding=(2 * dilation, frames // 2),
                              dilation=(dilation, 1))
        self.point = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.point(F.gelu(self.wide(self.norm(x))))


class Mixed(nn.Module):
    """Residual blocks, one for each dilation; after every other one a mix of all bands."""

    def __init__(self, channels: int, mixes: int, dilations: tuple[int, ...], frames: int):
        super().__init__()
        self.blocks = nn.ModuleList(ResponseBlock(channels, dilation, frames) for dilation in dilations)
        self.mixes = nn.ModuleList(BandMix(channels, mixes) for _ in dilations[1::2])

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i % 2:
                x = x + self.mixes[i // 2](x)
        return x


class ResponseModel(nn.Module):
    """The frequency response of a recording's medium, from the music that passed through it.

    Trained for piano and singing, from 3 s on, through acoustic horns, early electric recording, broad equalization, or
    nothing at all, with noise 10 to 75 dB below the music. Clean music is to be called flat, so a recording that is
    merely tilted, without limits to its band, passes for half flat. Ripples narrower than half an octave are lost.

    Attributes:
        deviation_scale: by what the deviation of each band that the network claims is multiplied, (83,).
    """

    deviation_scale: Tensor

    def __init__(self, config: ResponseConfig = ResponseConfig()):
        super().__init__()
        self.config = config
        self.register_buffer("deviation_scale", torch.full((BANDS,), DEVIATION_SCALE))
        channels, head = config.channels, config.head_channels
        self.place = nn.Parameter(0.1 * torch.randn(1, PLACES, BANDS, 1))
        self.enter = nn.Conv2d(2, channels, (3, STEP), stride=(1, STEP), padding=(1, 0))
        self.enter_place = nn.Conv2d(PLACES, channels, 1)
        self.segment = Mixed(channels, config.mixes, DILATIONS, frames=3)
        self.norm, self.weigh = CellNorm(channels), nn.Conv2d(channels, config.weightings, 1)
        self.enter_head = nn.Conv2d(2 * channels + config.weightings + PLACES + STATISTICS + 1, head, (3, 1),
                                    padding=(1, 0))
        self.head = Mixed(head, config.head_mixes, HEAD_DILATIONS, frames=1)
        self.head_norm, self.leave = CellNorm(head), nn.Conv2d(head, 3, 1)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.get_parameter("bias"))

    def forward(self, level_db: Tensor) -> Response:
        """Responses of recordings with levels (batch, segments, 83, 64) in dB, relative to the mean power of each."""
        batch, count = level_db.shape[:2]
        found = self.summarise(level_db.flatten(0, 1))
        return self.read(found.view(batch, count, -1, BANDS).mean(1), count)

    def summarise(self, level_db: Tensor) -> Tensor:
        """What is found in each segment (segments, 83, 64), (segments, planes, 83); means over segments can be read."""
        own = level_db - level_db.mean(-1, keepdim=True)  # does not depend on the response, far from the noise
        x = self.enter(torch.stack([level_db / 20, own / 10], 1)) + self.enter_place(self.place)
        x = self.norm(self.segment(x))
        weight = (6 * torch.tanh(self.weigh(x) / 6)).exp()
        weighed = weight.repeat_interleave(x.shape[1] // weight.shape[1], 1) * x
        return torch.cat([weight.mean(-1), weighed.mean(-1), (weighed * x).mean(-1), _statistics(level_db)], 1)

    def read(self, found: Tensor, count: int) -> Response:
        """Responses from the mean of what was found in `count` segments, (batch, planes, 83)."""
        channels, weightings = self.config.channels, self.config.weightings
        weight, first, second, statistics = found.split([weightings, channels, channels, STATISTICS], 1)
        weights = weight.repeat_interleave(channels // weightings, 1)
        mean = first / weights
        deviation = (second / weights - mean.square()).clamp(min=1e-4).sqrt()
        power, level, square, ranks = statistics.split([1, 1, 1, len(RANKS)], 1)
        spectrum_db = 10 * (power + 1e-8).log10()
        spread = (square - level.square()).clamp(min=1e-6).sqrt()
        length = torch.full_like(power, math.log2(min(count, 8)) / 3)
        planes = torch.cat([weight.log() / 3, mean, deviation, spectrum_db / 20, level, spread, ranks, length,
                            self.place[..., 0].expand(len(found), -1, -1)], 1)
        x = self.head(self.enter_head(planes[..., None]))
        response, log_variance, gate = self.leave(self.head_norm(x))[..., 0].unbind(1)
        spectrum_db = spectrum_db[:, 0] - spectrum_db[:, 0].mean(-1, keepdim=True)
        return Response(20 * response + torch.sigmoid(5 * gate) * spectrum_db,
                        (5 * log_variance + 2.5).clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE))

    @torch.no_grad()
    def estimate(self, audio: Tensor, shrink: bool = True) -> ResponseEstimate:
        """The response of a recording, and how sure it is.

        Args:
            audio: (samples,) or (channels, samples) at 22.05 kHz, of any loudness; channels count by their power.
            shrink: bring what does not stand out from its deviation towards flat. Of a response that is as large as
                its deviation, half is left; of one 1.4 times as large, 94 %. Degraded recordings lose next to nothing
                by it, and clean ones are hardly changed at all.

        Returns:
            Of silence, and of less than a second: a flat response with the largest deviation there is.

        Examples:
            >>> estimate = ResponseModel().estimate(torch.zeros(2, 22050))
            >>> estimate.response_db.shape, float(estimate.response_db.abs().max())
            (torch.Size([83]), 0.0)
        """
        if audio.dim() not in (1, 2) or audio.dim() == 2 and not len(audio):
            raise ValueError(f"audio must be (samples,) or (channels, samples), not {tuple(audio.shape)}.")
        level_db = _levels_db(audio[None] if audio.dim() == 1 else audio)
        if level_db is None:
            return ResponseEstimate(torch.zeros(BANDS), math.exp(MOST_LOG_VARIANCE / 2) * self.deviation_scale.cpu())
        return self.estimate_from(torch.stack([level_db[start:start + FRAMES].T for start in _heard(level_db)]), shrink)

    @torch.no_grad()
    def estimate_from(self, level_db: Tensor, shrink: bool = True) -> ResponseEstimate:
        """`estimate` from segments of a recording, (segments, 83, 64) in dB, relative to its mean power."""
        readings = []
        for segments in level_db.split(BATCH):
            found = self.summarise(segments.to(self.place.device))
            readings.append(self.read(torch.stack([some.mean(0) for some in found.split(TOGETHER)]), TOGETHER))
        mean, log_variance = (torch.cat(parts).cpu() for parts in zip(*readings))
        precision = (-log_variance).exp()
        response_db = (_centred(mean, precision) * precision).sum(0) / precision.sum(0)
        # The errors of parts of one recording go together: the variance stays that of one reading.
        precision = precision.mean(0)
        response_db = _centred(response_db, precision)
        deviation_db = self.deviation_scale.cpu() * precision.rsqrt()
        if shrink:
            response_db = _centred(_shrunk(response_db, deviation_db.square()), precision)
        return ResponseEstimate(response_db, deviation_db)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """As PyTorch does; files that were made before deviations were measured have no `deviation_scale`."""
        state_dict.setdefault(f"{prefix}deviation_scale", torch.full((BANDS,), DEVIATION_SCALE))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _levels_db(audio: Tensor) -> Tensor | None:
    """Levels (frames, 83) of audio (channels, samples), relative to its mean power; None if they say nothing.

    Audio shorter than a segment is repeated.
    """
    frames = 1 + (audio.shape[-1] - SIZE) // HOP
    if frames < FEWEST_FRAMES:
        return None
    power = torch.cat([  # piece by piece, by channels' mean
        cells(audio[:, HOP * first:HOP * (min(first + PIECE, frames) - 1) + SIZE].float(), fine=False).mean(0).T.cpu()
        for first in range(0, frames, PIECE)])
    mean = float(power.mean(dtype=torch.float64))
    if not SILENT < mean < math.inf:
        return None
    level_db = (10 * (power / mean + 1e-9).log10()).clamp(LOWEST_DB, HIGHEST_DB)
    return level_db.repeat(math.ceil(FRAMES / frames), 1)


def _heard(level_db: Tensor) -> list[int]:
    """First frames of the segments that are not silent: side by side, and one up to the end if much would be lost."""
    starts = list(range(0, len(level_db) - FRAMES + 1, FRAMES))
    if len(level_db) - FRAMES - starts[-1] > FRAMES // 4:
        starts.append(len(level_db) - FRAMES)
    top_db = level_db.amax(1)
    loudest = [float(top_db[start:start + FRAMES].max()) for start in starts]
    return [start for start, loud in zip(starts, loudest) if loud > max(loudest) - QUIET_DB]


def _statistics(level_db: Tensor) -> Tensor:
    """Of each band's levels in a segment (segments, 83, 64): power, mean, mean square, ranks, (segments, 8, 83)."""
    ranked = level_db.sort(-1).values
    return torch.stack([(10 ** (level_db / 10)).mean(-1), level_db.mean(-1) / 20, level_db.square().mean(-1) / 400,
                        *(ranked[..., rank] / 20 for rank in RANKS)], 1)


def _centred(response_db: Tensor, precision: Tensor) -> Tensor:
    """Responses (..., 83) whose mean, weighted by precision, is zero."""
    return response_db - (precision * response_db).sum(-1, keepdim=True) / precision.sum(-1, keepdim=True)


def _shrunk(response_db: Tensor, variance: Tensor) -> Tensor:
    """A response (83,) of which stays what stands out from its variance (83,)."""
    ratio = (band_smoothing() @ response_db.square() / (band_smoothing() @ variance)) ** GATE
    return response_db * ratio / (1 + ratio)


@cache
def band_smoothing() -> Tensor:
    """Weights by which each band's neighbours count, (83, 83)."""
    band = torch.arange(BANDS)
    weights = (-0.5 * ((band[:, None] - band) / SHRINKAGE_BANDS).square()).exp()
    return weights / weights.sum(1, keepdim=True)
