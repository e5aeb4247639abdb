"""Whatever comes, the service answers with a sentence or hangs up, writes it down, touches nothing, and goes on."""

import json
import os
import shutil
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from babe2_fx.catalogue.presets import load_preset
from babe2_host.boards.board_files import FORMAT
from babe2_host.service import ServiceError
from babe2_host.service.places import allow, deny, service_folder
from babe2_host.service.runner import MOST_JOBS

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only"}}  # the plain equalizer: no sampling
SLOW = {"preset": "piano", "quality": "standard", "settings": {"steps": 400}}
NOBODY = "0" * 16
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs on this system")


@pytest.fixture
def endpoint(client):
    """Where the service listens, and its token."""
    with pytest.raises(ServiceError, match="no such job"):
        client.cancel(NOBODY)  # starts it
    return json.loads((service_folder() / "endpoint.json").read_text())


@pytest.fixture
def hear(endpoint):
    """hear(data): what the service answers to these bytes; b"" where it hangs up."""
    def hear(data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=20) as connection:
            heard = b""
            try:
                connection.sendall(data)
                while more := connection.recv(1 << 16):
                    heard += more
            except ConnectionError:  # it hung up with something unread
                pass
            return heard
    return hear


@pytest.fixture
def ask(hear, endpoint):
    """ask(**request): the answer to a request that knows the token."""
    def ask(**request) -> dict:
        return json.loads(hear(json.dumps({"token": endpoint["token"], **request}).encode() + b"\n"))
    return ask


@pytest.fixture
def granted(tmp_path, client, recording):
    """A folder that jobs may use, with the recording in.wav; `outside`, beside it, they may not."""
    folder = tmp_path / "granted"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    allow(folder)
    shutil.copy(recording, folder / "in.wav")
    yield folder
    deny(folder)


@pytest.fixture
def ahead(client, recording):
    """A job that goes on until the test cancels it: what is submitted meanwhile waits."""
    job = client.submit(recording, **SLOW)["id"]
    yield job
    client.cancel(job)


@pytest.fixture(autouse=True)
def goes_on(client):
    """After every test: the service answers, and neither a request nor its thread has failed."""
    log = service_folder() / "log.txt"
    before = log.stat().st_size if log.exists() else 0
    yield
    with pytest.raises(ServiceError, match="no such job"):
        client.cancel(NOBODY)
    written = log.read_bytes()[before:].decode(errors="replace")
    if "could not be answered" in written or "Exception in thread" in written:
        client.stop()  # the next test has another one
        pytest.fail(written)


@pytest.fixture
def end_of(client, wait):
    """end_of(answer): how a job ended; or "refused", with the sentence."""
    def end_of(answer: dict) -> tuple[str, str]:
        if "error" in answer:
            return "refused", answer["error"]
        job = wait(client, answer["job"]["id"], seconds=30)
        return job["state"], job["message"]
    return end_of


def logged() -> str:
    return (service_folder() / "log.txt").read_text(encoding="utf-8")


# --------------------------------------------------------------------------------------- what is no request

@pytest.mark.parametrize("data", [
    b"\n", b"{\n", b"\xff\xfe\x00{}\n", b"\0\n", b"[]\n", b"5\n", b"null\n", b'"ask"\n', b"[" * 60000 + b"\n",
    b'{"token": ' + b"9" * 5000 + b"}\n", b'{"token": NaN}\n', b'{"token": "x", "ask": Infinity}\n'],
    ids=lambda data: repr(data[:16]))
def test_what_is_no_request_is_refused_with_a_sentence(hear, data):
    answer = json.loads(hear(data))
    assert set(answer) == {"error"} and answer["error"].endswith(".")


@pytest.mark.parametrize("data", [b"x" * (1 << 22), b'{"token": "' + b"a" * (1 << 20) + b'"}\n', b"\n" * (1 << 20)],
                         ids=["no end", "a long line", "many lines"])
def test_endless_data_is_hung_up_on(hear, data):
    heard = hear(data)
    assert len(heard) < 1000 and (not heard or set(json.loads(heard)) == {"error"})


def test_without_the_token_nothing_is_done(hear, client, recording):
    before = client.jobs()
    asked = ({"ask": "submit", "input": str(recording), **QUICK}, {"ask": "stop"}, {"ask": "cancel", "id": NOBODY})
    for token in (None, "", "0" * 64, 5, [], {}, True, "\ud800", "é" * 64, "x" * 60000):
        for request in asked:
            answer = json.loads(hear(json.dumps({"token": token, **request}).encode() + b"\n"))
            assert "token" in answer["error"] and set(answer) == {"error"}, (token, request)
    assert client.jobs() == before and recording.exists()


def test_a_token_that_is_nearly_right_or_given_twice_is_none(hear, endpoint):
    token = endpoint["token"]
    for wrong in (token[:-1], token + "0", token.upper(), f" {token}"):
        assert "token" in json.loads(hear(json.dumps({"token": wrong, "ask": "stop"}).encode() + b"\n"))["error"]
    assert "token" in json.loads(hear(f'{{"token": "{token}", "token": 1, "ask": "stop"}}\n'.encode()))["error"]


def test_a_browser_gets_nothing_whatever_its_body_says(hear, endpoint, recording, client):
    body = json.dumps({"token": endpoint["token"], "ask": "stop"})
    for method in ("GET", "POST", "OPTIONS"):
        heard = hear(f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{endpoint['port']}\r\nOrigin: https://example.org\r\n"
                     f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}\n".encode())
        assert not heard.startswith(b"HTTP") and b"job" not in heard and b"Access-Control" not in heard
    assert json.loads((service_folder() / "endpoint.json").read_text()) == endpoint


def test_it_serves_again_after_hundreds_of_connections_that_said_nothing(endpoint, client):
    with ExitStack() as connections:
        for count in range(300):
            one = connections.enter_context(socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=5))
            if count % 3:
                one.sendall(b'{"token": "')  # half a request
    said = ""
    for _ in range(100):  # it may still be reading that they have gone
        with pytest.raises(ServiceError) as refused:
            client.cancel(NOBODY)
        said = str(refused.value)
        if "no such job" in said:
            break
        time.sleep(0.1)
    assert "no such job" in said and "more than" in logged()


def test_clients_that_go_before_their_answer_do_no_harm(endpoint):
    line = json.dumps({"token": endpoint["token"], "ask": "cancel", "id": NOBODY}).encode() + b"\n"
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=5) as connection:
            connection.sendall(line)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # reset, not closed


def test_it_listens_on_the_loopback_alone(endpoint):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; says which address this machine has elsewhere
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError):
        socket.create_connection((address, endpoint["port"]), timeout=2).close()


# ------------------------------------------------------------------------------- requests that know the token

def test_what_nobody_can_ask_is_a_sentence(ask):
    names = (None, 5, [], {}, "", ".", "..", "../jobs", NOBODY + "/", "/" + NOBODY, NOBODY + "/../..", NOBODY + "\n",
             "\0" * 16, "0" * 15, "F" * 16, "*", "\ud800" * 16)
    asks = [{}, *({"ask": what} for what in (None, ["stop"], {}, 5, "__init__", "records", "_end", "Stop")),
            *({"ask": what, "id": name} for what in ("cancel", "remove") for name in names)]
    for request in asks:
        answer = ask(**request)
        assert set(answer) == {"error"} and answer["error"].endswith("."), request


WRONG = {
    "label": (5, ["a"], {}, True, "x" * 5000, "a\0b"), "depth": (16, "8", "x"), "quality": ("best", 5, "a\0b"),
    "device": ("cuda:9", 5), "target": (5, ["a"], {}, "x" * 5000, "a\0b", "/nowhere/x.wav"),
    "input": (None, "", 5, [], {}, True, "in.wav", "\0", "x" * 5000, "/" + "x" * 4000, "/\ud800"),
    "output": (5, [], {}, "out.wav", "/nowhere/out.wav", "/\ud800.wav"),
    "preset": ("", "..", "../piano", "/etc/passwd", "\ud800", 5, "p.toml", "/x/p.TOML", "p.safetensors",
               "/nowhere/p.safetensors", "a\nb", "x" * 4000),
    "settings": (5, "x", [], [["steps", 3]], {"steps": "3"}, {"steps": None}, {"steps": [3]}, {"steps": {}},
                 {"steps": True}, {"steps": 10 ** 12}, {"steps": 2.5}, {"steps": -1}, {"seed": -1}, {"seed": 10 ** 40},
                 {"__class__": 1}, {"": 1}, {"prior": "/x"}, {"ltas": "\ud800"}),
    "seed": (1.5, -1, "1", True, 10 ** 30), "rate": (0, -1, 1.5, "44100", True, 10 ** 9),
    "target_match": (-1, 2, "1", []),
    "id": ("../x",), "state": ("done",), "attempts": (-5,), "created": ("",), "allow_external": (True,)}


@pytest.mark.parametrize("name", WRONG)
def test_a_job_with_values_of_the_wrong_kind_is_refused(ask, client, granted, name):
    before = client.jobs()
    for value in WRONG[name]:
        answer = ask(**({"ask": "submit", "input": str(granted / "in.wav")} | QUICK | {name: value}))
        assert set(answer) == {"error"} and answer["error"].endswith("."), (value, answer)
    assert client.jobs() == before and os.listdir(granted) == ["in.wav"]


def test_a_board_is_one_of_the_users_own(ask, granted):
    for board in ("", "..", "../x", "/x/y", "x.toml", "./x", str(granted / "x.toml"), "\ud800", "a\nb", "x" * 4000, 5):
        answer = ask(ask="submit", input=str(granted / "in.wav"), board=board)
        assert set(answer) == {"error"} and answer["error"].endswith("."), board


def test_numbers_that_are_none_are_refused(hear, endpoint, granted):
    request = {"token": endpoint["token"], "ask": "submit", "input": str(granted / "in.wav"), **QUICK}
    for number in ("1e999", "-1e999", "NaN", "9" * 400):
        lines = [json.dumps(request | {name: 0.5}).replace("0.5", number) for name in ("target_match", "seed", "rate")]
        lines.append(json.dumps(request).replace('"ltas": "only"', f'"xi": {number}'))
        for line in lines:
            assert set(json.loads(hear(line.encode() + b"\n"))) == {"error"}, line


@pytest.mark.parametrize("label", ["\ud800", "a\udfff b", "\x1b[2J\x07", "\u202e" * 4000, "a\r\nb\u2028"],
                         ids=["surrogate", "surrogate in text", "escapes", "longest", "lines"])
def test_a_label_is_only_a_label(ask, client, granted, end_of, label):
    """Half a surrogate pair among others, which is valid in JSON and cannot be written to a file as UTF-8."""
    assert end_of(ask(ask="submit", input=str(granted / "in.wav"), label=label, **QUICK))[0] in ("done", "refused")
    assert end_of(ask(ask="submit", input=str(granted / "in.wav"), **QUICK))[0] == "done"  # its thread lives


# -------------------------------------------------------------------------------------- paths and what they are

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


# ----------------------------------------------------------------------------------------- many, and records

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
        shutil.rmtree(path) if path.is_dir() else path.unlink()


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
              {"preset": ["x"]} | waits, {"label": {}, "ended": []}, {"share_done": "x"}]
    whole = {"input": str(recording), "output": str(outside / "x.wav"), "state": "done", "preset": "piano",
             "created": "2026-11-21T17:00:00.000Z"}
    plant([*(json.dumps(whole | {"id": f"{number:016x}"} | wrong) for number, wrong in enumerate(damage)),
           "", "{", "[]", "5", "null", '{"id": NaN}', "\0" * 100, "[" * 100000, "{}"])
    job = wait(client, client.submit(recording, **QUICK)["id"], seconds=30)
    assert job["state"] == "done" and job in client.jobs() and not list(outside.iterdir())
    client.remove(job["id"])
