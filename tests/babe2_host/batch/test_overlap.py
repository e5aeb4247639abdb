"""A batch reads, renders and writes at the same time, and several files share a network."""

import threading
from pathlib import Path

import numpy as np
import soundfile

import babe2_fx.effect
from babe2_fx.priors import Prior
from babe2_host.batch import worker
from babe2_host.batch.job_list import jobs_of_folder
from babe2_host.batch.pools import InProcessPool, ThreadPool
from babe2_host.batch.run import run_batch
from babe2_host.batch.worker import render_job
from babe2_host.rendering import render
from babe2_host.rendering.recipe import Recipe
from batches import results, states
from standin import tiny_prior


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
    for at in run_batch(jobs, "out", {}, pool=InProcessPool(overlaps=True)):
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
    run = run_batch(jobs, "out", {}, pool=InProcessPool(overlaps=True))
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
    for at in run_batch(jobs, "out", {}, pool=ThreadPool(3)):
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
    run = run_batch(jobs, "out", {}, pool=ThreadPool(2))
    assert any(at.state == "done" for at in run)
    run.close()
    done = {name for name, state in states(shelf / "out").items() if state == "done"}
    assert done == results(shelf / "out") and not [t for t in threading.enumerate() if t.name == "prior"]
    assert {at.state for at in run_batch(jobs, "out", {}) if at.state != "running"} == {"as before", "done"}
