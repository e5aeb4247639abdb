"""A job service of its own for each module of tests, in a process of its own as users have it."""

import json
import shutil
import socket
import time

import pytest
import soundfile

from babe2_host.service import Client, ServiceError
from babe2_host.service.places import allow, deny, service_folder


@pytest.fixture(scope="module")
def kind():
    """What the service listens on, "socket" or "port"; modules may have it try both."""
    return "socket" if hasattr(socket, "AF_UNIX") else "port"


@pytest.fixture(scope="module")
def client(tmp_path_factory, kind):
    """A client with a folder of data of its own; what it started is ended."""
    with pytest.MonkeyPatch.context() as patch:
        data = tmp_path_factory.mktemp("data")
        if kind == "port":  # the paths are too long for a socket's
            data = data / ("long" * 25)
            (data / "tmp").mkdir(parents=True)
            patch.setenv("TMPDIR", str(data / "tmp"))
            patch.delenv("XDG_RUNTIME_DIR", raising=False)
        patch.setenv("BABE2_DATA", str(data))
        patch.setenv("OMP_NUM_THREADS", "1")
        client = Client()
        yield client
        client.stop()


@pytest.fixture
def recording(client, make_notes):
    """A new recording of two seconds in the folder of jobs."""
    path = client.folder / "take.wav"
    soundfile.write(path, make_notes(duration_s=2.0)[0], 22050, subtype="FLOAT")
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def wait():
    """wait(client, job_id, until=...): the job's record, once it has ended or `until(record)` holds."""
    def wait(client, job_id, until=lambda job: job["ended"] is not None, seconds=120.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = client.job(job_id)
            if until(job):
                return job
            time.sleep(0.05)
        raise AssertionError(f"after {seconds:g} s: {job}")
    return wait


# ------------------------------------------------------------------------------ requests of clients of other kinds

@pytest.fixture
def endpoint(client):
    """Where the service listens, and its token."""
    with pytest.raises(ServiceError, match="no such job"):
        client.cancel("0" * 16)  # starts it
    return json.loads((service_folder() / "endpoint.json").read_text())


@pytest.fixture
def connect(endpoint):
    """connect(): a new connection to the service."""
    def connect() -> socket.socket:
        if "port" in endpoint:
            return socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=20)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(endpoint["socket"])  # waits where many others do
        connection.settimeout(20)
        return connection
    return connect


@pytest.fixture
def hear(connect):
    """hear(data): what the service answers to these bytes; b"" where it hangs up."""
    def hear(data: bytes) -> bytes:
        with connect() as connection:
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


@pytest.fixture(autouse=True)
def goes_on(client):
    """After every test: the service answers, and neither a request nor its thread has failed."""
    log = service_folder() / "log.txt"
    before = log.stat().st_size if log.exists() else 0
    yield
    with pytest.raises(ServiceError, match="no such job"):
        client.cancel("0" * 16)
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
