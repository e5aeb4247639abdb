"""Trains a prior on a folder of recordings (paper, App. A.1).

    python -m babe2_fx.training.train DATA_DIR -o prior.safetensors --minutes 90

DATA_DIR holds `train/` and `heldout/`. The learning rate falls to zero over the given time, so that a run uses the
time it has; an interrupted run goes on from its last state, which lies beside the prior.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..priors import CQTDiff, Emphasis, NetworkConfig, Preconditioning, load_prior, save_prior, warped_levels
from ..spectra import ltas_fft_size
from .material import Material, flattening, power_spectrum, read_mono, spectral_spread_db

log = logging.getLogger(__name__)

LONGEST_STEP_S = 20.0  # what a step counts at most: while the process is stopped, the run's time stands still


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run is made of; the published values stand in Table 2 of the paper."""

    batch: int = 2
    crop: int = 65536  # samples; long enough for the lowest octave to see as it does in a whole block
    learning_rate: float = 1e-3  # Adam's: embeddings, normalisation, first and last convolutions
    muon_rate: float = 1.5e-3  # Muon's, scaled to Adam's size of step: the convolutions between
    warmup_steps: int = 100
    ema_rate: float = 0.999
    max_gradient_norm: float = 1.0
    sigma_data: float = 0.063
    sigma_max: float = 0.8
    sigma_min: float = 4e-5
    sigma_rho: float = 7.0  # more weight to high levels, where structure is decided, than the sampler's own scale
    gain_db: float = 4.0
    flattening: float = 0.6
    seed: int = 0


SMALL_PIANO = NetworkConfig(sample_rate=22050, block_length=184184, window="hann",
                            channels=(16, 32, 32, 32, 32, 48, 48), layers=(2, 2, 3, 3, 3, 4, 5), embedding=64,
                            companding=0.063)


def denoising_loss(network: CQTDiff, clean: Tensor, sigma: Tensor, noise: Tensor,
                   preconditioning: Preconditioning) -> Tensor:
    """Eq. 3 with λ = 1/c_out², per example: (batch,). Where the transform is blind, no error is counted."""
    p, noisy = preconditioning, clean + sigma * noise
    target = (clean - p.c_skip(sigma) * noisy) / p.c_out(sigma)
    error = network(p.c_in(sigma) * noisy, p.c_noise(sigma)) - target
    return network.transform(clean.shape[-1]).band_limit(error).square().mean(-1)


@torch.no_grad()
def evaluate(network: CQTDiff, material: Material, config: TrainingConfig, blocks: int = 8) -> dict[str, float]:
    """Loss on held-out blocks at fixed levels, the same blocks and noise every time."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    clean = material.batch(blocks, config.crop, 0.0, rng)
    noise = torch.randn(clean.shape, generator=generator)
    result = {}
    for sigma in (0.5, 0.1, 0.02, 0.004, 0.0008):
        level = torch.full((blocks, 1), sigma)
        result[f"{sigma:g}"] = float(denoising_loss(network, clean, level, noise,
                                                    Preconditioning(config.sigma_data)).mean())
    return result


class Trainer:
    """One run: network, its moving average, optimisers and clock. `state` is all that a resumed run needs.

    Convolutions are trained by Muon (momentum made orthogonal), the rest by Adam. `weights` is a state dict to start
    from instead of random numbers.
    """

    def __init__(self, config: TrainingConfig, network_config: NetworkConfig, material: Material,
                 weights: dict[str, Tensor] | None = None):
        torch.manual_seed(config.seed)
        self.config, self.material = config, material
        self.network = CQTDiff(network_config)
        if weights:
            self.network.load_state_dict(weights)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        # Muon takes matrices only: it is given views of the convolutions' weights, which share their memory.
        self.convolutions = [p for p in self.trained if p.dim() == 4 and min(p.shape[:2]) > 2]
        self.matrices = [nn.Parameter(p.detach().view(len(p), -1)) for p in self.convolutions]
        chosen = {id(p) for p in self.convolutions}
        self.optimisers = {
            "muon": (torch.optim.Muon(self.matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
                     config.muon_rate),
            "adam": (torch.optim.Adam([p for p in self.trained if id(p) not in chosen]), config.learning_rate)}
        self.preconditioning = Preconditioning(config.sigma_data)
        self.step_count, self.seconds = 0, 0.0
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)

    def step(self, share_done: float) -> float:
        """One update; `share_done` (0 to 1) of the run is over. Returns the batch's loss."""
        config = self.config
        warm = min(1.0, (self.step_count + 1) / config.warmup_steps)
        share = warm * 0.5 * (1 + math.cos(math.pi * min(share_done, 1.0)))
        for optimiser, rate in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * share
        clean = self.material.batch(config.batch, config.crop, config.gain_db, self.rng)
        # Stratified levels: a batch sees all of the range, which calms the gradient.
        position = (torch.arange(config.batch) + torch.rand(config.batch, generator=self.generator)) / config.batch
        sigma = warped_levels(position, config.sigma_max, config.sigma_min, config.sigma_rho)[:, None]
        noise = torch.randn(clean.shape, generator=self.generator)
        loss = denoising_loss(self.network, clean, sigma, noise, self.preconditioning).mean()
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, config.max_gradient_norm)
        if torch.isfinite(norm):
            for matrix, weight in zip(self.matrices, self.convolutions):
                matrix.grad = weight.grad.reshape(matrix.shape)
            for optimiser, _ in self.optimisers.values():
                optimiser.step()
        keep = min(config.ema_rate, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.network.parameters()):
                average.lerp_(value, 1 - keep)
        self.step_count += 1
        return float(loss.detach())

    def state(self) -> dict:
        return {"network": self.network.state_dict(), "average": self.average.state_dict(),
                "optimisers": {name: optimiser.state_dict() for name, (optimiser, _) in self.optimisers.items()},
                "step": self.step_count, "seconds": self.seconds, "generator": self.generator.get_state(),
                "rng": json.dumps(self.rng.bit_generator.state)}

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for name, (optimiser, _) in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.step_count, self.seconds = state["step"], state["seconds"]
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = json.loads(state["rng"])


def _save_state(path: Path, state: dict) -> None:
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def measure_material(files: list[Path], network_config: NetworkConfig, share: float) -> dict[str, Tensor]:
    """The material's curves, from at most 60 of the files, spread over the list.

    emphasis_db: (2049,), takes `share` of the slope of the material's spectrum · ltas: of the emphasised material,
    (bins,) · ltas_spread_db: how recordings differ from it, (bins,).
    """
    rate = network_config.sample_rate
    recordings = [read_mono(file, rate) for file in files[:: math.ceil(len(files) / 60)]]
    lowest_hz = rate / 2 / 2 ** network_config.octaves
    emphasis_db = flattening(power_spectrum(recordings, 4096), rate, share, lowest_hz)
    if share:
        recordings = [Emphasis(emphasis_db).apply(recording) for recording in recordings]
    size = ltas_fft_size(rate)
    return {"emphasis_db": emphasis_db, "ltas": power_spectrum(recordings, size),
            "ltas_spread_db": spectral_spread_db(recordings, size)}


def train(data: Path, output: Path, minutes: float, config: TrainingConfig = TrainingConfig(),
          network_config: NetworkConfig = SMALL_PIANO, origin: dict | None = None,
          save_every_s: float = 300.0, start: Path | None = None) -> None:
    """Trains for `minutes` of running time, resumed runs counted in, and writes the prior to `output`.

    `start` is a prior to go on from; its sizes and its emphasis are kept.
    """
    base = load_prior(start) if start else None
    if base:
        network_config = base.network.config
        config = replace(config, sigma_data=base.sigma_data, flattening=config.flattening if base.emphasis else 0.0)
    rate = network_config.sample_rate
    files = {part: sorted((data / part).glob("*.flac")) for part in ("train", "heldout")}
    if not files["train"] or not files["heldout"]:
        raise ValueError(f"{data} must hold FLAC files in train/ and heldout/.")
    state_path = output.with_suffix(".state.pt")
    state = torch.load(state_path, weights_only=True) if state_path.exists() else None
    if state:
        curves = state["curves"]
    else:
        curves = measure_material(files["train"], network_config, config.flattening)
        if base and base.emphasis:  # the domain that the network knows
            curves["emphasis_db"] = base.emphasis.gain_db
    emphasis = Emphasis(curves["emphasis_db"]) if config.flattening else None
    log.info("Reading %d recordings.", len(files["train"]))
    material = Material(files["train"], rate, config.sigma_data, emphasis)
    heldout = Material(files["heldout"], rate, config.sigma_data, emphasis)
    hours = material.lengths.sum() / rate / 3600

    trainer = Trainer(config, network_config, material, base and base.network.state_dict())
    if state:
        trainer.restore(state)
        log.info("Going on from step %d.", trainer.step_count)
    count = sum(p.numel() for p in trainer.network.parameters())
    log.info("%.2f million parameters, %.1f h of material.", count / 1e6, hours)

    def save() -> None:
        _save_state(state_path, trainer.state() | {"curves": curves})
        scores = evaluate(trainer.average, heldout, config)
        log.info("held-out loss by sigma: %s", {k: round(v, 4) for k, v in scores.items()})
        info = {"origin": origin or {}, "training": asdict(config), "steps": trainer.step_count,
                "minutes": round(trainer.seconds / 60, 1), "material_hours": round(float(hours), 2),
                "heldout_loss": scores}
        save_prior(output, trainer.average.state_dict(), network_config, config.sigma_data, config.sigma_data,
                   curves["ltas"], curves["emphasis_db"] if emphasis else None, info,
                   ltas_spread_db=curves["ltas_spread_db"])

    saved, losses = time.monotonic(), []
    while trainer.seconds < minutes * 60:
        started = time.monotonic()
        losses.append(trainer.step(trainer.seconds / (minutes * 60)))
        trainer.seconds += min(time.monotonic() - started, LONGEST_STEP_S)
        if trainer.step_count % 50 == 0:
            log.info("step %d, %.1f min: loss %.4f", trainer.step_count, trainer.seconds / 60, np.mean(losses))
            losses = []
        if time.monotonic() - saved > save_every_s:
            save()
            saved = time.monotonic()
    save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--start", type=Path, help="a prior to go on from")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(args.data, args.output, args.minutes, start=args.start)


if __name__ == "__main__":
    main()
