"""The host around the effect: the command line, boards of plugins, and audio files."""

__all__ = ["Board", "BoardError", "Mix", "load_external"]


def __getattr__(name: str):
    # Only when asked for: Pedalboard takes a moment to import, and `babe2 --help` should not wait for it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .boards import board, plugins
    return getattr(board if name in ("Board", "Mix") else plugins, name)
