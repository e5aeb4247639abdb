"""A job service of its own for each module of tests, in a process of its own as users have it."""

import time

import pytest
import soundfile

from babe2_host.service import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client with a folder of data of its own; what it started is ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BABE2_DATA", str(tmp_path_factory.mktemp("data")))
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
