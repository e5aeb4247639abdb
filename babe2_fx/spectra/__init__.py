"""Spectra: the filters' STFT, long-term average spectra and what they tell of a medium, target profiles."""

from .fir import zero_phase
from .ltas import (
    deviation_db,
    ltas,
    ltas_distance_db,
    ltas_fft_size,
    ltas_response,
    resample_spectrum,
    smooth_octave,
)
from .match import match_target, third_octave_levels_db
from .medium import Medium
from .noise import heard, noise_floor
from .stft import FILTER_BINS, analyse, apply_response, filter_frequencies, synthesise
from .target import TargetError, TargetProfile
from .tones import lowest_tone_hz

__all__ = ["FILTER_BINS", "Medium", "TargetError", "TargetProfile", "analyse", "apply_response",
           "deviation_db", "filter_frequencies", "heard", "lowest_tone_hz", "ltas", "ltas_distance_db",
           "ltas_fft_size", "ltas_response", "match_target", "noise_floor", "resample_spectrum",
           "smooth_octave", "synthesise", "third_octave_levels_db", "zero_phase"]
