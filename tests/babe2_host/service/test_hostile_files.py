"""The service and files that lead elsewhere, are no files, or are damaged; and jobs by the thousand."""

import json
import math
import os
import shutil
import threading

import pytest

from babe2_fx.catalogue.presets import load_preset
from babe2_host.boards.board_files import FORMAT
from babe2_host.service import ServiceError
from babe2_host.service.places import allow, allowed_folders, deny, service_folder
from babe2_host.service.runner import MOST_JOBS

SLOW = {"preset": "piano", "quality": "standard", "settings": {"steps": 400}}

needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs on this system")

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only"}}  # the plain equalizer: no sampling
NOBODY = "0" * 16


@pytest.fixture
def ahead(client, recording):
    """A job that goes on until the test cancels it: what is submitted meanwhile waits."""
    job = client.submit(recording, **SLOW)["id"]
    yield job
    client.cancel(job)


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\x1b[31m\nb", "絆".encode()])
def test_a_folder_of_any_name_can_be_allowed(granted, name):
    folder = granted.parent / os.fsdecode(name)
    folder.mkdir()
    allow(folder)
    assert folder in allowed_folders()
    deny(folder)
    assert folder not in allowed_folders()


@pytest.mark.parametrize("way", ["..", "link", "linked folder", "outside"])
def test_an_input_elsewhere_is_not_read(ask, granted, way):
    secret = granted.parent / "outside" / "secret.wav"
    shutil.copy(granted / "in.wav", secret)
    (granted / "link.wav").symlink_to(secret)
    (granted / "folder").symlink_to(secret.parent)
    path = {"..": granted / ".." / "outside" / "secret.wav", "link": granted / "link.wav",
            "linked folder": granted / "folder" / "secret.wav", "outside": secret}[way]
    for part in ("input", "target"):
        answer = ask(**({"ask": "submit", "input": str(granted / "in.wav")} | QUICK | {part: str(path)}))
        assert "babe2 jobs allow" in answer["error"]


@pytest.mark.parametrize("way", ["..", "dangling link", "linked folder", "sibling", "input", "input by link", "job",
                                 "new job", "record", "not audio", "folder", "service"])
def test_an_output_elsewhere_or_in_the_way_is_not_written(ask, client, granted, wait, way):
    outside, other = granted.parent / "outside", client.folder / ("ab" * 8)
    other.mkdir(exist_ok=True)
    (granted / "dangling.wav").symlink_to(outside / "new.wav")
    (granted / "folder").symlink_to(outside)
    (granted / "in2.wav").symlink_to(granted / "in.wav")
    path = {"..": granted / ".." / "outside" / "x.wav", "dangling link": granted / "dangling.wav",
            "linked folder": granted / "folder" / "x.wav", "sibling": f"{granted}2/x.wav", "input": granted / "in.wav",
            "input by link": granted / "in2.wav", "job": other / "result.wav", "record": other / "job.json",
            "new job": client.folder / NOBODY / "r.wav", "not audio": granted / ".bashrc", "folder": granted,
            "service": service_folder() / "x.wav"}[way]
    before = (granted / "in.wav").read_bytes()
    answer = ask(ask="submit", input=str(granted / "in.wav"), output=str(path), **QUICK)
    assert set(answer) == {"error"} and answer["error"].endswith(".")
    assert not list(outside.iterdir()) and not list(other.iterdir()) and (granted / "in.wav").read_bytes() == before
    other.rmdir()


@needs_fifos
def test_fifos_and_devices_are_no_recordings_and_hold_nothing_up(ask, granted, end_of):
    for name in ("in_.wav", "target.wav", "curve.csv", "prior.safetensors"):
        os.mkfifo(granted / name)
    (granted / "many").mkdir()
    os.mkfifo(granted / "many" / "one.wav")
    (granted / "null.wav").symlink_to("/dev/null")
    source = str(granted / "in.wav")
    for wrong in ({"input": str(granted / "in_.wav")}, {"input": str(granted / "null.wav")},
                  {"input": str(granted / "many")}, {"preset": str(granted / "prior.safetensors")}):
        assert set(ask(**({"ask": "submit", "input": source} | QUICK | wrong))) == {"error"}
    for target in ("target.wav", "curve.csv", "many"):
        answer = ask(ask="submit", input=source, target=str(granted / target), **QUICK)
        assert end_of(answer)[0] in ("failed", "refused")


def test_a_folder_of_targets_does_not_lead_elsewhere(ask, granted, end_of):
    """A link in the folder would have its recording read although it lies in none that is allowed."""
    shutil.copy(granted / "in.wav", granted.parent / "outside" / "secret.wav")
    (granted / "targets").mkdir()
    (granted / "targets" / "link.wav").symlink_to(granted.parent / "outside" / "secret.wav")
    answer = ask(ask="submit", input=str(granted / "in.wav"), target=str(granted / "targets"), **QUICK)
    assert end_of(answer)[0] in ("failed", "refused")


def test_a_preset_beside_a_prior_has_no_other_prior_read(ask, granted, end_of):
    (granted.parent / "outside" / "prior.safetensors").write_bytes(b"a job that reads this fails")
    shutil.copy(load_preset("piano").prior_path, granted / "mine.safetensors")
    (granted / "mine.toml").write_text("title = 'Mine'\ndescription = 'Mine.'\n"
                                       f"prior = '{granted.parent / 'outside' / 'prior.safetensors'}'\n")
    answer = ask(**({"ask": "submit", "input": str(granted / "in.wav")} | QUICK
                    | {"preset": str(granted / "mine.safetensors")}))
    assert end_of(answer)[0] == "done"


def test_links_that_are_put_in_place_while_a_job_waits_are_not_followed(ask, client, granted, wait, ahead):
    outside = granted.parent / "outside"
    for name in ("input", "target", "output"):
        (granted / name).mkdir()
        shutil.copy(granted / "in.wav", granted / name / "x.wav")
        shutil.copy(granted / "in.wav", outside / "x.wav")
    (granted / "output" / "x.wav").unlink()
    request = {"ask": "submit", "input": str(granted / "in.wav")} | QUICK
    jobs = {name: ask(**(request | {name: str(granted / name / "x.wav")}))["job"]["id"]
            for name in ("input", "target", "output")}
    (outside / "x.wav").rename(outside / "secret.wav")
    for name in jobs:
        shutil.rmtree(granted / name)
    (granted / "output").symlink_to(outside)
    for name in ("input", "target"):
        (granted / name).mkdir()
        (granted / name / "x.wav").symlink_to(outside / "secret.wav")
    client.cancel(ahead)
    for job in jobs.values():
        ended = wait(client, job, seconds=60)
        assert ended["state"] == "failed" and "leads elsewhere" in ended["message"]
    assert os.listdir(outside) == ["secret.wav"]


def test_what_was_allowed_is_the_folder_and_not_what_a_link_in_its_place_leads_to(ask, granted):
    outside = granted.parent / "outside"
    shutil.copy(granted / "in.wav", outside / "in.wav")
    granted.rename(granted.parent / "moved")
    granted.symlink_to(outside)
    try:
        for more in ({}, {"output": str(granted / "out.wav")}):
            answer = ask(ask="submit", input=str(granted / "in.wav"), **more, **QUICK)
            assert "babe2 jobs allow" in answer["error"]
        assert os.listdir(outside) == ["in.wav"]
    finally:
        granted.unlink()
        (granted.parent / "moved").rename(granted)


@needs_fifos
def test_an_input_that_became_a_fifo_fails_and_the_next_job_is_done(ask, client, granted, wait, ahead):
    shutil.copy(granted / "in.wav", granted / "soon.wav")
    jobs = [ask(ask="submit", input=str(granted / name), **QUICK)["job"]["id"] for name in ("soon.wav", "in.wav")]
    (granted / "soon.wav").unlink()
    os.mkfifo(granted / "soon.wav")
    client.cancel(ahead)
    assert [wait(client, job, seconds=60)["state"] for job in jobs] == ["failed", "done"]


def test_of_jobs_with_one_output_that_come_at_once_one_is_taken(ask, client, granted, ahead):
    answers = []
    output = str(granted / "out.wav")
    clients = [threading.Thread(target=lambda: answers.append(ask(ask="submit", input=str(granted / "in.wav"),
                                                                  output=output, **QUICK))) for _ in range(12)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    taken = [answer["job"]["id"] for answer in answers if "job" in answer]
    for job in taken:
        client.cancel(job)
    assert len(answers) == 12 and len(taken) == 1


def test_cancelling_a_job_that_has_not_begun_leaves_the_blocks_of_others(ask, client, granted, ahead):
    """`babe2 restore` may have been stopped there after hours, to go on with --resume."""
    blocks = granted / "out.wav.unfinished"
    blocks.mkdir()
    block = blocks / f"{'0' * 32}-00000.safetensors"
    block.write_bytes(b"hours of work")
    answer = ask(ask="submit", input=str(granted / "in.wav"), output=str(granted / "out.wav"), **QUICK)
    if "job" in answer:
        client.cancel(answer["job"]["id"])
    assert block.read_bytes() == b"hours of work"


def test_a_board_that_names_plugins_loads_none(client, granted, end_of, tmp_path, monkeypatch):
    """Not even one of the user's own: a service in the background runs no programs that files name."""
    evil = granted / "evil.vst3"
    evil.write_bytes(b"not to be loaded")
    (tmp_path / "config" / "boards").mkdir(parents=True)
    (tmp_path / "config" / "boards" / "mine.toml").write_text(
        f"format = '{FORMAT}'\n[[plugins]]\nplugin = 'VST3Plugin'\npath = '{evil}'\n")
    client.stop()
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    try:
        answer = {"job": client.submit(granted / "in.wav", board="mine")}
    except ServiceError as error:
        answer = {"error": str(error)}
    state, said = end_of(answer)
    client.stop()  # this service has the configuration of this test
    assert state in ("failed", "refused") and "allow" in said, said


def test_removing_a_job_deletes_nothing_elsewhere(ask, client, granted, wait):
    outside = granted.parent / "outside"
    (outside / "kept.txt").write_text("kept")
    job = ask(ask="submit", input=str(granted / "in.wav"), **QUICK)["job"]["id"]
    wait(client, job, seconds=60)
    (client.folder / job / "link").symlink_to(outside)
    (client.folder / job / "file").symlink_to(outside / "kept.txt")
    assert "job" in ask(ask="remove", id=job)
    assert not (client.folder / job).exists() and (outside / "kept.txt").read_text() == "kept"
    job = ask(ask="submit", input=str(granted / "in.wav"), **QUICK)["job"]["id"]
    wait(client, job, seconds=60)
    shutil.rmtree(client.folder / job)
    (client.folder / job).symlink_to(outside)
    answer = ask(ask="remove", id=job)
    assert (outside / "kept.txt").read_text() == "kept" and ("job" in answer or answer["error"].endswith("."))
    (client.folder / job).unlink(missing_ok=True)


@pytest.fixture
def plant(client):
    """plant(texts): puts records into the folder of jobs before a service starts, which reads them then."""
    client.stop()

    def plant(texts):
        for number, text in enumerate(texts):
            folder = client.folder / f"{number:016x}"
            folder.mkdir()
            (folder / "job.json").write_text(text)
    yield plant
    client.stop()
    for path in client.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def test_of_submissions_by_the_thousand_only_so_many_are_taken(client, granted, plant):
    record = {"input": str(granted / "in.wav"), "output": str(granted / "out.wav"), "state": "waiting",
              "preset": "piano", "settings": {"steps": 400}, "created": "2026-11-21T17:00:00.000Z"}
    plant(json.dumps(record | {"id": f"{number:016x}"}) for number in range(MOST_JOBS - 5))
    taken, refused = [], []

    def submit():
        for _ in range(4):
            try:
                taken.append(client.submit(granted / "in.wav", **QUICK)["id"])
            except ServiceError as error:
                refused.append(str(error))
    clients = [threading.Thread(target=submit) for _ in range(4)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert len(set(taken)) == 5 and len(refused) == 11
    assert all("unfinished jobs" in error for error in refused)


def test_damaged_records_do_not_keep_it_from_its_work(client, recording, plant, wait):
    """Those that a crash, a program that copies folders, or a hand has left."""
    outside = client.folder.parent / "outside"
    outside.mkdir()
    waits = {"state": "waiting"}
    damage = [{"created": 5}, {"created": None}, {"state": "odd"}, {"state": 5}, {"id": "f" * 16} | waits,
              {"id": "../../outside", "state": "running"}, {"input": 5} | waits, {"output": None} | waits,
              {"attempts": "x"} | waits, {"settings": [1]} | waits,
              {"preset": ["x"]} | waits, {"label": {}, "ended": []}, {"share_done": "x"}, {"left_s": 10 ** 400},
              {"rate": 10 ** 400} | waits, {"share_done": math.nan}, {"left_s": math.inf} | waits,
              {"output": "/a\0b.wav"} | waits, {"input": "/a\0b.wav"} | waits, {"target": "/a\0b"} | waits,
              {"settings": {"steps": {"a": [1]}}} | waits]
    whole = {"input": str(recording), "output": str(outside / "x.wav"), "state": "done", "preset": "piano",
             "created": "2026-11-21T17:00:00.000Z"}
    plant([*(json.dumps(whole | {"id": f"{number:016x}"} | wrong) for number, wrong in enumerate(damage)),
           "", "{", "[]", "5", "null", '{"id": NaN}', "\0" * 100, "[" * 100000, "{}", " " * (1 << 21)])
    (client.folder / ("d" * 16) / "job.json").mkdir(parents=True)
    (client.folder / ("e" * 16)).symlink_to("e" * 16)
    if hasattr(os, "mkfifo"):  # which once kept every later service from starting
        (client.folder / ("f" * 16)).mkdir()
        os.mkfifo(client.folder / ("f" * 16) / "job.json")
    job = wait(client, client.submit(recording, **QUICK)["id"], seconds=30)
    assert job["state"] == "done" and job in client.jobs() and not list(outside.iterdir())
    client.remove(job["id"])
