"""A batch on a Ray cluster: a worker for each device of the cluster, each an actor that keeps its prior loaded.

Whoever can reach a Ray cluster can run programs on it, and what its computers say to each other is pickled: a cluster
is one realm of trust with whoever starts jobs on it. Recordings are not part of that: they are read by the code that
reads them everywhere, and never run.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator

from .job_list import BatchError
from .pools import RemotePool
from .worker import Event, Worker

ANSWER_S = 5.0
LEAVE_S = 5  # for Ray to end the process of a worker that has finished


class Actor(Worker):
    """A worker whose process ends after it has finished, whatever Ray does.

    Ray considers an actor dead once it has asked its process to end; one that hangs on the way out would keep its GPU
    (ray-project/ray#52322). The kernel's alarm works even in a process that hangs.
    """

    def close(self) -> list[Event]:
        try:
            return super().close()
        finally:
            if hasattr(signal, "alarm"):  # not on Windows
                signal.alarm(LEAVE_S)


class RayPool(RemotePool):
    """The workers of a cluster: one for each GPU, else one for each computer, on all its cores.

    Args:
        address: of the cluster's head, "host:port"; "auto": the one that this computer belongs to; "local": this
            computer alone.
        device: "auto", "cpu" or "cuda".
        cores: of a worker without a GPU; None: all of its computer.
        shared: whether workers see the files, None: find out of each.

    Raises BatchError: Ray is not installed, the cluster does not answer, or it has no device of that kind.
    """

    def __init__(self, address: str, device: str = "auto", cores: int | None = None, shared: bool | None = None):
        super().__init__(shared)
        self._device, self._cores = device, cores
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise BatchError("Ray is not installed; pip install 'babe2-fx[ray]' does that.") from error
        self._ray, self._began = ray, not ray.is_initialized()
        if self._began:
            _connect(ray, address)

    def _begin(self) -> None:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = 0 if self._device == "cpu" else sum(int(node.get("GPU", 0)) for node in nodes)
        if self._device == "cuda" and not gpus:
            raise BatchError("The cluster has no GPU; take --device cpu or auto.")
        self._needs, self._needed = [{"num_gpus": 1}] * gpus, {}
        for cores in () if gpus else (int(node.get("CPU", 0)) for node in nodes):
            each = self._cores or cores
            self._needs += [{"num_cpus": each}] * (cores // each if each else 0)
        if not self._needs:
            raise BatchError("The cluster has no computer to work on.")
        for _ in list(self._needs):
            self._add()

    def _start(self, folder: str):
        needs = self._needs.pop()
        worker = self._ray.remote(Actor).options(**needs).remote(folder, remote=True)
        self._needed[worker] = needs
        return worker

    def _call(self, worker, method: str, *args):
        return getattr(worker, method).remote(*args)

    def _wait(self, called: dict, timeout_s: float | None = None) -> Iterator[tuple]:
        workers = {ref: worker for worker, ref in called.items()}
        ready, others = self._ray.wait(list(workers), num_returns=1, timeout=timeout_s)
        if others:  # and all that are ready besides
            ready += self._ray.wait(others, num_returns=len(others), timeout=0)[0]
        reports = []
        for ref in ready:
            try:
                reports.append((workers[ref], self._ray.get(ref)))
            except self._ray.exceptions.RayActorError as error:
                logging.getLogger(__name__).debug("A worker was lost.", exc_info=error)
                reports.append((workers[ref], self.LOST))
        return reports

    def _end(self, worker) -> None:
        self._ray.kill(worker)
        self._needs.append(self._needed.pop(worker))

    def _stop(self) -> None:
        if self._began:
            self._ray.shutdown()


def _connect(ray, address: str) -> None:
    """Joins a cluster, or makes one of this computer. Raises BatchError."""
    quiet = {"include_dashboard": False} if address == "local" else {}
    if address not in ("local", "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not host or not port.isdigit():
            raise BatchError(f"--ray needs the address of a cluster, such as 10.0.0.1:6379, or auto, or local, not "
                             f"{address!r}.")
        try:  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise BatchError(f"Nothing answers at {address} ({error}). `ray start --head` on that computer begins a "
                             "cluster and says its address.") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **quiet)
    except Exception as error:  # Ray's are of many kinds
        raise BatchError(f"The Ray cluster {address} cannot be used: {' '.join(str(error).split())}") from error
