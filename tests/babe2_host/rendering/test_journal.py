"""Kept blocks: taken as they were written, or not at all."""

import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from babe2_fx import GenerativeEQ
from babe2_fx.files import Place
from babe2_host.rendering.journal import FolderJournal

RATE = 22050
NAMES = [f"{'a' * 32}-{number:05}" for number in range(2)]
QUICK = {"steps": 3, "order": 1, "quality": "draft"}


def block(seed: int) -> dict:
    draws = torch.Generator().manual_seed(seed)
    return {"restored": torch.randn(1, 500, generator=draws), "parameters": torch.randn(9, generator=draws).double(),
            "count": torch.tensor(3)}


@pytest.fixture
def journal(tmp_path):
    journal = FolderJournal(tmp_path / "out.wav")
    for seed, name in enumerate(NAMES):
        journal.write(name, block(seed))
    assert journal.problem is None and journal.blocks() == 2
    return journal


def test_a_block_is_read_as_it_was_written(journal):
    for seed, name in enumerate(NAMES):
        read = journal.read(name)
        assert read.keys() == block(seed).keys()
        assert all(read[key].dtype == value.dtype and torch.equal(read[key], value)
                   for key, value in block(seed).items())
    assert journal.found == 2 and journal.read("b" * 32 + "-00000") is None


def zeroed(path, tensors):
    save_file({key: torch.zeros_like(value) for key, value in tensors.items()}, path)


def not_finite(path, tensors):
    save_file({key: value * float("nan") for key, value in tensors.items()}, path)


def one_bit(path, tensors):
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def sparse(path, tensors):  # as a file system may leave a file that it had not written when the power failed
    os.truncate(path, 0)
    os.truncate(path, 4000)


def pipe(path, tensors):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [
    zeroed, not_finite, one_bit, sparse,
    pytest.param(pipe, marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")),
    lambda path, tensors: os.truncate(path, path.stat().st_size - 1),
    lambda path, tensors: shutil.copy(path.with_name(f"{NAMES[1]}.safetensors"), path),
    lambda path, tensors: save_file(tensors, path),  # as earlier versions wrote it
    lambda path, tensors: save_file({"restored": tensors["restored"]}, path, {"sha256": "0" * 64}),
], ids=["zeroed", "not finite", "one bit", "sparse", "a pipe", "cut", "another's", "no checksum", "another checksum"])
def test_a_block_that_is_not_as_it_was_written_is_not_taken(journal, damage):
    path = journal.folder / f"{NAMES[0]}.safetensors"
    damage(path, load_file(path))
    assert journal.read(NAMES[0]) is None and journal.read(NAMES[1]) is not None and journal.found == 1
    journal.write(NAMES[0], block(0))  # what is made again takes its place
    assert torch.equal(journal.read(NAMES[0])["restored"], block(0)["restored"])


def test_a_block_that_is_not_finite_is_not_kept(journal):
    name = "b" * 32 + "-00000"
    journal.write(name, {"restored": torch.tensor([1.0, float("nan")])})
    assert journal.problem is None and journal.read(name) is None and journal.blocks() == 2


def test_a_render_makes_the_blocks_again_that_are_damaged_and_comes_to_the_same(folder, make_notes):
    journal, audio, effect = FolderJournal("out.wav"), make_notes(RATE, 3.0), GenerativeEQ(**QUICK)
    whole = effect.run(audio, RATE, journal=journal).finish()
    blocks = sorted(journal.folder.iterdir())
    assert len(blocks) > 1
    for path, damage in zip(blocks, (not_finite, zeroed)):
        damage(path, load_file(path))
    assert np.array_equal(effect.run(audio, RATE, journal=journal).finish(), whole)
    assert journal.found == len(blocks) - 2
    assert np.array_equal(effect.run(audio, RATE, journal=journal).finish(), whole)
    assert journal.found == 2 * len(blocks) - 2


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    theirs = tmp_path / "elsewhere" / f"{NAMES[0]}.safetensors"
    theirs.write_text("somebody's")
    (tmp_path / "out.wav.unfinished").symlink_to("elsewhere")
    journal = FolderJournal(tmp_path / "out.wav")
    assert journal.read(NAMES[0]) is None and journal.blocks() == 0
    journal.write(NAMES[1], block(0))
    assert journal.problem
    journal.clear()
    assert os.listdir(tmp_path / "elsewhere") == [theirs.name] and theirs.read_text() == "somebody's"


@pytest.mark.skipif(os.name == "nt", reason="Windows goes by the names of folders")
def test_blocks_come_into_the_folder_of_the_place_whatever_takes_its_name(tmp_path):
    for name in ("out", "private"):
        (tmp_path / name).mkdir()
    with Place(tmp_path / "out" / "a.wav") as place:
        journal = FolderJournal(place)
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").symlink_to("private")
        journal.write(NAMES[0], block(0))
        assert journal.problem is None and journal.read(NAMES[0]) is not None
        assert os.listdir(tmp_path / "private") == [] and os.listdir(tmp_path / "moved") == ["a.wav.unfinished"]
        journal.clear()
    assert os.listdir(tmp_path / "moved") == []


def test_clearing_takes_what_killed_processes_left_and_nothing_else(journal):
    for name in (".babe2-0123456789ab-0123456789ab.part", ".babe2-0123456789ab.part", ".tmpAbC123", "notes.txt"):
        (journal.folder / name).write_text("")
    journal.clear()
    assert os.listdir(journal.folder) == ["notes.txt"]
