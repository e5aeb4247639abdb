"""Spectra: the filters' STFT, long-term average spectra, target profiles."""

from .ltas import ltas, ltas_distance_db, ltas_fft_size, ltas_response, resample_spectrum, smooth_octave
from .stft import FILTER_BINS, analyse, apply_response, filter_frequencies, synthesise
from .target import TargetError, TargetProfile

__all__ = ["FILTER_BINS", "TargetError", "TargetProfile", "analyse", "apply_response", "filter_frequencies", "ltas",
           "ltas_distance_db", "ltas_fft_size", "ltas_response", "resample_spectrum", "smooth_octave", "synthesise"]
