"""The breakpoint EQ: what a medium did to the spectrum, and how it is found."""

from .breakpoints import BreakpointEQ
from .fit import Expectation, FilterCost, FilterFit
from .statistics import FilterStatistics

__all__ = ["BreakpointEQ", "Expectation", "FilterCost", "FilterFit", "FilterStatistics"]
