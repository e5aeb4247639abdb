"""Trains the small models that see music as levels of cells (`spectra.cells`), and puts them into a prior's file.

They learn from clean levels and what a medium would leave of them, made on the spot in decibels. An hour of one
processor core is enough where the denoiser takes days.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ..priors import Prior, load_prior, save_prior
from ..priors.prior import Companions
from ..progress import Run
from ..spectra.cells import RATE
from ..texts import printable
from .cell_config import FREE, CellConfig, LevelTraining, ResponseTraining
from .cell_material import CellMaterial
from .cell_trainer import CellTrainer
from .config import TrainingError
from .level_trainer import LevelTrainer
from .material import Recording, file_hash, find_recordings, prepare, split
from .response_trainer import ResponseTrainer
from .state import check_same_run, claimed, load_state, run_folder, save_state
from .train import TrainingProgress, share_of_run
from .trainer import ahead


def train_levels(data: Path, output: Path, base: Path, config: LevelTraining = LevelTraining(),
                 cache: Path | None = None, restart: bool = False) -> Run[TrainingProgress, dict]:
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
    return Run(_train(LevelTrainer, data, output, base, config, cache, restart))


def train_response(data: Path, output: Path, base: Path, config: ResponseTraining = ResponseTraining(),
                   cache: Path | None = None, restart: bool = False) -> Run[TrainingProgress, dict]:
    """Trains a response model on a folder of clean recordings; all else as in `train_levels`.

    What is held out decides how large the model's deviations are. If the model is for singers or instruments that it
    has not heard, put some that are nowhere else into the folder `heldout` of the data.
    """
    return Run(_train(ResponseTrainer, data, output, base, config, cache, restart))


def _train(kind: type[CellTrainer], data: Path, output: Path, base: Path, config: CellConfig, cache: Path | None,
           restart: bool) -> Generator[TrainingProgress, None, dict]:
    run = run_folder(output)
    prior = load_prior(base)
    if prior.sample_rate != RATE:
        raise TrainingError(f"{base} is a prior at {prior.sample_rate} Hz; {config.what}s are for {RATE} Hz.")
    noise, cache = config.noise_folder, cache or run / "audio"
    files = {folder: find_recordings(folder) for folder in (data, noise) if folder}
    with claimed(output, restart, base):
        settings = asdict(config)
        started_with = {"task": kind.companion} | {name: settings[name] for name in settings if name not in FREE}
        state = load_state(run, "model", "seconds", "config")
        if state:
            check_same_run(run, state["config"], started_with)
        found: dict[Path, list[Recording]] = {}
        for folder in files:
            found[folder] = yield from _read(folder, files[folder], cache)
        grooves = CellMaterial(found[noise], "length", noise, kind.frames, kind.fine) if noise else None
        trained_on, held_out = split(found[data], config.held_out, data)
        material, apart = (CellMaterial(part, config.balance, data, kind.frames, kind.fine, grooves)
                           for part in (trained_on, held_out))
        trainer = kind(config, material, state)

        def save() -> None:
            save_state(run, trainer.state() | {"config": started_with})

        saved = time.monotonic()
        try:
            with closing(ahead(trainer.draw, trainer.step_count)) as draws:
                while (share := share_of_run(config, trainer.step_count, trainer.seconds)) < 1:
                    loss = trainer.step(share, next(draws))
                    yield TrainingProgress("training", share, trainer.step_count, loss)
                    if time.monotonic() - saved > 60 * config.save_minutes:
                        save()
                        saved = time.monotonic()
        finally:
            save()
        yield TrainingProgress("measuring", 0.0, trainer.step_count)
        measured, sentence = trainer.measure(apart)
        if noise:
            settings["noise"] = noise.resolve().name  # where it lay is nobody else's business
        facts = {"training": settings, "steps": trainer.step_count, "minutes": round(trainer.seconds / 60, 1),
                 "recordings": len(trained_on), "held_out_recordings": len(held_out),
                 "material_hours": round(sum(r.samples for r in trained_on) / RATE / 3600, 3),
                 "base": {"file": printable(base.name), "hash": file_hash(base)}, **measured}
        _save(output, prior, Companions(**{kind.companion: trainer.average}), facts)  # type: ignore[misc]
        yield TrainingProgress("measuring", 1.0, trainer.step_count,
                               message=f"Step {trainer.step_count}: {sentence}")
        return facts


def _read(folder: Path, files: list[Path], cache: Path) -> Generator[TrainingProgress, None, list[Recording]]:
    """The recordings of a folder that can be used."""
    recordings: list[Recording | None] = []
    notes: list[str] = []
    for recording in prepare(files, folder, cache, RATE, notes):
        recordings.append(recording)
        yield TrainingProgress("reading", len(recordings) / len(files), message=notes.pop() if notes else "")
    return [recording for recording in recordings if recording]


def _save(path: Path, prior: Prior, new: Companions, facts: dict) -> None:
    """Writes a prior with a new companion; `facts` say how it was trained."""
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas,
               prior.emphasis.gain_db if prior.emphasis else None, prior.info | dict.fromkeys(new, facts),
               ltas_spread_db=prior.ltas_spread_db, **prior.companions | new)
