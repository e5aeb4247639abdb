"""Training of a response model: its examples, its error on what was held out, and how sure it may be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..priors.response import FRAMES, ResponseModel, band_smoothing
from .cell_material import CellMaterial
from .cell_trainer import CellTrainer
from .response_examples import LOST_DB, response_example, response_loss
from .responses import REFERENCE

SEGMENTS, SEGMENTS_SHARE = (2, 4, 8), (0.45, 0.4, 0.15)  # how many of a recording are drawn
HELD_OUT_EXAMPLES, HELD_OUT_SEGMENTS = 240, 4
WITHIN = 0.68  # share of true responses that are to lie within one deviation, as of a normal distribution
LEAST_SCALE = 0.01
THIRDS = slice(REFERENCE - 4 * 9, REFERENCE + 4 * 6 + 1, 4)  # 125 Hz to 4 kHz, on which a filter error is measured
HEARD_DB = -40.0  # what lies lower than that is not part of it


class Drawn(NamedTuple):
    """A batch of `ResponseExample`s."""

    level_db: Tensor
    response_db: Tensor


class ResponseTrainer(CellTrainer):
    """Steps of a `ResponseModel`."""

    companion, frames, fine = "response", FRAMES, False
    model: ResponseModel
    average: ResponseModel

    def new_model(self) -> ResponseModel:
        return ResponseModel()

    def is_matrix(self, name: str) -> bool:
        return name.endswith(("weight", "patterns")) and not name.startswith(("enter.", "leave"))

    def examples(self, rng: np.random.Generator) -> Drawn:
        count = int(rng.choice(SEGMENTS, p=SEGMENTS_SHARE))
        examples = [response_example(self.material, count, rng) for _ in range(max(1, self.config.batch // count))]
        return Drawn(*(torch.from_numpy(np.stack(parts)) for parts in zip(*examples)))

    def loss(self, drawn: Drawn) -> Tensor:
        """The mean loss of readings of 1, 2, 4 and so on up to all segments at once."""
        level_db, response_db = drawn
        examples, count = level_db.shape[:2]
        found = self.model.summarise(level_db.flatten(0, 1))
        losses = []
        for together in (1, 2, 4, 8):
            if together <= count:
                means = found.unflatten(0, (examples * count // together, together)).mean(1)
                losses.append(response_loss(self.model.read(means, together),
                                            response_db.repeat_interleave(count // together, 0)))
        return torch.stack(losses).mean()

    def measure(self, held_out: CellMaterial) -> tuple[dict, str]:
        """Also brings the deviations that the average claims to their right size."""
        found = examine(self.average, held_out)
        facts = {"held_out_error_db": round(found.error_db, 3), "held_out_flat_error_db": round(found.flat_db, 3),
                 "within_deviation": round(found.within_deviation, 3)}
        self.average.deviation_scale *= found.factor
        return facts, (f"responses of what was held out are found to {found.error_db:.2f} dB, where flat ones would be "
                       f"wrong by {found.flat_db:.2f} dB; {100 * found.within_deviation:.0f} % of them lie within one "
                       "deviation.")


class Examined(NamedTuple):
    """How good a response model is.

    error_db, flat_db: its mean filter error (see the glossary), and that of flat responses · factor: by what its
    deviations must be multiplied so that 68 % of true responses lie within one, (83,) · within_deviation: the share
    that does, where the factors are those of other recordings (of other examples if there is only one recording).
    """

    error_db: float
    flat_db: float
    factor: Tensor
    within_deviation: float


def examine(model: ResponseModel, held_out: CellMaterial) -> Examined:
    """What a model makes of recordings that it does not know, each as often as any other, the same way every time."""
    rng, recordings = np.random.default_rng(1), len(held_out.levels)
    errors, flat, ratios, counts, sides = [], [], [], [], []
    for i in range(HELD_OUT_EXAMPLES):
        level_db, response_db = (torch.from_numpy(part) for part in response_example(
            held_out, HELD_OUT_SEGMENTS, rng, i % recordings))
        estimate = model.estimate_from(level_db)
        errors.append(filter_error_db(estimate.response_db, response_db))
        flat.append(filter_error_db(torch.zeros_like(response_db), response_db))
        counting = response_db > LOST_DB
        # By the precision that the network claims, as in an estimate.
        weight = counting * (model.deviation_scale / estimate.deviation_db) ** 2
        error = estimate.response_db - response_db
        error = error - (weight * error).sum() / weight.sum()
        ratios.append(error.abs() / estimate.deviation_db)
        counts.append(counting)
        sides.append((i % recordings if recordings > 1 else i) % 2)
    ratio, counted, side = torch.stack(ratios), torch.stack(counts), torch.tensor(sides)
    within = torch.zeros_like(counted)
    for one in (0, 1):
        within[side == one] = ratio[side == one] < calibration(ratio[side != one], counted[side != one])
    return Examined(float(np.mean(errors)), float(np.mean(flat)), calibration(ratio, counted),
                    float(within[counted].float().mean()))


def calibration(ratio: Tensor, counted: Tensor) -> Tensor:
    """Factors (83,) below which 68 % of ratios lie, in each band and, with less weight, its neighbours.

    ratio: error over claimed deviation, (examples, 83) · counted: where it is to count, of the same shape.
    """
    ordered, order = ratio.flatten().sort()
    factors = []
    for weight in band_smoothing():
        below = (counted * weight).flatten()[order].double().cumsum(0)
        factors.append(ordered[torch.searchsorted(below, WITHIN * below[-1]).clamp(max=len(ordered) - 1)])
    return torch.stack(factors).clamp(min=LEAST_SCALE)


def filter_error_db(found_db: Tensor, response_db: Tensor) -> float:
    """Root mean square difference in dB of responses (83,) in third octaves, both 0 dB at 1 kHz."""
    difference = (found_db - found_db[REFERENCE]) - (response_db - response_db[REFERENCE])
    heard = response_db[THIRDS] - response_db[REFERENCE] > HEARD_DB
    return float(difference[THIRDS][heard].square().mean().sqrt())
