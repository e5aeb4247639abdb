"""Training of a level model: its examples, its loss, its error on what was held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..priors.levels import LevelModel
from .cell_material import CellMaterial
from .cell_trainer import CellTrainer
from .level_examples import FRAMES, level_example, level_loss

HELD_OUT_EXAMPLES = 120


class Drawn(NamedTuple):
    """A batch of `LevelExample`s."""

    level_db: Tensor
    known: Tensor
    noise_db: Tensor
    target_db: Tensor


class LevelTrainer(CellTrainer):
    """Steps of a `LevelModel`."""

    companion, frames, fine = "levels", FRAMES, True
    model: LevelModel
    average: LevelModel

    def new_model(self) -> LevelModel:
        return LevelModel()

    def is_matrix(self, name: str) -> bool:
        return name.endswith("weight") and not name.startswith("leave")

    def examples(self, rng: np.random.Generator) -> Drawn:
        return draw_examples(self.material, self.config.batch, rng)

    def loss(self, drawn: Drawn) -> Tensor:
        return level_loss(self.model(*drawn[:3]), drawn.known, drawn.target_db)

    def measure(self, held_out: CellMaterial) -> tuple[dict, str]:
        error_db = mean_error_db(self.average, held_out)
        return {"held_out_error_db": round(error_db, 3)}, (
            f"levels that are not known are wrong by {error_db:.2f} dB on average, on what was held out.")


def draw_examples(material: CellMaterial, count: int, rng: np.random.Generator) -> Drawn:
    examples = [level_example(material.crops(rng)[0], rng) for _ in range(count)]
    return Drawn(*(torch.from_numpy(np.stack(parts)) for parts in zip(*examples)))


@torch.no_grad()
def mean_error_db(model: LevelModel, material: CellMaterial) -> float:
    """Mean error of the cells that are not known, in dB, on the same examples every time."""
    rng, errors = np.random.default_rng(1), []
    for _ in range(HELD_OUT_EXAMPLES):
        drawn = draw_examples(material, 1, rng)
        unknown = drawn.known.repeat_interleave(3, 1) == 0
        errors.append(float((model(*drawn[:3]).mean - drawn.target_db)[unknown].abs().mean()))
    return float(np.nanmean(errors))
