"""One step of training: the loss (Eqs. 3 and 15), the optimisers, the moving average, the loss on what is held out."""

from __future__ import annotations

import copy
import itertools
import math
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..priors import CQTNetwork, Preconditioning, TransformConfig, make_network, warped_levels
from .config import TrainingConfig, TrainingError
from .material import Material
from .processes import Processes
from .state import take_up

HELD_OUT_LEVELS = tuple(sigma / 0.063 for sigma in (0.5, 0.1, 0.02, 0.004, 0.0008))  # in units of sigma_data
HELD_OUT_CROPS = 8
MOST_SKIPPED = 30  # steps in a row whose gradient is not finite


def denoising_loss(network: nn.Module, clean: Tensor, sigma: Tensor, noise: Tensor,
                   preconditioning: Preconditioning) -> Tensor:
    """Eq. 3 with λ = 1/c_out², per example: (batch,). Where the transform is blind, errors do not count."""
    p, noisy = preconditioning, clean + sigma * noise
    target = (clean - p.c_skip(sigma) * noisy) / p.c_out(sigma)
    error = network(p.c_in(sigma) * noisy, p.c_noise(sigma)) - target
    bare: Any = getattr(network, "module", network)  # DistributedDataParallel wraps it
    return bare.transform(clean.shape[-1]).band_limit(error).square().mean(-1)


@torch.no_grad()
def evaluate(network: CQTNetwork, material: Material, config: TrainingConfig) -> dict[str, float]:
    """Loss on held-out crops at fixed levels, the same crops and noise every time."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    device = network.device
    clean = material.batch(HELD_OUT_CROPS, config.crop_length, 0.0, rng)
    noise = torch.randn(clean.shape, generator=generator)
    result = {}
    for sigma in (level * material.sigma_data for level in HELD_OUT_LEVELS):
        losses = [denoising_loss(network, c.to(device), torch.full((len(c), 1), sigma, device=device), n.to(device),
                                 Preconditioning(material.sigma_data)).cpu()
                  for c, n in zip(clean.split(config.batch), noise.split(config.batch))]
        result[f"{sigma:.3g}"] = float(torch.cat(losses).mean())
    return result


class Trainer:
    """One run: network, its moving average and its optimisers. `state` is all that a resumed run needs.

    With Muon (momentum made orthogonal) the network's `matrices` are trained by Muon, the rest by Adam. `weights` is a
    state dict to start from instead of random numbers.
    """

    def __init__(self, config: TrainingConfig, network_config: TransformConfig, material: Material,
                 weights: dict[str, Tensor] | None = None, processes: Processes = Processes()):
        torch.manual_seed(config.seed)
        self.config, self.material, self.processes = config, material, processes
        self.network = make_network(network_config)
        if weights:
            self.network.load_state_dict(weights)
        else:
            self.network.embedding.spread(config.noise_detail)
        self.network.to(processes.device).requires_grad_()
        self.network.embedding.RFF_freq.requires_grad_(False)
        self.network.compute_dtype = getattr(torch, config.precision)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.average.compute_dtype = torch.float32
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        # Muon takes matrices only: it is given views of the weights, which share their memory.
        muon = config.optimizer == "muon"
        self.by_muon = self.network.matrices() if muon else []
        self.matrices = [nn.Parameter(p.detach().view(len(p), -1)) for p in self.by_muon]
        chosen = {id(p) for p in self.by_muon}
        self.optimisers: dict[str, tuple[torch.optim.Optimizer, float]] = {
            "adam": (torch.optim.Adam([p for p in self.trained if id(p) not in chosen]), config.learning_rate)}
        if muon:
            self.optimisers["muon"] = (torch.optim.Muon(self.matrices, weight_decay=0.0,
                                                        adjust_lr_fn="match_rms_adamw"), config.muon_rate)
        self.shared = processes.shared(self.network)
        self.preconditioning = Preconditioning(material.sigma_data)
        self.step_count, self.skipped, self.gradient_norm = 0, 0, math.nan

    def draw(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Clean crops, noise levels and noise of a step; they depend on the step and the seed alone."""
        config = self.config
        rng = np.random.default_rng((config.seed, self.processes.rank, step))
        generator = torch.Generator().manual_seed(int(rng.integers(2 ** 63)))
        clean = self.material.batch(config.batch, config.crop_length, config.gain_db, rng)
        # Stratified levels: a batch sees all of the range, which calms the gradient.
        position = (torch.arange(config.batch) + torch.rand(config.batch, generator=generator)) / config.batch
        sigma = warped_levels(position, config.sigma_max, config.sigma_min, config.sigma_rho) * self.material.sigma_data
        return clean, sigma[:, None], torch.randn(clean.shape, generator=generator)

    def step(self, share_done: float, drawn: tuple[Tensor, Tensor, Tensor] | None = None) -> float:
        """One update, when `share_done` (0 to 1) of the run is done. Returns the loss of what was drawn for it.

        Raises TrainingError when step after step has no finite gradient.
        """
        config = self.config
        rate_share = min(1.0, (self.step_count + 1) / max(config.warmup_steps, 1))
        if config.decay == "cosine":
            rate_share *= 0.5 * (1 + math.cos(math.pi * share_done))
        for optimiser, rate in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * rate_share
        clean, sigma, noise = (x.to(self.processes.device, non_blocking=True)
                               for x in drawn or self.draw(self.step_count))
        loss = denoising_loss(self.shared, clean, sigma, noise, self.preconditioning).mean()
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, config.max_gradient_norm)
        self.gradient_norm = float(norm)
        if math.isfinite(self.gradient_norm):
            self.skipped = 0
            for matrix, weight in zip(self.matrices, self.by_muon):
                assert weight.grad is not None
                matrix.grad = weight.grad.reshape(matrix.shape)
            for optimiser, _ in self.optimisers.values():
                optimiser.step()
        else:
            self.skipped += 1
            if self.skipped >= MOST_SKIPPED:
                raise TrainingError(f"The training has diverged: for {MOST_SKIPPED} steps, up to step "
                                    f"{self.step_count + 1}, the gradient was not a finite number. Lower learning_rate "
                                    "and muon_rate.")
        keep = min(config.ema_rate, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.network.parameters()):
                average.lerp_(value, 1 - keep)
        self.step_count += 1
        return float(loss.detach())

    def state(self) -> dict:
        return {"network": self.network.state_dict(), "average": self.average.state_dict(),
                "optimisers": {name: optimiser.state_dict() for name, (optimiser, _) in self.optimisers.items()},
                "step": self.step_count}

    def restore(self, state: dict) -> None:
        take_up(state, {"network": self.network, "average": self.average}, self.optimisers)
        self.step_count = state["step"]


def ahead(draw: Callable[[int], tuple], first: int, depth: int = 2) -> Generator[tuple, None, None]:
    """What `draw` gives for `first`, `first + 1` ..., prepared by a thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(draw, first + i) for i in range(depth))
        for following in itertools.count(first + depth):
            waiting.append(thread.submit(draw, following))
            yield waiting.popleft().result()
