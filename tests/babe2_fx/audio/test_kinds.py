"""What is taken for a recording: by its ending, else by how it begins."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from babe2_fx import TargetProfile
from babe2_fx.audio.kinds import dialog_patterns, is_recording, sentence_on_others
from babe2_fx.training.material import find_recordings

RATE = 22050
OFTEN = [".wav", ".WAV", ".wave", ".bwf", ".rf64", ".bw64", ".w64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga",
         ".opus", ".mp3", ".mp2", ".caf", ".au", ".snd", ".voc", ".m4a", ".wma"]


@pytest.mark.parametrize("ending", OFTEN)
def test_the_usual_endings_are_known(tmp_path, ending):
    assert is_recording(tmp_path / f"a{ending}")
    assert is_recording(os.fsdecode(b"/nowhere/caf\xe9" + ending.encode()))


@pytest.mark.parametrize("file_format", ["WAV", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3", "CAF", "AU", "VOC", "PVF",
                                         "PAF", "NIST", "SVX", "IRCAM"])
@pytest.mark.parametrize("name", ["take 1", "take.001", "take.dat", "take.bin"])
def test_files_whose_names_say_nothing_are_known_by_how_they_begin(tmp_path, file_format, name):
    soundfile.write(tmp_path / name, 0.1 * np.ones((RATE, 1)), RATE, format=file_format)
    assert is_recording(tmp_path / name)
    (tmp_path / name).write_bytes(b"ID3\x03\0\0\0\0\0\x14" + bytes(20) + (tmp_path / name).read_bytes())
    assert is_recording(tmp_path / name)


@pytest.mark.parametrize("name, content", [
    ("notes.txt", b"RIFF....WAVE" * 9), ("cover.jpg", b"\xff\xd8\xff\xe0" * 99), ("a.json", b"{}"),
    ("x.png", b"\x89PNG"),
    ("take", b"no audio"), ("take.dat", b"\xff\xfb\x90\x64" * 3), ("a.pdf", b"%PDF"), ("empty", b""),
    ("a.cue", b"FILE"),
    ("a.wav.part", b"RIFF\0\0\0\0WAVEfmt " + bytes(99)),
    ("theora", b"OggS\0\x02" + bytes(22) + b"\x80theora" + bytes(99))])
def test_other_files_are_not_taken_and_nothing_is_said_of_them(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not is_recording(tmp_path / name) and sentence_on_others([tmp_path / name], tmp_path) == ""


def test_a_folder_or_a_pipe_is_not_looked_into(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert not is_recording(tmp_path / "folder") and not is_recording(tmp_path / "pipe")
    assert not is_recording(tmp_path / "nowhere")


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = tmp_path / "take"
    path.write_bytes(b"not yet")
    assert not is_recording(path)
    soundfile.write(path, np.zeros(99), RATE, format="WAV")
    assert is_recording(path)


def test_audio_that_cannot_be_read_is_counted(tmp_path):
    for name in ("a.ape", "b.wv", "c.dsf", "d.tta"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "e.dat").write_bytes(b"wvpk" + bytes(99))
    assert sentence_on_others([tmp_path / "a.ape"], "in") == (
        "1 file in in with audio that cannot be read here was passed over: a.ape.")
    assert sentence_on_others(sorted(tmp_path.iterdir()), "in") == (
        "5 files in in with audio that cannot be read here were passed over: a.ape, b.wv, c.dsf and 2 more.")


def test_training_and_targets_take_the_same_files(tmp_path, make_notes, caplog):
    soundfile.write(tmp_path / "a.wav", make_notes(RATE, 1.0).T, RATE)
    for name in ("b.bwf", "c.wave", "d", "e.dat"):
        shutil.copy(tmp_path / "a.wav", tmp_path / name)
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / "z.wv").write_bytes(b"wvpk")
    assert [path.name for path in find_recordings(tmp_path)] == ["a.wav", "b.bwf", "c.wave", "d", "e.dat"]
    target = TargetProfile.from_file(tmp_path)
    assert np.allclose(target.at([440, 2000]), TargetProfile.from_file(tmp_path / "a.wav").at([440, 2000]), atol=0.5)
    assert caplog.text.count("with audio that cannot be read here was passed over: z.wv.") == 2


def test_dialogs_offer_what_is_known():
    patterns = dialog_patterns(".csv").split()
    assert {"*.wav", "*.bwf", "*.wave", "*.opus", "*.m4a", "*.csv"} <= set(patterns)
    assert len(set(patterns)) == len(patterns)
