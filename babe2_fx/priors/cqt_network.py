"""What the networks of all priors share: the constant-Q transform, the noise-level embedding, and their contract."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cqt import MIN_WINDOW, OctaveCQT

WINDOWS = ("hann", "kaiser")
RATE_STEP_HZ = 25  # all usual rates are multiples; a prime one makes resamplers' tables huge
# What one block may cost: about nine times what it costs the largest published network.
MOST_MULTIPLICATIONS, MOST_BYTES = 2e13, 8e9


@dataclass(frozen=True)
class TransformConfig:
    """The transform's sizes, with which the sizes of every network begin. Defaults are the published piano's.

    Raises:
        ValueError: a size is no number, or lies outside its range; or a block would take too much time or memory. The
            limits lie far beyond anything sensible; they keep the sizes in a stranger's file from being traps.
    """

    sample_rate: int = 22050
    block_length: int = 184184
    octaves: int = 7
    bins_per_octave: int = 64
    window: str = "kaiser"
    window_beta: float = 1.0

    def __post_init__(self) -> None:
        check_size("sample_rate", self.sample_rate, 8000, 192000)
        if self.sample_rate % RATE_STEP_HZ:
            raise ValueError(f"sample_rate must be a multiple of {RATE_STEP_HZ} Hz, as all usual rates are, not "
                             f"{self.sample_rate}.")
        check_size("block_length", self.block_length, 256, 2 ** 22)
        check_size("octaves", self.octaves, 1, 12)
        check_size("bins_per_octave", self.bins_per_octave, 4, 512)
        if self.window not in WINDOWS:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}, not {self.window!r:.60}.")
        check_size("window_beta", self.window_beta, 0, 100, whole=False)

    def frames(self, octave: int) -> int:
        """Frames of an octave of a block, counted from the lowest; known without the transform itself."""
        bands = self.octaves * self.bins_per_octave
        step = 2 ** (self.octaves / (bands - 1))
        widest = max(MIN_WINDOW, self.block_length / 2 * (step - 1 / step))  # bins of the spectrum that a band covers
        return max(1, 2 ** math.ceil(math.log2(widest)) >> self.octaves - 1 - octave)

    @property
    def coefficients(self) -> int:
        """Complex numbers that the transform makes of a block."""
        return self.bins_per_octave * sum(map(self.frames, range(self.octaves)))

    def check_work(self, multiplications: float, numbers: float) -> None:
        """Raises ValueError unless a block can be had: multiplications, and float32 numbers held, besides the CQT's."""
        held = 4 * (numbers + 12 * self.coefficients)
        if multiplications > MOST_MULTIPLICATIONS or held > MOST_BYTES:
            raise ValueError(
                f"a block of a network of these sizes would take about {multiplications:.1e} multiplications and "
                f"{held / 1e9:.1f} GB, where {MOST_MULTIPLICATIONS:.0e} and {MOST_BYTES / 1e9:.0f} GB are the most.")


def check_size(name: str, value: object, low: float, high: float, whole: bool = True) -> None:
    """Raises ValueError, naming the size, unless it is a number (a whole one) from `low` to `high`."""
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number from {low:.10g} to {high:.10g}, "
                         f"not {value!r:.60}.")


class CQTNetwork(nn.Module, ABC):
    """The network F of Eq. 15 on the octaves of a constant-Q transform.

    It maps audio (batch, samples) and a noise condition (batch, 1), which is ln(sigma) / 4, to audio (batch, samples).
    The rows of a batch are independent of each other.

    Attributes:
        config: its sizes.
        compute_dtype: of what lies between the transform and its inverse: float32, or bfloat16 where that is faster on
            the hardware.
        embedding: of the noise condition.
    """

    embedding: "NoiseLevelEmbedding"

    def __init__(self, config: TransformConfig):
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        self._transforms: dict[int, OctaveCQT] = {}

    @abstractmethod
    def forward(self, x: Tensor, noise_condition: Tensor) -> Tensor:
        """Audio (batch, samples), noise condition (batch, 1) -> audio (batch, samples)."""

    @abstractmethod
    def matrices(self) -> list[nn.Parameter]:
        """The weights that Muon trains: those that map channels to channels, outputs first."""

    @classmethod
    def constants(cls) -> dict[str, Tensor]:
        """What of the state dict is always the same; a file of weights need not carry it."""
        return {}

    @property
    def device(self) -> torch.device:
        return self.embedding.RFF_freq.device

    def transform(self, block_length: int) -> OctaveCQT:
        """The CQT for blocks of this length, on the network's device; made at first use and kept."""
        cqt = self._transforms.get(block_length)
        if cqt is None or cqt.gain.device != self.device:
            c = self.config
            cqt = OctaveCQT(c.octaves, c.bins_per_octave, c.sample_rate, block_length, c.window, c.window_beta)
            self._transforms[block_length] = cqt = cqt.to(self.device)
        return cqt


# Scale of initial weights, as in EDM.
INITIAL = math.sqrt(1 / 3)


def uniform(shape: tuple[int, ...], fan_in: int, scale: float) -> nn.Parameter:
    """Initial weights of standard deviation scale / sqrt(fan_in)."""
    bound = math.sqrt(3 / fan_in) * scale
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Linear(nn.Module):
    """A matrix and a bias for the last dimension."""

    def __init__(self, inputs: int, outputs: int, scale: float = INITIAL):
        super().__init__()
        self.weight = uniform((outputs, inputs), inputs, scale)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class NoiseLevelEmbedding(nn.Module):
    """Random Fourier features of the noise condition, and a small MLP: (batch, 1) -> (batch, embedding)."""

    def __init__(self, embedding: int):
        super().__init__()
        # On the CPU, whatever the default: on the meta device, drawing imports torch's compiler, which takes seconds.
        self.RFF_freq = nn.Parameter(16 * torch.randn(1, 32, device="cpu"), requires_grad=False)
        self.MLP = nn.ModuleList([Linear(64, 128), Linear(128, 256), Linear(256, embedding)])

    @torch.no_grad()
    def spread(self, detail: float) -> None:
        """Draws new frequencies with this standard deviation, in cycles per unit of the noise condition.

        The published 16 takes a feature through a whole cycle while the level changes by 28 %. A network that is
        trained for thousands of steps, instead of hundreds of thousands, then fails at some levels between those
        that it saw.
        """
        self.RFF_freq.normal_(std=detail)

    def forward(self, noise_condition: Tensor) -> Tensor:
        angle = 2 * math.pi * noise_condition * self.RFF_freq
        x = torch.cat([angle.sin(), angle.cos()], dim=1)
        for layer in self.MLP:
            x = layer(x).relu()
        return x
