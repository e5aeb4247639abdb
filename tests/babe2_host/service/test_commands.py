"""`babe2 jobs` and `babe2 daw`, with the real service."""

import re
import shutil

import numpy as np
import pytest
import soundfile

from babe2_host.cli import main

QUICK = ["--preset", "piano", "--quality", "draft", "--set", "ltas=only"]


@pytest.fixture
def babe2(client, capsys):
    """babe2(*arguments): exit code, what it printed and what it said on stderr."""
    def babe2(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err
    return babe2


def test_a_job_from_the_command_line(babe2, client, recording):
    code, job_id, _ = babe2("jobs", "submit", recording, *QUICK, "--depth", "16", "--label", "side a")
    assert code == 0 and re.fullmatch("[0-9a-f]{16}\n", job_id)
    job_id = job_id.strip()
    code, path, _ = babe2("jobs", "wait", job_id)
    assert code == 0 and path.strip() == client.job(job_id)["output"]
    assert soundfile.info(path.strip()).subtype == "PCM_16"
    assert '"label": "side a"' in babe2("jobs", "status", job_id)[1]
    assert f"{job_id}  done" in babe2("jobs", "list")[1]
    assert babe2("jobs", "cancel", job_id)[0] == 0 and client.job(job_id)["state"] == "done"
    assert babe2("jobs", "remove", job_id)[0] == 0
    assert job_id not in babe2("jobs", "list")[1] and babe2("jobs", "status", job_id)[0] == 2


def test_a_part_of_a_recording_wherever_it_lies(babe2, client, recording, tmp_path):
    elsewhere = tmp_path / "side_a.flac"
    audio, rate = soundfile.read(recording)
    soundfile.write(elsewhere, audio, rate, subtype="PCM_24")
    code, job_id, _ = babe2("jobs", "submit", elsewhere, "--first", 4000, "--samples", 22050, *QUICK)
    job = client.job(job_id.strip())
    assert babe2("jobs", "wait", job["id"])[0] == 0
    np.testing.assert_allclose(soundfile.read(job["input"])[0], audio[4000:26050], atol=2 ** -23)
    assert soundfile.info(job["output"]).frames == 22050 and not list(client.folder.glob("part-*"))
    for wrong, says in ((["--first", 5], "needs --samples"), (["--first", -1, "--samples", 5], "0 or more"),
                        (["--samples", 0], "1 or more")):
        code, _, said = babe2("jobs", "submit", elsewhere, *wrong, *QUICK)
        assert code == 2 and says in said


def test_waiting_tells_how_a_job_ended(babe2, client, recording):
    content = recording.read_bytes()
    recording.write_bytes(b"RIFF no sound")
    bad = babe2("jobs", "submit", recording, *QUICK)[1].strip()
    code, _, said = babe2("jobs", "wait", bad)
    assert code == 1 and "input.wav" in said
    recording.write_bytes(content)
    slow = babe2("jobs", "submit", recording, "--preset", "piano", "--set", "steps=400")[1].strip()
    assert babe2("jobs", "cancel", slow)[0] == 0
    code, _, said = babe2("jobs", "wait", slow)
    assert code == 130 and "was cancelled" in said


def test_folders_are_allowed_and_denied(babe2, client, recording, tmp_path):
    source = tmp_path / "in.wav"
    shutil.copy(recording, source)
    code, _, said = babe2("jobs", "submit", source, *QUICK)
    assert code == 2 and "babe2 jobs allow" in said
    assert babe2("jobs", "allow", tmp_path)[0] == 0
    assert babe2("jobs", "allowed")[1].splitlines() == [str(client.folder), str(tmp_path)]
    job_id = babe2("jobs", "submit", source, "-o", tmp_path / "out.flac", *QUICK)[1].strip()
    assert babe2("jobs", "wait", job_id)[0] == 0 and (tmp_path / "out.flac").exists()
    assert babe2("jobs", "deny", tmp_path)[0] == 0
    assert babe2("jobs", "allowed")[1].strip() == babe2("jobs", "folder")[1].strip() == str(client.folder)
    code, _, said = babe2("jobs", "deny", tmp_path)
    assert code == 2 and "not among" in said
    assert babe2("jobs", "allow", tmp_path / "nowhere")[0] == 2


def test_what_is_left_to_do_in_a_daw_is_said(babe2, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code, said, _ = babe2("daw", "install", "audacity")
    assert code == 0 and "mod-script-pipe" in said
    for daw, says in (("ardour", "Start Ardour once"), ("reaper", "Start REAPER once")):
        code, _, said = babe2("daw", "install", daw)
        assert code == 2 and says in said
    (tmp_path / "portable").mkdir()
    assert babe2("daw", "install", "reaper", "--folder", tmp_path / "portable")[0] == 0
    assert "@" + "COMMAND" not in (tmp_path / "portable" / "Scripts" / "Generative EQ.lua").read_text()
    assert babe2("daw", "install", "ardour", "--folder", tmp_path)[0] == 2
