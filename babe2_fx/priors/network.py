"""CQT-Diff+: a U-Net on the octaves of a constant-Q transform (paper App. A.2; Moliner and Välimäki 2023).

The encoder starts with the highest octave and takes in the next lower one each time it halves in frames; the
decoder returns one octave per stage. Convolutions are free of bias, and everything that scales (normalisation,
noise-level conditioning) is one factor per channel, so that the network is nearly scale-equivariant.

Parameter names are those of the published checkpoints, which therefore load as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from .convolution import Plain, Tiled, adjoint, convolve, padding, workspace_for
from .cqt import OctaveCQT
from .cqt_network import (
    INITIAL,
    CQTNetwork,
    Linear,
    NoiseLevelEmbedding,
    TransformConfig,
    check_size,
    uniform,
)

GROUPS = 8
PLACES = 6  # channels that tell a companded network where in the spectrum a band lies
PIECE = 2 ** 19  # numbers of a plane that are worked on together
# A half-band low-pass (cubic interpolation, EDM's resampling kernel); used for halving and doubling frames.
CUBIC = (-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875)


@dataclass(frozen=True)
class NetworkConfig(TransformConfig):
    """Every size of a CQT-Diff+ network.

    `channels` and `layers` go from the highest octave to the lowest; `layers` counts the dilated convolutions of a
    stage (dilations 1, 2, 4 ... along frequency). Defaults are the published piano's.

    `companding` is not in the published networks, where it is 0: the standard deviation of the training data. With
    it the network sees its planes in units of the noise, their magnitudes compressed by asinh, along with the place
    of each band. The noise between partials, which is most of what a denoiser can remove, is then as large to it as
    the partials are, and a small network learns in an hour what it would not learn from the plain planes.
    """

    channels: tuple[int, ...] = (64, 96, 96, 128, 128, 256, 256)
    layers: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 7)
    bottlenecks: int = 1
    embedding: int = 256
    companding: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high in (("channels", 1, 4096), ("layers", 1, 16)):
            sizes = getattr(self, name)
            if not isinstance(sizes, tuple | list) or len(sizes) > 100:
                raise ValueError(f"{name} must be a list of whole numbers, not {sizes!r:.60}.")
            for i, size in enumerate(sizes):
                check_size(f"{name}[{i}]", size, low, high)
            object.__setattr__(self, name, tuple(sizes))
        check_size("bottlenecks", self.bottlenecks, 1, 16)
        check_size("embedding", self.embedding, 1, 8192)
        check_size("companding", self.companding, 0, 1e3, whole=False)
        if not len(self.channels) == len(self.layers) == self.octaves:
            raise ValueError(f"A network of {self.octaves} octaves needs as many channel counts and layer counts, "
                             f"not {len(self.channels)} and {len(self.layers)}.")
        if any(c < GROUPS or c % GROUPS for c in self.channels):
            raise ValueError(f"Channel counts must be multiples of {GROUPS}, not {self.channels}.")
        self._check_stages()

    def _check_stages(self) -> None:
        """Bounds the work of all stages: planes, and convolutions of 5 by 3, down and up again."""
        multiplications, kept, busiest = 0.0, 0.0, 0.0
        for i, (channels, layers) in enumerate(zip(self.channels, self.layers)):
            after = self.channels[max(i - 1, 0)]
            cells = (i + 1) * self.bins_per_octave * self.frames(self.octaves - 1 - i)
            again = 1 + (self.bottlenecks if i == self.octaves - 1 else 0)
            multiplications += cells * (15 * layers * (again * channels ** 2 + after ** 2) + 6 * channels * after)
            kept, busiest = kept + cells * channels, max(busiest, 4 * cells * max(channels, after))
        self.check_work(multiplications, kept + busiest)


CLOSED = 1e-7  # scale of the gates' initial weights: every block starts as the identity


class Conv(nn.Module):
    """A convolution over (frequency, frames) without bias, zero-padded to the same size."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), dilation: int = 1):
        super().__init__()
        self.weight = uniform((outputs, inputs, *kernel), inputs * kernel[0] * kernel[1], INITIAL)
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight.to(x.dtype), self.dilation)


def _pieces(*planes: Tensor):
    """Matching pieces of planes along frequency, small enough to stay in the processor's cache from pass to pass."""
    _, channels, bins, frames = planes[0].shape
    # The same whatever the batch: sums are rounded piece by piece, and a row must come out as it would alone. A GPU
    # prefers everything at once.
    rows = max(1, PIECE // (channels * frames)) if planes[0].device.type == "cpu" else bins
    return zip(*(plane.split(rows, dim=2) for plane in planes))


def _sums(x: Tensor) -> Tensor:
    """Sums over frequency and frames, float32: (batch, channels, frequency, frames) -> (batch, channels, 1, 1)."""
    return x.sum(dim=(2, 3), keepdim=True, dtype=torch.float32)


def _active(x: Tensor, scale: Tensor, weight: Tensor, dilation: int) -> Plain | Tiled:
    """A workspace for a convolution, holding gelu(x * scale)."""
    workspace = workspace_for(x, weight, dilation)
    for piece, place in _pieces(x, workspace.plane):
        torch.ops.aten.gelu_(torch.mul(piece, scale, out=place))
    return workspace


def _scale(total: Tensor, power: Tensor, count: int, gamma: Tensor, affine: Tensor) -> Tensor:
    """Normalisation and conditioning as one factor a channel, (batch, channels, 1, 1) like all but the count.

    Division by the standard deviation of each group of channels; the mean stays (bias-free group norm).

    Args:
        total, power: sums of the channels' values, and of their squares.
        count: number of values in a channel.
        gamma, affine: the learned factors, and those for the noise level.
    """
    members = total.shape[1] // GROUPS
    total, power = (sums.unflatten(1, (GROUPS, members)).sum(2) for sums in (total, power))
    variance = (power - total.square() / (count * members)) / (count * members - 1)
    scale = 1 / (variance.clamp(min=1e-20).sqrt() + 1e-7)
    return scale.repeat_interleave(members, dim=1) * gamma * affine


class _GatedLayer(torch.autograd.Function):
    """x + opening * conv(gelu(x * scale)), with its gradient in as few passes over the planes as possible.

    Autograd's own gradient keeps more than twice as many planes, and passes over them more than twice as often.
    """

    @staticmethod
    def forward(ctx, x: Tensor, gamma: Tensor, affine: Tensor, opening: Tensor, weight: Tensor,
                dilation: int) -> Tensor:
        sums = [(_sums(piece), _sums(piece.float().square())) for piece, in _pieces(x)]
        total, power = (torch.stack(parts).sum(0) for parts in zip(*sums))
        scale = _scale(total, power, x[0, 0].numel(), gamma, affine).to(x.dtype)
        update = _active(x, scale, weight, dilation).convolved(weight)
        # What one more pass over the plane can recompute is not kept, nor what only training the gates needs.
        ctx.save_for_backward(x, total, power, gamma, affine, opening, weight,
                              update if ctx.needs_input_grad[3] else None)
        ctx.dilation = dilation
        return torch.addcmul(x, update, opening)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        x, *factors, opening, weight, update = ctx.saved_tensors
        with torch.enable_grad():
            total, power, gamma, affine = factors = [factor.detach().requires_grad_() for factor in factors]
            whole_scale = _scale(total, power, x[0, 0].numel(), gamma, affine)
        scale = whole_scale.detach().to(x.dtype)
        grad = grad.contiguous(memory_format=torch.channels_last)
        workspace = workspace_for(x, weight, ctx.dilation)
        torch.mul(grad, opening, out=workspace.plane)
        grad_active, grad_weight, grad_opening = workspace.convolved(adjoint(weight)), None, None
        if ctx.needs_input_grad[4]:
            active = _active(x, scale, weight, ctx.dilation).plane
            grad_weight = conv2d_weight(active, weight.shape, workspace.plane, dilation=(ctx.dilation, 1),
                                        padding=padding(weight, ctx.dilation))
        if update is not None:
            grad_opening = _sums(update * grad).to(opening.dtype)
        grad_x, grad_scale = torch.empty_like(x), torch.zeros_like(whole_scale)
        for into, piece, outer, inner in _pieces(grad_x, x, grad, grad_active):
            inner = torch.ops.aten.gelu_backward(inner, piece * scale)
            grad_scale = grad_scale + _sums(inner * piece)
            torch.addcmul(outer, inner, scale, out=into)
        grad_total, grad_power, grad_gamma, grad_affine = torch.autograd.grad(whole_scale, factors, grad_scale)
        for into, piece in _pieces(grad_x, x):
            into += torch.addcmul(grad_total.to(x.dtype), piece, 2 * grad_power.to(x.dtype))
        return grad_x, grad_gamma, grad_affine, grad_opening, grad_weight, None


class GroupScale(nn.Module):
    """The learned part of a layer's normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))


class ResnetBlock(nn.Module):
    """Gated residual convolutions, dilated along frequency, conditioned on the noise level."""

    def __init__(self, inputs: int, outputs: int, layers: int, embedding: int, kernel: tuple[int, int] = (5, 3),
                 project: str = "before"):
        super().__init__()
        inner = outputs if project == "before" else inputs
        self.proj_in = Conv(inputs, inner) if inputs != inner else nn.Identity()
        self.proj_out = Conv(inner, outputs) if inner != outputs else nn.Identity()
        self.res_conv = Conv(inputs, outputs) if inputs != outputs else nn.Identity()
        self.norm = nn.ModuleList(GroupScale(inner) for _ in range(layers))
        self.affine = nn.ModuleList(Linear(embedding, inner) for _ in range(layers))
        self.gate = nn.ModuleList(Linear(embedding, inner, CLOSED) for _ in range(layers))
        self.H = nn.ModuleList(Conv(inner, inner, kernel, dilation=2 ** i if kernel[0] > 1 else 1)
                               for i in range(layers))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inputs, x = x, self.proj_in(x)
        # Each layer halves the power of its sum. The halvings are gathered in `half` and undone in the gates, which
        # saves a pass over the signal itself; normalisation does not see them.
        half = 1.0
        for norm, affine, gate, conv in zip(self.norm, self.affine, self.gate, self.H):
            opening = (gate(level) / half).to(x.dtype)[:, :, None, None]
            x = _GatedLayer.apply(x, norm.gamma, (affine(level) + 1)[:, :, None, None], opening,
                                  conv.weight.to(x.dtype), conv.dilation)
            half *= math.sqrt(0.5)
        return torch.add(self.res_conv(inputs), self.proj_out(x), alpha=half) * math.sqrt(0.5)


class Resample(nn.Module):
    """Halves or doubles the number of frames of (batch, channels, frequency, frames)."""

    kernel: Tensor

    def __init__(self, up: bool):
        super().__init__()
        self.up = up
        self.register_buffer("kernel", torch.tensor(CUBIC))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.to(x.dtype).view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        if self.up:
            x = F.pad(x, (2, 2, 0, 0), mode="reflect")
            return F.conv_transpose2d(x, weight, stride=(1, 2), padding=(0, 7), groups=channels)
        return F.conv2d(F.pad(x, (3, 3, 0, 0), mode="reflect"), weight, stride=(1, 2), groups=channels)


class CQTDiff(CQTNetwork):
    """CQT-Diff+. `compute_dtype` is that of the convolutions; the statistics of normalisation stay in float32."""

    config: NetworkConfig

    downs: Any  # a ModuleList of stages: (in from the CQT, in from the pyramid, block), highest octave first
    middle: Any  # ... (out, block)
    ups: Any  # ... (out to the CQT, block), lowest octave first

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        channels, layers, width = config.channels, config.layers, config.embedding
        self.embedding = NoiseLevelEmbedding(width)
        self.downsamplerT, self.upsamplerT = Resample(up=False), Resample(up=True)
        self.downs = nn.ModuleList()
        for i in range(config.octaves):
            before = channels[max(i - 1, 0)]
            self.downs.append(nn.ModuleList([
                ResnetBlock(2 + (PLACES if config.companding else 0), before, 1, width, kernel=(1, 1)),
                Conv(2, channels[i], (5, 3)),
                ResnetBlock(before, channels[i], layers[i], width)]))
        self.middle = nn.ModuleList(nn.ModuleList([
            ResnetBlock(channels[-1], 2, 1, width, kernel=(1, 1), project="after"),
            ResnetBlock(channels[-1], channels[-1], layers[-1], width)]) for _ in range(config.bottlenecks))
        self.ups = nn.ModuleList()
        for i in reversed(range(config.octaves)):
            after = channels[max(i - 1, 0)]
            self.ups.append(nn.ModuleList([
                ResnetBlock(after, 2, 1, width, kernel=(1, 1), project="after"),
                ResnetBlock(2 * channels[i], after, layers[i], width)]))

    @classmethod
    def constants(cls) -> dict[str, Tensor]:
        return {f"{name}.kernel": torch.tensor(CUBIC) for name in ("downsamplerT", "upsamplerT")}

    def matrices(self) -> list[nn.Parameter]:
        """The convolutions' weights, except where real and imaginary planes come in or go out."""
        return [p for p in self.parameters() if p.dim() == 4 and min(p.shape[:2]) > 2]

    def forward(self, x: Tensor, noise_condition: Tensor) -> Tensor:
        cqt = self.transform(x.shape[-1])
        octaves = cqt(x)
        if self.config.companding:
            octaves = self._compand(octaves, cqt, noise_condition)
        planes = [torch.view_as_real(octave).permute(0, 3, 1, 2).to(self.compute_dtype)
                  .contiguous(memory_format=torch.channels_last) for octave in octaves]
        planes = self.unet(planes, self.embedding(noise_condition))
        octaves = [torch.view_as_complex(plane.permute(0, 2, 3, 1).float().contiguous()) for plane in planes]
        if self.config.companding:
            octaves = [octave * cqt.white(i)[:, None] for i, octave in enumerate(octaves)]
        return cqt.inverse(octaves)

    def _compand(self, octaves: list[Tensor], cqt: OctaveCQT, noise_condition: Tensor) -> list[Tensor]:
        """Each octave in units of the noise that Eq. 15 leaves in the network's input, magnitudes through asinh."""
        sigma = (4 * noise_condition).exp()
        noise = (sigma / (sigma ** 2 + self.config.companding ** 2).sqrt())[..., None]
        result = []
        for i, octave in enumerate(octaves):
            octave = octave / (cqt.white(i)[:, None] * noise)
            magnitude = torch.view_as_real(octave).square().sum(-1).add(1e-6).sqrt()
            result.append(octave * (magnitude.asinh() / magnitude))
        return result

    def _places(self, plane: Tensor, octave: int) -> Tensor:
        """A plane of an octave with the place of each of its bands in the spectrum as further channels."""
        bins, octaves = self.config.bins_per_octave, self.config.octaves
        place = (torch.arange(bins, device=plane.device) + bins * octave + 0.5) / (bins * octaves)
        waves = [f(math.pi * n * place) for n in range(1, PLACES // 2 + 1) for f in (torch.sin, torch.cos)]
        places = torch.stack(waves)[None, :, :, None].to(plane.dtype)
        return torch.cat([plane, places.expand(plane.shape[0], -1, -1, plane.shape[-1])], dim=1).contiguous(
            memory_format=torch.channels_last)

    def unet(self, planes: list[Tensor], level: Tensor) -> list[Tensor]:
        """Real and imaginary planes (batch, 2, bins, frames), lowest octave first, to the same."""
        bins, last, half = self.config.bins_per_octave, self.config.octaves - 1, math.sqrt(0.5)
        x: Any = None
        pyramid: Any = None
        skips = []
        for i, (first, from_pyramid, block) in enumerate(self.downs):
            plane = planes[last - i]
            entering = first(self._places(plane, last - i) if self.config.companding else plane, level)
            x = entering if x is None else torch.cat([entering, x], dim=2)
            halved = self.downsamplerT if i < last else nn.Identity()
            pyramid = halved(plane) if pyramid is None else torch.cat([halved(plane), halved(pyramid)], dim=2)
            x = block(x, level)
            skips.append(x)
            x = (halved(x) + from_pyramid(pyramid)) * half

        for out_block, block in self.middle:
            x = block(x, level)
            out = out_block(x, level)

        result = []
        for out_block, block in self.ups:
            x = block(torch.cat([x, skips.pop()], dim=1), level)
            out = (out + out_block(x, level)) * half
            plane, out = out.split([bins, out.shape[2] - bins], dim=2)
            result.append(plane)
            if skips:
                x, out = self.upsamplerT(x[:, :, bins:]), self.upsamplerT(out)
        return result
