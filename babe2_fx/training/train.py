"""Trains a prior on a folder of recordings, or fine-tunes one on it (paper, Sec. 5 and App. A.1)."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..priors import Emphasis, Prior, load_prior, save_prior
from ..priors.prior import Companions
from ..progress import Run
from ..sampling import free_solver, sample_prior
from ..texts import printable
from .cell_config import CellConfig
from .config import FREE, TrainingConfig, TrainingError
from .material import (
    Material,
    Recording,
    common_level,
    file_hash,
    find_recordings,
    flattening,
    mean_power,
    prepare,
    spectral_spread_db,
    split,
    typical_ltas,
)
from .processes import Processes, joined
from .results import Logs, write_preset
from .state import check_same_run, claimed, load_state, run_folder, save_state
from .trainer import Trainer, ahead, evaluate

LONGEST_STEP_S = 20.0  # what a step counts at most: while the process is stopped, the run's time stands still
LOG_STEPS = 10
EXAMPLE_STEPS = 18


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is: what it is doing ("reading", "training", "measuring", "drawing"), the share of that which is
    done (0 to 1), steps, the loss of the last one (nan before the first), and a message, mostly empty."""

    stage: str
    share_done: float
    step: int = 0
    loss: float = math.nan
    message: str = ""


def train(data: Path, output: Path, config: TrainingConfig = TrainingConfig(), base: Path | None = None,
          device: str = "cpu", cache: Path | None = None, restart: bool = False,
          ) -> Run[TrainingProgress, dict]:
    """Trains a prior and writes it to `output`, with a preset and a card next to it, step by step.

    An interrupted run goes on from its last saved state. The state, the decoded recordings, logs and examples are kept
    in the folder `output` with the suffix .run, which may be deleted once the run is finished.

    Args:
        data: folder of recordings, of any format and rate.
        output: the prior file, NAME.safetensors.
        base: a prior file or an official checkpoint to start from; its sizes, level and domain are kept.
        device: "cpu" or "cuda".
        cache: where decoded recordings are kept, if not in the run's folder; several runs may share it.
        restart: whether to start over even if there is an interrupted run.

    The run's value is what the prior file says of its training. Closing it saves the state first.

    Raises:
        TrainingError: the data, the settings or the state cannot be used; the message says which and why.

    Examples:
        >>> config = TrainingConfig(title="My organ", credit="Played by me, CC0.", minutes=480)
        >>> run = train(Path("recordings"), Path("organ.safetensors"), config)
        >>> for now in run:
        ...     print(now.stage, f"{now.share_done:.0%}", now.message)
        Traceback (most recent call last):
        babe2_fx.training.config.TrainingError: There is no folder recordings.
    """
    return Run(_train(data, output, config, base, device, cache, restart))


def _train(data: Path, output: Path, config: TrainingConfig, base: Path | None, device: str, cache: Path | None,
           restart: bool) -> Generator[TrainingProgress, None, dict]:
    """`train`, as a generator."""
    run = run_folder(output)
    files = find_recordings(data)
    start = load_prior(base) if base else None
    if start:
        config = as_base(config, start)
    with ExitStack() as stack:
        processes = stack.enter_context(joined(device))
        if processes.leads:
            stack.enter_context(claimed(output, restart, base))
        processes.wait()  # until that has taken effect
        state = load_state(run, "network", "curves", "seconds", "config", "base")
        base_facts = {"file": printable(base.name), "hash": file_hash(base)} if base else None
        if state:
            _check_same_run(state, run, config, base_facts)
        recordings = yield from _read(data, files, cache or run / "audio", config, processes)
        trained_on, held_out = split(recordings, config.held_out, data)
        _check_length(trained_on, held_out, config, data)
        trainer, curves, emphasis = _prepared(trained_on, config, start, state, processes)
        companions = start.companions if start else Companions()
        del start
        facts = {"training": asdict(config), "parameters": sum(p.numel() for p in trainer.trained),
                 "sigma_data": curves["sigma_data"], "recordings": len(trained_on),
                 "held_out_recordings": len(held_out), "data": printable(data.resolve().name),
                 "material_hours": round(sum(r.samples for r in trained_on) / config.sample_rate / 3600, 3),
                 "origin": {"title": config.title, "credit": config.credit}, "processes": processes.count}
        if base_facts:
            facts["base"] = base_facts
        seconds = state["seconds"] if state else 0.0
        del state
        apart = Material(held_out, emphasis, curves["sigma_data"], config.normalization)
        session = _Session(output, run, trainer, curves, emphasis, facts, apart, seconds,
                           companions) if processes.leads else None
        goes_on = f"goes on from step {trainer.step_count}" if trainer.step_count else "begins"
        done = share_of_run(config, trainer.step_count, seconds)
        yield TrainingProgress("training", done, trainer.step_count, message=(
            f"{facts['parameters'] / 1e6:.2f} million parameters, level {curves['sigma_data']:.3g}; {len(trained_on)} "
            f"recordings of {facts['material_hours']:.2f} h in all, {len(held_out)} more held out. The run {goes_on}."))
        return (yield from _loop(trainer, session, config, processes, seconds))


def _read(data: Path, files: list[Path], cache: Path, config: TrainingConfig,
          processes: Processes) -> Generator[TrainingProgress, None, list[Recording]]:
    """The recordings of the folder that can be used, decoded by the leader while the others wait."""
    recordings: list[Recording | None] = []
    notes: list[str] = []
    if not processes.leads:
        processes.wait()  # until the leader has decoded
    for recording in prepare(files, data, cache, config.sample_rate, notes):
        recordings.append(recording)
        yield TrainingProgress("reading", len(recordings) / len(files), message=notes.pop() if notes else "")
    if processes.leads:
        processes.wait()
    return [recording for recording in recordings if recording]


def _prepared(recordings: list[Recording], config: TrainingConfig, base: Prior | None, state: dict | None,
              processes: Processes) -> tuple[Trainer, dict, Emphasis | None]:
    """The trainer, restored if there is a state, with the material's curves and the domain."""
    curves = state["curves"] if state else measure(recordings, config, base)
    emphasis = Emphasis(curves["emphasis_db"]) if "emphasis_db" in curves else None
    if not state:
        curves["sigma_data"] = base.sigma_data if base else config.sigma_data or common_level(recordings, emphasis)
        curves["level"] = base.level if base else curves["sigma_data"]
    sigma_data = curves["sigma_data"]
    network_config = base.network.config if base else config.network(sigma_data)
    material = Material(recordings, emphasis, sigma_data, config.normalization)
    try:
        trainer = Trainer(config, network_config, material, base.network.state_dict() if base else None,
                          processes)
        for length in {config.crop_length, config.block_length}:
            trainer.network.transform(length)
    except (IndexError, ValueError) as error:
        raise TrainingError(f"The settings of the network do not go together: {error}") from error
    if state:
        trainer.restore(state)
    return trainer, curves, emphasis


def _loop(trainer: Trainer, session: "_Session | None", config: TrainingConfig, processes: Processes,
          seconds: float) -> Generator[TrainingProgress, None, dict]:
    """Steps to the end of the run; `session`, the leader's, saves and reports."""
    losses: list[float] = []
    saved = reported = time.monotonic()
    try:
        with closing(ahead(trainer.draw, trainer.step_count)) as draws:
            while (share := processes.agree(share_of_run(config, trainer.step_count, seconds))) < 1:
                started = time.monotonic()
                losses.append(trainer.step(share, next(draws)))
                seconds += min(time.monotonic() - started, LONGEST_STEP_S)
                if not session:
                    continue
                session.seconds = seconds
                yield TrainingProgress("training", share_of_run(config, trainer.step_count, seconds),
                                       trainer.step_count, losses[-1])
                if trainer.step_count % LOG_STEPS == 0:
                    session.log(losses, started)
                    losses = []
                now = time.monotonic()
                ended = share_of_run(config, trainer.step_count, seconds) == 1
                if config.report_minutes and now - reported > 60 * config.report_minutes and not ended:
                    yield from session.report()
                    saved = reported = time.monotonic()
                elif now - saved > 60 * config.save_minutes:
                    session.save()
                    saved = time.monotonic()
        if session:
            yield from session.report()
        return session.facts if session else {}
    except (KeyboardInterrupt, GeneratorExit):
        if session:
            session.save()
        raise
    finally:
        if session:
            session.logs.close()


class _Session:
    """What the leading process does besides training: it saves, measures, draws examples and logs."""

    def __init__(self, output: Path, run: Path, trainer: Trainer, curves: dict, emphasis: Emphasis | None, facts: dict,
                 held_out: Material, seconds: float, companions: Companions):
        self.output, self.run, self.trainer, self.curves, self.emphasis = output, run, trainer, curves, emphasis
        self.facts, self.held_out, self.seconds, self.companions = facts, held_out, seconds, companions
        self.logs = Logs(run, trainer.step_count)

    def save(self) -> None:
        """Saves the state, and the prior as it is now."""
        self._save_state()
        self._write_prior()

    def report(self) -> Generator[TrainingProgress, None, None]:
        """Saves, measures the loss on what is held out, and draws an example."""
        self._save_state()
        trainer, step = self.trainer, self.trainer.step_count
        yield TrainingProgress("measuring", 0.0, step)
        losses = evaluate(trainer.average, self.held_out, trainer.config)
        self.facts["heldout_loss"] = losses
        self.logs.numbers(step, {f"held-out loss/{sigma}": loss for sigma, loss in losses.items()})
        self._write_prior()
        prior = Prior(trainer.average, self.curves["sigma_data"], emphasis=self.emphasis)
        drawing = sample_prior(prior, free_solver(prior, steps=EXAMPLE_STEPS),
                               [torch.Generator().manual_seed(trainer.config.seed)])
        for now in drawing:
            yield TrainingProgress("drawing", now.step / EXAMPLE_STEPS, step)
        path = self.logs.example(step, drawing.value[0], prior.sample_rate)
        said = ", ".join(f"{loss:.3f} at {sigma}" for sigma, loss in losses.items())
        yield TrainingProgress("drawing", 1.0, step, message=f"Step {step}: held-out loss by noise level {said}. "
                                                            f"An example is in {path}.")

    def _save_state(self) -> None:
        trainer = self.trainer
        save_state(self.run, trainer.state() | {
            "curves": self.curves, "seconds": self.seconds, "config": asdict(trainer.config),
            "base": self.facts.get("base")})

    def _write_prior(self) -> None:
        trainer, curves = self.trainer, self.curves
        self.facts |= {"steps": trainer.step_count, "minutes": round(self.seconds / 60, 1)}
        weights = {name: value.cpu() for name, value in trainer.average.state_dict().items()}
        save_prior(self.output, weights, trainer.network.config, curves["sigma_data"], curves["level"], curves["ltas"],
                   curves.get("emphasis_db"), self.facts, ltas_spread_db=curves["ltas_spread_db"],
                   **self.companions)
        write_preset(self.output, trainer.config, curves["sigma_data"], self.facts)

    def log(self, losses: list[float], started: float) -> None:
        """Loss, rates and speed of the last steps; `started` is when the last of them began, on the monotonic clock."""
        trainer, config = self.trainer, self.trainer.config
        step_s = time.monotonic() - started
        heard_s = config.batch * config.crop_length / config.sample_rate * trainer.processes.count
        rates = {f"learning rate/{name}": optimiser.param_groups[0]["lr"]
                 for name, (optimiser, _) in trainer.optimisers.items()}
        self.logs.numbers(trainer.step_count, rates | {
            "loss": float(np.mean(losses)), "gradient norm": trainer.gradient_norm, "seconds a step": step_s,
            "hours of audio an hour": heard_s / step_s})


# ----------------------------------------------------------------------------------------------------- pieces

def as_base(config: TrainingConfig, base: Prior) -> TrainingConfig:
    """The settings with the kind, the sizes and the level of the prior that is fine-tuned."""
    network = base.network.config
    return config.as_network(network).replace(
        sigma_data=base.sigma_data, flattening=config.flattening if base.emphasis else 0.0,
        crop=min(config.crop, network.block_length))


def measure(recordings: list[Recording], config: TrainingConfig, base: Prior | None) -> dict[str, Any]:
    """The material's curves.

    emphasis_db: (2049,), takes `config.flattening` of the slope of the material's spectrum, or the base's; none in a
    plain domain · ltas: of the emphasised material, (bins,) · ltas_spread_db: how recordings differ from it, (bins,).
    """
    curves: dict[str, Any] = {}
    if base and base.emphasis:  # the domain that the network knows
        curves["emphasis_db"] = base.emphasis.gain_db
    elif config.flattening and not base:
        lowest_hz = config.sample_rate / 2 / 2 ** config.octaves
        curves["emphasis_db"] = flattening(mean_power(recordings), config.sample_rate, config.flattening, lowest_hz)
    emphasis = Emphasis(curves["emphasis_db"]) if curves else None
    return curves | {"ltas": typical_ltas(recordings, emphasis, config.sample_rate),
                     "ltas_spread_db": spectral_spread_db(recordings)}


def share_of_run(config: TrainingConfig | CellConfig, step: int, seconds: float) -> float:
    """The share of a run that is done."""
    return min(1.0, max(step / config.steps if config.steps else 0.0,
                        seconds / (60 * config.minutes) if config.minutes else 0.0))


def _check_length(trained_on: list[Recording], held_out: list[Recording], config: TrainingConfig, data: Path) -> None:
    crop_s = config.crop_length / config.sample_rate
    for part, what in ((trained_on, "to train on"), (held_out, "to measure the loss on")):
        total_s = sum(r.samples for r in part) / config.sample_rate
        if total_s < crop_s:
            raise TrainingError(f"{data} holds too little: {total_s:.1f} s {what}, where one crop is {crop_s:.1f} s "
                                "(the setting crop).")


def _check_same_run(state: dict, run: Path, config: TrainingConfig, base: dict | None) -> None:
    """Raises TrainingError if a state belongs to another run than this one."""
    now = asdict(config) | {"base": base}
    # A state from before there were several kinds of network is of the unet's, and lacks what is new.
    begun = asdict(TrainingConfig(architecture="unet")) | state["config"] | {"base": state["base"]}
    check_same_run(run, begun, {name: value for name, value in now.items() if name not in FREE})
