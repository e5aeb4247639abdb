"""The Fréchet distance against closed forms and the matrix square root."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from babe2_fx.evaluation import Moments, embedding_statistics, frechet_distance, frechet_distance_at_infinity


def random_covariance(rng, dims, rank=None):
    factors = rng.normal(size=(rank or 2 * dims, dims))
    return factors.T @ factors / len(factors)


def test_of_two_numbers_it_is_the_textbook_formula():
    assert frechet_distance([3.0], [[4.0]], [1.0], [[0.25]]) == pytest.approx((3 - 1) ** 2 + (2 - 0.5) ** 2)


def test_independent_dimensions_add_up():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 0.0])
    mean = np.zeros(3)
    assert frechet_distance(mean, np.diag(a), mean, np.diag(b)) == pytest.approx(((a ** 0.5 - b ** 0.5) ** 2).sum())


@pytest.mark.parametrize("dims", [2, 16, 128])
def test_it_is_what_the_matrix_square_root_gives(dims):
    rng = np.random.default_rng(dims)
    means, covs = rng.normal(size=(2, dims)), [random_covariance(rng, dims) for _ in range(2)]
    root = sqrtm(covs[0] @ covs[1])
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0] + covs[1]) - 2 * np.trace(root).real
    assert frechet_distance(means[0], covs[0], means[1], covs[1]) == pytest.approx(expected, rel=1e-9)


def test_it_is_symmetric_and_nothing_from_a_set_to_itself_also_with_fewer_frames_than_dimensions():
    rng = np.random.default_rng(0)
    a, b = (embedding_statistics(rng.normal(size=(20, 64)) * scale) for scale in (1.0, 2.0))
    assert frechet_distance(*a, *a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-6)


def test_statistics_are_mean_and_unbiased_covariance_and_sets_can_be_added_and_taken_apart():
    frames = np.random.default_rng(1).normal(5, 2, (300, 8))
    mean, cov = embedding_statistics(frames)
    assert np.allclose(mean, frames.mean(axis=0)) and np.allclose(cov, np.cov(frames, rowvar=False))
    whole = Moments.of(frames[:100]) + Moments.of(frames[100:])
    assert np.allclose(whole.statistics()[1], cov)
    assert np.allclose((whole - Moments.of(frames[:100])).statistics()[1], np.cov(frames[100:], rowvar=False))


def test_at_infinity_the_bias_of_few_frames_is_gone():
    rng = np.random.default_rng(2)
    dims = 32
    reference = np.zeros(dims), np.eye(dims)
    frames = rng.normal(size=(3000, dims))
    biased = frechet_distance(*reference, *embedding_statistics(frames[:500]))
    assert biased > 0.3
    assert abs(frechet_distance_at_infinity(*reference, frames)) < 0.25 * biased


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match="two frames"):
        embedding_statistics(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="more than 500 frames, not 20"):
        frechet_distance_at_infinity(np.zeros(4), np.eye(4), np.zeros((20, 4)))
    with pytest.raises(ValueError, match="do not fit"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(4), np.eye(4))
