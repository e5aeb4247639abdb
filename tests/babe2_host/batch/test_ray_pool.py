"""Batches by workers in other processes, on a real local Ray too: every file once, as by one computer."""

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx.priors import save_prior
from babe2_host import cli
from babe2_host.batch import pools
from babe2_host.batch.job_list import BatchError, jobs_of_folder
from babe2_host.batch.manifest import Manifest
from babe2_host.batch.pools import ProcessPool
from babe2_host.batch.ray_pool import RayPool
from babe2_host.batch.run import run_batch
from babe2_host.batch.worker import Task, Worker
from babe2_host.rendering.recipe import Recipe
from babe2_host.states import JobState
from standin import TINY, tiny_prior

RATE = 22050
LENGTHS_S = {"1.wav": 1.0, "2.wav": 9.0, "disc/3.flac": 1.0, "disc/4.wav": 1.0}
LONG = "2.wav"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, make_notes):
    """A folder with recordings in `in`, one of them long, and what one computer makes of them in `whole`."""
    folder = tmp_path_factory.mktemp("shelf")
    prior = tiny_prior()
    save_prior(folder / "tiny.safetensors", prior.network.state_dict(), TINY, prior.sigma_data, prior.level,
               prior.ltas, None, {})
    (folder / "tiny.toml").write_text('title = "Tiny"\ndescription = "Random weights."\nprior = "tiny.safetensors"\n'
                                      "[settings]\nguidance = 'direct'\nfilter_fit = 'none'\nsteps = 4\n")
    (folder / "in" / "disc").mkdir(parents=True)
    for seed, (name, duration_s) in enumerate(LENGTHS_S.items()):
        soundfile.write(folder / "in" / name, make_notes(RATE, duration_s, seed=seed).T, RATE)
    assert {at.state for at in run_batch(jobs(folder, "whole"), folder / "whole", {})} == {"running", "done"}
    return folder


def jobs(folder, out):
    return jobs_of_folder(folder / "in", folder / out, Recipe(preset=str(folder / "tiny.toml"), device="cpu"))[0]


@pytest.fixture(scope="module")
def two_cores():
    """A real Ray cluster of this computer alone, for two workers of one core each."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'babe2-fx[ray]'")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setenv("RAY_raylet_start_wait_time_s", "300")  # on a busy computer
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


POOLS = {"processes": lambda: ProcessPool(["", ""]), "ray": lambda: RayPool("local", "cpu", cores=1),
         "ray, shipped": lambda: RayPool("local", "cpu", 1, False)}


@pytest.fixture(params=list(POOLS))
def two_workers(request, monkeypatch):
    """A pool of two, and the process that each file was given to last, by the file's name."""
    if "ray" in request.param:
        request.getfixturevalue("two_cores")
    made, given_to = POOLS[request.param](), {}

    def assign(worker, tasks, assign=made.assign):
        given_to.update({task.job.name: made.abouts[worker]["pid"] for task in tasks})
        assign(worker, tasks)
    monkeypatch.setattr(made, "assign", assign)
    return made, given_to


def as_by_one_computer(shelf, out):
    return all((shelf / out / name).read_bytes() == (shelf / "whole" / name).read_bytes() for name in LENGTHS_S) and {
        path.relative_to(shelf / out).as_posix() for path in (shelf / out).rglob("*") if path.is_file()} == {
        *LENGTHS_S, "manifest.json", ".babe2-batch.lock"}


def all_end(pids):
    until = time.monotonic() + 20
    while any(map(is_there, pids)) and time.monotonic() < until:  # Ray ends them in its own time
        time.sleep(0.05)
    return not any(map(is_there, pids))


def is_there(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_worker_that_is_killed_costs_a_block_and_every_file_is_made_once(
        shelf, two_workers, one_thread_each, tmp_path_factory, caplog):
    pool, given_to = two_workers
    out = tmp_path_factory.mktemp("out", numbered=True)
    kept, killed, seen = out / f"{LONG}.unfinished", None, []
    for at in run_batch(jobs(shelf, out), out, {}, pool=pool):
        if not killed and at.job.name == LONG and len(list(kept.glob("*.safetensors"))) >= 2:
            killed = given_to[LONG]
            os.kill(killed, signal.SIGKILL)
        if at.state != "running":
            seen.append((at.job.name, at.state))
    assert killed and sorted(seen) == sorted((name, "done") for name in LENGTHS_S)
    assert given_to[LONG] != killed and "A worker was lost" in caplog.text
    files = Manifest(out).content["files"]
    assert files[LONG]["resumed_blocks"] >= 2
    assert as_by_one_computer(shelf, out)
    for name, entry in files.items():
        assert entry["output"]["sha256"] == Manifest(shelf / "whole").entry(name)["output"]["sha256"]
    assert all_end(given_to.values())


def test_the_processes_of_finished_workers_end_even_if_ray_does_not_end_them(
        shelf, two_cores, one_thread_each, tmp_path, monkeypatch):
    pool = RayPool("local", "cpu", cores=1)
    monkeypatch.setattr(pool._ray, "kill", lambda worker: kept.append(worker))
    kept = []
    with contextlib.closing(run_batch(jobs(shelf, tmp_path), tmp_path, {}, pool=pool)) as run:
        next(at for at in run if at.job.name == LONG and at.state == "running")
        pids = [about["pid"] for about in pool.abouts.values()]
    assert len(kept) == len(pids) == 2 and all_end(pids)


def test_cancelling_keeps_what_is_finished_and_ends_all_workers(shelf, one_thread_each, tmp_path):
    pool = ProcessPool(["", ""], shared=False)
    with contextlib.closing(run_batch(jobs(shelf, tmp_path), tmp_path, {}, pool=pool)) as run:
        at = next(at for at in run if at.job.name == LONG and at.now and at.now.block > 2)
        pids = [about["pid"] for about in pool.abouts.values()]
        assert len(pids) == 2 and all(map(is_there, pids)) and at.state == "running"
    assert all_end(pids)
    states = {name: entry["state"] for name, entry in Manifest(tmp_path).content["files"].items()}
    assert states[LONG] == "unfinished" and (tmp_path / f"{LONG}.unfinished").is_dir()
    done = [name for name, state in states.items() if state == "done"]
    again = {at.job.name: at for at in run_batch(jobs(shelf, tmp_path), tmp_path, {}) if at.state != "running"}
    assert {name for name, at in again.items() if at.state == "as before"} == set(done)
    assert again[LONG].rendered.resumed_blocks >= 1 and as_by_one_computer(shelf, tmp_path)


def test_files_that_cannot_be_made_are_sentences_with_the_users_names(
        shelf, two_cores, one_thread_each, tmp_path, make_notes):
    recipe = Recipe(preset=str(shelf / "tiny.toml"), device="cpu")
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", make_notes(RATE, 0.5).T, RATE)
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF and nothing of use")
    (tmp_path / "in" / "own.wav").write_bytes((tmp_path / "in" / "a.wav").read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "own.wav").write_text("the user's own")
    todo, _ = jobs_of_folder(tmp_path / "in", tmp_path / "out", recipe)
    ends = {at.job.name: at for at in run_batch(todo, tmp_path / "out", {}, pool=RayPool("local", "cpu", 2, False))}
    assert ends["a.wav"].state == "done"
    assert ends["bad.wav"].reason.startswith("bad.wav is not an audio file")
    assert "own.wav is there and was not made by this batch" in ends["own.wav"].reason
    assert (tmp_path / "out" / "own.wav").read_text() == "the user's own"


def test_workers_of_another_version_are_refused(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "version", lambda name: "9.9")
    with pytest.raises(BatchError, match="of babe2-fx and this computer 9.9; install the same on both."):
        next(run_batch(jobs(shelf, tmp_path), tmp_path, {}, pool=ProcessPool([""])))


def test_workers_take_no_modules_from_the_working_folder(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pickle.py").write_text("open('ran', 'w').close()")  # which every new process imports
    monkeypatch.setattr(pools, "version", lambda name: "9.9")
    with pytest.raises(BatchError, match="of babe2-fx and this computer 9.9"):
        next(run_batch(jobs(shelf, tmp_path), tmp_path, {}, pool=ProcessPool([""])))
    assert not (tmp_path / "ran").exists()


def test_a_worker_with_other_weights_makes_nothing(shelf, tmp_path):
    job = jobs(shelf, tmp_path)[0]
    worker = Worker(tmp_path / "out")
    (event,) = worker.step([Task(0, job, {}, key="another")])
    worker.close()
    assert event.state == JobState.FAILED
    assert "are not those of the computer that the batch was begun on" in event.reason
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------------ the command

def test_the_command_on_a_local_ray(shelf, two_cores, tmp_path, capsys):
    command = ["batch", str(shelf / "in"), "-o", str(tmp_path), "--preset", str(shelf / "tiny.toml"), "--device", "cpu",
               "--ray", "local"]
    assert cli.main(command) == cli.OK
    err = capsys.readouterr().err
    assert "4 files: 4 done" in err and all(f"  {name}" in err for name in LENGTHS_S)
    for name in LENGTHS_S:  # a worker with both cores may round otherwise than one with a single one
        one, other = (soundfile.read(folder / name)[0] for folder in (tmp_path, shelf / "whole"))
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert cli.main(command) == cli.OK
    assert "4 files: 4 as before" in capsys.readouterr().err


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("address, sentence", [
    ("127.0.0.1:{port}", "Nothing answers at 127.0.0.1:"),
    ("127.0.0.1:99999999", "Nothing answers at 127.0.0.1:99999999"),
    ("here", "--ray needs the address of a cluster, such as 10.0.0.1:6379, or auto, or local, not 'here'."),
    (None, "Ray is not installed; pip install 'babe2-fx[ray]' does that.")])
def test_a_cluster_that_is_not_there_is_a_sentence(shelf, tmp_path, monkeypatch, capsys, address, sentence):
    if address is None:
        monkeypatch.setitem(sys.modules, "ray", None)
    else:
        ray = pytest.importorskip("ray", reason="needs Ray: pip install 'babe2-fx[ray]'")
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
    code = cli.main(["batch", str(shelf / "in"), "-o", str(tmp_path / "out"), "--preset", str(shelf / "tiny.toml"),
                     "--ray", (address or "local").format(port=free_port())])
    err = capsys.readouterr().err
    assert code == cli.MISTAKE and sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
