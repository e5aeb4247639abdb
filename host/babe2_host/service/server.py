"""The service itself: answers one request a connection, to those who know the token.

A request is a line of JSON, {"token": ..., "ask": "submit", ...}, and so is the answer: {"job": {...}} or
{"error": "a sentence"}, with "again": true where nothing was looked at and the same may be asked once more. How far
jobs are is in their records, which can be read without the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import math
import os
import secrets
import signal
import sys
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from pathlib import Path
from reprlib import repr as shown

from filelock import FileLock, Timeout

from babe2_fx.documents import parse_json
from babe2_fx.errors import UserError
from babe2_fx.files import whole_file

from ..console import version
from ..stopping import ours
from .listening import is_stranger, listening
from .places import ENDPOINT, LOCK, LOG, allowed_folders, jobs_folder, service_folder
from .records import JobError
from .requests import job_of
from .runner import Runner

LARGEST = 1 << 16  # bytes of a request
PATIENCE_S = 10.0  # for a request to come, and for its answer to be taken
CONNECTIONS = 96  # that have not shown the token yet
IDLE_S = 600.0  # without jobs and requests, after which the service ends

logger = logging.getLogger(__name__)


class Service:
    """Takes requests and has its `Runner` do the jobs.

    Args:
        idle_s: seconds after which it ends when there is nothing to do.
    """

    def __init__(self, idle_s: float = IDLE_S):
        self._idle_s = idle_s
        self._token = secrets.token_hex(32)
        self._unheard: dict[asyncio.Task, None] = {}  # connections without a request yet, the oldest first
        self._heard: set[asyncio.Task] = set()
        self._warned = -math.inf
        self._asked = self._end = None  # what there is in an event loop only

    async def run(self) -> None:
        """Serves until it is told to stop, or has been idle."""
        loop = asyncio.get_running_loop()
        self._end, self._asked = asyncio.Event(), loop.time()
        for number in (signal.SIGINT, *ours()):
            with contextlib.suppress(NotImplementedError):  # no signals on Windows: a request stops it there
                loop.add_signal_handler(number, self._end.set)
        self._runner = Runner(jobs_folder())
        self._runner.start()
        endpoint = service_folder() / ENDPOINT
        try:
            async with listening(self._serve, LARGEST) as address:
                _write_secret(endpoint, {**address, "token": self._token, "pid": os.getpid(),
                                         "version": version("babe2-fx")})
                logger.info("Serving, process %d.", os.getpid())
                while not self._end.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._end.wait(), min(self._idle_s, 1.0))
                    if self._runner.busy:
                        self._asked = loop.time()
                    elif loop.time() - self._asked >= self._idle_s:
                        self._end.set()
                endpoint.unlink(missing_ok=True)
        finally:
            endpoint.unlink(missing_ok=True)
            for connection in (*self._unheard, *self._heard):
                connection.cancel()
            await asyncio.to_thread(self._runner.stop)
            logger.info("Ended.")

    # --------------------------------------------------------------------------------------------------- requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection: one request, one answer. Whatever comes, the service goes on."""
        task = asyncio.current_task()
        if is_stranger(writer):
            logger.warning("Refused: another user.")
            writer.close()
            return
        self._make_room()
        self._unheard[task] = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await _line(reader)
            answer = await self._answer(line)
            async with asyncio.timeout(PATIENCE_S):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except TimeoutError:
            logger.warning("Refused: a client that lets the service wait for %g s.", PATIENCE_S)
        except asyncio.CancelledError:  # it had to make room, or the service ends
            if task not in self._heard:
                writer.write(b'{"error": "The job service has too many connections.", "again": true}\n')
        except OSError:
            pass  # the client has gone
        except Exception:
            logger.exception("A request could not be answered.")
        finally:
            self._unheard.pop(task, None)
            self._heard.discard(task)
            writer.close()

    def _make_room(self) -> None:
        """Gives up the oldest connection that has not shown the token, where there are as many as may be: whoever knows
        it says so at once, and is not kept out by those who only hold connections open."""
        if len(self._unheard) < CONNECTIONS:
            return
        oldest = next(iter(self._unheard))
        del self._unheard[oldest]
        oldest.cancel()
        at = asyncio.get_running_loop().time()
        if at - self._warned > PATIENCE_S:  # whoever makes thousands should not fill the log
            logger.warning("Refused: more than %d connections without a request.", CONNECTIONS)
            self._warned = at

    async def _answer(self, line: bytes) -> dict:
        try:
            request = _request(line)
            token = request.pop("token", "")
            if not isinstance(token, str) or not hmac.compare_digest(token.encode(errors="replace"),
                                                                     self._token.encode()):
                raise JobError("The token is not the one in the service's folder.")
            task = asyncio.current_task()
            self._unheard.pop(task, None)
            self._heard.add(task)
            self._asked = asyncio.get_running_loop().time()
            ask = request.pop("ask", None)
            if ask == "stop":
                self._end.set()
                return {}
            # In a thread: what is looked at may lie on a slow disk.
            return {"job": asdict(await asyncio.to_thread(self._done, ask, request))}
        except UserError as refusal:
            error = str(refusal)
        except OSError as refusal:
            error = f"{refusal.filename or 'The system'}: {refusal.strerror or refusal}."
        logger.warning("Refused: %s", shown_line(error))
        return {"error": error}

    def _done(self, ask: object, request: dict):
        if ask == "submit":
            return self._runner.submit(job_of(request, jobs_folder(), allowed_folders()))
        if ask in ("cancel", "remove"):
            return getattr(self._runner, ask)(request.get("id"))
        raise JobError(f"Nobody can ask for {shown(ask)}.")


async def _line(reader: asyncio.StreamReader) -> bytes:
    """What comes up to the end of a line; too little of one if it is too long, or does not end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        return b""


def _request(line: bytes) -> dict:
    try:
        request = parse_json(line)
    except ValueError as error:
        raise JobError(f"A request is a line of JSON of at most {LARGEST} bytes.") from error
    if not isinstance(request, dict):
        raise JobError("A request is a JSON object.")
    return request


def shown_line(text: str) -> str:
    """Untrusted text, for a line of the log."""
    return text.encode("unicode_escape", "backslashreplace").decode()[:500]


def _write_secret(path: Path, content: dict) -> None:
    """A file that only the user can read, from its first moment."""
    with whole_file(path, private=True) as part:
        part.write_text(json.dumps(content), encoding="utf-8")


def main() -> int:
    """Runs the service unless one is running. What happens is in its log."""
    folder = service_folder()
    handler = RotatingFileHandler(folder / LOG, maxBytes=1 << 20, backupCount=1, encoding="utf-8",
                                  errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s")
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=2.0)  # clients hold it for a moment to see whether there is a service
    except Timeout:
        return 0
    try:
        asyncio.run(Service(float(os.environ.get("BABE2_IDLE_S", IDLE_S))).run())
    except Exception:
        logger.exception("The service failed.")
        return 1
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
