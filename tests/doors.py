"""The doors through which files from strangers come in, each with what it promises.

The property tests try each a few times, `benchmarks/fuzz.py` thousands of times. A door takes any bytes and either
gives back what it should or refuses with a sentence; anything else is a fault.
"""

import asyncio
import io
import json
import os
import struct
import tomllib
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st

import originals
from attempts import JOBS, MB, Door, Refused
from babe2_fx.audio.reading import read_audio
from babe2_fx.catalogue.presets import PresetError, load_preset
from babe2_fx.files import FileError
from babe2_fx.priors import PriorError, load_prior
from babe2_fx.spectra.target import TargetError, TargetProfile
from babe2_gui.model.session_file import SessionError, read_session
from babe2_host import Board, BoardError
from babe2_host.audio.chunks import KINDS, read_extras
from babe2_host.audio.recording import read_recording
from babe2_host.audio.writing import write_audio
from babe2_host.batch.job_list import BatchError, jobs_of_list
from babe2_host.batch.manifest import Manifest, ManifestError
from babe2_host.rendering.journal import FolderJournal
from babe2_host.rendering.recipe import Recipe
from babe2_host.service.records import JobError, read_record, save_record
from babe2_host.service.server import Service
from babe2_host.tools.correction import EqExportError, read_correction
from babe2_host.tools.weights import WeightsError, import_file
from mutations import documents, mutated, mutated_text, to_json, to_toml, with_changes

# ----------------------------------------------------------------------------------------------------- recordings

def _audio_files() -> st.SearchStrategy[tuple[str, bytes]]:
    recordings = originals.recordings()
    every = [content for files in recordings.values() for content in files]
    of_its_kind = [st.tuples(st.just("in" + suffix), mutated(list(files))) for suffix, files in recordings.items()]
    named_otherwise = st.tuples(st.sampled_from(["in" + suffix for suffix in (*recordings, ".raw", ".m4a", "")]),
                                mutated(every) | st.binary(max_size=200))
    return st.one_of(*of_its_kind, *of_its_kind, named_otherwise)


def _tagged_files() -> st.SearchStrategy[tuple[str, bytes]]:
    """Recordings with one piece of their metadata damaged, and the others, the sizes and the samples whole."""
    return st.one_of(*(st.tuples(st.just(name), (mutated_text if piece[:1] == b"<" else mutated)([piece]).map(put))
                       for name, piece, put in originals.metadata())) | _audio_files()


def _read(path: Path) -> None:
    _check_audio(read_audio(path), path)


def _check_audio(recording, path: Path) -> None:
    audio = recording.audio
    assert audio.dtype == np.float32 and audio.ndim == 2 and audio.size and np.isfinite(audio).all()
    assert 8000 <= recording.sample_rate <= 192000
    assert audio.size <= 1 << 28 or audio.size <= 1024 * path.stat().st_size


def _scan(path: Path) -> None:
    for kind in sorted(set(KINDS.values())):
        extras = read_extras(path, kind)
        assert sum(len(chunk.content) for chunk in extras.chunks) <= 64 * MB


def _carry(path: Path) -> None:
    """As a render does: what the recording has besides its samples goes into others, at another rate."""
    recording = read_recording(path)
    _check_audio(recording, path)
    for name in ("out.wav", "out.flac", "out.aiff"):
        try:
            write_audio(path.with_name(name), recording.audio, 2 * recording.sample_rate, recording)
        except FileError as error:  # so many channels, or such a rate, are not for every format
            assert error.code != "damaged"
            continue
        written = read_audio(path.with_name(name))
        assert written.audio.shape == recording.audio.shape and not written.notes


# ------------------------------------------------------------------------------------------------------ documents

def _curve_files():
    by_ending = [st.tuples(st.just("curve" + ending), mutated_text([text.encode() for text in texts]))
                 for ending, texts in originals.CURVES.items()]
    utf_16 = st.tuples(st.just("curve.txt"), mutated([originals.CURVES[".txt"][2].encode("utf-16")]))
    return st.one_of(*by_ending, utf_16, st.tuples(st.just("curve.csv"), st.binary(max_size=100)),
                     st.tuples(st.just("curve.json"), documents("freqs_hz", "level_db", "response_db")))


def _curve(path: Path) -> None:
    target = TargetProfile.from_file(path)
    assert np.isfinite(target.at(np.array([0.0, 20.0, 1000.0, 1e6]))).all()
    assert np.isfinite(target.to_ltas(22050, 1025).numpy()).all()


def _preset(path: Path) -> None:
    preset = load_preset(str(path))
    for quality in ("draft", "standard", "paper"):
        preset.settings(quality)
    assert preset.title and preset.state


def _board(path: Path) -> None:
    board = Board.load(path)
    again = path.with_name("again.toml")
    board.save(again)
    first = again.read_bytes()
    Board.load(again).save(again)
    assert again.read_bytes() == first


def _manifest(path: Path) -> None:
    manifest = Manifest(path.parent)
    assert isinstance(manifest.entry("a.wav"), dict)


ID = "0123456789abcdef"  # of a job


def _record(path: Path) -> None:
    """The record of a job, which any program may write."""
    folder = path.parent / "jobs"
    (folder / ID).mkdir(parents=True, exist_ok=True)
    (folder / ID / "job.json").write_bytes(path.read_bytes())
    record = read_record(folder, ID)
    save_record(folder, record)
    assert read_record(folder, ID) == record


def _list_files():
    texts = [st.tuples(st.just("list" + ending), mutated_text([text.encode() for text in some]))
             for ending, some in originals.LISTS.items()]
    changed = with_changes(tomllib.loads(originals.LISTS[".toml"][0]), to_toml)
    return st.one_of(*texts, st.tuples(st.just("list.toml"), changed))


def _list(path: Path) -> None:
    jobs = jobs_of_list(path, Recipe("piano"))
    folder = path.parent / "out"
    assert jobs and all(os.path.abspath(folder / job.name).startswith(f"{folder}{os.sep}") for job in jobs)


# ------------------------------------------------------------------------------------------------------- sessions

def _session_files():
    members = originals.session()
    others = {name: content for name, content in members.items() if name != "session.json"}
    take = next(iter(others))
    text = mutated_text([members["session.json"]]) | with_changes(json.loads(members["session.json"]))
    return st.tuples(st.just("session.babe2"), st.one_of(
        text.map(lambda content: originals.zipped({"session.json": content} | others)),
        mutated([others[take]]).map(lambda content: originals.zipped(members | {take: content})),
        mutated([originals.zipped(members), originals.zipped(members, zipfile.ZIP_STORED)])))


def _session(path: Path) -> None:
    snapshot = read_session(path)
    for take in snapshot.document.takes:
        assert np.isfinite(take.audio).all() and take.start + take.samples <= snapshot.recording.audio.shape[1]


# ------------------------------------------------------------------------------------------------------- journals

@cache
def _blocks() -> dict[bytes, dict]:
    """Files of finished blocks, and the tensors in each."""
    import tempfile

    import torch
    found = {}
    for tensors in ({"audio": torch.linspace(-1, 1, 300), "equalizer": torch.arange(10.0).reshape(2, 5)},
                    {"audio": torch.zeros(2, 100)}):
        with tempfile.TemporaryDirectory() as folder:
            journal = FolderJournal(Path(folder, "out.wav"))
            journal.write(BLOCK, tensors)
            found[(journal.folder / f"{BLOCK}.safetensors").read_bytes()] = tensors
    return found


BLOCK = "0" * 32 + "-00000"


def _journal(path: Path) -> None:
    content = path.read_bytes()
    journal = FolderJournal(path.with_name("out.wav"))
    journal.folder.mkdir(exist_ok=True)
    (journal.folder / f"{BLOCK}.safetensors").write_bytes(content)
    taken = journal.read(BLOCK)
    assert taken is None or any(_same(taken, tensors) for tensors in _blocks().values())
    assert taken is not None or content not in _blocks()
    if taken is None:
        raise Refused("The block is made again.")


def _same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(value.dtype == other[key].dtype and value.equal(other[key])
                                              for key, value in one.items())


# ------------------------------------------------------------------------------------------------------- requests

def _request_files():
    request = originals.REQUEST
    return st.tuples(st.just("request"), st.one_of(
        mutated_text([json.dumps(request).encode()]), with_changes(request), documents(*request)))


def _request(path: Path) -> None:
    """What the service answers: one object that JSON can hold, which is a job in the allowed place or a sentence."""
    service = Service()
    service._runner = SimpleNamespace(submit=lambda job: job, cancel=lambda job: None, remove=lambda job: None)
    jobs = path.parent / JOBS
    line = path.read_bytes().replace(b"TOKEN", service._token.encode()).replace(b"FOLDER", os.fsencode(jobs))
    answer = json.loads(json.dumps(asyncio.run(_answered(service, line))))
    if "error" in answer:
        raise Refused(answer["error"])
    if answer:
        job = answer["job"]
        places = [Path(os.path.realpath(job[name])) for name in ("input", "output")] if job else []
        assert all(place.is_relative_to(jobs) for place in places)


async def _answered(service: Service, line: bytes) -> dict:
    service._end = asyncio.Event()
    return await service._answer(line)


# --------------------------------------------------------------------------------------------------------- priors

def _prior_files():
    priors = list(originals.priors())
    heads = [data[8:8 + int.from_bytes(data[:8], "little")] for data in priors]
    head = st.sampled_from(range(len(priors))).flatmap(lambda number: mutated_text([heads[number]]).map(
        lambda text: struct.pack("<Q", len(text)) + text + priors[number][8 + len(heads[number]):]))
    inner = st.sampled_from(priors).flatmap(_with_metadata)
    return st.tuples(st.just("in.safetensors"), st.one_of(head, inner, inner, mutated(priors)))


def _with_metadata(data: bytes) -> st.SearchStrategy[bytes]:
    """Another value for an entry of the metadata, which is text of JSON itself."""
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + length])

    def put(name: str, content: bytes) -> bytes:
        metadata = head["__metadata__"] | {name: content.decode("utf-8", "replace")}
        text = json.dumps(head | {"__metadata__": metadata}).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length:]

    def of(name: str, text: str) -> st.SearchStrategy[bytes]:
        changed = with_changes(json.loads(text)) if text.startswith("{") else st.nothing()
        return (mutated_text([text.encode()]) | changed).map(lambda content: put(name, content))
    return st.one_of(*(of(name, text) for name, text in sorted(head["__metadata__"].items())))


def _checkpoint_files():
    original = originals.checkpoint()
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickle = next(name for name in members if name.endswith("data.pkl"))
    return st.tuples(st.just("in.pt"), mutated([original]) | mutated([members[pickle]]).map(
        lambda content: originals.zipped(members | {pickle: content}, zipfile.ZIP_STORED)))


def _prior(path: Path) -> None:
    import torch
    prior = load_prior(path)
    made = prior.denoise(torch.zeros(1, prior.block_length), torch.tensor([0.1]))
    assert made.isfinite().all()


def _import(path: Path) -> None:
    import_file(path, "tried", force=True)


# ------------------------------------------------------------------------------------------------------ all of them

def _whole_recordings() -> list[tuple[str, bytes]]:
    return [*(("in" + ending, content) for ending, files in originals.recordings().items() for content in files),
            *((name, put(piece)) for name, piece, put in originals.metadata())]


def _whole_priors() -> list[tuple[str, bytes]]:
    return [("in.safetensors", content) for content in originals.priors()]


def _document(name: str, text: str, *names: str) -> tuple:
    """What there is whole of a document of JSON or TOML, and its mutations; `names` are those at its top."""
    def files():
        read, write = (tomllib.loads, to_toml) if name.endswith(".toml") else (json.loads, to_json)
        return st.tuples(st.just(name), st.one_of(
            mutated_text([text.encode()]), with_changes(read(text), write), *([documents(*names)] if names else [])))
    return lambda: [(name, text.encode())], files


def _texts(name: str, texts: dict[str, tuple[str, ...]]) -> Callable:
    return lambda: [(name + ending, text.encode()) for ending, some in texts.items() for text in some]


SILENCE = 1 << 15  # bytes of samples that a byte of a file can hold: FLAC packs thousands of zeros into one


def _of_recordings(size: int) -> int:
    return 256 * MB + 4 * SILENCE * size


def _of_priors(size: int) -> int:
    return 512 * MB + 200 * size


DOORS = {door.name: door for door in (
    Door("reader", _whole_recordings, _audio_files, _read, (FileError,), _of_recordings),
    Door("carrying", _whole_recordings, _tagged_files, _carry, (FileError,), _of_recordings),
    Door("chunks", _whole_recordings, _tagged_files, _scan),
    Door("curve", _texts("curve", originals.CURVES), _curve_files, _curve, (TargetError,)),
    Door("preset", *_document("tiny.toml", originals.PRESET), _preset, (PresetError,)),
    Door("board", *_document("board.toml", originals.BOARD), _board, (BoardError,)),
    Door("session", lambda: [("session.babe2", originals.zipped(originals.session()))], _session_files, _session,
         (SessionError,)),
    Door("journal", lambda: [("block", content) for content in _blocks()],
         lambda: st.tuples(st.just("block"), mutated(list(_blocks()))), _journal, (Refused,)),
    Door("request", lambda: [("request", json.dumps(originals.REQUEST).encode())], _request_files, _request,
         (Refused,)),
    Door("equalizer", *_document("eq.json", originals.EQUALIZER, "freqs_hz", "response_db"), read_correction,
         (EqExportError,)),
    Door("list", _texts("list", originals.LISTS), _list_files, _list, (BatchError,)),
    Door("manifest", *_document("manifest.json", originals.MANIFEST, "format", "runs", "recipes", "files"),
         _manifest, (ManifestError,)),
    Door("record", *_document("job.json", originals.RECORD, "id", "input", "state"), _record, (JobError,)),
    Door("prior", _whole_priors, _prior_files, _prior, (PriorError,), _of_priors),
    Door("checkpoint", lambda: [("in.pt", originals.checkpoint())], _checkpoint_files, _prior, (PriorError,),
         _of_priors),
    Door("import", _whole_priors, _prior_files, _import, (PriorError, WeightsError), _of_priors),
)}
