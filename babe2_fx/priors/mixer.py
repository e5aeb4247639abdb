"""A small network for CPUs: tokens of a few bands by one frame, mixed along time and across bands.

This kind of network is not in the paper. On a processor core it learns far more than a small CQT-Diff+ in the same
time, and it is faster in use: almost all of its work is matrix products over channels, which processors are best at.

A token stands for some neighbouring bands of an octave within one frame of the middle octave: for several coefficients
in the octaves above, which have more frames, and for part of one in those below, which have fewer. So the tokens of a
frame cover the whole spectrum. Each layer updates them three times: along time, each token by itself; across the bands,
each frame by itself; and over the channels of each token.

Two things come out for each coefficient: the logarithm of the variance that the clean one is expected to have, from
which a Wiener filter makes a first estimate, and what is to be added to that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cqt import OctaveCQT
from .cqt_network import CQTNetwork, Linear, NoiseLevelEmbedding, TransformConfig, check_size, uniform
from .edm import Preconditioning

DILATIONS = (1, 2, 4)  # of the convolutions along time, layer by layer in turn; every octave has a multiple of 4 frames
PIECE = 2 ** 18  # numbers that are worked on together: they stay in the processor's cache from pass to pass
VARIANCE_SCALE = 5.0  # of the log variance that comes out: music spans many decibels, and outputs begin near zero
MOST_VARIANCE = 30.0  # of that, up or down; keeps sinh and cosh within float32
TINY = 1e-6  # added to powers before division or logarithm


@dataclass(frozen=True)
class MixerConfig(TransformConfig):
    """Every size of a `BandMixer`.

    width: channels of a token · depth: layers · mix_channels: channels in which the bands of a frame are mixed ·
    reach: taps on either side of a convolution along time · token_bands: bands of a token, a divisor of
    bins_per_octave · embedding: size of the embedding of the noise level · sigma_data: standard deviation of the
    training data, which the Wiener filter goes by.
    """

    window: str = "hann"
    width: int = 96
    depth: int = 6
    mix_channels: int = 16
    reach: int = 2
    token_bands: int = 4
    embedding: int = 64
    sigma_data: float = 0.063

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("width", self.width, 1, 4096)
        check_size("depth", self.depth, 1, 64)
        check_size("mix_channels", self.mix_channels, 1, 1024)
        check_size("reach", self.reach, 0, 32)
        check_size("token_bands", self.token_bands, 1, 512)
        check_size("embedding", self.embedding, 1, 8192)
        check_size("sigma_data", self.sigma_data, 1e-6, 1e3, whole=False)
        if self.bins_per_octave % self.token_bands:
            raise ValueError(f"Tokens of {self.token_bands} bands do not fill octaves of {self.bins_per_octave}: "
                             "bins_per_octave must be a multiple of token_bands.")
        numbers = self.frames(self.middle) * self.tokens * self.width
        mixing = self.mix_channels * (2 + self.tokens / self.width)
        layer = numbers * (9 * self.width + 2 * self.reach + 1 + mixing)
        self.check_work(self.depth * layer + 6 * self.width * self.coefficients, 8 * numbers)

    @property
    def tokens_per_octave(self) -> int:
        return self.bins_per_octave // self.token_bands

    @property
    def tokens(self) -> int:
        """Tokens of a frame."""
        return self.octaves * self.tokens_per_octave

    @property
    def middle(self) -> int:
        """The octave whose frames are the tokens', counted from the lowest."""
        return self.octaves // 2

    def frames_within(self, octave: int) -> int:
        """Frames of an octave in one of the middle octave; 1 where a frame of the octave is that long or longer."""
        return 2 ** max(0, octave - self.middle)

    def frames_across(self, octave: int) -> int:
        """Frames of the middle octave in one of this; 1 where that is as long or longer."""
        return 2 ** max(0, self.middle - octave)

    def coefficients_within(self, octave: int) -> int:
        """Coefficients of an octave in a token."""
        return self.token_bands * self.frames_within(octave)


class BandMixer(CQTNetwork):
    """The network. `compute_dtype` is that of the tokens; coefficients stay in float32."""

    config: MixerConfig
    layers: Any  # a ModuleList of MixerLayers

    def __init__(self, config: MixerConfig):
        super().__init__(config)
        octaves = range(config.octaves)
        self.embedding = NoiseLevelEmbedding(config.embedding)
        # Of each coefficient its compressed real and imaginary part and the logarithm of its magnitude go in, and real
        # and imaginary part of what is added and the log variance come out.
        self.enter = nn.ModuleList(Linear(3 * config.coefficients_within(i), config.width) for i in octaves)
        self.leave = nn.ModuleList(_quiet(config.width, 3 * config.coefficients_within(i)) for i in octaves)
        self.place = uniform((config.tokens, config.width), 1, 0.5)
        self.octave_level = uniform((config.octaves, config.width), 1, 0.2)
        self.level = Linear(config.embedding, config.width)
        self.layers = nn.ModuleList(MixerLayer(config, DILATIONS[i % len(DILATIONS)]) for i in range(config.depth))

    def matrices(self) -> list[nn.Parameter]:
        return [weight for layer in self.layers for weight in layer.matrices()]

    def forward(self, x: Tensor, noise_condition: Tensor) -> Tensor:
        cqt = self.transform(x.shape[-1])
        octaves, level = cqt(x), self.embedding(noise_condition)
        h = self._tokens(octaves, cqt, noise_condition, level).to(self.compute_dtype)
        h = self._through_layers(h, level)
        return cqt.inverse(self._estimates(h.float(), octaves, cqt, noise_condition))

    def _through_layers(self, h: Tensor, level: Tensor) -> Tensor:
        """Tokens (batch, frames, tokens, width) and the embedded noise level -> tokens."""
        # A processor takes rows one by one, in pieces along time that stay in its cache from pass to pass. A GPU
        # prefers everything at once.
        one_by_one = h.device.type == "cpu"
        frames = max(1, PIECE // h[0, 0].numel()) if one_by_one else h.shape[1]
        rows = []
        for row, row_level in zip(h.split(1), level.split(1)) if one_by_one else [(h, level)]:
            pieces = list(row.split(frames, dim=1))
            for layer in self.layers:
                pieces = layer(pieces, row_level)
            rows.append(torch.cat(pieces, dim=1))
        return torch.cat(rows)

    def _tokens(self, octaves: list[Tensor], cqt: OctaveCQT, noise_condition: Tensor, level: Tensor) -> Tensor:
        """Coefficients (batch, bands, frames) of each octave -> (batch, frames of the middle one, tokens, width)."""
        config, sigma = self.config, (4 * noise_condition).exp()
        noise = (sigma * Preconditioning(config.sigma_data).c_in(sigma))[..., None]  # its share of the network's input
        tokens = []
        for i, (octave, enter) in enumerate(zip(octaves, self.enter)):
            parts = torch.view_as_real(octave / (cqt.white(i)[:, None] * noise))
            power = parts.square().sum(-1, keepdim=True) + TINY
            magnitude = power.sqrt()
            values = torch.cat([parts * (magnitude.asinh() / magnitude), 0.5 * power.log()], dim=-1)
            values = values.unflatten(2, (-1, config.frames_within(i))).unflatten(1, (-1, config.token_bands))
            values = values.permute(0, 3, 1, 2, 4, 5).flatten(3)  # batch, frames, tokens, numbers of a token
            # A longer frame's tokens are made once, then repeated.
            tokens.append(enter(values).repeat_interleave(config.frames_across(i), dim=1))
        place = self.place + (noise_condition[..., None] * self.octave_level).repeat_interleave(
            config.tokens_per_octave, dim=1)
        return torch.cat(tokens, dim=2) + (place + self.level(level)[:, None])[:, None]

    def _estimates(self, h: Tensor, octaves: list[Tensor], cqt: OctaveCQT, noise_condition: Tensor) -> list[Tensor]:
        """Tokens, and the coefficients that went in -> the coefficients that come out, of each octave."""
        config, sigma = self.config, (4 * noise_condition).exp()[..., None]
        result = []
        shares = h.split(config.tokens_per_octave, dim=2)
        for i, (octave, share, leave) in enumerate(zip(octaves, shares, self.leave)):
            if (across := config.frames_across(i)) > 1:
                share = share.unflatten(1, (-1, across)).mean(2)
            values = leave(share).unflatten(-1, (config.token_bands, config.frames_within(i), 3))
            values = values.permute(0, 2, 3, 1, 4, 5).flatten(3, 4).flatten(1, 2)  # batch, bands, frames, 3
            added = torch.view_as_complex(values[..., :2].contiguous()) * cqt.white(i)[:, None]
            # Where the clean coefficient's variance is v = sigma_data² exp(log_variance), a Wiener filter passes
            # v / (v + sigma²) of the noisy one. Eq. 15 itself passes c_skip, and scales the network's input by c_in and
            # its output by c_out. So this is (v / (v + sigma²) - c_skip) / (c_in c_out), written without cancellation:
            log_variance = (VARIANCE_SCALE * values[..., 2]).clamp(-MOST_VARIANCE, MOST_VARIANCE)
            share_of_input = (log_variance / 2).sinh() / (log_variance / 2 + (config.sigma_data / sigma).log()).cosh()
            result.append(added + share_of_input * octave)
        return result


class MixerLayer(nn.Module):
    """Three updates of the tokens, each from normalised tokens: along time, across bands, and over channels."""

    def __init__(self, config: MixerConfig, dilation: int):
        super().__init__()
        width, taps = config.width, 2 * config.reach + 1
        self.dilation = dilation
        self.scales = nn.Parameter(torch.ones(3, width))  # after normalisation, before each of the three
        self.level = Linear(config.embedding, 3 * width)  # what the noise level does to these
        self.time_in, self.time_out = Linear(width, 2 * width), _quiet(width, width)
        self.taps = uniform((width, taps), 1, 0.2)
        with torch.no_grad():
            self.taps[:, config.reach] += 1
        self.band_in, self.band_out = Linear(width, config.mix_channels), _quiet(config.mix_channels, width)
        self.bands = uniform((config.mix_channels, config.tokens, config.tokens), config.tokens, 1.0)
        self.channel_in, self.channel_out = Linear(width, 4 * width), _quiet(2 * width, width)

    def matrices(self) -> list[nn.Parameter]:
        return [matrix.weight for matrix in (self.time_in, self.time_out, self.band_in, self.band_out, self.channel_in,
                                             self.channel_out)]

    def forward(self, pieces: list[Tensor], level: Tensor) -> list[Tensor]:
        """Pieces along time (batch, frames, tokens, width), and the embedded noise level -> the pieces, updated."""
        scales = self.scales * (1 + self.level(level)).unflatten(-1, (3, -1))
        time_scale, band_scale, channel_scale = scales.unbind(1)
        dtype = pieces[0].dtype
        value, gate = _scaled(self.time_in, time_scale, dtype, parts=2)
        (mix,) = _scaled(self.band_in, band_scale, dtype, parts=1)
        channel_value, channel_gate = _scaled(self.channel_in, channel_scale, dtype, parts=2)

        # Only the convolution looks beyond a frame; the pieces go through all else one by one.
        along = self._along_time(torch.cat([_linear(_Normalised.apply(piece), *value) for piece in pieces], dim=1))
        result = []
        for piece, convolved in zip(pieces, along.split(pieces[0].shape[1], dim=1)):
            piece = _added(piece, F.gelu(_linear(_Normalised.apply(piece), *gate)) * convolved, self.time_out)
            piece = _added(piece, self._across_bands(_Normalised.apply(piece), *mix), self.band_out)
            normalised = _Normalised.apply(piece)
            gated = F.gelu(_linear(normalised, *channel_gate)) * _linear(normalised, *channel_value)
            result.append(_added(piece, gated, self.channel_out))
        return result

    def _along_time(self, x: Tensor) -> Tensor:
        """Each channel of each token convolved along time."""
        batch, frames, tokens, width = x.shape
        # Frames that are `dilation` apart become a row, without a copy: undilated convolutions are fast.
        x = x.view(batch, frames // self.dilation, self.dilation * tokens, width).permute(0, 3, 1, 2)
        kernel = self.taps.to(x.dtype)[:, None, :, None]
        x = F.conv2d(x, kernel, padding=(self.taps.shape[1] // 2, 0), groups=width)
        return x.permute(0, 2, 3, 1).reshape(batch, frames, tokens, width)

    def _across_bands(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The tokens of each frame mixed, in a few channels: (batch, frames, tokens, width or mix_channels)."""
        batch, frames, tokens, _ = x.shape
        # With channels first no product needs a copy in another order.
        mixed = torch.baddbmm(bias[..., None], weight.mT, x.flatten(1, 2).mT).unflatten(-1, (frames, tokens))
        mixed = F.gelu(mixed @ self.bands.to(x.dtype).mT)
        return mixed.flatten(2).mT.unflatten(1, (frames, tokens))


def _quiet(inputs: int, outputs: int) -> Linear:
    """For the way out of an update, which is small at first: then layers begin close to the identity."""
    return Linear(inputs, outputs, scale=0.02 * math.sqrt(inputs))


class _Normalised(torch.autograd.Function):
    """Each token divided by its root mean square, with its gradient in as few passes as possible."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = (length.square() / x.shape[-1] + TINY).rsqrt().to(x.dtype)
        result = x * scale
        ctx.save_for_backward(result, scale)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        result, scale = ctx.saved_tensors
        along = (grad * result).mean(-1, keepdim=True)
        return torch.addcmul(grad, result, along, value=-1).mul_(scale)


def _scaled(linear: Linear, scale: Tensor, dtype: torch.dtype, parts: int) -> list[tuple[Tensor, Tensor]]:
    """A linear map of inputs to be multiplied by a scale (batch, inputs), in parts along its outputs.

    Each part is a weight (batch, inputs, outputs) and a bias (1, outputs). It is cheaper to scale a matrix once than
    every token; and separate parts are contiguous.
    """
    return [((weight * scale[:, None]).to(dtype).mT, bias.to(dtype)[None])
            for weight, bias in zip(linear.weight.chunk(parts), linear.bias.chunk(parts))]


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Tokens (batch, frames, tokens, inputs) through the weight of their row, from `_scaled`."""
    return torch.baddbmm(bias, x.flatten(1, 2), weight).unflatten(1, x.shape[1:3])


def _added(x: Tensor, update: Tensor, linear: Linear) -> Tensor:
    """x + linear(update), both (batch, frames, tokens, channels), in as few passes as possible."""
    total = (x + linear.bias.to(x.dtype)).flatten(0, 2)
    return total.addmm_(update.flatten(0, 2), linear.weight.to(x.dtype).t()).view(x.shape)
