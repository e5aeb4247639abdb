"""The host around the effect: the command line, boards of plugins, and audio files."""

__all__ = ["Board", "BoardError"]


def __getattr__(name: str):
    # Only when asked for: Pedalboard takes a moment to import, and `babe2 --help` should not wait for it.
    if name in __all__:
        from .boards import board
        return getattr(board, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
