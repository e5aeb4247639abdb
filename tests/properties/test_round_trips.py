"""What is written is read back as it was: chunks, curves, boards, presets, sessions, blocks, records and lists."""

import contextlib
import csv
import io
import json
import string

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pedalboard import Chain, Mix, Pedalboard

import originals
from babe2_fx.catalogue.presets import load_preset, preset_text
from babe2_fx.spectra.target import TargetProfile
from babe2_gui.model.curve import TargetCurve
from babe2_gui.model.document import Document
from babe2_gui.model.options import RenderOptions
from babe2_gui.model.session import View
from babe2_gui.model.session_file import SessionWriter, Snapshot, read_session
from babe2_gui.model.take import Take
from babe2_host import Board
from babe2_host.audio.aiff import append_chunks
from babe2_host.audio.chunks import TECHNICAL, Chunk, Extras, read_extras
from babe2_host.audio.recording import read_recording
from babe2_host.audio.riff import write_wave
from babe2_host.batch.job_list import jobs_of_list
from babe2_host.boards.plugins import NATIVE, checked_number, is_enum, parameter_values, set_parameter
from babe2_host.boards.values import plugin_values
from babe2_host.rendering.journal import FolderJournal
from babe2_host.rendering.recipe import Recipe
from babe2_host.service.records import JobRecord, read_record, save_record

PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))
texts = st.text(st.characters(codec="utf-8"), max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("round")
    originals.furnish(folder)
    return folder


def chunks(kind: str) -> st.SearchStrategy[list[Chunk]]:
    """Chunks that are carried, of any name that one can have."""
    names = st.text(PRINTABLE, min_size=4, max_size=4).filter(
        lambda name: name not in (*TECHNICAL[kind], "LIST", "ds64", "RIFX", "SSND", "data"))
    one = st.builds(Chunk, names, st.binary(max_size=70), st.booleans())
    of_a_list = st.binary(max_size=20).map(lambda content: Chunk("LIST/adtl", b"adtl" + content))
    return st.lists(one | of_a_list if kind == "WAV" else one, max_size=6)


def contents(chunks) -> list[tuple[str, bytes]]:
    return [(chunk.name, chunk.content) for chunk in chunks]


# ----------------------------------------------------------------------------------------------- audio and curves

@given(found=chunks("WAV"), mask=st.none() | st.integers(0, 2 ** 32 - 1), rf64=st.booleans(), frames=st.integers(0, 5))
def test_chunks_of_wave_files(folder, found, mask, rf64, frames):
    path = folder / "chunks.wav"
    extras, samples = Extras(tuple(found), mask), np.ones((frames, 3), np.int32)
    with open(path, "wb") as file:
        write_wave(file.write, [samples], frames, 3, 8000, "PCM_24", extras, rf64)
    extras = read_extras(path)
    moved = [chunk.after_data or rf64 and len(chunk.content) % 2 == 1 for chunk in found]
    in_order = [chunk for late in (False, True) for chunk, after in zip(found, moved) if after == late]
    assert contents(extras.chunks) == contents(in_order)
    assert [chunk.after_data for chunk in extras.chunks] == sorted(moved)
    assert extras.channel_mask == mask and not extras.unread


@given(found=chunks("AIFF"))
def test_chunks_of_aiff_files(folder, found):
    path = folder / "chunks.aiff"
    path.write_bytes(originals.recordings()[".aiff"][0])
    before = read_extras(path, "AIFF").chunks
    append_chunks(path, found)
    assert contents(read_extras(path, "AIFF").chunks) == contents([*before, *found])


@given(points=st.dictionaries(st.integers(1000, 10 ** 7), st.integers(-30000, 20000), min_size=2, max_size=30),
       form=st.sampled_from(("tabs", "commas", "semicolons", "json")))
def test_curves_in_every_form(folder, points, form):
    assume(max(points) >= 10000)  # a curve that ends below 100 Hz is one in kHz
    points = sorted((hz / 100, db / 100) for hz, db in points.items())
    path = folder / ("curve.json" if form == "json" else "curve.csv")
    if form == "json":
        path.write_text(json.dumps({"freqs_hz": [hz for hz, _ in points], "level_db": [db for _, db in points]}))
    elif form == "semicolons":  # with commas for decimal points
        path.write_text("".join(f"{hz:.2f};{db:.2f}\n".replace(".", ",") for hz, db in points))
    else:
        path.write_text("".join(f"{hz!r}{',' if form == 'commas' else chr(9)}{db!r}\n" for hz, db in points))
    assert TargetProfile.from_file(path) == TargetProfile(*zip(*points))


# --------------------------------------------------------------------------------------------- boards and presets

@st.composite
def plugins(draw, deepest: int = 2):
    kind = draw(st.sampled_from([kind for name, kind in NATIVE.items() if name != "Convolution"]))
    plugin = kind()
    for name, now in parameter_values(plugin).items():
        if isinstance(now, bool):
            set_parameter(plugin, name, draw(st.booleans()))
        elif is_enum(now):
            set_parameter(plugin, name, draw(st.sampled_from(list(type(now).__members__.values()))))
        elif draw(st.booleans()):
            with contextlib.suppress(ValueError):  # beyond what the plugin takes
                set_parameter(plugin, name, checked_number(name, draw(st.floats(0, 1) | st.floats(-50, 2e4, width=32))))
    if deepest and draw(st.booleans()):
        around = draw(st.sampled_from((Board, Chain, Mix, Pedalboard)))
        return around([plugin, *draw(st.lists(plugins(0), max_size=2))])
    return plugin


@given(parts=st.lists(plugins(), max_size=4), title=texts, rate=st.none() | st.integers(8000, 192000),
       depth=st.sampled_from((None, "16", "24", "float")))
def test_boards(folder, parts, title, rate, depth):
    board, path = Board(parts, title=title, sample_rate=rate, depth=depth), folder / "board.toml"
    board.save(path)
    again = Board.load(path)
    assert plugin_values(again, where="") == plugin_values(board, where="")
    assert (again.title, again.sample_rate, again.depth) == (board.title, rate, depth)


@given(title=texts, description=texts, level=st.floats(0.01, 10))
def test_presets_written_for_a_prior(folder, title, description, level):
    assume(title.split() and description.split())
    path = folder / "written.toml"
    path.write_text(preset_text(title, description, "prior.safetensors", level), encoding="utf-8")
    preset = load_preset(str(path))
    assert preset.title == " ".join(title.split()) and preset.description == " ".join(description.split())
    assert preset.prior_path == folder / "prior.safetensors"


# ------------------------------------------------------------------------------------- sessions, blocks and records

curves = st.builds(
    lambda points, origin: TargetCurve(tuple(sorted(points.items())), origin),
    st.dictionaries(st.floats(1, 24000), st.floats(-150, 60), min_size=2, max_size=8), texts)


@given(target=st.none() | curves, seed=st.integers(0, 2 ** 32), match=st.floats(0, 1), name=texts,
       notes=st.lists(texts, max_size=3), start=st.integers(0, 599), level=st.floats(0, 8, width=32), data=st.data())
def test_sessions(folder, target, seed, match, name, notes, start, level, data):
    recording = read_recording(folder / "recording.wav")
    length = data.draw(st.integers(1, 600 - start))
    options = RenderOptions(seed=seed, target_match=match, expert={"steps": 3})
    audio = np.float32(level) * recording.audio[:, start:start + length]
    take = Take(name, audio, start, options, target, notes=tuple(notes), id="0123456789ab")
    document = Document(target, options, takes=(take,), current=take.id)
    SessionWriter().write(folder / "tried.babe2", Snapshot(recording, document, View()))
    read = read_session(folder / "tried.babe2").document
    its = read.takes[0]
    assert (read.target, read.options, read.current) == (target, options, take.id)
    assert (its.name, its.start, its.options, its.target, its.notes) == (name, start, options, target, take.notes)
    np.testing.assert_allclose(its.audio, audio, rtol=0, atol=2 ** -22 * max(float(np.abs(audio).max()), 1e-9))


@given(shapes=st.dictionaries(st.text(string.ascii_lowercase, min_size=1, max_size=5),
                              st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=4),
       seed=st.integers(0, 1000), dtype=st.sampled_from((torch.float32, torch.float64, torch.float16)))
def test_finished_blocks(folder, shapes, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}
    journal, name = FolderJournal(folder / "out.wav"), "0" * 32 + "-00001"
    journal.write(name, tensors)
    read = journal.read(name)
    assert journal.problem is None and read.keys() == tensors.keys()
    assert all(read[key].dtype == dtype and torch.equal(read[key], value) for key, value in tensors.items())
    assert journal.read("0" * 32 + "-00002") is None


@given(record=st.builds(
    JobRecord, st.text("0123456789abcdef", min_size=16, max_size=16), input=texts, output=texts, label=texts,
    message=texts, share_done=st.floats(0, 1), left_s=st.none() | st.floats(0, 1e9), preset=st.none() | texts,
    settings=st.dictionaries(texts, st.integers(-2 ** 53, 2 ** 53) | texts | numbers, max_size=3),
    attempts=st.integers(0, 9)))
def test_records_of_jobs(folder, record):
    (folder / record.id).mkdir(exist_ok=True)
    save_record(folder, record)
    assert read_record(folder, record.id) == record


rows = st.fixed_dictionaries(
    {"file": st.text(string.ascii_letters + " äé中'", min_size=1, max_size=9).map(str.strip).filter(bool)},
    optional={"preset": st.sampled_from(("piano", "tenor")), "gain_db": st.floats(-60, 60),
              "seed": st.integers(0, 2 ** 31), "target_match": st.floats(0, 1)})


@given(rows=st.lists(rows, min_size=1, max_size=5), ending=st.sampled_from((".csv", ".toml")))
def test_lists_of_jobs(folder, rows, ending):
    path = folder / f"list{ending}"
    if ending == ".toml":
        path.write_text("".join("[[files]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
                                for row in rows), encoding="utf-8")
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, ("file", "preset", "gain_db", "seed", "target_match"))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    jobs = jobs_of_list(path, Recipe("soprano"))
    assert len(jobs) == len(rows)
    for job, row in zip(jobs, rows):
        recipe = job.recipe
        assert job.source == folder / row["file"] and recipe.preset == row.get("preset", "soprano")
        assert recipe.gain_db == row.get("gain_db", 0.0) and recipe.target_match == row.get("target_match")
        assert dict(recipe.settings).get("seed") == row.get("seed")
