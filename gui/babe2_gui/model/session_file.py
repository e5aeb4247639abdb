"""Sessions in files: a zip of one JSON text and the takes as FLAC. Reading one runs nothing and believes nothing."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.documents import parse_json
from babe2_fx.errors import UserError
from babe2_fx.files import FileError, write_whole
from babe2_fx.settings import REMOVED
from babe2_host.audio.destinations import check_destination
from babe2_host.audio.recording import Recording, read_recording

from .chain import Effect
from .curve import TargetCurve
from .document import Document
from .engine import opened
from .options import RenderOptions
from .session import Session, View
from .take import Learned, Take

ENDING = ".babe2"
FORMAT = "babe2-session-1"
CONTENT = "session.json"
LARGEST_CONTENT = 64 << 20  # bytes
MOST_TAKES = 1000


class SessionError(UserError):
    """A session file that cannot be read or written; the message says which and why."""


class RecordingMissing(SessionError):
    """The recording of a session is not where it was: the session can be opened with another path to it."""


@dataclass(frozen=True)
class Snapshot:
    """A session at one moment, to be written on another thread; as it was read, with notes for the user."""

    recording: Recording
    document: Document
    view: View
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, session: Session) -> "Snapshot":
        return cls(session.recording, session.document, dataclasses.replace(session.view))


class SessionWriter:
    """Writes sessions; what was encoded of a take once is kept for the next time."""

    def __init__(self):
        self._encoded: dict[str, tuple[bytes, float]] = {}

    def write(self, path: str | os.PathLike, snapshot: Snapshot) -> None:
        """Writes a session, whole or not at all. Raises SessionError."""
        takes = snapshot.document.takes
        encoded = {take.id: self._encoded.get(take.id) or _encode(take.audio, snapshot.recording.sample_rate)
                   for take in takes}
        self._encoded = encoded
        content = _content(Path(path), snapshot, {take.id: scale for take, (_, scale)
                                                  in zip(takes, encoded.values())})
        text = json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")

        def write(part: Path) -> None:
            with zipfile.ZipFile(part, "w") as archive:
                archive.writestr(CONTENT, text, zipfile.ZIP_DEFLATED)
                for take in takes:
                    archive.writestr(_member(take.id), encoded[take.id][0], zipfile.ZIP_STORED)
        try:
            write_whole(check_destination(path, snapshot.recording.path), write)
        except FileError as error:
            raise SessionError(str(error)) from error


def _member(take_id: str) -> str:
    return f"takes/{take_id}.flac"


def _encode(audio: np.ndarray, sample_rate: int) -> tuple[bytes, float]:
    """FLAC of 24 bits, and what its samples are to be multiplied with: peaks beyond full scale stay as they are."""
    scale = max(float(np.abs(audio).max(initial=0.0)), 1e-9) * (1 + 2 ** -22)
    file = io.BytesIO()
    soundfile.write(file, audio.T / np.float32(scale), int(sample_rate), "PCM_24", format="FLAC")
    return file.getvalue(), scale


def _content(path: Path, snapshot: Snapshot, scales: dict[str, float]) -> dict:
    recording, document = snapshot.recording, snapshot.document
    source = Path(recording.path).absolute()
    return {
        "format": FORMAT,
        "recording": {"path": str(source), "relative": _relative(source, path.absolute().parent),
                      "sample_rate": recording.sample_rate, "channels": recording.channels,
                      "samples": recording.audio.shape[1]},
        "document": {"target": _curve_content(document.target), "options": dataclasses.asdict(document.options),
                     "before": [dataclasses.asdict(effect) for effect in document.before],
                     "after": [dataclasses.asdict(effect) for effect in document.after],
                     "takes": [_take_content(take, scales[take.id]) for take in document.takes],
                     "current": document.current},
        "view": dataclasses.asdict(snapshot.view),
    }


def _relative(file: Path, folder: Path) -> str | None:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return None


def _curve_content(curve: TargetCurve | None) -> dict | None:
    return None if curve is None else {"origin": curve.origin, "points": [list(point) for point in curve.points]}


def _take_content(take: Take, scale: float) -> dict:
    learned, spectra = take.learned, take.spectra
    return {"id": take.id, "name": take.name, "start": take.start, "samples": take.samples, "scale": scale,
            "options": dataclasses.asdict(take.options), "target": _curve_content(take.target),
            "notes": list(take.notes), "taken_s": take.taken_s,
            "learned": None if learned is None else {item.name: _numbers(getattr(learned, item.name))
                                                     for item in fields(learned)},
            "spectra": None if spectra is None else [_numbers(curve) for curve in spectra]}


def _numbers(value):
    """For JSON, which has no NaN: null instead."""
    if value is None:
        return None
    return [round(float(v), 4) if math.isfinite(v) else None for v in value] if np.ndim(value) else float(value)


# ---------------------------------------------------------------------------------------------------- reading

def read_session(path: str | os.PathLike, recording_path: str | None = None) -> Snapshot:
    """A session as it was saved.

    Args:
        recording_path: where the recording is, if it is not where it was.

    Raises:
        RecordingMissing: it is not there; the message says where it was.
        SessionError: the file is missing, damaged, or not a session; or the recording is a different one.
    """
    path = Path(path)
    if not path.is_file():
        raise SessionError(f"There is no session {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            content = parse_json(_member_bytes(archive, CONTENT, LARGEST_CONTENT), finite=False)
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise SessionError(f"{path} is not a session that this version can read.")
            recording = _recording(path, content["recording"], recording_path)
            gone = _without_removed(content["document"])
            document, notes = _with_effect(_document(content["document"], archive, recording))
            notes = (*gone, *notes)
            return Snapshot(recording, document, _view(content.get("view", {})), notes)
    except SessionError:
        raise
    except FileError as error:
        raise SessionError(f"The recording of {path} cannot be read: {error}") from error
    # `zipfile` raises NotImplementedError for compressions that it does not know, RuntimeError for encrypted archives.
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise SessionError(f"{path} is not a session, or is damaged ({error}).") from error
    except (UserError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise SessionError(f"{path} is a damaged session ({type(error).__name__}: {error}). If it was saved again "
                           "since, open an older copy.") from error


def _member_bytes(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than it can be")
    return content


def _recording(path: Path, content: dict, given: str | None) -> Recording:
    known, relative = Path(content["path"]), content.get("relative")
    candidates = [Path(given)] if given else [known, *([path.absolute().parent / relative] if relative else [])]
    found = next((candidate for candidate in candidates if os.path.isfile(candidate)), None)
    if found is None:
        raise RecordingMissing(f"The recording of this session, {known}, is no longer there. Say where it is now.")
    for recording in opened(found), read_recording(found):  # sessions were once kept at the recording's own rate
        here = recording.sample_rate, recording.channels, recording.audio.shape[1]
        if here == (content["sample_rate"], content["channels"], content["samples"]):
            break
    else:
        raise RecordingMissing(f"{found} is not the recording of this session (its length, rate or channels "
                               "differ). Say where the right one is.")
    return recording


def _document(content: dict, archive: zipfile.ZipFile, recording: Recording) -> Document:
    takes = content["takes"][:MOST_TAKES]
    return Document(_curve(content["target"]), RenderOptions(**content["options"]),
                    tuple(map(_effect, content["before"])), tuple(map(_effect, content["after"])),
                    tuple(_take(take, archive, recording) for take in takes), content["current"])


def _without_removed(content: dict) -> tuple[str, ...]:
    """Takes the settings that only earlier versions had out of a document, and gives a sentence on each."""
    for take in content["takes"]:
        for name in REMOVED:
            take["options"]["expert"].pop(name, None)
    expert = content["options"]["expert"]
    return tuple(f"The saved setting {name} was left out, as it is no more: {why}." for name, why in REMOVED.items()
                 if expert.pop(name, None) is not None)


def _with_effect(document: Document) -> tuple[Document, tuple[str, ...]]:
    """Without the expert settings that have no effect, which earlier versions saved too; and a sentence on each."""
    try:
        options, idle = document.options.changed()
    except UserError:  # the preset is gone or has changed: the window says so, and the rest can be used
        return document, ()
    return dataclasses.replace(document, options=options), tuple(
        f"The saved setting {name} was left out: it does nothing with {why}." for name, why in idle.items())


def _curve(content: dict | None) -> TargetCurve | None:
    return None if content is None else TargetCurve(tuple(map(tuple, content["points"])), str(content["origin"]))


def _effect(content: dict) -> Effect:
    if not isinstance(content["plugin"], str) or not isinstance(content["values"], dict):
        raise ValueError("an effect is not one")
    return Effect(content["plugin"], content["values"], bool(content["enabled"]))


def _take(content: dict, archive: zipfile.ZipFile, recording: Recording) -> Take:
    start, samples, scale = int(content["start"]), int(content["samples"]), float(content["scale"])
    if not 0 <= start < start + samples <= recording.audio.shape[1] or not 0 < scale < math.inf:
        raise ValueError(f"take {content['name']!r} does not fit the recording")
    # A FLAC of so many samples is hardly larger than they are; one that says it has more is not believed.
    data = _member_bytes(archive, _member(content["id"]), samples * recording.channels * 4 + (1 << 20))
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        if (file.frames, file.channels) != (samples, recording.channels):
            raise ValueError(f"take {content['name']!r} is not whole")
        audio = file.read(samples, dtype="float32", always_2d=True).T * np.float32(scale)
    if audio.shape[1] != samples:
        raise ValueError(f"take {content['name']!r} is not whole")
    learned, spectra = content["learned"], content["spectra"]
    if learned is not None:
        learned = Learned(_array(learned["hz"]), _array(learned["db"]), tuple(_array(learned["breakpoints_hz"])),
                          tuple(_array(learned["slopes_db_per_octave"])), float(learned["reference_hz"]),
                          _deviation(learned.get("deviation_db"), len(learned["hz"])))
    if spectra is not None:
        hz, before, after = map(_array, spectra)
        spectra = (hz, before, after)
    return Take(str(content["name"]), np.ascontiguousarray(audio), start, RenderOptions(**content["options"]),
                _curve(content["target"]), learned, spectra, tuple(map(str, content["notes"])),
                float(content["taken_s"]), str(content["id"]))


def _array(values) -> np.ndarray:
    array = np.array(values, dtype=float)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a curve holds something that is not a number")
    return array


def _deviation(values: list | None, count: int) -> np.ndarray | None:
    """Where it is not known there is null; sessions of earlier versions have none at all."""
    if values is None:
        return None
    array = np.array(values, dtype=float)
    if array.shape != (count,) or np.isinf(array).any() or (array < 0).any():
        raise ValueError("a deviation is not one")
    return array


def _view(content: dict) -> View:
    """What of it can be used: how a window looked is no reason to refuse a session."""
    view = View()
    for item in fields(View):
        value, default = content.get(item.name), getattr(view, item.name)
        pair = isinstance(value, list) and len(value) == 2 and all(isinstance(v, (int, float)) for v in value)
        if pair and default is None:
            setattr(view, item.name, (float(value[0]), float(value[1])))
        elif item.name == "hidden" and isinstance(value, list):
            view.hidden = tuple(map(str, value))
        elif default is not None and type(value) is type(default) and item.name != "hidden":
            setattr(view, item.name, value)
    return view
