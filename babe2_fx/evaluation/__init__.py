"""Yardsticks: distances between sets of recordings, scores against clean originals, degradations that are known."""

from .degradations import (
           DegradationError,
           Response,
           add_noise,
           apply_response,
           random_response,
           read_response,
)
from .denoising import denoising_gains_db
from .embeddings import EMBEDDINGS, EmbeddingError, load_embedding
from .frechet import Moments, embedding_statistics, frechet_distance, frechet_distance_at_infinity
from .methods import METHODS, method_settings
from .scores import filter_error_db, full_reference_scores, mean_ltas, recording_ltas, reference_distance_db

__all__ = ["EMBEDDINGS", "METHODS", "DegradationError", "EmbeddingError", "Moments", "Response", "add_noise",
           "apply_response", "denoising_gains_db", "embedding_statistics", "filter_error_db", "frechet_distance",
           "frechet_distance_at_infinity", "full_reference_scores", "load_embedding", "mean_ltas", "method_settings",
           "random_response", "read_response", "recording_ltas", "reference_distance_db"]
