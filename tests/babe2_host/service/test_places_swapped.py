"""Jobs write nothing outside what was granted, and over nothing, whatever happens to the folders during a render."""

import os
import time
from pathlib import Path

import pytest
import soundfile

from babe2_host.rendering import render
from babe2_host.service.places import allow, jobs_folder
from babe2_host.service.records import JobRecord
from babe2_host.service.runner import Runner

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows goes by the names of folders")


@pytest.fixture
def do(folder, make_notes, monkeypatch):
    """do(meanwhile): does a job of granted/disc/in.wav into the same folder; `meanwhile` is called before it writes."""
    monkeypatch.setenv("BABE2_DATA", str(folder / "data"))
    config = Path(os.environ["BABE2_CONFIG"]) / "boards"
    config.mkdir(parents=True)
    (config / "quiet.toml").write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "Gain"\ngain_db = -6.0\n')
    (folder / "granted" / "disc").mkdir(parents=True)
    (folder / "private" / "disc").mkdir(parents=True)
    soundfile.write("granted/disc/in.wav", make_notes(22050, 0.5).T, 22050)
    allow(folder / "granted")
    write = render.write_audio

    def do(meanwhile):
        def late(*args, **options):
            meanwhile()
            return write(*args, **options)
        monkeypatch.setattr(render, "write_audio", late)
        runner = Runner(jobs_folder())
        record = JobRecord("0" * 16, str(folder / "granted/disc/in.wav"), str(folder / "granted/disc/out.wav"),
                           board="quiet")
        runner.start()
        runner.submit(record)
        until = time.monotonic() + 120
        while runner.busy and time.monotonic() < until:
            time.sleep(0.02)
        runner.stop()
        return runner._records[record.id]
    return do


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_an_undisturbed_job(folder, do):
    assert do(lambda: None).state == "done" and files(folder / "granted") == ["in.wav", "out.wav"]


@pytest.mark.parametrize("swapped", ["granted/disc", "granted"])
def test_a_folder_that_is_swapped_for_a_link_during_the_render(folder, do, swapped):
    def swap():
        os.rename(swapped, "moved")
        os.symlink(folder / swapped.replace("granted", "private"), swapped)
    record = do(swap)
    assert record.state == "failed" and "was moved or replaced" in record.message
    assert files(folder / "private") == [] and files(folder / "moved") == ["in.wav", "out.wav"]


def test_a_file_that_appears_during_the_render(folder, do):
    record = do(lambda: (folder / "granted/disc/out.wav").write_text("somebody's work"))
    assert record.state == "failed" and "is not replaced; the result is" in record.message
    assert (folder / "granted/disc/out.wav").read_text() == "somebody's work"
    assert files(folder / "granted") == ["in.wav", "out (2).wav", "out.wav"]
