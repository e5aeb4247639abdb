"""The workers of a batch: one in this process, some in its threads, or one in a process for each device."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path

from ..console import version
from ..stopping import ours
from .job_list import BatchError
from .worker import Event, Task, Worker, stamp_of

REPORTS = 100  # a second, of how far renders are, from all workers: more would hold up the batch
FILES_AT_ONCE = 4  # on one GPU; so many blocks of a small prior fill it
GOODBYE_S = 30.0  # time for a worker to finish what it writes when a batch is cancelled

logger = logging.getLogger(__name__)


class InProcessPool:
    """One worker in this process, which works while its pool is waited for.

    What every pool has: `start` starts its workers; `free` are those that wait for an `assign`, which gives one tasks
    and lets it work; `wait` waits for some and returns their events, None for a worker that was lost and is replaced by
    another; `remote` is whether they are in other processes; `ships` whether a worker does not see the files; `close`
    cancels, and returns the events that were left.
    """

    remote = False

    def __init__(self, **options):
        self._options, self._worker, self._tasks = options, None, []
        self.free: dict = {}

    def start(self, folder: Path, lock: Path, source: Path) -> None:
        self._worker = Worker(folder, **self._options)
        self.free[self._worker] = True

    def ships(self, worker) -> bool:
        return False

    def assign(self, worker, tasks: list[Task]) -> None:
        del self.free[worker]
        self._tasks = tasks

    def wait(self) -> list[tuple[object, list[Event] | None]]:
        self.free[self._worker] = True
        return [(self._worker, self._worker.step(self._tasks))]

    def close(self) -> list[Event]:
        return self._worker.close() if self._worker else []


class ThreadPool:
    """Several workers in threads of this process, for one GPU: what they ask of a network is computed in batches.

    Results equal those of one worker except for rounding, which depends on the batch size in the GPU's kernels.
    """

    remote = False

    def __init__(self, count: int = FILES_AT_ONCE):
        self._count, self._called = count, {}
        self._priors: dict[int, object] = {}  # by the identity of the prior that each is of
        self._lock = threading.Lock()
        self.free: dict = {}

    def start(self, folder: Path, lock: Path, source: Path) -> None:
        self._threads = ThreadPoolExecutor(self._count, "worker")
        for _ in range(self._count):
            self.free[Worker(folder, overlaps=False, prior_of=self._batching)] = True

    def _batching(self, prior):
        from babe2_fx.priors import BatchingPrior  # imports torch
        with self._lock:
            if id(prior) not in self._priors:
                self._priors[id(prior)] = BatchingPrior(prior)
            return self._priors[id(prior)]

    def ships(self, worker) -> bool:
        return False

    def assign(self, worker, tasks: list[Task]) -> None:
        del self.free[worker]
        self._called[self._threads.submit(worker.step, tasks, 0.2)] = worker

    def wait(self) -> list[tuple[object, list[Event] | None]]:
        reports = []
        for step in wait(self._called, return_when=FIRST_COMPLETED).done:
            worker = self._called.pop(step)
            self.free[worker] = True
            reports.append((worker, step.result()))
        return reports

    def close(self) -> list[Event]:
        events = [event for step in wait(self._called).done if not step.exception() for event in step.result()]
        for worker in [*self.free, *self._called.values()]:
            events += worker.close()
        for prior in self._priors.values():
            prior.close()
        return events


class RemotePool:
    """What pools of workers in other processes have in common.

    A worker that dies is replaced. Subclasses start one (`_start`), call a method of it (`_call`), wait for what is
    called (`_wait`, which gives pairs of a worker and what its call returned, or `LOST`), and end it (`_end`).
    """

    remote = True
    LOST = object()

    def __init__(self, shared: bool | None = None):
        self._shared = shared
        self.abouts: dict[object, dict] = {}  # of each worker: host, pid, version, whether it sees the files
        self._called: dict = {}  # what is under way, by worker
        self.free: dict = {}

    def start(self, folder: Path, lock: Path, source: Path) -> None:
        """Starts the workers. Raises BatchError if there are none, or of another version."""
        self._folder = os.path.abspath(folder)
        self._known = [(path, stamp_of(path)) for path in map(os.path.abspath, (lock, source))]
        self._begin()
        while not self.abouts:
            self.wait()

    def _add(self) -> None:
        worker = self._start(self._folder)
        self._called[worker] = self._call(worker, "about", *self._known[0], *self._known[1])

    def ships(self, worker) -> bool:
        return not (self.abouts[worker]["shares"] if self._shared is None else self._shared)

    def assign(self, worker, tasks: list[Task]) -> None:
        del self.free[worker]
        self._called[worker] = self._call(worker, "step", tasks, max(0.5, len(self.abouts) / REPORTS))

    def wait(self) -> list[tuple[object, list[Event] | None]]:
        reports = []
        if not self._called:
            raise BatchError("No worker is left. What is finished is kept; start the batch again.")
        for worker, value in self._wait(self._called):
            del self._called[worker]
            if value is self.LOST:
                self._end(worker)
                if self.abouts.pop(worker, None):
                    logger.warning("A worker was lost; another one goes on.")
                    reports.append((worker, None))
                    self._add()
                elif not self.abouts and not self._called:
                    raise BatchError("The workers end as soon as they are started.")
            elif worker in self.abouts:
                self.free[worker] = True
                reports.append((worker, value))
            else:
                if value["version"] != version("babe2-fx"):
                    raise BatchError(f"{value['host']} has version {value['version']} of babe2-fx and this computer "
                                     f"{version('babe2-fx')}; install the same on both.")
                self.abouts[worker] = value
                self.free[worker] = True
        return reports

    def close(self) -> list[Event]:
        events, steps = [], {worker: call for worker, call in self._called.items() if worker in self.abouts}
        try:
            closing = {worker: self._call(worker, "close") for worker in self.free}
            while reports := self._wait(steps | closing, GOODBYE_S) if steps or closing else []:
                for worker, value in reports:
                    was_closing = closing.pop(worker, None) is not None
                    if not was_closing:
                        del steps[worker]
                    if value is not self.LOST:
                        events += value
                        if not was_closing:
                            closing[worker] = self._call(worker, "close")
        finally:
            for worker in self.abouts | self._called:
                self._end(worker)
            self._stop()
        return events


class ProcessPool(RemotePool):
    """A worker for each CUDA device, in processes of this computer.

    Args:
        devices: as CUDA_VISIBLE_DEVICES names them; "" for a worker on the CPU.
        shared: whether the workers see the files, None: find out.
    """

    def __init__(self, devices: list[str], shared: bool | None = None):
        super().__init__(shared)
        self._devices, self._of = list(devices), {}

    def _begin(self) -> None:
        for _ in list(self._devices):
            self._add()

    def _start(self, folder: str):
        mine, its = multiprocessing.Pipe()
        device = self._devices.pop()
        threads = str(max(1, (os.cpu_count() or 1) // (len(self._devices) + len(self._of) + 1)))
        # PYTHONSAFEPATH: no modules from the working folder, where a stranger's files may lie.
        with _environment(CUDA_VISIBLE_DEVICES=device, OMP_NUM_THREADS=threads, PYTHONSAFEPATH="1"):
            process = multiprocessing.get_context("spawn").Process(target=_serve, args=(its, folder), daemon=True)
            process.start()
        its.close()
        self._of[mine] = process, device
        return mine

    def _call(self, worker, method: str, *args):
        try:
            worker.send((method, args))
        except OSError:  # it is gone, as reading from it will show
            pass
        return worker

    def _wait(self, called: dict, timeout_s: float | None = None) -> Iterator[tuple]:
        reports = []
        for worker in connection.wait(list(called), timeout_s):
            try:
                reports.append((worker, worker.recv()))
            except (EOFError, OSError):
                reports.append((worker, self.LOST))
        return reports

    def _end(self, worker) -> None:
        process, device = self._of.pop(worker)
        process.kill()
        process.join()
        worker.close()
        self._devices.append(device)

    def _stop(self) -> None:
        pass


def _serve(pipe, folder: str) -> None:
    """A worker's process: answers calls until the other end is closed."""
    import signal
    for number in (signal.SIGINT, *ours()):  # they are for the main process, which ends this one
        signal.signal(number, signal.SIG_IGN)
    worker = Worker(folder, remote=True)
    while True:
        try:
            method, args = pipe.recv()
        except EOFError:
            return
        pipe.send(getattr(worker, method)(*args))


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def local_pool(devices: set[str], external: bool = False) -> InProcessPool | ThreadPool | ProcessPool:
    """The pool of this computer for recipes that ask for these devices.

    Several workers for a GPU, one for each of several GPUs, or one that takes all cores. External plugins may want the
    thread that the program began in, and get it.
    """
    if devices != {"cpu"} and not external:
        import torch
        if (count := torch.cuda.device_count()) == 1:
            return ThreadPool()
        if count > 1:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            return ProcessPool(visible.split(",") if visible else [str(number) for number in range(count)])
    return InProcessPool()
