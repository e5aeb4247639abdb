"""Whole recordings: channels, domain, blocks, and the stages of a restoration."""

from .journal import Journal
from .restorer import Restorer, effective_settings
from .result import Progress, RestorationResult

__all__ = ["Journal", "Progress", "RestorationResult", "Restorer", "effective_settings"]
