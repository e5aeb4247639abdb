"""Spectra: the filters' STFT, long-term average spectra, LTAS-EQ, target profiles."""

from .curves import at_bins, resample_spectrum
from .fir import zero_phase
from .ltas import (
           WINDOW_POWER,
           deviation_db,
           ltas,
           ltas_distance_db,
           ltas_fft_size,
           ltas_response,
           smooth_octave,
)
from .match import match_target, third_octave_levels_db
from .stft import FILTER_BINS, analyse, apply_response, filter_frequencies, synthesise
from .target import TargetError, TargetProfile

__all__ = ["FILTER_BINS", "WINDOW_POWER", "TargetError", "TargetProfile", "analyse", "apply_response", "at_bins",
           "deviation_db", "filter_frequencies", "ltas", "ltas_distance_db", "ltas_fft_size", "ltas_response",
           "match_target", "resample_spectrum", "smooth_octave", "synthesise", "third_octave_levels_db", "zero_phase"]
