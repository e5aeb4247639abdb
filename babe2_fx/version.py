"""The version of this program, which results and their records name."""

__version__ = "0.1.0"
