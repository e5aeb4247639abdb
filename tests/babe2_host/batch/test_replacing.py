"""What a batch writes over: what it has made itself, and nothing that has appeared since it looked."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from babe2_host import cli
from babe2_host.batch import job_list
from babe2_host.batch.job_list import BatchError, check_jobs, jobs_of_folder
from babe2_host.batch.manifest import Manifest, ManifestError
from babe2_host.batch.run import run_batch
from babe2_host.rendering import render
from babe2_host.rendering.recipe import Recipe
from batches import ALL, BOARD, batch, results, states, there

MINE = b"somebody's work"


@pytest.mark.parametrize("options", [(), ("--overwrite",)], ids=["", "overwrite"])
def test_a_file_that_appears_during_a_render_stays_and_the_result_is_kept(shelf, monkeypatch, capsys, options):
    write = render.write_audio

    def appears(path, *args, **more):
        if Path(path).name == "a.wav":
            Path(path).write_bytes(MINE)
        return write(path, *args, **more)
    assert batch("in", "-o", "expected", *BOARD, "-q") == cli.OK
    monkeypatch.setattr(render, "write_audio", appears)
    assert batch("in", "-o", "out", *BOARD, *options, "-q") == cli.FAILED
    assert "a.wav: out/a.wav appeared or was changed while its result was being made" in capsys.readouterr().err
    expected = there(shelf / "expected")
    made = there(shelf / "out")
    assert made["a.wav"] == MINE and made["a (2).wav"] == expected["a.wav"]
    assert results(shelf / "out") == ALL | {"a (2).wav"} and states(shelf / "out")["a.wav"] == "failed"


def unfinished(folder, name):
    """The record as a batch leaves it that was killed before it could say that a file is there."""
    with Manifest(folder) as manifest:
        manifest.start({})
        manifest._change("files", name, {key: value for key, value in manifest.entry(name).items() if key != "output"}
                         | {"state": "unfinished"})


def test_after_a_kill_the_batch_knows_its_own_file_and_leaves_that_of_another(shelf, capsys):
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    made = there(shelf / "out")["a.wav"]
    unfinished(shelf / "out", "a.wav")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK and results(shelf / "out") == ALL
    unfinished(shelf / "out", "a.wav")
    (shelf / "out" / "a.wav").write_bytes(MINE)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    files = there(shelf / "out")
    assert files["a.wav"] == MINE and files["a (2).wav"] == made and "is not replaced" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["target", "folder of targets"])
def test_a_target_cannot_be_a_result(shelf, make_notes, name):
    (shelf / "out").mkdir()
    soundfile.write("out/a.wav", make_notes(22050, 1.0).T, 22050)
    before = there(shelf)
    target = "out/a.wav" if name == "target" else "out"
    jobs, _ = jobs_of_folder("in", "out", Recipe(preset="piano", quality="draft", target=target))
    with pytest.raises(BatchError, match=r"out/a\.wav is an input and is not written over"):
        check_jobs(jobs, "out")
    assert there(shelf) == before


def test_names_that_differ_in_case_are_one_where_the_disk_says_so(shelf, monkeypatch):
    (job, *_), _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    jobs = [job, replace(job, name=job.name.upper())]
    with open("case", "w"), open("CASE", "w"):
        ignores = sum(name.lower() == "case" for name in os.listdir()) == 1
    assert job_list._ignores_case(shelf / "out" / "not there yet") == ignores
    for ignores in (False, True):
        monkeypatch.setattr(job_list, "_ignores_case", lambda folder, ignores=ignores: ignores)
        if ignores:
            with pytest.raises(BatchError, match="would both become out/A.WAV"):
                check_jobs(jobs, "out")
        else:
            check_jobs(jobs, "out")


@pytest.mark.skipif(os.name == "nt", reason="Windows goes by the names of folders")
@pytest.mark.parametrize("another", ["link", "folder"])
def test_a_folder_that_takes_the_place_of_the_output_folder_gets_nothing(shelf, another):
    jobs, _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    (shelf / "private").mkdir()
    run = run_batch(jobs, "out", {})
    assert next(run).state == "done"
    os.rename("out", "moved")
    os.symlink("private", "out") if another == "link" else os.mkdir("out")
    with pytest.raises(ManifestError, match="Another folder has taken the place of out. The batch cannot go on"):
        list(run)
    assert there(shelf / "private") == {} and there(shelf / "out") == {}
    assert "a.wav" in results(shelf / "moved")
