"""The order in which a recording's blocks are sampled, and what each knows of the others (App. A.5)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..operators import (
    BlindEQ,
    BlindEqualizer,
    Chain,
    Fitter,
    FixedFilter,
    Identity,
    Masked,
    Measurement,
    Operator,
    Place,
)
from ..settings import TimeInvariant
from .blocks import END_S, Blocks
from .domain import Domain, OnAudio
from .result import Progress

BATCH = 4  # blocks sampled at once in time-invariant processing; bounds memory


@dataclass(frozen=True)
class Task:
    """A recording to sample, in the prior's domain, and how the clean signal became the recording.

    observation: what was recorded, (channels, samples) · initial: what sampling starts from, of the same shape ·
    operators: from the clean signal to the observation · noise: variance of the observation's noise, (2049,) ·
    fitter: of the blind EQ, or None · domain: the recording's, for operators that act on audio · begin: the sample
    of the whole recording at which this passage begins.
    """

    observation: Tensor
    initial: Tensor
    operators: tuple[Measurement, ...]
    noise: Tensor
    fitter: Fitter | None
    domain: Domain
    begin: int = 0

    def operator(self, blocks: Sequence[int], cut: Blocks) -> Operator:
        """The operator for these blocks; each has one row per channel."""
        channels, rate = len(self.observation), self.domain.prior.sample_rate
        starts = tuple(self.begin + block * cut.hop for block in blocks for _ in range(channels))
        place = Place(starts, cut.length, rate, self.noise, self.fitter)
        rows = [*range(channels)] * len(blocks)
        placed = [OnAudio(operator.at(place), self.domain, rows) if operator.domain == "audio" else operator.at(place)
                  for operator in self.operators]
        return placed[0] if len(placed) == 1 else Chain(placed)

    def hides(self, blocks: Sequence[int], cut: Blocks) -> bool:
        """Whether an operator leaves out some of these blocks altogether."""
        spans = [span for operator in self.operators for span in operator.hidden(self.domain.prior.sample_rate)]
        starts = [self.begin + block * cut.hop for block in blocks]
        return any(first < start + cut.length and start < last for first, last in spans for start in starts)

    def with_filter(self, response: Tensor) -> "Task":
        """The same with a response (2049,) in place of the blind EQ."""
        known = FixedFilter(response, self.noise)
        return replace(self, operators=tuple(known if isinstance(o, BlindEQ) else o for o in self.operators))


@dataclass(frozen=True)
class Batch:
    """Blocks sampled together: each row's block number, their observation and start, (rows, samples).

    index: the batch's number, from 0 · of: how many there are · hides: whether an operator leaves out some of it, so
    that its silence is not the music's.
    """

    operator: Operator
    observation: Tensor
    initial: Tensor
    rows: list[int]
    index: int
    of: int
    hides: bool


Sample = Callable[[Batch], Generator[Progress, None, Tensor]]


def sample_recording(task: Task, cut: Blocks, how, sample: Sample) -> Generator[Progress, None, Tensor]:
    """The whole recording (channels, samples), block by block. how: `Settings.blocks`; sample: restores a `Batch`."""
    if isinstance(how, TimeInvariant) and cut.count > 1:
        return (yield from _time_invariant(task, cut, how.estimation_blocks, sample))
    return (yield from _autoregressive(task, cut, sample))


def _autoregressive(task: Task, cut: Blocks, sample: Sample) -> Generator[Progress, None, Tensor]:
    """Block after block; each begins with the restored end of the one before (Eq. 20)."""
    channels, samples = task.observation.shape
    done = cut.allocate(channels)
    # Not up to the very end of the one before, which knew nothing of what follows.
    known = max(cut.overlap - int(END_S * task.domain.prior.sample_rate), 0)
    for index in range(cut.count):
        observed, start = cut.take(task.observation, index), cut.take(task.initial, index)
        operator = task.operator([index], cut)
        if index:
            previous = cut.take(done, index)[..., :known]
            observed, start = (torch.cat([previous, x[..., known:]], dim=-1) for x in (observed, start))
            operator = Masked(torch.arange(cut.length) < known, Identity(), operator)
        block = yield from sample(Batch(operator, observed, start, [index] * channels, index, cut.count,
                                        task.hides([index], cut)))
        cut.join(done, block, index)
    return done[..., :samples]


def _time_invariant(task: Task, cut: Blocks, count: int, sample: Sample) -> Generator[Progress, None, Tensor]:
    """The filter, if there is one to be found, from a batch of blocks in the middle; then all blocks, in batches."""
    channels, samples = task.observation.shape
    count, estimates = min(count, cut.count), int(task.fitter is not None)
    rounds = estimates + -(-cut.count // BATCH)

    def batch(task: Task, blocks: Sequence[int], index: int) -> Batch:
        observed, start = (torch.cat([cut.take(x, i) for i in blocks]) for x in (task.observation, task.initial))
        rows = [i for i in blocks for _ in range(channels)]
        return Batch(task.operator(blocks, cut), observed, start, rows, index, rounds, task.hides(blocks, cut))
    if task.fitter is not None:
        first = (cut.count - count) // 2
        yield from sample(batch(task, range(first, first + count), 0))
        task = task.with_filter(BlindEqualizer(task.fitter, task.domain.prior.sample_rate).response)
    done = cut.allocate(channels)
    for number, begin in enumerate(range(0, cut.count, BATCH), estimates):
        blocks = range(begin, min(begin + BATCH, cut.count))
        restored = yield from sample(batch(task, blocks, number))
        for index, block in zip(blocks, restored.split(channels)):
            cut.join(done, block, index)
    return done[..., :samples]
