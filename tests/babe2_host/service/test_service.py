"""The job service as its clients have it: in a process of its own, with a real prior."""

import json
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from babe2_host.cli import main
from babe2_host.service import Client, ServiceError
from babe2_host.service.places import allow, allowed_folders, deny, service_folder

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only"}}  # the plain equalizer: no sampling
SLOW = {"preset": "piano", "quality": "standard", "settings": {"steps": 400}}  # runs until it is cancelled or killed


def same_length(one, other) -> bool:
    return np.shape(soundfile.read(one)[0]) == np.shape(soundfile.read(other)[0])


def test_a_job_makes_what_the_restore_command_makes(client, recording, wait, tmp_path, capsys):
    copy = tmp_path / "take.wav"
    copy.write_bytes(recording.read_bytes())
    job = wait(client, client.submit(recording, preset="piano", quality="draft", settings={"steps": 3}, seed=5)["id"])
    assert job["state"] == "done" and job["share_done"] == 1 and job["left_s"] is None
    assert main(["restore", str(copy), "-o", str(tmp_path / "out.wav"), "--preset", "piano", "--quality", "draft",
                 "--seed", "5", "--set", "steps=3", "-q"]) == 0
    made, expected = (soundfile.read(path)[0] for path in (job["output"], tmp_path / "out.wav"))
    np.testing.assert_allclose(made, expected, atol=1e-4)  # the processes may have other numbers of threads
    assert soundfile.info(job["output"]).subtype == "FLOAT"


def test_a_recording_in_the_folder_of_jobs_becomes_part_of_its_job(client, recording, wait):
    job = wait(client, client.submit(recording, label='Übung "1"\n', **QUICK)["id"])
    folder = client.folder / job["id"]
    assert not recording.exists() and job["input"] == str(folder / "input.wav") and job["output"] == str(
        folder / "result.wav")
    assert same_length(job["input"], job["output"])
    assert job["label"] == 'Übung "1"\n' and job in client.jobs()
    client.remove(job["id"])
    assert not folder.exists() and job not in client.jobs()


def test_the_record_is_flat_with_a_line_for_each_value(client, recording, wait):
    job = wait(client, client.submit(recording, label="é\\", **QUICK)["id"])
    lines = (client.folder / job["id"] / "job.json").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "{" and lines[-1] == "}" and len(lines) == len(job) + 2
    assert f' "label": {json.dumps("é" + chr(92), ensure_ascii=False)},' in lines


def test_jobs_use_folders_that_are_allowed_and_no_others(client, recording, wait, tmp_path):
    source, output = tmp_path / "in.wav", tmp_path / "out.flac"
    source.write_bytes(recording.read_bytes())
    with pytest.raises(ServiceError, match="babe2 jobs allow"):
        client.submit(source, **QUICK)
    with pytest.raises(ServiceError, match="babe2 jobs allow"):
        client.submit(recording, output, **QUICK)
    allow(tmp_path)
    assert allowed_folders() == [tmp_path]
    before = source.read_bytes()
    job = wait(client, client.submit(source, output, **QUICK)["id"])
    assert job["state"] == "done" and same_length(source, output) and source.read_bytes() == before
    with pytest.raises(ServiceError, match="write over nothing"):
        client.submit(source, output, **QUICK)
    client.remove(job["id"])
    assert output.exists()  # removing a job is not removing what it made elsewhere
    deny(tmp_path)
    with pytest.raises(ServiceError, match="babe2 jobs allow"):
        client.submit(source, **QUICK)


def test_a_folder_denied_while_a_job_waits_is_not_used(client, recording, wait, tmp_path):
    allow(tmp_path)
    source = tmp_path / "in.wav"
    source.write_bytes(recording.read_bytes())
    ahead = client.submit(recording, **SLOW)["id"]
    job = client.submit(source, tmp_path / "out.wav", **QUICK)["id"]
    deny(tmp_path)
    client.cancel(ahead)
    job = wait(client, job)
    assert job["state"] == "failed" and "no longer" in job["message"] and not (tmp_path / "out.wav").exists()


def test_jobs_are_cancelled_while_they_run_and_while_they_wait(client, recording, wait):
    copy = recording.read_bytes()
    running = client.submit(recording, **SLOW)["id"]
    recording.write_bytes(copy)
    waiting = client.submit(recording, **QUICK)["id"]
    job = wait(client, running, lambda job: job["share_done"] > 0)
    assert job["state"] == "running" and "step" in job["message"]
    with pytest.raises(ServiceError, match="cancel it first"):
        client.remove(running)
    assert client.cancel(waiting)["state"] == "cancelled"
    client.cancel(running)
    assert wait(client, running)["state"] == "cancelled"
    assert not list((client.folder / running).glob("result*"))
    assert client.cancel(running)["state"] == "cancelled"  # again changes nothing


def test_a_job_goes_on_after_its_service_was_killed(client, recording, wait):
    job = client.submit(recording, **SLOW)["id"]
    wait(client, job, lambda job: job["share_done"] > 0)
    endpoint = service_folder() / "endpoint.json"
    pid = json.loads(endpoint.read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    again = wait(client, job, lambda job: job["attempts"] == 2 and job["state"] == "running")
    assert again["ended"] is None and json.loads(endpoint.read_text())["pid"] != pid
    client.cancel(job)
    assert wait(client, job)["state"] == "cancelled"


def test_a_job_that_is_at_work_when_the_service_is_stopped_waits(client, recording, wait):
    job = client.submit(recording, **SLOW)["id"]
    wait(client, job, lambda job: job["share_done"] > 0)
    client.stop()
    record = json.loads((client.folder / job / "job.json").read_text(encoding="utf-8"))
    assert record["state"] == "waiting" and record["attempts"] == 0
    client.cancel(job)
    assert wait(client, job)["state"] == "cancelled"


def test_what_fails_says_why_and_the_next_job_is_done(client, recording, wait):
    good = recording.read_bytes()
    recording.write_bytes(b"RIFF no sound")
    bad = client.submit(recording, **QUICK)["id"]
    recording.write_bytes(good)
    fine = client.submit(recording, **QUICK)["id"]
    job = wait(client, bad)
    assert job["state"] == "failed" and "input.wav" in job["message"]
    assert wait(client, fine)["state"] == "done"


@pytest.mark.parametrize("wrong, says", [
    ({"preset": "pianoo"}, "no preset"), ({}, "needs a preset or a board"), ({"board": "./x.toml"}, "by its name"),
    ({"preset": "piano", "board": "x"}, "not both"), ({"preset": "piano", "settings": {"steps": 0}}, "steps"),
    ({"preset": "piano", "quality": "best"}, "quality"), ({"preset": "piano", "rate": -1}, "rate"),
    ({"preset": "piano", "target_match": 2}, "target_match"), ({"preset": "piano", "target": "/etc/passwd"}, "allow")])
def test_a_recipe_that_cannot_be_used_is_refused_at_once(client, recording, wrong, says):
    before = client.jobs()
    with pytest.raises(ServiceError, match=says):
        client.submit(recording, **wrong)
    assert recording.exists() and client.jobs() == before


def test_the_token_is_for_the_user_alone(client, recording):
    client.submit(recording, **QUICK)
    for path in (service_folder() / "endpoint.json", service_folder(), client.folder):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_service_of_another_version_is_replaced(client, recording, wait):
    wait(client, client.submit(recording, **QUICK)["id"])
    endpoint = service_folder() / "endpoint.json"
    content = json.loads(endpoint.read_text())
    endpoint.write_text(json.dumps(content | {"version": "0.0.0"}))
    client.cancel(client.jobs()[-1]["id"])
    assert json.loads(endpoint.read_text())["pid"] != content["pid"]


def test_clients_that_come_at_once_have_one_service(tmp_path, monkeypatch):
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BABE2_IDLE_S", "60")
    ask = ("from babe2_host.service import Client, ServiceError\n"
           "try: Client().cancel('0' * 16)\n"
           "except ServiceError as error: print(error)")
    clients = [subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in clients:
        assert "no such job" in one.communicate(timeout=60)[0]
    log = (tmp_path / "data" / "service" / "log.txt").read_text()
    Client().stop()
    assert log.count("Serving, process") == 1


def test_an_idle_service_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BABE2_IDLE_S", "0.5")
    with pytest.raises(ServiceError, match="no such job"):
        Client().cancel("0" * 16)
    Client()._wait_for_end()
    assert not (tmp_path / "data" / "service" / "endpoint.json").exists()
