"""Spectra: the filters' STFT, long-term average spectra, target profiles."""

from .stft import FILTER_BINS, analyse, apply_response, filter_frequencies, synthesise

__all__ = ["FILTER_BINS", "analyse", "apply_response", "filter_frequencies", "synthesise"]
