"""The manifest of a batch: what was made of what, and how, in a JSON file beside the results."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from babe2_fx.errors import UserError

from .audio_files import AudioFileError, write_whole
from .recipe import facts_key, sha256

NAME = "manifest.json"
FORMAT = "babe2-batch-1"
DONE, FAILED, UNFINISHED = "done", "failed", "unfinished"


class ManifestError(UserError):
    """A manifest that cannot be read or written; the message says which and why."""

    exit_code = 1  # of a command: the mistake is not in what was asked for


class Manifest:
    """What is known of the files of a batch. Every change is on the disk, whole, before the call returns.

    Nothing is rendered that is not in it as unfinished, so a file in the output folder that it does not know is the
    user's own, also after a crash.

    Args:
        folder: the output folder, which need not exist before `start`.

    Raises:
        ManifestError: there is a file of its name that is no manifest.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / NAME
        self.content = {"format": FORMAT, "runs": [], "recipes": {}, "files": {}}
        try:
            if self.path.exists():
                self.content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ManifestError(f"{self.path} cannot be read ({error}); move it away to begin anew.") from error
        if not _is_manifest(self.content):
            raise ManifestError(f"{self.path} is not the manifest of a batch that this version can read; choose "
                                "another output folder, or move it away.")

    def start(self, versions: dict) -> None:
        """Begins a run; which versions of what it is made with."""
        self.content["runs"].append({"started": now(), "versions": versions})
        self._write()

    def is_done(self, name: str, input_sha256: str, facts: dict) -> bool:
        """Whether the file `name` in the folder is what this input and recipe gave."""
        entry = self.content["files"].get(name, {})
        return (entry.get("state") == DONE and entry.get("recipe") == facts_key(facts)
                and entry["input"].get("sha256") == input_sha256 and self._is_as_written(name))

    def may_replace(self, name: str) -> bool:
        """Whether the place of `name` is free, or holds what a batch has made and nobody has changed since."""
        entry = self.content["files"].get(name, {})
        return (not (self.folder / name).exists() or entry.get("state") == UNFINISHED or self._is_as_written(name))

    def begin(self, name: str, given: dict, facts: dict) -> None:
        """Notes that `name` is being made of a recording, as `described`, by the recipe with these facts."""
        key = facts_key(facts)
        self.content["recipes"][key] = facts
        self._set(name, UNFINISHED, input=given, recipe=key, run=len(self.content["runs"]) - 1)

    def finish(self, name: str, made: dict, **record) -> None:
        """Notes that `name` is there, as `described`, with what there is to tell of it."""
        entry = self.content["files"][name]
        self._set(name, DONE, **_of(entry, "input", "recipe", "run", "started"), output=made, **record)

    def fail(self, name: str, source: Path, reason: str) -> None:
        """Notes why `name` was not made. What stood in its place still does."""
        self._set(name, FAILED, input={"path": str(source)}, reason=reason)

    def _set(self, name: str, state: str, **values) -> None:
        before = self.content["files"].get(name, {})
        when = {"started": now()} if state == UNFINISHED else {"finished": now()}
        self.content["files"][name] = {"state": state, **_of(before, "output"), **when, **values}
        self._write()

    def _is_as_written(self, name: str) -> bool:
        made, path = self.content["files"].get(name, {}).get("output"), self.folder / name
        try:
            return (isinstance(made, dict) and path.is_file() and path.stat().st_size == made.get("bytes")
                    and sha256(path) == made.get("sha256"))
        except OSError:
            return False

    def _write(self) -> None:
        text = json.dumps(self.content, indent=1, ensure_ascii=False) + "\n"
        # A name that is no Unicode is escaped, so that it can be read back as it was.
        data = text.encode("utf-8", "backslashreplace")
        try:
            write_whole(self.path, lambda part: part.write_bytes(data))
        except AudioFileError as error:
            raise ManifestError(f"{error} The batch cannot go on without it. What is finished is kept: make room, or "
                                "bring the folder back, and give the same command again.") from error


def described(path: Path) -> dict:
    """What a manifest says of a file: its path, size and checksum. Raises OSError."""
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _of(entry: dict, *names: str) -> dict:
    return {name: entry[name] for name in names if name in entry}


def _is_manifest(content) -> bool:
    return (isinstance(content, dict) and content.get("format") == FORMAT and isinstance(content.get("runs"), list)
            and all(isinstance(content.get(name), dict) for name in ("recipes", "files"))
            and all(isinstance(entry, dict) and isinstance(entry.get("input"), dict)
                    for entry in content["files"].values()))
