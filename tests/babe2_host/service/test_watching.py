"""`babe2 watch`: with the real service, and the plain equalizer of the real preset."""

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from babe2_host.cli import main
from babe2_host.service import Client
from babe2_host.service.watching import FolderWatch
from babe2_host.states import JobState

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only"}}
SLOW = {"preset": "piano", "settings": {"steps": 400}}


@pytest.fixture(scope="module", autouse=True)
def service(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BABE2_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
        Client().stop()


@pytest.fixture
def source(tmp_path, make_notes):
    (tmp_path / "in" / "disc").mkdir(parents=True)
    soundfile.write(tmp_path / "take.wav", make_notes(duration_s=2.0)[0], 22050)
    return tmp_path / "in"


def look_until(watch, count, seconds=60.0):
    """What a watch sees, until it is so much."""
    seen, end = [], time.monotonic() + seconds
    while len(seen) < count:
        assert time.monotonic() < end, seen
        seen += watch.look()
        time.sleep(0.05)
    return seen


def test_a_recording_is_taken_once_it_is_whole(source, tmp_path):
    content = (tmp_path / "take.wav").read_bytes()
    watch = FolderWatch(source, tmp_path / "out", QUICK, settled_s=0.4)
    path = source / "disc" / "side_a.wav"
    with open(path, "wb") as file:
        for part in range(0, len(content), len(content) // 8):  # comes slowly
            file.write(content[part:part + len(content) // 8])
            file.flush()
            assert not list(watch.look()) and not watch.at_work
            time.sleep(0.1)
    assert [seen.state for seen in look_until(watch, 1)] == [JobState.DONE]
    assert soundfile.info(tmp_path / "out" / "disc" / "side_a.wav").frames == soundfile.info(path).frames
    assert path.read_bytes() == content
    time.sleep(0.5)
    assert not list(watch.look())  # and not again


def test_what_cannot_be_restored_is_told_and_the_rest_is_done(source, tmp_path):
    content = (tmp_path / "take.wav").read_bytes()
    (source / "bad.wav").write_bytes(b"RIFF no sound")
    (source / "empty.wav").write_bytes(b"")  # may still be to come
    (source / "good.wav").write_bytes(content)
    (source / "notes.txt").write_text("not a recording")
    (tmp_path / "out").mkdir()
    (source / "made.wav").write_bytes(content)
    (tmp_path / "out" / "made.wav").write_bytes(b"of somebody")
    watch = FolderWatch(source, tmp_path / "out", QUICK, settled_s=0.0)
    seen = {one.job.name: one for one in look_until(watch, 3)}
    assert {name: one.state for name, one in seen.items()} == {"bad.wav": JobState.FAILED, "good.wav": JobState.DONE,
                                                               "made.wav": JobState.PASSED_OVER}
    assert "bad.wav" in seen["bad.wav"].message
    assert (tmp_path / "out" / "made.wav").read_bytes() == b"of somebody"
    (source / "bad.wav").write_bytes(content)  # one that is changed is tried again
    assert [(one.job.name, one.state) for one in look_until(watch, 1)] == [("bad.wav", JobState.DONE)]


def test_a_recording_that_goes_on_growing_while_its_result_is_made_is_taken_again(source, tmp_path, make_notes):
    """A transfer that pauses for longer than `settled_s` is no whole one: its half was once all that was made."""
    whole = soundfile.read(tmp_path / "take.wav")[0]
    soundfile.write(source / "take.wav", whole[:22050], 22050)
    watch = FolderWatch(source, tmp_path / "out", SLOW, settled_s=0.0)
    while not watch.at_work:
        assert not list(watch.look())
    soundfile.write(source / "take.wav", whole, 22050)
    watch._recipe = QUICK  # the next result need not take long
    half, all_of_it = look_until(watch, 2)
    assert half.state == JobState.CANCELLED and "was changed meanwhile" in half.message
    assert all_of_it.state == JobState.DONE and soundfile.info(tmp_path / "out" / "take.wav").frames == 44100
    soundfile.write(source / "take.wav", whole[:30000], 22050)
    after, = look_until(watch, 1)
    assert after.state == JobState.PASSED_OVER and "made before" in after.message
    assert soundfile.info(tmp_path / "out" / "take.wav").frames == 44100


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no names that are not text")
def test_links_that_lead_nowhere_or_elsewhere_and_names_that_are_no_text_stop_nothing(source, tmp_path):
    content = (tmp_path / "take.wav").read_bytes()
    (tmp_path / "secret.wav").write_bytes(content)
    (source / "good.wav").write_bytes(content)
    with open(os.fsencode(source) + b"/disc/caf\xe9.wav", "wb") as file:
        file.write(content)
    (source / "loop.wav").symlink_to("loop.wav")
    (source / "gone.wav").symlink_to("nowhere.wav")
    (source / "disc" / "up").symlink_to(source)
    (source / "secret.wav").symlink_to(tmp_path / "secret.wav")
    (source / "folder.wav").mkdir()
    os.mkfifo(source / "pipe.wav")
    watch = FolderWatch(source, tmp_path / "out", QUICK, settled_s=0.0)
    seen = {one.job.name: one for one in look_until(watch, 3)}
    assert seen["good.wav"].state == seen["disc/caf\udce9.wav"].state == JobState.DONE
    assert seen["secret.wav"].state == JobState.FAILED and "babe2 jobs allow" in seen["secret.wav"].message
    assert not list(watch.look()) and not list(watch.look())


def test_two_recordings_that_would_become_one_file(source, tmp_path, make_notes):
    soundfile.write(source / "take.flac", make_notes()[0], 22050)
    (source / "take.wav").write_bytes((tmp_path / "take.wav").read_bytes())
    seen = look_until(FolderWatch(source, tmp_path / "out", QUICK, ".wav", settled_s=0.0), 2)
    assert sorted(one.state for one in seen) == [JobState.DONE, JobState.PASSED_OVER]


def test_a_watch_that_was_killed_goes_on_with_its_jobs(source, tmp_path):
    (source / "take.wav").write_bytes((tmp_path / "take.wav").read_bytes())
    first = FolderWatch(source, tmp_path / "out", SLOW, settled_s=0.0)
    while not first.at_work:
        list(first.look())
    second = FolderWatch(source, tmp_path / "out", SLOW, settled_s=0.0)
    assert list(second.at_work) == list(first.at_work)
    for _ in range(3):
        assert not list(second.look()) and len(second.at_work) == 1
    assert [one.state for one in second.cancel()] == ["cancelled"]


def test_the_command_watches_until_ctrl_c(source, tmp_path):
    (source / "take.wav").write_bytes((tmp_path / "take.wav").read_bytes())
    command = [sys.executable, "-m", "babe2_host.cli", "watch", str(source), "-o", str(tmp_path / "out"), "--preset",
               "piano", "--set", "ltas=only", "--settled", "0.2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    end = time.monotonic() + 60
    while not (tmp_path / "out" / "take.wav").exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.5)  # so that it has seen that
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0 and "done" in said and "Ended." in said


@pytest.mark.parametrize("arguments, says", [
    (["in", "-o", "in", "--preset", "piano"], "cannot be both"),
    (["nowhere", "-o", "out", "--preset", "piano"], "no folder"),
    (["in", "-o", "out", "--preset", "pianoo"], "no preset"), (["in", "-o", "out"], "required"),
    (["in", "-o", "out", "--preset", "piano", "--settled", "nan"], "seconds"),
    (["in", "-o", "in/a.wav", "--preset", "piano"], "cannot be made")])
def test_mistakes_are_said_at_once(source, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (source / "a.wav").write_bytes(b"")
    assert main(["watch", *arguments]) == 2
    assert says in capsys.readouterr().err
