"""Settings of the training of the small models of level and response."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Self

from .config import TrainingError, checked, setting

FREE = ("minutes", "steps", "credit", "save_minutes")  # what may change while a run is under way


@dataclass(frozen=True)
class CellConfig:
    """What the training of both kinds of model has to set. Raises TrainingError for a value outside its range."""

    what: ClassVar[str]

    minutes: float = setting(60.0, "how long to train, interruptions not counted; 0: no limit", 0.0, 1e5)
    steps: int = setting(0, "how many steps to train; 0: no limit", 0, 10 ** 9)
    batch: int = setting(6, "pieces of 3 s per step", 1, 1024)
    learning_rate: float = setting(2e-3, "Adam's", 0.0, 1.0)
    weight_decay: float = setting(1e-3, "Adam's", 0.0, 1.0)
    muon_rate: float = setting(3e-3, "Muon's, for the convolutions", 0.0, 1.0)
    muon_weight_decay: float = setting(0.0, "Muon's", 0.0, 1.0)
    warmup_steps: int = setting(100, "steps in which the learning rates rise", 0, 10 ** 7)
    ema_rate: float = setting(0.998, "rate of the moving average of the weights, which is what is kept; it rises to "
                              "this at the beginning", 0.0, 0.999999)
    balance: str = setting("folders", "what is drawn as often as any other: each folder in the data, or each second "
                            "of it", choices=("folders", "length"))
    held_out: float = setting(0.05, "share of the recordings that is kept aside to measure the error on", 0.0, 0.5)
    credit: str = setting("", "whose recordings these are, and under which licence")
    save_minutes: float = setting(1.0, "how often the state is saved", 0.01, 1e5)
    seed: int = setting(0, "seed of all random numbers", 0, 2 ** 63 - 1)

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, checked(item, getattr(self, item.name)))
        if not self.minutes and not self.steps:
            raise TrainingError("minutes and steps are both 0: the run would have no end. Set one of them.")

    def replace(self, **changes) -> Self:
        """A copy with some values changed. Raises TrainingError for an unknown name or a bad value."""
        unknown = sorted(set(changes) - {item.name for item in fields(self)})
        if unknown:
            raise TrainingError(f"A {self.what} has no training setting called {unknown[0]!r}; it has "
                                f"{', '.join(item.name for item in fields(self))}.")
        return replace(self, **changes)

    @property
    def noise_folder(self) -> Path | None:
        """Where recordings of noise are that the training needs besides music."""
        return None


@dataclass(frozen=True)
class LevelTraining(CellConfig):
    """How a level model is trained."""

    what = "level model"


@dataclass(frozen=True)
class ResponseTraining(CellConfig):
    """How a response model is trained."""

    what = "response model"

    batch: int = setting(32, "pieces of 3 s per step; several of a recording are read together", 1, 1024)
    muon_weight_decay: float = setting(0.02, "Muon's", 0.0, 1.0)
    warmup_steps: int = setting(60, "steps in which the learning rates rise", 0, 10 ** 7)
    noise: str = setting("", "a folder of recordings of groove noise without music, such as lead-ins, which then is "
                         "among the noise in the examples; empty: none")

    @property
    def noise_folder(self) -> Path | None:
        return Path(self.noise) if self.noise else None
