"""Trains the small models that see music as levels of cells (`spectra.cells`), and puts them into a prior's file.

They learn from clean levels and what a medium would leave of them, made on the spot in decibels. An hour of one
processor core is enough where the denoiser takes days.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..priors import Prior, load_prior, save_prior
from ..priors.levels import LevelModel
from ..progress import Run
from ..spectra.cells import HOP, RATE, SIZE, cells
from .config import TrainingError, checked, setting
from .level_examples import FRAMES, SILENT_DB, level_example, level_loss
from .material import Recording, file_hash, find_recordings, prepare, split
from .state import check_same_run, claimed, load_state, run_folder, save_state
from .train import LONGEST_STEP_S, TrainingProgress
from .trainer import ahead

WARMUP_STEPS = 100
LAST_SHARE = 0.005  # of the rates, at the end
KEPT = 0.998  # share of the moving average that each step keeps; what it holds is written
HELD_OUT_EXAMPLES = 120
WEIGHT_DECAY = 1e-3


@dataclass(frozen=True)
class CellConfig:
    """How a level model is trained. Raises TrainingError for a value outside its range."""

    minutes: float = setting(60.0, "how long to train, interruptions not counted", 0.001, 1e5)
    batch: int = setting(6, "crops of 3 s per step", 1, 1024)
    learning_rate: float = setting(2e-3, "Adam's", 0.0, 1.0)
    muon_rate: float = setting(3e-3, "Muon's, for the convolutions", 0.0, 1.0)
    balance: str = setting("folders", "what is drawn as often as any other: each folder in the data, or each second "
                            "of it", choices=("folders", "length"))
    held_out: float = setting(0.05, "share of the recordings that is kept aside to measure the error on", 0.0, 0.5)
    credit: str = setting("", "whose recordings these are, and under which licence")
    save_minutes: float = setting(1.0, "how often the state is saved", 0.01, 1e5)
    seed: int = setting(0, "seed of all random numbers", 0, 2 ** 63 - 1)

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, checked(item, getattr(self, item.name)))

    def replace(self, **changes) -> "CellConfig":
        """A copy with some values changed. Raises TrainingError for an unknown name or a bad value."""
        unknown = sorted(set(changes) - {item.name for item in fields(self)})
        if unknown:
            raise TrainingError(f"A level model has no training setting called {unknown[0]!r}; it has "
                                f"{', '.join(item.name for item in fields(self))}.")
        return replace(self, **changes)


FREE = ("minutes", "credit", "save_minutes")  # what may change while a run is under way


def train_levels(data: Path, output: Path, base: Path, config: CellConfig = CellConfig(), cache: Path | None = None,
                 restart: bool = False) -> Run[TrainingProgress, dict]:
    """Trains a level model on a folder of recordings and writes the prior `base` with it to `output`, step by step.

    An interrupted run goes on from its last saved state, in the folder `output` with the suffix .run.

    Args:
        data: folder of recordings, of any format and rate.
        output: the prior file to write, NAME.safetensors; `base` itself stays as it is.
        base: the prior file that gets the model, at 22.05 kHz.
        cache: where decoded recordings are kept, if not in the run's folder.
        restart: whether to start over even if there is an interrupted run.

    The run's value is what the file says of the model's training. Closing it saves the state first.

    Raises:
        TrainingError: the data, the settings, the base or the state cannot be used; the message says which and why.
    """
    return Run(_train_levels(data, output, base, config, cache, restart))


def _train_levels(data: Path, output: Path, base: Path, config: CellConfig, cache: Path | None,
                  restart: bool) -> Generator[TrainingProgress, None, dict]:
    run = run_folder(output)
    if output.exists() and output.resolve() == base.resolve():
        raise TrainingError(f"{output} is the prior to start from, which stays as it is. Give another -o.")
    prior, files = load_prior(base), find_recordings(data)
    if prior.sample_rate != RATE:
        raise TrainingError(f"{base} is a prior at {prior.sample_rate} Hz; level models are for {RATE} Hz.")
    with claimed(output, restart):
        started_with = {name: value for name, value in asdict(config).items() if name not in FREE}
        state = load_state(run)
        if state:
            check_same_run(run, state["config"], started_with)
        notes: list[str] = []
        recordings = []
        for recording in prepare(files, data, cache or run / "audio", RATE, notes):
            recordings.append(recording)
            yield TrainingProgress("reading", len(recordings) / len(files), message=notes.pop() if notes else "")
        trained_on, held_out = split([r for r in recordings if r], config.held_out, data)
        material, apart = (LevelMaterial(part, config.balance, data) for part in (trained_on, held_out))
        trainer = LevelTrainer(config, material, state)

        def save() -> None:
            save_state(run, trainer.state() | {"config": started_with})

        saved = time.monotonic()
        try:
            with closing(ahead(trainer.draw, trainer.step_count)) as draws:
                while (share := min(1.0, trainer.seconds / (60 * config.minutes))) < 1:
                    yield TrainingProgress("training", share, trainer.step_count, trainer.step(share, next(draws)))
                    if time.monotonic() - saved > 60 * config.save_minutes:
                        save()
                        saved = time.monotonic()
        finally:
            save()
        yield TrainingProgress("measuring", 0.0, trainer.step_count)
        facts = {"training": asdict(config), "steps": trainer.step_count, "minutes": round(trainer.seconds / 60, 1),
                 "recordings": len(trained_on), "held_out_recordings": len(held_out),
                 "material_hours": round(sum(r.samples for r in trained_on) / RATE / 3600, 3),
                 "base": {"file": base.name, "hash": file_hash(base)},
                 "held_out_error_db": round(mean_error_db(trainer.average, apart), 3)}
        save_with_levels(output, prior, trainer.average, facts)
        yield TrainingProgress("measuring", 1.0, trainer.step_count, message=(
            f"Step {trainer.step_count}: levels that are not known are wrong by {facts['held_out_error_db']:.2f} dB on "
            "average, on what was held out."))
        return facts


def save_with_levels(path: Path, prior: Prior, model: LevelModel, facts: dict) -> None:
    """Writes a prior with this level model; `facts` say how the model was trained."""
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas,
               prior.emphasis.gain_db if prior.emphasis else None, prior.info | {"levels": facts},
               ltas_spread_db=prior.ltas_spread_db, levels=model, response=prior.response)


class LevelMaterial:
    """Recordings as levels of fine cells, crop by crop. Half precision, so an hour takes 40 MB of memory.

    Raises TrainingError if there is not one crop.
    """

    def __init__(self, recordings: list[Recording], balance: str, data: Path):
        self.levels, weights, folders = [], [], []
        for recording in recordings:
            if recording.samples >= SIZE + (FRAMES - 1) * HOP:
                samples = np.memmap(recording.file, np.float16, "r")
                self.levels.append(_levels_db(torch.from_numpy(np.asarray(samples, np.float32))))
                weights.append(float(recording.samples))
                folders.append(recording.name.rpartition("/")[0])
        if not self.levels:
            raise TrainingError(f"{data} holds no recording of at least {(SIZE + FRAMES * HOP) / RATE:.0f} s, neither "
                                "to train on nor to measure the error on; it needs at least one for each.")
        chances = np.array(weights)
        if balance == "folders":
            for folder in set(folders):
                of_it = np.array([other == folder for other in folders])
                chances[of_it] /= chances[of_it].sum()
        self.chances = chances / chances.sum()

    def crop(self, rng: np.random.Generator) -> np.ndarray:
        """Clean levels in dB (249, 65), of a random moment that is not silent if there is one."""
        for _ in range(100):
            levels = self.levels[rng.choice(len(self.levels), p=self.chances)]
            start = rng.integers(levels.shape[1] - FRAMES + 1)
            crop = levels[:, start:start + FRAMES].astype(np.float32)
            if crop.max() > SILENT_DB:
                break
        return crop


def _levels_db(audio: Tensor) -> np.ndarray:
    """Levels (249, frames) in dB, relative to the loudest cell, float16."""
    power = cells(audio)
    return (10 * (power / power.max().clamp(min=1e-20) + 1e-10).log10()).half().numpy()


class Drawn(NamedTuple):
    """A batch of `LevelExample`s."""

    level_db: Tensor
    known: Tensor
    noise_db: Tensor
    target_db: Tensor


def draw_examples(material: LevelMaterial, count: int, rng: np.random.Generator) -> Drawn:
    examples = [level_example(material.crop(rng), rng) for _ in range(count)]
    return Drawn(*(torch.from_numpy(np.stack(parts)) for parts in zip(*examples)))


@torch.no_grad()
def mean_error_db(model: LevelModel, material: LevelMaterial) -> float:
    """Mean error of the cells that are not known, in dB, on the same examples every time."""
    rng, errors = np.random.default_rng(1), []
    for _ in range(HELD_OUT_EXAMPLES):
        drawn = draw_examples(material, 1, rng)
        unknown = drawn.known.repeat_interleave(3, 1) == 0
        errors.append(float((model(*drawn[:3]).mean - drawn.target_db)[unknown].abs().mean()))
    return float(np.nanmean(errors))


class LevelTrainer:
    """Steps of a level model: Muon for the convolutions, Adam for the rest, and a moving average."""

    def __init__(self, config: CellConfig, material: LevelMaterial, state: dict | None = None):
        torch.manual_seed(config.seed)
        self.config, self.material = config, material
        self.model = LevelModel()
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        # Muon takes matrices only: it is given views of the convolutions' weights, which share their memory.
        self.convolutions = [p for name, p in self.model.named_parameters()
                             if name.endswith("weight") and p.dim() >= 3 and not name.startswith("leave")]
        self.matrices = [nn.Parameter(p.detach().view(len(p), -1)) for p in self.convolutions]
        others = {id(p) for p in self.model.parameters()} - {id(p) for p in self.convolutions}
        self.optimisers = {
            "adam": (torch.optim.AdamW([p for p in self.model.parameters() if id(p) in others],
                                       weight_decay=WEIGHT_DECAY), config.learning_rate),
            "muon": (torch.optim.Muon(self.matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
                     config.muon_rate)}
        self.step_count, self.seconds = 0, 0.0
        if state:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for name, (optimiser, _) in self.optimisers.items():
                optimiser.load_state_dict(state["optimisers"][name])
            self.step_count, self.seconds = state["step"], state["seconds"]

    def state(self) -> dict:
        """All that a resumed run needs."""
        return {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step_count,
                "optimisers": {name: optimiser.state_dict() for name, (optimiser, _) in self.optimisers.items()},
                "seconds": self.seconds}

    def draw(self, step: int) -> Drawn:
        """The examples of a step; they depend on the step and the seed alone."""
        return draw_examples(self.material, self.config.batch, np.random.default_rng((self.config.seed, step)))

    def step(self, share_done: float, drawn: tuple) -> float:
        """One update, when `share_done` (0 to 1) of the run is done; returns the loss before it. drawn: of `draw`."""
        started = time.monotonic()
        rise = min(1.0, (self.step_count + 1) / WARMUP_STEPS)
        rate_share = rise * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * share_done)))
        for optimiser, rate in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * rate_share
        level_db, known, noise_db, target_db = drawn
        loss = level_loss(self.model(level_db, known, noise_db), known, target_db)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for matrix, weight in zip(self.matrices, self.convolutions):
            assert weight.grad is not None
            matrix.grad = weight.grad.reshape(matrix.shape)
        for optimiser, _ in self.optimisers.values():
            optimiser.step()
        keep = min(KEPT, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.model.parameters()):
                average.lerp_(value, 1 - keep)
        self.step_count += 1
        self.seconds += min(time.monotonic() - started, LONGEST_STEP_S)
        return float(loss.detach())
