"""Between the check of a job's files and their use: whatever takes their place is neither read nor written."""

import os
import shutil
import time

import numpy as np
import pytest
import soundfile

from babe2_host.batch import worker
from babe2_host.service.holding import held
from babe2_host.service.places import allow, jobs_folder, service_folder
from babe2_host.service.records import JobError, JobRecord
from babe2_host.service.runner import Runner

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only", "seed": 1}}


@pytest.fixture
def granted(tmp_path, monkeypatch, make_notes):
    """A folder that jobs may use, with in.wav and, in a folder of its own, target.wav; `outside` they may not."""
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    for name in ("granted", "granted/targets", "outside"):
        (tmp_path / name).mkdir()
    for name in ("granted/in.wav", "granted/targets/target.wav"):
        soundfile.write(tmp_path / name, make_notes(duration_s=1.0)[0], 22050)
    soundfile.write(tmp_path / "outside" / "secret.wav", np.zeros(22050), 22050)
    allow(tmp_path / "granted")
    return tmp_path / "granted"


def job(granted, **more):
    values = {"input": str(granted / "in.wav"), "output": str(granted / "out.wav")} | QUICK | more
    return JobRecord("0" * 16, **values)


def ended(record):
    """How a job ends that a runner of this process does."""
    runner = Runner(jobs_folder())
    runner.start()
    runner.submit(record)
    end = time.monotonic() + 60
    while not (record := runner._records[record.id]).state.ended:
        assert time.monotonic() < end, record
        time.sleep(0.02)
    runner.stop()
    return record


@pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_what_a_job_reads_is_what_was_checked(granted, monkeypatch, links, swapped):
    def none(*_, **__):
        raise OSError("another disk")
    if not links:
        monkeypatch.setattr(os, "link", none)
    target = granted / "targets" / "target.wav"
    record, before = job(granted, target=str(target.parent)), target.read_bytes()
    with held(record, [granted]) as its:
        if swapped == "file":
            for path in (granted / "in.wav", target):
                path.unlink()
                path.symlink_to(granted.parent / "outside" / "secret.wav")
        else:
            for name in ("in.wav", "target.wav"):
                shutil.copy(granted.parent / "outside" / "secret.wav", granted.parent / "outside" / name)
            for folder in (target.parent, granted):
                folder.rename(f"{folder}2")
                folder.symlink_to(granted.parent / "outside")
        with open(its.record.input, "rb") as file:
            assert file.read() == before
        with open(os.path.join(its.record.target, "target.wav"), "rb") as file:
            assert file.read() == before
        assert os.path.basename(its.record.input) == "in.wav"  # its ending says what it is
        assert its.told(f"{its.record.input} is bad.") == f"{record.input} is bad."
        assert its.record.preset == "piano" and its.record.output == record.output
    assert not (service_folder() / "held").exists()


def test_weights_keep_their_settings_and_their_time(granted):
    weights = granted / "mine.safetensors"
    weights.write_bytes(b"weights")
    (granted / "mine.toml").write_text("title = 'Mine'")
    os.utime(weights, (5, 5))
    for _ in range(2):
        with held(job(granted, preset=str(weights)), [granted]) as its:
            path = its.record.preset
            assert os.stat(path).st_mtime == 5  # a prior that is loaded already is known by its path and its time
            with open(path.replace(".safetensors", ".toml")) as file:
                assert file.read() == "title = 'Mine'"


@pytest.mark.parametrize("part", ["input", "target", "preset"])
def test_what_leads_elsewhere_is_not_held(granted, part):
    link = granted / "link.safetensors"
    link.symlink_to(granted.parent / "outside" / "secret.wav")
    for path, says in ((link, "leads elsewhere"), (granted.parent / "outside" / "secret.wav", "no longer use"),
                       (granted / "gone.safetensors", "no file")):
        with pytest.raises(JobError, match=says), held(job(granted, **{part: str(path)}), [granted]):
            pass
    assert not (service_folder() / "held").exists()


@pytest.mark.parametrize("way", ["link", "gone"])
def test_a_folder_that_is_swapped_during_the_job_gets_nothing_written_where_it_then_leads(granted, monkeypatch, way):
    def swapped(path):
        recording = reads(path)
        granted.rename(granted.parent / "moved")
        if way == "link":
            granted.symlink_to(granted.parent / "outside")
        return recording
    reads = worker.read_recording
    monkeypatch.setattr(worker, "read_recording", swapped)
    record = ended(job(granted))
    assert record.state == "failed" and str(granted) in record.message
    assert os.listdir(granted.parent / "outside") == ["secret.wav"] and not (granted.parent / "moved/out.wav").exists()


def test_a_file_that_appears_while_the_recording_is_read_is_not_written_over(granted, monkeypatch):
    def appears(path):
        (granted / "out.wav").write_bytes(b"of somebody")
        return reads(path)
    reads = worker.read_recording
    monkeypatch.setattr(worker, "read_recording", appears)
    record = ended(job(granted))
    assert (granted / "out.wav").read_bytes() == b"of somebody" and record.state == "failed"
    assert "out (2).wav" in record.message and soundfile.info(granted / "out (2).wav").frames == 22050


def test_a_sentence_on_a_recording_names_the_users_own_file(granted):
    (granted / "in.wav").write_bytes(b"RIFF no sound")
    record = ended(job(granted))
    assert record.state == "failed" and f"{granted / 'in.wav'} " in record.message
