"""Convolutions along dilated frequency and frames with fewer multiplications (Winograd 1980; Lavin and Gray 2016).

A filter of r taps gives m outputs from m + r - 1 products instead of m r: the polynomials that stand for input and
filter are multiplied through their values at m + r - 1 points. Here the points lie along frequency, where a filter
has five taps; the three along frames are matrix products that are summed. What is left for the processor is large
matrix products, with a third of the plain convolution's operations.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 5  # along frequency
POINTS = [Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/2", "-3/2", "2/3", "-2/3")]
OUTPUTS = range(4, 9)  # of a tile; the rounding error grows with them, to 1e-5 at eight
CHANNELS = 32  # it pays from here on: with fewer, passing over the planes costs as much as is saved
WORKING = 2 ** 18  # numbers per point that are worked on together: what stays in the processor's cache


@lru_cache
def _matrices(outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """A (outputs, points), G (points, 5) and B (points, points) of y = A ((G g) * (B d)), float64."""
    points = POINTS[:outputs + TAPS - 2]

    def expanded(roots: list[Fraction]) -> list[Fraction]:
        result = [Fraction(1)]
        for root in roots:
            result = [up - root * here for up, here in zip([Fraction(0), *result], [*result, Fraction(0)])]
        return result
    others = [[q for q in points if q != p] for p in points]
    at_root = [sum(c * p ** n for n, c in enumerate(expanded(rest))) for p, rest in zip(points, others)]
    # The last point is infinity: the highest coefficient.
    a = [[p ** i for p in points] + [Fraction(i == outputs - 1)] for i in range(outputs)]
    g = [[p ** i / scale for i in range(TAPS)] for p, scale in zip(points, at_root)] + [[0] * (TAPS - 1) + [1]]
    b = [[*expanded(rest), Fraction(0)] for rest in others] + [expanded(points)]
    A, G, B = (torch.tensor([[float(v) for v in row] for row in m], dtype=torch.float64) for m in (a, g, b))
    size = B.norm(dim=1, keepdim=True)  # brings all points to one size
    return A, G * size, B / size


def padding(weight: Tensor, dilation: int) -> tuple[int, int]:
    """Zeros on either side, along frequency and frames, for a result of the plane's size."""
    return dilation * (weight.shape[2] // 2), weight.shape[3] // 2


def convolve(plane: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """A plane (batch, from, frequency, frames) convolved with a filter (to, from, rows, columns) by PyTorch."""
    if weight.shape[2:] == (1, 1):  # a matrix product: on one thread PyTorch has no fast convolution of this size
        return F.linear(plane.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)
    return F.conv2d(plane, weight, padding=padding(weight, dilation), dilation=(dilation, 1))


class Plain:
    """A workspace for a plane that PyTorch convolves.

    Attributes:
        plane: what is to be convolved, (batch, channels, frequency, frames), to be written to.
    """

    def __init__(self, like: Tensor, dilation: int):
        self.plane, self._dilation = torch.empty_like(like), dilation

    def convolved(self, weight: Tensor) -> Tensor:
        """The plane convolved with a filter (to, from, rows, columns), zero-padded to the same size."""
        return convolve(self.plane, weight, self._dilation)


class Tiled:
    """A workspace for a plane in tiles along frequency, padded.

    Rows that are `dilation` apart make a tile. Between the frames of a row and those of the next one lies a column of
    zeros, the padding of both.

    Attributes:
        plane: what is to be convolved, (batch, channels, frequency, frames), to be written to.
    """

    def __init__(self, like: Tensor, dilation: int):
        batch, channels, bins, frames = like.shape
        rows = -(-bins // dilation)
        self._outputs = min(OUTPUTS, key=lambda m: -(-rows // m) * (m + TAPS - 1))  # the fewest products
        self._tiles, self._dilation, self._width = -(-rows // self._outputs), dilation, frames + 1
        self._held = like.new_empty(batch, (self._tiles * self._outputs + TAPS - 1) * dilation, self._width, channels)
        above = TAPS // 2 * dilation
        for edge in (self._held[:, :above], self._held[:, above + bins:], self._held[:, :, 0]):
            edge.zero_()
        self.plane = self._held[:, above:above + bins, 1:].permute(0, 3, 1, 2)

    def convolved(self, weight: Tensor) -> Tensor:
        """The plane convolved with a filter (to, from, 5, 3), zero-padded to the same size."""
        m, d, width = self._outputs, self._dilation, self._width
        a, g, b = (matrix.to(weight) for matrix in _matrices(m))
        points, (batch, channels, bins, frames) = len(b), self.plane.shape
        to, _, _, columns = weight.shape
        # (points, columns, to, from). As a product with all taps it needs no copy of the filter in another order.
        at_points = torch.kron(g, torch.eye(columns).to(g)) @ weight.reshape(to * channels, -1).t()
        at_points = at_points.view(points, columns, to, channels).transpose(2, 3)
        size = d * width  # positions of a tile
        held = self._held.view(batch, -1, size, channels)
        result = weight.new_empty(batch, self._tiles * m, size, to)
        together = max(1, WORKING // channels // size)  # tiles, or else parts of one
        part = min(size, max(1, WORKING // channels))
        entering = weight.new_empty(points, together * part + columns - 1, channels)
        leaving = weight.new_empty(points, together * part, to)
        for item, first, low in product(range(batch), range(0, self._tiles, together), range(0, size, part)):
            high = min(low + part, size)
            read = min(high + columns - 1, size)
            rows = [n * m for n in range(first, min(first + together, self._tiles))]
            for i, row in enumerate(rows):
                torch.mm(b, held[item, row:row + points, low:read].flatten(1),
                         out=entering[:, i * part:i * part + read - low].view(points, -1))
            before = (len(rows) - 1) * part
            end = before + high - low
            entering[:, before + read - low:end + columns - 1] = 0
            products = leaving[:, :end]
            torch.bmm(entering[:, :end], at_points[:, 0], out=products)
            for column in range(1, columns):
                products.baddbmm_(entering[:, column:end + column], at_points[:, column])
            for i, row in enumerate(rows):
                torch.mm(a, products[:, i * part:i * part + high - low].view(points, -1),
                         out=result[item, row:row + m, low:high].view(m, -1))
        return result.view(batch, -1, width, to)[:, :bins, :frames].permute(0, 3, 1, 2)


def workspace_for(like: Tensor, weight: Tensor, dilation: int) -> Plain | Tiled:
    """A workspace for a plane the size of another, to be convolved with such a filter in the faster way."""
    pays = like.device.type == "cpu" and like.dtype == torch.float32 and min(weight.shape[:2]) >= CHANNELS
    return (Tiled if pays and weight.shape[2] == TAPS else Plain)(like, dilation)


def adjoint(weight: Tensor) -> Tensor:
    """The filter that takes gradients of what was convolved with this one to gradients of the plane."""
    return weight.transpose(0, 1).flip(2, 3)
