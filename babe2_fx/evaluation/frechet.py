"""Fréchet audio distance: how far apart the embeddings of two sets of recordings lie, treated as Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS, FEWEST = 25, 500  # of the extrapolation to infinitely many frames, as fadtk has them


def embedding_statistics(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (dims,) and unbiased covariance (dims, dims) of embeddings (frames, dims). Raises ValueError below two."""
    return Moments.of(frames).statistics()


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """|mean_a - mean_b|² + Tr(cov_a + cov_b - 2 (cov_a cov_b)^½), as fadtk defines it (squared, not its root).

    The trace of the root is the sum of the singular values of cov_a^½ cov_b^½: real, never complex by rounding, and
    right where there are fewer frames than dimensions.

    Args:
        mean_a, mean_b: (dims,).
        cov_a, cov_b: (dims, dims), symmetric and positive semi-definite.

    Examples:
        >>> frechet_distance([3.0], [[4.0]], [1.0], [[1.0]])  # (3 - 1)² + (2 - 1)²
        5.0
    """
    mean_a, mean_b = np.atleast_1d(mean_a).astype(float), np.atleast_1d(mean_b).astype(float)
    cov_a, cov_b = np.atleast_2d(cov_a).astype(float), np.atleast_2d(cov_b).astype(float)
    if mean_a.shape != mean_b.shape or cov_a.shape != cov_b.shape or cov_a.shape != mean_a.shape * 2:
        raise ValueError(f"Means and covariances do not fit: {mean_a.shape}, {cov_a.shape} and {mean_b.shape}, "
                         f"{cov_b.shape}.")
    common = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * common)


def _root(cov: np.ndarray) -> np.ndarray:
    """The square root of a positive semi-definite matrix; what is mere rounding counts as zero."""
    variances, axes = np.linalg.eigh(cov)
    variances[variances < len(cov) * np.finfo(float).eps * variances.max(initial=0)] = 0
    return axes * np.sqrt(variances.clip(min=0)) @ axes.T


def frechet_distance_at_infinity(mean: np.ndarray, cov: np.ndarray, frames: np.ndarray, seed: int = 0) -> float:
    """FAD-infinity: the distance that infinitely many frames would have, free of the bias of few (as in fadtk).

    Distances of sets of 500 up to all frames, drawn with replacement, are extrapolated along 1 / number to zero.

    Args:
        mean, cov: of the reference.
        frames: (frames, dims), more than 500 of them; raises ValueError for fewer.
    """
    if len(frames) <= FEWEST:
        raise ValueError(f"The distance at infinity needs more than {FEWEST} frames, not {len(frames)}.")
    rng = np.random.default_rng(seed)
    counts = np.linspace(FEWEST, len(frames), STEPS).astype(int)
    distances = [frechet_distance(mean, cov, *embedding_statistics(frames[rng.integers(len(frames), size=count)]))
                 for count in counts]
    return float(np.polyfit(1 / counts, distances, 1)[1])


@dataclass(frozen=True)
class Moments:
    """What is kept of the embeddings of a recording, so that sets of recordings can be put together and taken apart.

    count: frames · total: their sum (dims,) · products: the sum of their outer products (dims, dims).
    """

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, frames: np.ndarray) -> "Moments":
        """Of embeddings (frames, dims)."""
        frames = np.asarray(frames, dtype=np.float64)
        return cls(len(frames), frames.sum(axis=0), frames.T @ frames)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.count - other.count, self.total - other.total, self.products - other.products)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (dims,) and unbiased covariance (dims, dims). Raises ValueError for fewer than two frames."""
        if self.count < 2:
            raise ValueError(f"A covariance needs two frames of embeddings at least, not {self.count}.")
        mean = self.total / self.count
        return mean, (self.products - self.count * np.outer(mean, mean)) / (self.count - 1)
