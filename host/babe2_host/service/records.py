"""The record of a job: a flat JSON file, which scripts of other programs read too."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_origin, get_type_hints

from babe2_fx.documents import parse_json
from babe2_fx.errors import UserError
from babe2_fx.files import whole_file

from ..rendering.recipe import Recipe
from ..states import JobState

ID = re.compile("[0-9a-f]{16}")
LARGEST = 1 << 20  # bytes of a record
OPENED = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # pipes are not waited for


class JobError(UserError):
    """A job that is not there, or cannot be what was asked for; the message says why."""


@dataclass(frozen=True)
class JobRecord:
    """A job: what it is to make of what, how, and how far it is.

    share_done: 0 to 1 · message: what is being done, why it failed, or what there is to say of the result · left_s:
    seconds, estimated · attempts: how often a service has begun it · label: the client's own, not looked at. The
    rest is as in `Recipe`.
    """

    id: str
    input: str
    output: str
    state: JobState = JobState.WAITING
    share_done: float = 0.0
    message: str = ""
    left_s: float | None = None
    label: str = ""
    preset: str | None = None
    board: str | None = None
    quality: str | None = None
    target: str | None = None
    target_match: float | None = None
    settings: dict[str, object] = field(default_factory=dict)
    rate: int | None = None
    depth: str | None = None
    device: str = "auto"
    attempts: int = 0
    created: str = field(default_factory=lambda: now())
    ended: str | None = None

    def recipe(self) -> Recipe:
        return Recipe(self.preset, self.board, self.quality, self.target, self.target_match,
                      tuple(sorted(self.settings.items())), rate=self.rate, depth=self.depth, device=self.device)


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def save_record(folder: Path, record: JobRecord) -> None:
    """Writes the record of a job, whole. Raises OSError."""
    path = folder / record.id / "job.json"
    lines = (f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in asdict(record).items())
    with whole_file(path) as part:  # names of files need not be valid text
        part.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", errors="surrogateescape")


def read_record(folder: Path, job_id: str) -> JobRecord:
    """Raises JobError: there is no such job, or its record cannot be read."""
    if not isinstance(job_id, str) or not ID.fullmatch(job_id):
        raise JobError("A job is named by the 16 digits that it was given; `babe2 jobs list` shows them.")
    path = folder / job_id / "job.json"
    try:
        values = parse_json(_content(path))
        known = {item.name for item in fields(JobRecord)}
        record = JobRecord(**{name: value for name, value in values.items() if name in known}
                           | {"state": JobState(values["state"])})
        _check(record, job_id)
        return record
    except FileNotFoundError as error:
        raise JobError(f"There is no job {job_id}; `babe2 jobs list` shows those there are.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError(f"{path} is not a job's record that can be read: {error}.") from error


def _content(path: Path) -> str:
    """The text of a file that may be anything by now: no pipe holds this up, and no size fills the memory."""
    with open(os.open(path, OPENED), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    return content.decode("utf-8", "surrogateescape")


def _check(record: JobRecord, job_id: str) -> None:
    kinds = get_type_hints(JobRecord)
    wrong = [name for name, kind in kinds.items() if not _fits(getattr(record, name), kind)]
    if wrong or record.id != job_id:
        raise ValueError(f"{wrong[0] if wrong else 'id'} is not what it can be")


def _fits(value: object, kind) -> bool:
    if isinstance(value, (int, float)) and not abs(value) < 1e18:  # NaN too
        return False
    kind = get_origin(kind) if get_origin(kind) is dict else kind
    return isinstance(value, kind) or type(value) is int and isinstance(0.0, kind)


def read_records(folder: Path) -> list[JobRecord]:
    """Of all jobs, the oldest first. Those that cannot be read are skipped."""
    records = []
    for path in folder.iterdir():
        with contextlib.suppress(JobError):
            if ID.fullmatch(path.name):
                records.append(read_record(folder, path.name))
    return sorted(records, key=lambda record: (record.created, record.id))


def delete_record(folder: Path, record: JobRecord) -> None:
    """Deletes a job's folder with all in it, and nothing outside of it. Raises OSError."""
    shutil.rmtree(folder / record.id)
