"""The methods of the paper's Table 1, as settings."""

from __future__ import annotations

from typing import Any

from ..errors import UserError
from ..settings import BASELINES, Settings, baseline

ORIGINAL = "original"  # nothing is done
VARIANTS: dict[str, dict[str, Any]] = {
    "babe2": {}, "babe2-ltas-init": {"ltas": "initial"}, "babe2-ltas-obj": {"ltas": "objective"},
    "babe2-no-noise-reg": {"noise_regularization": 0.0}}
METHODS = (ORIGINAL, *BASELINES, *VARIANTS)


def method_settings(method: str, settings: Settings) -> Settings | None:
    """A preset's settings changed into a method's; None for the original. Raises UserError for an unknown one."""
    if method not in METHODS:
        raise UserError(f"There is no method called {method!r}; there are {', '.join(METHODS)}.")
    if method == ORIGINAL:
        return None
    if method == "babe2-no-noise-reg" and "noise_regularization" not in settings.flat():
        return settings  # which adds no noise to the observation in the first place
    return baseline(method, settings) if method in BASELINES else settings.replace(**VARIANTS[method])
