"""Steps of the small models of level and response: the optimisers, their rates, the moving average."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..spectra.cells import BANDS
from .cell_config import CellConfig
from .cell_material import CellMaterial
from .state import take_up
from .train import LONGEST_STEP_S

LAST_SHARE = 0.005  # of the rates, at the end


class CellTrainer(ABC):
    """One run: a model, its moving average and its optimisers, Muon for matrices and AdamW for the rest.

    A subclass says what is particular to its model. `state` of an earlier run is what `state()` gave.
    """

    companion: ClassVar[str]  # what the model is called in a prior's file
    frames: ClassVar[int]  # of a crop
    fine: ClassVar[bool]  # whether the model sees 36ths of an octave
    model: nn.Module
    average: nn.Module

    def __init__(self, config: CellConfig, material: CellMaterial, state: dict | None = None):
        torch.manual_seed(config.seed)
        self.config, self.material = config, material
        self.model = self.new_model()
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.by_muon = [p for name, p in self.model.named_parameters() if p.dim() >= 3 and self.is_matrix(name)]
        # Muon takes matrices only: it is given views of the weights, which share their memory. Patterns of all bands,
        # which are many square matrices, are one tall matrix to it.
        self.matrices = [nn.Parameter(p.detach().view((-1, BANDS) if p.shape[1:] == (BANDS, BANDS) else (len(p), -1)))
                         for p in self.by_muon]
        others = {id(p) for p in self.model.parameters()} - {id(p) for p in self.by_muon}
        self.optimisers: dict[str, tuple[torch.optim.Optimizer, float]] = {
            "adam": (torch.optim.AdamW([p for p in self.model.parameters() if id(p) in others],
                                       weight_decay=config.weight_decay), config.learning_rate),
            "muon": (torch.optim.Muon(self.matrices, weight_decay=config.muon_weight_decay,
                                      adjust_lr_fn="match_rms_adamw"), config.muon_rate)}
        self.step_count, self.seconds = 0, 0.0
        if state:
            take_up(state, {"model": self.model, "average": self.average}, self.optimisers)
            self.step_count, self.seconds = state["step"], state["seconds"]

    @abstractmethod
    def new_model(self) -> Any:
        """The model as it begins."""

    @abstractmethod
    def is_matrix(self, name: str) -> bool:
        """Whether Muon trains the parameter of three dimensions or more that has this name."""

    @abstractmethod
    def examples(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The examples of a step."""

    @abstractmethod
    def loss(self, drawn: Any) -> Tensor:
        """The loss of the model on such examples."""

    @abstractmethod
    def measure(self, held_out: CellMaterial) -> tuple[dict, str]:
        """What the average does on what was held out, the same examples every time: facts, and a sentence."""

    def state(self) -> dict:
        """All that a resumed run needs."""
        return {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step_count,
                "optimisers": {name: optimiser.state_dict() for name, (optimiser, _) in self.optimisers.items()},
                "seconds": self.seconds}

    def draw(self, step: int) -> tuple[Tensor, ...]:
        """The examples of a step; they depend on the step and the seed alone."""
        return self.examples(np.random.default_rng((self.config.seed, step)))

    def step(self, share_done: float, drawn: tuple[Tensor, ...]) -> float:
        """One update, when `share_done` (0 to 1) of the run is done; returns the loss before it. drawn: of `draw`."""
        started, config = time.monotonic(), self.config
        rise = min(1.0, (self.step_count + 1) / max(config.warmup_steps, 1))
        rate_share = rise * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * share_done)))
        for optimiser, rate in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * rate_share
        loss = self.loss(drawn)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for matrix, weight in zip(self.matrices, self.by_muon):
            assert weight.grad is not None
            matrix.grad = weight.grad.reshape(matrix.shape)
        for optimiser, _ in self.optimisers.values():
            optimiser.step()
        keep = min(config.ema_rate, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.model.parameters()):
                average.lerp_(value, 1 - keep)
        self.step_count += 1
        self.seconds += min(time.monotonic() - started, LONGEST_STEP_S)
        return float(loss.detach())
