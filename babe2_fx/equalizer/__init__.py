"""The breakpoint EQ: what a medium did to the spectrum, and how it is found."""

from .breakpoints import BreakpointEQ
from .fit import FilterCost, FilterFit
from .statistics import FilterStatistics

__all__ = ["BreakpointEQ", "FilterCost", "FilterFit", "FilterStatistics"]
