"""Batches: every file once, nothing of the user's lost, and a run that was killed goes on."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import babe2_fx.effect
from babe2_fx import files
from babe2_fx.priors import Prior, save_prior
from babe2_host import cli
from babe2_host.audio import writing
from babe2_host.audio.recording import read_recording
from babe2_host.batch import worker
from babe2_host.batch.crews import Here, Together
from babe2_host.batch.job_list import BatchError, Job, check_jobs, jobs_of_folder, jobs_of_list
from babe2_host.batch.manifest import Manifest, ManifestError
from babe2_host.batch.run import run_batch
from babe2_host.batch.worker import render_job
from babe2_host.rendering import render
from babe2_host.rendering.recipe import Recipe, sha256
from standin import TINY, tiny_prior

RATE = 22050
GAIN = '[[plugins]]\nplugin = "Gain"\ngain_db = -6.0\n'
QUICK = ("--preset", "piano", "--quality", "draft", "--set", "steps=3", "--set", "order=1")


@pytest.fixture
def shelf(folder, make_notes):
    """The folder `in` with three recordings, two of them a folder down, and a board that lowers them by 6 dB."""
    (folder / "in" / "disc 1").mkdir(parents=True)
    for seed, name in enumerate(("a.wav", "disc 1/b.flac", "disc 1/ü.wav")):
        soundfile.write(folder / "in" / name, make_notes(RATE, 0.5, seed=seed).T, RATE)
    (folder / "in" / "notes.txt").write_text("not a recording")
    (folder / "in" / "._a.wav").write_text("what macOS leaves on other disks")
    (folder / "gain.toml").write_text(f'format = "babe2-board-1"\n{GAIN}')
    return folder


ALL = {"a.wav", "disc 1/b.flac", "disc 1/ü.wav"}
BOARD = ("--board", "gain.toml")


def batch(*args):
    return cli.main(["batch", *map(str, args)])


def there(folder):
    """All that a user sees in a folder, with its contents."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")}


def results(folder):
    return set(there(folder)) - {"manifest.json"}


def states(folder):
    return {name: entry["state"] for name, entry in Manifest(folder).content["files"].items()}


# --------------------------------------------------------------------------------------------------- what is made

def test_a_folder_is_rendered_with_its_structure_as_single_files_are(shelf):
    before = there(shelf / "in")
    assert batch("in", "-o", "out", *QUICK, "--seed", "3", "-q") == cli.OK
    assert results(shelf / "out") == ALL and there(shelf / "in") == before
    for name in ALL:
        assert cli.main(["restore", f"in/{name}", "-o", "single" + name[-5:], *QUICK, "--seed", "3", "-q"]) == cli.OK
        assert (shelf / ("single" + name[-5:])).read_bytes() == (shelf / "out" / name).read_bytes()


def test_the_manifest_records_what_was_made_of_what_and_how(shelf):
    assert batch("in", "-o", "out", *QUICK, "-q") == cli.OK
    content = json.loads((shelf / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert set(content["files"]) == ALL
    for name, entry in content["files"].items():
        for side, path in (("input", shelf / "in" / name), ("output", shelf / "out" / name)):
            assert entry[side]["sha256"] == sha256(path) and entry[side]["bytes"] == path.stat().st_size
        recipe = content["recipes"][entry["recipe"]]
        assert recipe["preset"] == "piano" and recipe["effects"][0]["settings"]["steps"] == 3
        assert entry["duration_s"] == 0.5 and entry["time_taken_s"] > 0 and entry["started"] <= entry["finished"]
        assert "torch" in content["runs"][entry["run"]]["versions"]


def test_a_second_run_makes_nothing_again_and_says_so(shelf, capsys):
    assert batch("in", "-o", "out", *BOARD) == cli.OK
    assert "3 files: 3 done" in capsys.readouterr().err
    made = {path: path.stat().st_mtime_ns for path in (shelf / "out").rglob("*") if path.is_file()}
    assert batch("in", "-o", "out", *BOARD) == cli.OK
    assert "3 files: 3 as before" in capsys.readouterr().err
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in made.items() if path.name != ".babe2-batch.lock")


def test_only_what_changed_is_made_again(shelf, make_notes, capsys):
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    soundfile.write("in/a.wav", make_notes(RATE, 0.5, seed=9).T, RATE)
    (shelf / "out" / "disc 1" / "b.flac").unlink()
    soundfile.write("in/new.wav", make_notes(RATE, 0.5, seed=8).T, RATE)
    os.utime("in/disc 1/ü.wav", (0, 0))  # its content is what counts
    assert batch("in", "-o", "out", *BOARD) == cli.OK
    assert "4 files: 3 done, 1 as before" in capsys.readouterr().err
    expected = soundfile.read("in/a.wav")[0] * 10 ** (-6 / 20)
    np.testing.assert_allclose(soundfile.read("out/a.wav")[0], expected, atol=2 ** -14)


def test_other_settings_another_board_or_another_prior_make_all_again(shelf, tmp_path, capsys):
    presets = tmp_path / "config" / "presets"
    save_tiny(presets, seed=0)

    def run(*options):
        assert batch("in", "-o", "out", *options) == cli.OK
        return capsys.readouterr().err
    tiny = ("--preset", "tiny", "--set", "steps=2")
    assert "3 done" in run(*BOARD)
    (shelf / "gain.toml").write_text(f'format = "babe2-board-1"\n{GAIN.replace("-6", "-7")}')
    assert "3 done" in run(*BOARD)
    assert "3 done" in run(*tiny)
    assert "3 as before" in run(*tiny)
    assert "3 done" in run(*tiny, "--seed", "4")
    assert "3 done" in run(*tiny, "--seed", "4", "--depth", "24")
    save_tiny(presets, seed=1)
    assert "3 done" in run(*tiny, "--seed", "4", "--depth", "24")


def save_tiny(presets, seed):
    """A preset called tiny with a prior of random weights."""
    presets.mkdir(parents=True, exist_ok=True)
    prior = tiny_prior(seed)
    save_prior(presets / "tiny.safetensors", prior.network.state_dict(), TINY, prior.sigma_data, prior.level,
               prior.ltas, None, {})
    (presets / "tiny.toml").write_text('title = "Tiny"\ndescription = "Random weights."\nprior = "tiny.safetensors"\n'
                                       "[settings]\nguidance = 'direct'\nfilter_fit = 'global'\nsteps = 8\n")


# ---------------------------------------------------------------------------------------------------- failures

def test_a_failing_file_is_reported_and_the_rest_is_done(shelf, capsys):
    (shelf / "in" / "bad.wav").write_bytes(b"RIFF and nothing of use")
    (shelf / "in" / "empty.flac").write_bytes(b"")
    whole = (shelf / "in" / "disc 1" / "b.flac").read_bytes()
    (shelf / "in" / "cut.flac").write_bytes(whole[:len(whole) // 2])
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    err = capsys.readouterr().err
    assert results(shelf / "out") == ALL
    files = Manifest(shelf / "out").content["files"]
    for name, why in (("bad.wav", "not an audio file"), ("empty.flac", "is empty (0 bytes)"), ("cut.flac", "truncat")):
        assert any(line.startswith(f"babe2: {name}: ") and why in line for line in err.splitlines())
        assert files[name]["state"] == "failed" and why in files[name]["reason"]
    shutil.copy("in/a.wav", "in/bad.wav")
    (shelf / "in" / "empty.flac").unlink()
    (shelf / "in" / "cut.flac").unlink()
    assert batch("in", "-o", "out", *BOARD) == cli.OK
    assert "4 files: 1 done, 3 as before" in capsys.readouterr().err


def test_a_fault_of_a_plugin_fails_its_file_alone(shelf, monkeypatch, capsys):
    def make(recipe, made=Recipe.make):
        if recipe.gain_db:
            raise TypeError("a fault")
        return made(recipe)
    (shelf / "list.csv").write_text("file,gain_db\nin/a.wav,\nin/disc 1/b.flac,3\nin/disc 1/ü.wav,\n", encoding="utf-8")
    jobs = jobs_of_list("list.csv", Recipe(board="gain.toml"))
    check_jobs(jobs, "out")
    monkeypatch.setattr(Recipe, "make", make)
    seen = [at for at in run_batch(jobs, "out", {}) if at.state != "running"]
    assert [(at.state, at.reason) for at in seen] == [("done", ""), ("failed", "TypeError: a fault"), ("done", "")]


def test_a_file_that_the_batch_has_not_made_is_never_replaced_unasked(shelf, capsys):
    (shelf / "out").mkdir()
    (shelf / "out" / "a.wav").write_text("the user's own")
    for _ in range(2):
        assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
        assert "was not made by this batch" in capsys.readouterr().err
        assert (shelf / "out" / "a.wav").read_text() == "the user's own" and results(shelf / "out") == ALL
    assert batch("in", "-o", "out", *BOARD, "--overwrite", "-q") == cli.OK
    with open("out/disc 1/b.flac", "ab") as file:
        file.write(b"an edit")
    edited = there(shelf / "out")["disc 1/b.flac"]
    assert batch("in", "-o", "out", *BOARD, "--seed", "1", "-q") == cli.FAILED
    assert there(shelf / "out")["disc 1/b.flac"] == edited


def test_a_failure_leaves_the_earlier_result_and_the_right_to_replace_it(shelf):
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    earlier, recording = there(shelf / "out")["a.wav"], (shelf / "in" / "a.wav").read_bytes()
    (shelf / "in" / "a.wav").write_bytes(b"")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert there(shelf / "out")["a.wav"] == earlier
    (shelf / "in" / "a.wav").write_bytes(recording)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    assert there(shelf / "out")["a.wav"] == earlier and states(shelf / "out")["a.wav"] == "done"


@pytest.mark.parametrize("gone", ["in", "in/disc 1", "out"])
def test_a_folder_that_vanishes_in_the_middle(shelf, gone):
    jobs, problems = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    run = run_batch(jobs, "out", {})
    assert [next(run).state] == ["done"] and problems == []
    os.rename(gone, "elsewhere")
    if gone == "out":
        with pytest.raises(ManifestError, match="could not be written: no such file or directory. The batch cannot go"):
            list(run)
        assert not os.path.exists("out")
        os.rename("elsewhere", "out")
    else:
        *_, last = run  # the one before it may have been read already
        assert last.state == "failed" and last.reason == f"{jobs[2].source} is not there, or is not a regular file."
        os.rename("elsewhere", gone)
    again = [at.state for at in run_batch(jobs, "out", {})]
    assert (again[0], again[2]) == ("as before", "done") and again[1] in ("as before", "done")
    assert results(shelf / "out") == ALL and [at.state for at in run_batch(jobs, "out", {})] == 3 * ["as before"]


def test_a_disk_that_is_full_in_the_middle(shelf, monkeypatch, capsys):
    """No sample can be written from the second file on, and then nothing at all."""
    remembering, whole_file = writing._Remembering, files.whole_file

    class FullDisk(remembering):
        def write(self, data):
            self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return 0

    def full(path, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (shelf / "in" / "disc 1" / "b.flac").rename(shelf / "in" / "0.flac")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    (shelf / "out" / "a.wav").unlink()
    (shelf / "out" / "disc 1" / "ü.wav").unlink()
    monkeypatch.setattr(writing, "_Remembering", FullDisk)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    err = capsys.readouterr().err
    assert err.count("no space left on device") == 2 and results(shelf / "out") == {"0.flac"}
    monkeypatch.setattr(files, "whole_file", full)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert "manifest.json could not be written: no space left on device." in capsys.readouterr().err
    assert results(shelf / "out") == {"0.flac"}
    monkeypatch.setattr(writing, "_Remembering", remembering)
    monkeypatch.setattr(files, "whole_file", whole_file)
    assert batch("in", "-o", "out", *BOARD) == cli.OK
    assert "3 files: 2 done, 1 as before" in capsys.readouterr().err


def test_a_result_that_was_written_when_the_run_was_killed_is_still_the_batchs_own(shelf, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "finish", killed)
        assert batch("in", "-o", "out", *BOARD, "-q") == cli.INTERRUPTED
    assert results(shelf / "out") == {"a.wav"} and states(shelf / "out") == {"a.wav": "unfinished"}
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    assert results(shelf / "out") == ALL and set(states(shelf / "out").values()) == {"done"}


def test_a_disk_that_is_full_for_the_record(shelf, capsys):
    """The journal of the manifest is a device that has no room, for real."""
    assert batch("in/disc 1", "-o", "out", *BOARD, "-q") == cli.OK
    before = there(shelf / "out")
    jobs, _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    with Manifest(shelf / "out") as manifest:
        manifest.start({})
        (shelf / "out" / ".babe2-batch.journal").symlink_to("/dev/full")
        manifest.begin("a.wav", {"path": "in/a.wav"}, {})
        with pytest.raises(ManifestError, match="journal could not be written: .* The batch cannot go on without it."):
            manifest.save()
    assert {name: data for name, data in there(shelf / "out").items() if name != "manifest.json"} == {
        name: data for name, data in before.items() if name != "manifest.json"}
    assert states(shelf / "out")["a.wav"] == "unfinished"  # there was room again at the end
    assert [at.state for at in run_batch(jobs, "out", {})] == 3 * ["done"]


# -------------------------------------------------------------------------------------------------- the manifest

def noted(folder, *names):
    """A manifest in a run that was killed after it had begun these files."""
    manifest = Manifest(folder)
    manifest.start({})
    for name in names:
        manifest.begin(name, {"path": name}, {"gain_db": 1.0})
    manifest.save()
    return manifest


def test_what_a_killed_run_has_noted_is_read_back_even_if_the_last_line_is_torn(tmp_path):
    noted(tmp_path, "a.wav", "\udcff.wav")
    assert states(tmp_path) == {"a.wav": "unfinished", "\udcff.wav": "unfinished"}
    journal = tmp_path / ".babe2-batch.journal"
    with open(journal, "ab") as file:
        file.write(journal.read_bytes().splitlines()[-1][:-5])
    assert states(tmp_path) == {"a.wav": "unfinished", "\udcff.wav": "unfinished"}
    again = Manifest(tmp_path)
    again.start({})
    whole = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert not journal.exists() and whole["files"] == again.content["files"] != {}


def test_a_journal_counts_for_its_own_manifest_alone(tmp_path):
    noted(tmp_path, "a.wav")
    (tmp_path / "manifest.json").unlink()  # as a user does to begin anew
    assert states(tmp_path) == {}
    noted(tmp_path, "b.wav")
    assert states(tmp_path) == {"b.wav": "unfinished"}


def test_the_record_of_many_files_costs_what_is_said_of_them_a_few_times(tmp_path, monkeypatch):
    """Not its square, as if the whole were written with each."""
    written = []
    with Manifest(tmp_path) as manifest:
        monkeypatch.setattr(Manifest, "_fold", lambda self, fold=Manifest._fold: (
            fold(self), written.append(self.path.stat().st_size)))
        manifest.start({})
        for number in range(2000):
            manifest.begin(f"{number}.wav", {"path": f"in/{number}.wav", "sha256": 64 * "0"}, {})
            manifest.save()
    final = (tmp_path / "manifest.json").stat().st_size
    assert len(json.loads((tmp_path / "manifest.json").read_text())["files"]) == 2000
    assert sum(written) < 4 * final and len(written) > 2


# ------------------------------------------------------------------------------------------------------- overlap

def test_the_next_recording_is_read_while_one_renders(shelf, monkeypatch):
    read = {path: threading.Event() for path in ("in/a.wav", "in/disc 1/b.flac", "in/disc 1/ü.wav")}
    order = list(read)

    def read_and_tell(path, read_recording=worker.read_recording):
        recording = read_recording(path)
        read[str(path)].set()
        return recording

    def render_and_tell(recording, *args, render_file=worker.render_file, **options):
        following = order[order.index(str(recording.path)) + 1:]
        assert all(read[path].wait(20) for path in following[:1]), "it was not read meanwhile"
        assert not any(read[path].is_set() for path in following[1:]), "too much is in memory"
        return (yield from render_file(recording, *args, **options))
    monkeypatch.setattr(worker, "read_recording", read_and_tell)
    monkeypatch.setattr(worker, "render_file", render_and_tell)
    jobs, _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    assert [at.state for at in run_batch(jobs, "out", {})] == 3 * ["done"]


def test_results_are_written_while_the_next_renders(shelf, monkeypatch):
    begun = threading.Event()

    def write(path, *args, write_audio=render.write_audio, **options):
        if Path(path).name == "a.wav":
            assert begun.wait(20), "the next was not begun meanwhile"
        return write_audio(path, *args, **options)
    monkeypatch.setattr(render, "write_audio", write)
    recipe = Recipe(preset="piano", quality="draft", settings=(("order", 1), ("steps", 3)), device="cpu")
    jobs, _ = jobs_of_folder("in", "out", recipe)
    told = []
    for at in run_batch(jobs, "out", {}, crew=Here(behind=True)):
        if at.state == "running" and at.job.name != "a.wav":
            begun.set()
        told.append((at.job.name, at.state))
    assert [name for name, state in told if state == "done"] == [job.name for job in jobs]
    for job in jobs:
        render_job(job, "single").finish()
        assert (shelf / "single" / job.name).read_bytes() == (shelf / "out" / job.name).read_bytes()
    assert [at.state for at in run_batch(jobs, "out", {})] == 3 * ["as before"]


def test_a_result_that_is_being_written_when_the_batch_is_cancelled_is_finished(shelf, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def write(*args, write_audio=render.write_audio, **options):
        writing.set()
        assert go_on.wait(20)
        return write_audio(*args, **options)
    monkeypatch.setattr(render, "write_audio", write)
    recipe = Recipe(preset="piano", quality="draft", settings=(("order", 1), ("steps", 3)), device="cpu")
    jobs, _ = jobs_of_folder("in", "out", recipe)
    run = run_batch(jobs, "out", {}, crew=Here(behind=True))
    assert next(at.job.name for at in run if at.job.name != "a.wav") == jobs[1].name
    assert writing.wait(20)
    threading.Timer(0.2, go_on.set).start()
    run.close()
    assert states(shelf / "out") == {"a.wav": "done", jobs[1].name: "unfinished"}
    assert results(shelf / "out") == {"a.wav"}
    assert [at.state for at in run_batch(jobs, "out", {}) if at.state != "running"] == ["as before", "done", "done"]


def test_files_side_by_side_share_a_network_and_each_is_what_it_is_alone(shelf, monkeypatch):
    rows = []

    def denoise(self, x, sigma, denoise=Prior.denoise):
        rows.append(len(x))
        return denoise(self, x, sigma)
    monkeypatch.setattr(Prior, "denoise", denoise)
    prior = tiny_prior()
    monkeypatch.setattr(babe2_fx.effect, "shared_prior", lambda path, device="auto": prior)
    recipe = Recipe(preset="piano", quality="draft", settings=(("order", 1), ("steps", 6)), device="cpu")
    (shelf / "in" / "broken.wav").write_bytes(b"RIFF no more")
    jobs, _ = jobs_of_folder("in", "out", recipe)
    last = {}
    for at in run_batch(jobs, "out", {}, crew=Together(3)):
        assert last.get(at.job.name) in (None, "running")  # nothing comes after the end
        last[at.job.name] = at.state
    assert last == {job.name: "failed" if job.name == "broken.wav" else "done" for job in jobs}
    assert max(rows) > 1, "no two files were ever computed together"
    for job in (job for job in jobs if job.name != "broken.wav"):
        render_job(job, "single").finish()
        alone, together = (soundfile.read(shelf / folder / job.name)[0] for folder in ("single", "out"))
        assert np.abs(alone - together).max() < 0.01 * np.abs(alone).max()


def test_side_by_side_a_cancelled_batch_keeps_what_is_finished(shelf):
    recipe = Recipe(preset="piano", quality="draft", settings=(("order", 1), ("steps", 6)), device="cpu")
    jobs, _ = jobs_of_folder("in", "out", recipe)
    run = run_batch(jobs, "out", {}, crew=Together(2))
    assert any(at.state == "done" for at in run)
    run.close()
    done = {name for name, state in states(shelf / "out").items() if state == "done"}
    assert done == results(shelf / "out") and not [t for t in threading.enumerate() if t.name == "prior"]
    assert {at.state for at in run_batch(jobs, "out", {}) if at.state != "running"} == {"as before", "done"}


# ---------------------------------------------------------------------------------------- folders as users have them

def test_links_that_loop_are_followed_once(shelf):
    (shelf / "in" / "disc 1" / "up").symlink_to(shelf / "in")
    (shelf / "in" / "self").symlink_to("self")
    (shelf / "in" / "loop.wav").symlink_to("loop.wav")
    (shelf / "more").mkdir()
    shutil.copy("in/a.wav", "more/c.wav")
    (shelf / "in" / "0 linked").symlink_to(shelf / "more")
    (shelf / "in" / "0 same").symlink_to(shelf / "in" / "disc 1")  # before it by its name
    jobs, problems = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    assert {job.name for job in jobs} == ALL | {"0 linked/c.wav", "loop.wav"} and problems == []
    assert [at.reason for at in run_batch(jobs, "out", {}) if at.state == "failed"] == [
        "in/loop.wav is not there, or is not a regular file."]


def test_results_and_unfinished_renders_in_the_folder_are_not_taken_for_recordings(shelf):
    assert batch("in", "-o", "in/restored", *BOARD, "-q") == cli.OK
    (shelf / "in" / "x.wav.unfinished").mkdir()
    shutil.copy("in/a.wav", "in/x.wav.unfinished/a.wav")
    assert batch("in", "-o", "in/restored", *BOARD, "-q") == cli.OK
    assert results(shelf / "in" / "restored") == ALL


def test_a_folder_that_cannot_be_looked_into_is_reported_and_the_rest_is_done(shelf, monkeypatch, capsys):
    def scandir(path, scan=os.scandir):
        if os.fspath(path).endswith("disc 1"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)
    monkeypatch.setattr(os, "scandir", scandir)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert capsys.readouterr().err == "babe2: in/disc 1 cannot be looked into: permission denied.\n"
    assert results(shelf / "out") == {"a.wav"}


def test_a_pipe_does_not_hold_the_batch_up(shelf, capsys):
    os.mkfifo("in/pipe.wav")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert "pipe.wav is not there, or is not a regular file." in capsys.readouterr().err
    assert results(shelf / "out") == ALL


@pytest.mark.parametrize("args, sentence", [
    (("in", "-o", "out"), "Give --preset or --board"),
    (("nowhere", "-o", "out", *BOARD), "There is no folder nowhere."),
    (("no.csv", "-o", "out", *BOARD), "There is no list no.csv."),
    (("empty", "-o", "out", *BOARD), "There are no recordings in empty."),
    (("in", "-o", "in", *BOARD), "in cannot be both"),
    (("in/disc 1", "-o", "in", *BOARD, "--format", "WAV"), None),  # it only looks like the one before
    (("in/a.wav", "-o", "out", *BOARD), "in/a.wav is neither a folder nor a list; lists end in .csv or .toml."),
    (("in", "-o", "gain.toml", *BOARD), "gain.toml is not a folder"),
    (("in", "-o", "out", *BOARD, "--format", "doc"), "out/a.doc cannot be written: .doc is not a known format."),
    (("in", "-o", "out", "--preset", "kazoo"), "There is no preset called 'kazoo'"),
    (("in", "-o", "out", "--board", "no.toml"), "There is no board no.toml."),
    (("in", "-o", "out", *QUICK, "--target", "no.csv"), "There is no target file no.csv."),
    (("in", "-o", "out", *QUICK, "--target-match", "2"), "target_match must lie from 0 to 1, not 2"),
    (("in", "-o", "out", *QUICK, "--rate", "7"), "sample_rate must be a whole number of Hz from 8000"),
    (("in", "-o", "out", *BOARD, "--set", "steps=4"), "steps cannot be changed for a board")])
def test_mistakes_are_sentences_and_change_nothing(shelf, capsys, args, sentence):
    (shelf / "empty").mkdir()
    before = there(shelf)
    code, err = batch(*args, "-q"), capsys.readouterr().err
    if sentence is None:
        assert code == cli.OK and set(there(shelf)) - set(before) == {"in/b.wav", "in/ü.wav", "in/manifest.json"}
        return
    assert code == cli.MISTAKE and sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert there(shelf) == before


def test_two_files_that_differ_in_their_ending_alone_never_become_one(shelf, capsys):
    shutil.copy("in/disc 1/b.flac", "in/a.flac")
    assert batch("in", "-o", "out", *BOARD, "--format", "flac") == cli.MISTAKE
    assert "in/a.flac and in/a.wav would both become out/a.flac." in capsys.readouterr().err
    assert not os.path.exists("out")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    assert results(shelf / "out") == ALL | {"a.flac"}


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_output_that_is_an_input_by_another_name_is_refused(shelf, capsys, link):
    (shelf / "out").mkdir()
    link(shelf / "in" / "disc 1" / "ü.wav", shelf / "out" / "a.wav")
    before = there(shelf)
    assert batch("in", "-o", "out", *BOARD, "--overwrite") == cli.MISTAKE
    assert "out/a.wav is an input and is not written over" in capsys.readouterr().err and there(shelf) == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "babe2-batch-1"}', "[" * 100000, "\udcff"],
                         ids=["empty", "other", "list", "half", "deep", "binary"])
def test_a_file_that_is_no_manifest_is_left_alone(shelf, capsys, content):
    (shelf / "out").mkdir()
    data = content.encode("utf-8", "surrogateescape")
    (shelf / "out" / "manifest.json").write_bytes(data)
    assert batch("in", "-o", "out", *BOARD) == cli.FAILED
    assert "manifest.json" in capsys.readouterr().err and there(shelf / "out") == {"manifest.json": data}


def test_two_batches_do_not_work_in_one_folder(shelf):
    jobs, _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    first = run_batch(jobs, "out", {})
    next(first)
    with pytest.raises(BatchError, match="Another batch is at work in out"):
        next(run_batch(jobs, "out", {}))
    first.close()
    assert [at.state for at in run_batch(jobs, "out", {})] == ["as before", "done", "done"]


# --------------------------------------------------------------------------------------------------------- lists

def test_a_list_gives_each_file_its_own_preset_target_seed_and_gain(shelf, capsys):
    (shelf / "curve.csv").write_text("100,0\n1000,-3\n8000,-20\n")
    (shelf / "shelf.csv").write_text(
        "\ufefffile;output;board;preset;target;seed;gain_db;s_churn\n"
        "in/a.wav;;;;;;;\n"
        "in/a.wav;louder/a.flac;gain.toml;;;;6;\n"
        "in/disc 1/b.flac;b.wav;;;curve.csv;7;;0.3\n;;;;;;;\n", encoding="utf-8")
    assert batch("shelf.csv", "-o", "out", *QUICK) == cli.OK, capsys.readouterr().err
    assert results(shelf / "out") == {"in/a.wav", "louder/a.flac", "b.wav"}
    np.testing.assert_allclose(soundfile.read("out/louder/a.flac")[0], soundfile.read("in/a.wav")[0], atol=2 ** -14)
    assert cli.main(["restore", "in/disc 1/b.flac", "-o", "b.wav", *QUICK, "--target", "curve.csv", "--seed", "7",
                     "--set", "s_churn=0.3", "-q"]) == cli.OK
    assert (shelf / "b.wav").read_bytes() == (shelf / "out" / "b.wav").read_bytes()


def test_csv_and_toml_lists_say_the_same(shelf):
    (shelf / "list.csv").write_text('file,preset,seed,gain_db,steps\n"in/a.wav",piano,3,-1.5,4\n')
    (shelf / "list.toml").write_text(
        '[[files]]\nfile = "in/a.wav"\npreset = "piano"\nseed = 3\ngain_db = -1.5\nsteps = 4\n')
    one, other = (jobs_of_list(name, Recipe(board="gain.toml")) for name in ("list.csv", "list.toml"))
    assert one == other == [Job("in/a.wav", one[0].source, Recipe(
        preset="piano", gain_db=-1.5, settings=(("seed", 3), ("steps", 4))))]


def test_panels_of_one_set_of_files_with_their_own_step_sizes(shelf):
    """The panel tests of the 78 rpm work: the same tracks in several panels, with a step size for each."""
    rows = [f"in/a.wav,panel-{panel}/a.wav,{xi}" for panel, xi in ((1, 0.2), (2, 0.5))]
    (shelf / "panels.csv").write_text("\n".join(["file,output,xi", *rows]))
    options = ("--preset", "piano", "--set", "guidance=gradient", "--set", "steps=3", "-q")
    assert batch("panels.csv", "-o", "out", *options) == cli.OK
    one, two = (read_recording(f"out/panel-{panel}/a.wav").audio for panel in (1, 2))
    assert one.shape == two.shape and not np.array_equal(one, two)


@pytest.mark.parametrize("name, content, sentence", [
    ("x.csv", b"", "x.csv lists no files."),
    ("x.csv", b"file\n", "x.csv lists no files."),
    ("x.csv", b"\xff\xfe\x00", "x.csv is not a CSV file that can be read"),
    ("x.csv", b'file\n"in/a.wav\n', "x.csv is not a CSV file that can be read"),
    ("x.csv", b"flie\nin/a.wav\n", "x.csv, line 2: There is no column called 'flie'. Did you mean 'file'?"),
    ("x.csv", b"file,seed,seed\nin/a.wav,1,2\n", "x.csv has two columns called 'seed'."),
    ("x.csv", b"file,seed\nin/a.wav,1,2\n", "x.csv, line 2: there are more values than columns; the first is '2'."),
    ("x.csv", b"seed\n1\n", "x.csv, line 2: it names no file."),
    ("x.csv", b"file,seed\nin/a.wav,\nin/b.wav,high\n", "x.csv, line 3: seed must be a number, not 'high'."),
    ("x.csv", b"file,seed\nin/a.wav,-1\n", "in/a.wav cannot be rendered as asked: seed must lie from 0"),
    ("x.csv", b"file,quality\nin/a.wav,best\n", "The quality must be one of draft, standard, paper, not 'best'."),
    ("x.csv", b"file,gain_db\nin/a.wav,nan\n", "gain_db must lie from -60 to 60, not nan."),
    ("x.csv", b"file,preset,board\nin/a.wav,piano,gain.toml\n", "It needs a preset or a board, not both."),
    ("x.csv", b"file,output\nin/a.wav,../a.wav\n", "x.csv, line 2: output must be a plain name in the output folder"),
    ("x.csv", b"file,output\nin/a.wav,/tmp/a.wav\n", "x.csv, line 2: output must be a plain name"),
    ("x.csv", b"file\nin/a.wav\nin/a.wav\n", "in/a.wav and in/a.wav would both become out/in/a.wav."),
    ("x.csv", b"file,preset\nin/a.wav,kazoo\n", "There is no preset called 'kazoo'"),
    ("x.toml", b"file = 3\n", "x.toml is not a list: it must have a table [[files]] for each file"),
    ("x.toml", b"[[files]]\nfile = 'in/a.wav'\ngain_db = 1" + 400 * b"0", "gain_db must lie from -60 to 60, not 1000"),
    ("x.toml", b"[[files]]\nseed = 1" + 5000 * b"0", "x.toml is not a TOML file that can be read"),
    ("x.toml", b"[[files]\n", "x.toml is not a TOML file that can be read"),
    ("x.toml", b"files = [3]\n", "x.toml, file 1: it must be a table, not 3."),
    ("x.toml", b"[[files]]\nfile = 3\n", "x.toml, file 1: file must be a text, not 3."),
    ("x.toml", b"[[files]]\nfile = 'in/a.wav'\nseed = true\n", "x.toml, file 1: seed must be a number, not True.")])
def test_mistakes_in_lists_are_sentences_that_say_where(shelf, capsys, name, content, sentence):
    (shelf / name).write_bytes(content)
    before = there(shelf)
    assert batch(name, "-o", "out", *BOARD[:2]) == cli.MISTAKE
    err = capsys.readouterr().err
    assert sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert there(shelf) == before and not os.path.exists("out")


def test_a_list_that_cannot_be_read(shelf, monkeypatch, capsys):
    os.mkfifo("pipe.csv")
    assert batch("pipe.csv", "-o", "out", *BOARD) == cli.MISTAKE
    assert capsys.readouterr().err == "babe2: pipe.csv is not a regular file.\n"

    def refused(path, *args, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    (shelf / "x.csv").write_text("file\nin/a.wav\n")
    monkeypatch.setattr(Path, "read_text", refused)
    assert batch("x.csv", "-o", "out", "--board", "gain.toml") == cli.MISTAKE
    assert capsys.readouterr().err == "babe2: x.csv cannot be read: permission denied.\n"
    assert not os.path.exists("out")


def test_what_a_list_names_lies_beside_it(shelf, monkeypatch):
    (shelf / "lists").mkdir()
    shutil.move("gain.toml", "lists/gain.toml")
    (shelf / "lists" / "x.csv").write_text("file,board\n../in/a.wav,gain.toml\n")
    assert batch("lists/x.csv", "-o", "out", "-q") == cli.OK
    assert results(shelf / "out") == {"a.wav"}


def test_a_list_that_gives_neither_preset_nor_board(shelf, capsys):
    (shelf / "x.csv").write_text("file\nin/a.wav\n")
    assert batch("x.csv", "-o", "out") == cli.MISTAKE
    assert "in/a.wav cannot be rendered as asked: It needs a preset or a board." in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- dry runs

def test_a_dry_run_estimates_and_writes_nothing(shelf, capsys):
    assert batch("in", "-o", "out", *QUICK, "--dry-run") == cli.OK
    out = capsys.readouterr().out
    assert "in/a.wav -> out/a.wav" in out and "3 files, 0 done before, 3 to do." in out and "Time about " in out
    assert "Room 0.1 MB" in out and not os.path.exists("out")  # 3 x 11025 samples of 2 bytes
    assert batch("in", "-o", "out", *QUICK, "-q") == cli.OK
    capsys.readouterr()
    assert batch("in", "-o", "out", *QUICK, "--dry-run") == cli.OK
    assert capsys.readouterr().out == "3 files, 3 done before, 0 to do.\n"


# -------------------------------------------------------------------------------------------------------- killed

@pytest.fixture
def process(tmp_path):
    """process(*args): `babe2` in a process of its own, with a preset called tiny whose prior is the stand-in."""
    save_tiny(tmp_path / "config" / "presets", seed=0)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1",
                        "BABE2_CONFIG": str(tmp_path / "config")}
    main = "import sys; from babe2_host import cli; sys.exit(cli.main())"

    def start(*args):
        return subprocess.Popen([sys.executable, "-c", main, *args], cwd=tmp_path, env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    return start


def test_a_killed_batch_goes_on_to_the_same_files(tmp_path, process, make_notes):
    (tmp_path / "in").mkdir()
    for seed, (name, duration_s) in enumerate((("1.wav", 1.0), ("2.wav", 12.0), ("3.wav", 1.0))):
        soundfile.write(tmp_path / "in" / name, make_notes(RATE, duration_s, seed=seed).T, RATE)
    command = ("batch", "in", "--preset", "tiny", "--set", "steps=3", "--set", "filter_fit=none", "-o")
    run = process(*command, "out")
    kept = tmp_path / "out" / "2.wav.unfinished"
    while run.poll() is None and len(list(kept.glob("*.safetensors"))) < 2:
        time.sleep(0.005)
    run.kill()
    err = run.communicate()[1]
    assert run.returncode == -signal.SIGKILL, err
    assert states(tmp_path / "out") == {"1.wav": "done", "2.wav": "unfinished"}
    first = (tmp_path / "out" / "1.wav").stat().st_mtime_ns
    again = process(*command, "out")
    err = again.communicate()[1]
    assert again.returncode == 0 and "3 files: 2 done, 1 as before" in err, err
    files = Manifest(tmp_path / "out").content["files"]
    assert files["2.wav"]["resumed_blocks"] >= 2 and not kept.exists()
    assert (tmp_path / "out" / "1.wav").stat().st_mtime_ns == first
    jobs, _ = jobs_of_folder(tmp_path / "in", tmp_path / "whole", Recipe(preset=str(
        tmp_path / "config" / "presets" / "tiny.toml"), settings=(("filter_fit", "none"), ("steps", 3)), device="cpu"))
    for job in jobs:
        render_job(job, tmp_path / "whole").finish()
        assert (tmp_path / "whole" / job.name).read_bytes() == (tmp_path / "out" / job.name).read_bytes()
        assert files[job.name]["output"]["sha256"] == sha256(tmp_path / "whole" / job.name)
    assert results(tmp_path / "out") == {"1.wav", "2.wav", "3.wav"}
