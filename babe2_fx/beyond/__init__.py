"""What is not in the paper. README.md says why each part is there, how to switch it off and what it is worth."""

from .band_fit import BandFit
from .completion import Completion
from .direct_guidance import DirectGuidance
from .local_levels import LocalLevels
from .medium import Medium

__all__ = ["BandFit", "Completion", "DirectGuidance", "LocalLevels", "Medium"]
