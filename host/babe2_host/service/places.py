"""Where the job service keeps its things, and which other folders the user lets jobs read and write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from babe2_fx.documents import parse_json
from babe2_fx.errors import UserError
from babe2_fx.files import reason, write_whole

ENDPOINT, LOCK, LOG = "endpoint.json", "lock", "log.txt"  # in the service's folder


class PlaceError(UserError):
    """A folder that cannot be used; the message says why."""


def data_folder() -> Path:
    """The user's data folder of this program, or what BABE2_DATA names."""
    named = os.environ.get("BABE2_DATA")
    return Path(named).absolute() if named else platformdirs.user_data_path("babe2", appauthor=False)


def jobs_folder() -> Path:
    """The folder of jobs, one folder each; made if need be, for this user alone. Raises PlaceError."""
    return _own(data_folder() / "jobs")


def service_folder() -> Path:
    """Where the service keeps its lock, its log, and the token that it asks for. Raises PlaceError."""
    return _own(data_folder() / "service")


def _own(folder: Path) -> Path:
    folder = Path(os.path.realpath(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise PlaceError(f"{folder}, where jobs are kept, cannot be used: {reason(error)}. "
                         "The environment variable BABE2_DATA can name another folder.") from error
    return folder


def allowed_folders() -> list[Path]:
    """The folders (and single files) besides `jobs_folder` that jobs may read and write."""
    try:
        named = parse_json(_list().read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise PlaceError(f"{_list()} cannot be read: {error}. Delete it, and allow the folders again.") from error
    return [Path(name) for name in named if isinstance(name, str)] if isinstance(named, list) else []


def allow(path: str | os.PathLike) -> None:
    """Lets jobs read and write a folder and all in it, or a file. Raises PlaceError if there is none."""
    real = Path(os.path.realpath(path))
    if not real.exists():
        raise PlaceError(f"There is no folder {path}.")
    _save({*allowed_folders(), real})


def deny(folder: str | os.PathLike) -> None:
    """Takes that back. Raises PlaceError if it was not allowed."""
    named, allowed = {Path(os.path.realpath(folder)), Path(os.path.abspath(folder))}, set(allowed_folders())
    if not named & allowed:
        raise PlaceError(f"{folder} is not among the folders that jobs may use; `babe2 jobs allowed` lists them.")
    _save(allowed - named)


def lies_in(path: str, folders: Iterable[Path]) -> bool:
    """Whether a path lies in one of these folders, wherever its links lead. The folders' own are not followed: what was
    allowed is the folder that was there, not what a link in its place leads to."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in folders)


def read_endpoint() -> dict | None:
    """How to reach the service: `version`, `token`, and `socket` or `port`; None if it does not serve yet."""
    try:
        endpoint = parse_json((service_folder() / ENDPOINT).read_text(encoding="utf-8", errors="surrogateescape"))
        kinds = {"token": str, "version": str, "socket": str, "port": int}
        found = {name: endpoint[name] for name, kind in kinds.items() if isinstance(endpoint.get(name), kind)}
    except (OSError, ValueError, AttributeError):
        return None
    return found if {"token", "version"} < set(found) else None


def _list() -> Path:
    return service_folder() / "allowed.json"


def _save(folders: Iterable[Path]) -> None:
    text = json.dumps(sorted(map(str, folders)), indent=1, ensure_ascii=False)
    # A name that is no Unicode is escaped, so that it can be read back as it was.
    write_whole(_list(), lambda part: part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace"))
