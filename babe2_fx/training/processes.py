"""Training on several GPUs: one process each, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process among those of the run; alone unless `torchrun` started it."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def leads(self) -> bool:
        """Whether this is the one that reads, writes and reports."""
        return self.rank == 0

    def shared(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over all processes."""
        if self.count == 1:
            return network
        return DistributedDataParallel(network, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def agree(self, value: float) -> float:
        """The leader's value, in every process: what decides how a run goes on must be the same everywhere."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return float(tensor)

    def wait(self) -> None:
        """Waits until all processes are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Joins the run's processes, if `torchrun` started any; `device` is "cpu" or "cuda"."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    place = torch.device(device)
    if place.type == "cuda":
        place = torch.device("cuda", place.index or int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    if count > 1:
        # The leader may decode for hours, or draw examples, while the others wait.
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=timedelta(days=7))
    try:
        yield Processes(rank, count, place)
    finally:
        if count > 1:
            dist.destroy_process_group()
