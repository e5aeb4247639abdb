"""The domain a prior works in, and the way there and back: rate, offset, ends, emphasis, level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..audio.mapped import allocate_like, chunks
from ..audio.resampling import resample
from ..operators import InvertibleOperator, Operator, invertible
from ..priors import Prior
from .blocks import END_S, fade_ends

SILENCE = 1e-7  # -140 dBFS: below anything in a recording
SILENT_SHARE = 1e-4  # a block 80 dB below the loudest is a pause and is left alone


@dataclass
class Domain:
    """One recording's way into the prior's domain and back.

    gain: what its level is multiplied by there, 1 until `set_level` · offset: subtracted from each channel,
    (channels, 1) · ends: what fading the ends removed, and where.
    """

    prior: Prior
    sample_rate: float
    gain: Tensor = field(default_factory=lambda: torch.tensor(1.0))
    offset: Tensor = field(default_factory=lambda: torch.zeros(1, 1))
    ends: tuple[tuple[slice, Tensor], ...] = ()

    def enter(self, signal: Tensor) -> Tensor:
        """A recording (channels, samples) at the prior's rate, flattened, without an offset, at the prior's level.

        Its ends are faded: a recording cut out of music begins with a step, which would become a click. `leave` adds
        back, unrestored, what was removed there.
        """
        prior = self.prior
        resampled = resample(signal, self.sample_rate, prior.sample_rate)
        self.offset, working = resampled.mean(dim=-1, keepdim=True), allocate_like(resampled)
        torch.sub(resampled, self.offset, out=working)
        self.ends = tuple(fade_ends(working, prior.sample_rate))
        return (prior.emphasis.apply(working) if prior.emphasis else working).mul_(self.gain)

    def set_level(self, flat: Tensor) -> Tensor:
        """Brings `enter`'s result, in place, to the prior's level: the median over its blocks, silent ones excluded."""
        self.gain = self.prior.level / _median_block_level(flat, self.prior.block_length)
        return flat.mul_(self.gain)

    def leave(self, restored: Tensor, samples: int) -> Tensor:
        """A restored signal in this domain as audio (channels, samples) at the recording's rate. Changes `restored`."""
        prior = self.prior
        restored = restored.div_(self.gain)
        if prior.emphasis:
            restored = prior.emphasis.undo(restored)
        fade_ends(restored, prior.sample_rate, END_S / 10)  # where hardly any filter window reaches
        for part, taken in self.ends:
            restored[:, part] += taken
        return resample(restored, prior.sample_rate, self.sample_rate)[..., :samples]

    def keep_highs(self, restored: Tensor, signal: Tensor) -> Tensor:
        """Adds what the recording `signal` has above the prior's band to `restored`; both (channels, samples)."""
        prior_rate = self.prior.sample_rate
        lower = resample(resample(signal, self.sample_rate, prior_rate), prior_rate, self.sample_rate)
        for part in chunks(signal.shape[-1], restored, signal, lower):
            restored[:, part] += signal[:, part] - lower[:, part]
        return restored


class OnAudio(InvertibleOperator):
    """An operator on audio, as the sampler sees it: out of the prior's domain, through the operator, and back in.

    Args:
        rows: the recording's channel for each row of the batch.
    """

    def __init__(self, inner: Operator, domain: Domain, rows: list[int]):
        self.inner, self._domain, self.offset = inner, domain, domain.offset[rows]

    def _out(self, x: Tensor) -> Tensor:
        emphasis = self._domain.prior.emphasis
        x = x / self._domain.gain
        return (emphasis.undo(x) if emphasis else x) + self.offset.to(x)

    def _in(self, x: Tensor) -> Tensor:
        emphasis = self._domain.prior.emphasis
        x = x - self.offset.to(x)
        return (emphasis.apply(x) if emphasis else x) * self._domain.gain

    def _change(self, x: Tensor, through: Callable[[Tensor], Tensor]) -> Tensor:
        """Puts a difference of signals, which has no offset, through a function on audio."""
        return self._in(through(self._out(x) - self.offset.to(x)) + self.offset.to(x))

    def apply(self, x: Tensor) -> Tensor:
        return self._in(self.inner.apply(self._out(x)))

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        return self._change(residual, lambda audio: invertible(self.inner).invert(audio, variance))

    def known(self, variance: Tensor | float) -> Tensor:
        return invertible(self.inner).known(variance)

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        return self._in(invertible(self.inner).settle(self._out(estimate), self._out(observation)))


def _median_block_level(x: Tensor, block_length: int) -> Tensor:
    """Median of the blocks' standard deviations over (channels, samples); silent blocks do not count."""
    blocks = x.split(block_length, dim=-1)
    if len(blocks) > 1 and blocks[-1].shape[-1] < block_length // 2:
        blocks = blocks[:-1]
    levels = torch.stack([block.std(unbiased=False) for block in blocks])
    return levels[levels >= SILENT_SHARE * levels.max()].median().clamp(min=SILENCE)
