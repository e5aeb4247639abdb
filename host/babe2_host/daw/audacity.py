"""Restores what is selected in Audacity: exports it, has it restored, and brings it back as new tracks.

The samples are those before gain, pan and envelope, and the restored track gets the gain, pan and envelope of its
original, so that none of them is applied twice.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from babe2_fx.errors import UserError

from ..states import JobState
from .audacity_pipe import LONG_S, Audacity, AudacityError, quoted
from .audacity_project import Passage, write_project
from .audacity_selection import read_selection
from .audacity_setup import install

__all__ = ["install", "restore_selection"]



def restore_selection(recipe: dict, client=None, progress: Callable[[float, str], object] | None = None,
                      poll_s: float = 0.5) -> list[str]:
    """Restores the selected audio of the selected tracks in Audacity, which waits for nothing meanwhile.

    Args:
        recipe: as `babe2_host.service.Client.submit` takes it, without `depth` and `rate`.
        client: whose jobs they are; None: a `Client` of its own.
        progress: called with the share done (0 to 1) and what is being done.
        poll_s: seconds between looks at the jobs.

    Returns:
        What was done, as sentences.

    Raises:
        AudacityError: Audacity cannot be reached, nothing is selected, nothing could be restored, or the results could
            not be brought in; then it names the file to import by hand.
    """
    if client is None:
        from ..service import Client
        client = Client()
    folder = Path(tempfile.mkdtemp(prefix="audacity-", dir=client.folder))
    jobs: list[dict] = []
    try:
        with Audacity() as audacity:
            passages, notes = read_selection(audacity, folder)
        for passage in passages:
            jobs.append(client.submit(passage.path, passage.restored, label=f"Audacity: {passage.name}",
                                      **{**recipe, "depth": "float", "rate": None}))
        project = write_project(folder, passages, recipe)  # now there is something to import, whatever happens
    except BaseException:
        for job in jobs:
            with contextlib.suppress(UserError):
                client.cancel(job["id"])
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        records = _wait(client, jobs, progress or (lambda share, message: None), poll_s)
    except KeyboardInterrupt:
        return [f"The restoring goes on. When `babe2 jobs list` says that it is done, import {project} in Audacity "
                "(File > Import > Audio)."]
    good = [passage for passage, record in zip(passages, records) if record["state"] == "done"]
    notes += [f"{passage.name}: {record['message'] or record['state']}" for passage, record in zip(passages, records)
              if record["state"] != "done" or record["message"]]
    if good:
        if len(good) < len(passages):
            project = write_project(folder, good, recipe)
        _bring_in(project, good)
    for record in records:
        client.remove(record["id"])
    shutil.rmtree(folder, ignore_errors=True)
    if not good:
        raise AudacityError("Nothing was restored. " + " ".join(notes))
    return [f"Audacity has {_titled(good)}, below the other tracks, and a label track that says what was done. "
            "Edit > Undo, once, takes all of it away.", *notes]


def _wait(client, jobs: list[dict], progress: Callable[[float, str], object], poll_s: float) -> list[dict]:
    """The records of the jobs once all have ended."""
    while True:
        records = [client.job(job["id"]) for job in jobs]
        open_jobs = [record for record in records if not JobState(record["state"]).ended]
        share = sum(1.0 if JobState(record["state"]).ended else record["share_done"]
                    for record in records) / len(records)
        if not open_jobs:
            progress(share, "done")
            return records
        now = next((record for record in open_jobs if record["state"] == "running"), open_jobs[0])
        progress(share, f"{now['label'].removeprefix('Audacity: ')}: {now['message'] or now['state']}")
        time.sleep(poll_s)


def _bring_in(project: Path, passages: list[Passage]) -> None:
    """Imports the restored tracks into the project that is open in Audacity."""
    by_hand = f"The restored tracks are kept: open the project and import {project} (File > Import > Audio)."
    try:
        with Audacity() as audacity:
            before = audacity.info("Tracks")
            if {passage.name for passage in passages} - {track["name"] for track in before}:
                raise AudacityError("The project in front in Audacity is not the one that was to be restored, or the "
                                    "tracks have other names now.")
            audacity.do(f"Import2: Filename={quoted(project.as_posix())}", LONG_S)
            if len(audacity.info("Tracks")) != len(before) + len(passages) + 1:
                raise AudacityError("Audacity did not import the restored tracks.")
    except AudacityError as error:
        error.add_note(by_hand)
        raise


def _titled(passages: list[Passage]) -> str:
    names = ", ".join(f"{passage.name} (restored)" for passage in passages)
    return f"a new track {names}" if len(passages) == 1 else f"new tracks {names}"
