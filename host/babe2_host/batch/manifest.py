"""The manifest of a batch: what was made of what, and how, in a JSON file next to the results."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from babe2_fx.errors import UserError
from babe2_fx.files import FileError, reason, write_whole
from babe2_fx.folders import Folder

from ..rendering.recipe import facts_key, sha256
from ..states import JobState

NAME = "manifest.json"
JOURNAL = ".babe2-batch.journal"
FORMAT = "babe2-batch-1"
LEAST_FOLD = 1 << 16  # bytes of a journal


class ManifestError(UserError):
    """A manifest that cannot be read or written; the message says which and why."""

    exit_code = 1  # of a command: the mistake is not in what was asked for


class Manifest:
    """What is known of the files of a batch.

    Changes are kept until `save`, which appends them to a journal next to the manifest; once that is as long as the
    manifest, it is folded into it. So a million files cost a few times the size of their entries, not its square, and
    what a crash leaves is read back. A journal counts only with the manifest that it was begun for.

    As a context it is whole in the one file at the end.

    Args:
        folder: the output folder, which need not exist before `start`.

    Raises:
        ManifestError: there is a file of its name that is not a manifest.
    """

    def __init__(self, folder: Path):
        self.folder, self.path, self._journal = folder, folder / NAME, folder / JOURNAL
        self.content = {"format": FORMAT, "runs": [], "recipes": {}, "files": {}}
        self._changes: list[str] = []
        self._sizes = [0, 0]  # bytes of the manifest and of its journal
        self._held: Folder | None = None
        try:
            if self.path.exists():
                self.content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ManifestError(f"{self.path} cannot be read ({error}); move it away to start over.") from error
        if not _is_manifest(self.content):
            raise ManifestError(f"{self.path} is not the manifest of a batch that this version can read; choose "
                                "another output folder, or move it away.")
        with contextlib.suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
            self._replay()

    def _replay(self) -> None:
        """Reads back what a killed run left in its journal; its last line may be torn."""
        with open(self._journal, encoding="utf-8") as journal:
            if not self.content["runs"] or json.loads(next(journal, "0")) != self.content["runs"][-1]:
                return
            for line in journal:
                part, name, value = json.loads(line)
                if part == "recipes" and isinstance(value, dict) or part == "files" and _is_entry(value):
                    self.content[part][name] = value

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind, error, trace) -> None:
        with self._held or contextlib.nullcontext(), (
                contextlib.suppress(*(() if kind is None else (ManifestError,)))):  # the first error says more
            if self._sizes[1] or self._changes:
                self._fold()

    def entry(self, name: str) -> dict:
        """What is known of the file `name` in the folder; {} if nothing is."""
        return self.content["files"].get(name, {})

    def start(self, versions: dict) -> None:
        """Begins a run; `versions` are those of the programs it uses."""
        if not self._held:
            self._held = Folder(self.folder)
            self._held.claim()
        self.content["runs"].append({"started": now(), "versions": versions})
        self._fold()

    def begin(self, name: str, given: dict, facts: dict) -> None:
        """Notes that `name` is being made of a recording, as `described`, by the recipe with these facts."""
        key = facts_key(facts)
        if self.content["recipes"].get(key) != facts:
            self._change("recipes", key, facts)
        self._set(name, JobState.UNFINISHED, input=given, recipe=key, run=len(self.content["runs"]) - 1)

    def finish(self, name: str, made: dict, **record) -> None:
        """Notes that `name` is there, as `described`, with its record."""
        begun = _of(self.entry(name), "input", "recipe", "run", "started")
        self._set(name, JobState.DONE, **begun, output=made, **record)

    def fail(self, name: str, source: Path, reason: str) -> None:
        """Notes why `name` was not made. What stood in its place still does."""
        self._set(name, JobState.FAILED, input={"path": str(source)}, reason=reason)

    def save(self) -> None:
        """Puts all changes on the disk. Nothing may be rendered before its `begin` is there.

        Then a file in the output folder that the manifest does not know is the user's own, also after a crash.
        Raises ManifestError.
        """
        if not self._changes:
            return
        self._check_folder()
        head = "" if self._sizes[1] else json.dumps(self.content["runs"][-1]) + "\n"
        data = (head + "".join(self._changes)).encode()
        try:
            with open(self._journal, "ab") as file:  # opened each time: not into a folder that was moved away
                if head:
                    file.truncate(0)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._stopped(f"{self._journal} could not be written: {reason(error)}.") from error
        self._changes.clear()
        self._sizes[1] += len(data)
        if self._sizes[1] > max(self._sizes[0], LEAST_FOLD):
            self._fold()

    def _change(self, part: str, name: str, value: dict) -> None:
        self.content[part][name] = value
        self._changes.append(json.dumps([part, name, value]) + "\n")

    def _set(self, name: str, state: JobState, **values) -> None:
        when = {"started": now()} if state == JobState.UNFINISHED else {"finished": now()}
        self._change("files", name, {"state": state, **_of(self.entry(name), "output"), **when, **values})

    def _fold(self) -> None:
        """Writes the manifest whole; the journal is then of no use."""
        self._check_folder()
        def write(part: Path) -> None:
            # A name that is no Unicode is escaped, so that it can be read back as it was.
            with open(part, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(_lines(self.content))
        try:
            write_whole(self.path, write)
            self._sizes = [self.path.stat().st_size, 0]
            self._journal.unlink(missing_ok=True)
        except (FileError, OSError) as error:
            raise self._stopped(str(error)) from error
        self._changes.clear()

    def _check_folder(self) -> None:
        if self._held and self._held.now_at() and self.folder.exists():
            raise self._stopped(f"Another folder has taken the place of {self.folder}.")

    @staticmethod
    def _stopped(why: str) -> ManifestError:
        return ManifestError(f"{why} The batch cannot go on without it. What is finished is kept: make room, or bring "
                             "the folder back, and start the batch again.")


def is_made(entry: dict, output: Path, input_sha256: str, key: str) -> bool:
    """Whether a file is what this input and the recipe with this key gave, by the manifest's entry of it."""
    return (entry.get("state") == JobState.DONE and entry.get("recipe") == key
            and entry["input"].get("sha256") == input_sha256 and is_as_written(entry, output))


def may_replace(entry: dict, output: Path) -> bool:
    """Whether the place of a file is free, or holds what a batch has made and nobody has changed since."""
    return not output.exists() or entry.get("state") == JobState.UNFINISHED or is_as_written(entry, output)


def described(path: Path) -> dict:
    """What a manifest says of a file: its path, size and checksum. Raises OSError."""
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def is_as_written(entry: dict, output: Path) -> bool:
    """Whether a file is there as the batch has made it."""
    made = entry.get("output")
    try:
        return (isinstance(made, dict) and output.is_file() and output.stat().st_size == made.get("bytes")
                and sha256(output) == made.get("sha256"))
    except OSError:
        return False


def _lines(content: dict) -> Iterator[str]:
    """The manifest as text, a line for each run, recipe and file."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    yield "{"
    for number, (part, value) in enumerate(content.items()):
        yield ("," if number else "") + f"\n{encode(part)}: "
        if not isinstance(value, (dict, list)):
            yield encode(value)
            continue
        ends = "{}" if isinstance(value, dict) else "[]"
        items = ((f"{encode(k)}: {encode(v)}" for k, v in value.items()) if ends == "{}" else map(encode, value))
        yield ends[0]
        for index, item in enumerate(items):
            yield (",\n " if index else "\n ") + item
        yield "\n" + ends[1]
    yield "\n}\n"


def _of(entry: dict, *names: str) -> dict:
    return {name: entry[name] for name in names if name in entry}


def _is_entry(entry) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("input"), dict)


def _is_manifest(content) -> bool:
    return (isinstance(content, dict) and content.get("format") == FORMAT and isinstance(content.get("runs"), list)
            and all(isinstance(content.get(name), dict) for name in ("recipes", "files"))
            and all(map(_is_entry, content["files"].values())))
