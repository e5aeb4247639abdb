"""One prior for many renders at once: what several threads ask of it is computed together."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

import torch
from torch import Tensor

from .prior import Prior

MOST_ROWS = 8  # blocks that the network is given at once; bounds memory


class BatchingPrior(Prior):
    """A `Prior` whose `denoise` joins the calls of several threads into batches, for devices that one does not fill.

    While a batch is computed, further calls gather and form the next; a lone call does not wait for others. Rows are
    independent, so each result is what it would be on its own, up to the rounding of the device's kernels. Calls that
    need a gradient are computed separately. Use it as a context manager, or `close` it.

    Args:
        prior: what computes; its network is shared, not copied.
        most: rows computed at once. If memory does not suffice for several calls, they are computed one by one.
    """

    def __init__(self, prior: Prior, most: int = MOST_ROWS):
        super().__init__(prior.network, prior.sigma_data, prior.level, prior.ltas, prior.emphasis, prior.info,
                         prior.ltas_spread_db, prior.levels, prior.response)
        self.most = most
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._closing, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._serve, name="prior", daemon=True)
        self._thread.start()

    def __enter__(self) -> "BatchingPrior":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread, once the calls that are waiting have been answered."""
        with self._closing:
            if not self._closed:
                self._calls.put(None)
            self._closed = True
        self._thread.join()

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        answer: Future = Future()
        with self._closing:
            alone = self._closed or torch.is_grad_enabled() and x.requires_grad
            if not alone:
                rows = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1).expand(x.shape[0], 1)
                self._calls.put((x, rows, answer))
        return super().denoise(x, sigma) if alone else answer.result()

    def _serve(self) -> None:
        waiting: list[tuple] = []
        open = True
        while open or waiting:
            try:  # waits for the first of a batch, and takes with it whatever else is there
                while open:
                    call = self._calls.get(block=not waiting)
                    if call is None:
                        open = False
                    else:
                        waiting.append(call)
            except queue.Empty:
                pass
            if waiting:
                batch = self._next(waiting)
                waiting = [call for call in waiting if not any(call is other for other in batch)]
                self._answer(batch)

    def _next(self, waiting: list) -> list:
        """The longest-waiting call, and those after it that fit into a batch with it."""
        batch: list[tuple] = []
        rows = 0
        for call in waiting:
            alike = not batch or (call[0].shape[1:], call[0].device) == (batch[0][0].shape[1:], batch[0][0].device)
            if alike and (not batch or rows + len(call[0]) <= self.most):
                batch.append(call)
                rows += len(call[0])
        return batch

    @torch.no_grad()
    def _answer(self, batch: list) -> None:
        try:
            x, sigma = (torch.cat([call[i] for call in batch]) for i in (0, 1))
            results = super().denoise(x, sigma).split([len(call[0]) for call in batch])
        except Exception as error:
            if len(batch) > 1:  # too little memory, or one bad call: each gets its own outcome
                for call in batch:
                    self._answer([call])
                return
            batch[0][2].set_exception(error)
            return
        for (*_, answer), result in zip(batch, results):
            answer.set_result(result)
