"""How a recording is cut into blocks and reassembled."""

from __future__ import annotations

import torch
from torch import Tensor

from ..audio.mapped import allocate, release

END_S = 0.02  # of a recording or a block: a transient there comes from the cut


class Blocks:
    """How a recording is cut: blocks of one length, each overlapping the one before; the last is zero-padded."""

    def __init__(self, samples: int, block_length: int, overlap: float):
        self.length, self.overlap = block_length, int(block_length * overlap)
        # A recording that fits in half a block, or a quarter, is sampled in one of that size.
        while samples <= self.length // 2 and self.length % 4 == 0 and self.length // 2 > 32768:
            self.length //= 2
        self.hop = self.length - self.overlap
        self.count = max(1, -(-(samples - self.overlap) // self.hop))

    def take(self, x: Tensor, index: int) -> Tensor:
        piece = x[..., index * self.hop:index * self.hop + self.length]
        return torch.nn.functional.pad(piece, (0, self.length - piece.shape[-1]))

    def allocate(self, rows: int) -> Tensor:
        """Room for all blocks together, (rows, samples); this may be longer than the recording."""
        return torch.from_numpy(allocate(rows, self.count * self.hop + self.overlap))

    def join(self, done: Tensor, block: Tensor, index: int) -> None:
        """Puts a block in its place after the previous one, cross-fading over the overlap with a Hann slope."""
        start = index * self.hop
        if index and self.overlap:
            rise, seam = torch.hann_window(2 * self.overlap)[:self.overlap], done[:, start:start + self.overlap]
            block = torch.cat([seam * (1 - rise) + block[:, :self.overlap] * rise, block[:, self.overlap:]], dim=-1)
        done[:, start:start + self.length] = block
        if index % 64 == 63:
            release(done)


def fade_ends(x: Tensor, sample_rate: float, duration_s: float = END_S) -> list[tuple[slice, Tensor]]:
    """Fades both ends of x (channels, samples) in place; returns what was removed, and where."""
    count = min(int(duration_s * sample_rate), x.shape[-1] // 2)
    rise = torch.hann_window(2 * count)[:count]
    taken = []
    for part, window in (slice(0, count), rise), (slice(x.shape[-1] - count, x.shape[-1]), rise.flip(0)):
        taken.append((part, x[:, part] * (1 - window)))
        x[:, part] *= window
    return taken
