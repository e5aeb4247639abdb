"""Batches: what is made, what fails, what is killed, and what of it is done again."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from babe2_fx import files
from babe2_fx.priors import save_prior
from babe2_host import cli
from babe2_host.audio import writing
from babe2_host.batch.job_list import check_jobs, jobs_of_folder, jobs_of_list
from babe2_host.batch.manifest import Manifest, ManifestError
from babe2_host.batch.run import run_batch
from babe2_host.batch.worker import render_job
from babe2_host.rendering.recipe import Recipe, sha256
from batches import ALL, BOARD, GAIN, QUICK, RATE, batch, results, states, there
from standin import TINY, tiny_prior


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


def test_a_name_that_no_file_can_have_fails_alone(shelf, capsys):
    (shelf / "list.csv").write_text(f"file\n{'n' * 300}.wav\nin/{min(ALL)}\n")
    assert batch("list.csv", "-o", "out", *BOARD) == cli.FAILED
    assert "2 files: 1 done, 1 failed." in capsys.readouterr().err


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


def test_a_dry_run_estimates_and_writes_nothing(shelf, capsys):
    assert batch("in", "-o", "out", *QUICK, "--dry-run") == cli.OK
    out = capsys.readouterr().out
    assert "in/a.wav -> out/a.wav" in out and "3 files, 0 done before, 3 to do." in out and "Time about " in out
    assert "Room 0.1 MB" in out and not os.path.exists("out")  # 3 x 11025 samples of 2 bytes
    assert batch("in", "-o", "out", *QUICK, "-q") == cli.OK
    capsys.readouterr()
    assert batch("in", "-o", "out", *QUICK, "--dry-run") == cli.OK
    assert capsys.readouterr().out == "3 files, 3 done before, 0 to do.\n"


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
