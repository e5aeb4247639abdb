"""The other end of the job service, for commands and scripts. Starts a service where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from babe2_fx.documents import parse_json
from babe2_fx.errors import UserError

from ..console import version
from .places import LOCK, LOG, jobs_folder, read_endpoint, service_folder
from .records import read_record, read_records

# It has just ended, has not begun, or has as many connections as it takes: nothing was asked yet.
NOT_ASKED = ConnectionRefusedError, FileNotFoundError, BlockingIOError, BrokenPipeError
START_S = 30.0  # for a service to start; for one of another version to end
ANSWER_S = 30.0


class ServiceError(UserError):
    """The service cannot be reached, or refuses; the message says why."""


class Client:
    """Submits jobs and follows them. A service is started when it is needed; it ends by itself when idle.

    Examples:
        >>> client = Client()                                                          # doctest: +SKIP
        >>> job = client.submit("/records/side_a.wav", preset="piano", quality="draft")  # doctest: +SKIP
        >>> client.job(job["id"])["state"]                                             # doctest: +SKIP
        'running'
    """

    @property
    def folder(self) -> Path:
        """The folder of jobs, which they may always read. A recording put right into it becomes part of its job."""
        return jobs_folder()

    def submit(self, input: str | os.PathLike, output: str | os.PathLike | None = None, *, label: str = "",
               **recipe) -> dict:
        """Has a recording rendered. Returns the job's record at once.

        Args:
            input: in `folder`, or in one that the user allows (`babe2 jobs allow`).
            output: a file that is not there yet; None: result.wav in the job's folder.
            label: the client's own; it stays in the record.
            recipe: `preset` or `board`, `quality`, `target`, `target_match`, `seed`, `settings` (by name), `depth`
                ("16", "24", "float"), `rate` (Hz) and `device`, as in `babe2_host.rendering.recipe.Recipe`.

        Raises ServiceError: it is refused, or there is no service.
        """
        paths = {"input": os.path.abspath(input), "output": output and os.path.abspath(output)}
        if recipe.get("target"):
            recipe["target"] = os.path.abspath(recipe["target"])
        if str(recipe.get("preset") or "").lower().endswith(".safetensors"):
            recipe["preset"] = os.path.abspath(recipe["preset"])
        return self._ask("submit", **paths, label=label, **recipe)["job"]

    def job(self, job_id: str) -> dict:
        """The record of a job. Raises JobError if there is none."""
        record = read_record(self.folder, job_id)
        if not record.state.ended and not self.is_running():
            self._endpoint()  # a service was killed; another goes on
        return asdict(record)

    def jobs(self) -> list[dict]:
        """The records of all jobs, the oldest first."""
        records = read_records(self.folder)
        if any(not record.state.ended for record in records) and not self.is_running():
            self._endpoint()
        return [asdict(record) for record in records]

    def cancel(self, job_id: str) -> dict:
        """Cancels a job, at its next step; returns its record. Raises ServiceError."""
        return self._ask("cancel", id=job_id)["job"]

    def remove(self, job_id: str) -> dict:
        """Forgets a job that has ended and deletes its folder; returns its last record. Raises ServiceError."""
        return self._ask("remove", id=job_id)["job"]

    def stop(self) -> None:
        """Ends the service, if there is one. Its unfinished jobs go on with the next."""
        if self.is_running():
            self._ask("stop")
            self._wait_for_end()

    def is_running(self) -> bool:
        """Whether there is a service. It holds the lock as long as it runs."""
        lock = FileLock(service_folder() / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    # ---------------------------------------------------------------------------------------------------- pieces

    def _ask(self, ask: str, **request) -> dict:
        until = time.monotonic() + START_S
        while True:
            try:
                answer = _answer(self._endpoint(), ask, **request)
                if not answer.get("again") or time.monotonic() > until:
                    break
            except NOT_ASKED as error:
                if time.monotonic() > until:
                    raise self._silent(error) from error
            except (OSError, ValueError) as error:
                raise self._silent(error) from error
            time.sleep(0.1)
        if "error" in answer:
            raise ServiceError(answer["error"])
        return answer

    def _silent(self, error: Exception) -> ServiceError:
        return ServiceError(f"The job service does not answer ({error}). {service_folder() / LOG} may say why.")

    def _endpoint(self) -> dict:
        """How to reach the service, which is started if need be, and restarted if it is of another version."""
        if self.is_running() and (endpoint := read_endpoint()) and endpoint["version"] == version("babe2-fx"):
            return endpoint
        try:
            with FileLock(service_folder() / "starting", timeout=START_S):  # one client starts it, the others wait
                return self._started()
        except Timeout:
            raise ServiceError(f"The job service does not start; {service_folder() / LOG} may say why.") from None

    def _started(self) -> dict:
        until, process = time.monotonic() + START_S, None
        while time.monotonic() < until:
            if self.is_running():
                endpoint = read_endpoint()
                if endpoint and endpoint["version"] == version("babe2-fx"):
                    return endpoint
                if endpoint:
                    with contextlib.suppress(OSError, ValueError):
                        _answer(endpoint, "stop")
            elif process is None:
                process = self._start()
            elif process.poll() is not None:
                break
            time.sleep(0.05)
        raise ServiceError(f"The job service does not start; {service_folder() / LOG} may say why.")

    def _start(self) -> subprocess.Popen:
        apart = ({"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
                 if sys.platform == "win32" else {"start_new_session": True})
        with open(service_folder() / LOG, "ab") as log:
            return subprocess.Popen([sys.executable, "-m", "babe2_host.service"], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, cwd=service_folder(), **apart)

    def _wait_for_end(self) -> None:
        until = time.monotonic() + START_S
        while self.is_running():
            if time.monotonic() > until:
                raise ServiceError("The job service is still at a step of a job; it ends after that.")
            time.sleep(0.05)


def _answer(endpoint: dict, ask: str, **request) -> dict:
    line = json.dumps({"token": endpoint["token"], "ask": ask, **request}) + "\n"
    with _connected(endpoint) as connection:
        connection.sendall(line.encode())
        with connection.makefile("rb") as answers:
            answer = parse_json(answers.readline())
    if not isinstance(answer, dict):
        raise ValueError("its answer is not an object")
    return answer


def _connected(endpoint: dict) -> socket.socket:
    if "socket" not in endpoint:
        return socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=ANSWER_S)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_S)
        connection.connect(os.fsencode(endpoint["socket"]))
    except OSError:
        connection.close()
        raise
    return connection
