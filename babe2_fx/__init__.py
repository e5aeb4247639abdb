"""BABE-2 FX: a generative equalizer for old music recordings."""

from .version import __version__

__all__ = ["GenerativeEQ", "TargetProfile", "__version__"]


def __getattr__(name: str):
    # Only when asked for: they import PyTorch, which takes seconds, and `babe2 --help` should not wait for it.
    if name == "GenerativeEQ":
        from .effect import GenerativeEQ
        return GenerativeEQ
    if name == "TargetProfile":
        from .spectra import TargetProfile
        return TargetProfile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
