"""Restoration in the real Audacity."""

import os
import secrets
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_host.daw import audacity_pipe, audacity_setup
from babe2_host.daw.audacity import restore_selection
from babe2_host.daw.audacity_pipe import Audacity, AudacityError, quoted
from babe2_host.daw.audacity_selection import read_selection
from babe2_host.service import Client

MODULES = [path for path in ("/usr/lib/audacity/modules/mod-script-pipe.so",
                             "/usr/local/lib/audacity/modules/mod-script-pipe.so") if os.path.exists(path)]
SETTINGS = """NewPrefsInitialized=1
[Version]
Major=3
Minor=2
Micro=4
[GUI]
ShowSplashScreen=0
[Update]
DefaultUpdatesChecking=0
[Module]
mod-script-pipe=1
[ModulePath]
mod-script-pipe={module}
[ModuleDateTime]
mod-script-pipe={date}
[Quality]
HQDitherAlgorithmChoice=None
[Directories]
TempDir={temp}
"""

RECIPE = {"preset": "piano", "quality": "draft"}


class CopyingClient:
    """Stands in for the job service: the result is the input itself, except for labels that are to fail."""

    def __init__(self, folder, failing=()):
        self.folder, self.failing, self.records, self.recipes = folder, failing, {}, []

    def submit(self, input, output, *, label, **recipe):
        record = {"id": secrets.token_hex(8), "state": "running", "share_done": 0.5, "message": "", "label": label}
        if recipe["preset"] == "none":
            raise AudacityError("There is no preset none.")
        if label in self.failing:
            record |= {"state": "failed", "message": "It is silent."}
        else:
            shutil.copyfile(input, output)
        self.recipes.append(recipe)
        self.records[record["id"]] = record
        return dict(record)

    def job(self, job_id):
        record = dict(self.records[job_id])
        if record["state"] == "running":
            self.records[job_id]["state"] = "done"  # by the next look
        return record

    def remove(self, job_id):
        del self.records[job_id]

    def cancel(self, job_id):
        self.records[job_id]["state"] = "cancelled"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A running Audacity with settings of its own, its pipe enabled."""
    if sys.platform != "linux" or not (shutil.which("audacity") and shutil.which("Xvfb") and MODULES):
        pytest.skip("needs audacity with mod-script-pipe, and Xvfb")
    try:
        os.close(os.open(audacity_pipe.pipe_paths()[0], os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass
    else:
        pytest.skip("an Audacity of this user is running, and there is only one pipe")
    home = tmp_path_factory.mktemp("audacity")
    (home / ".config/audacity").mkdir(parents=True)
    (home / "temp").mkdir()
    date = datetime.fromtimestamp(int(os.stat(MODULES[0]).st_mtime)).isoformat()
    (home / ".config/audacity/audacity.cfg").write_text(
        SETTINGS.format(module=MODULES[0], date=date, temp=home / "temp"))
    display, number = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(number), "-screen", "0", "1280x900x24"], pass_fds=[number],
                              stderr=subprocess.DEVNULL)
    screen = os.read(display, 16).decode().strip()
    environment = {**os.environ, "DISPLAY": f":{screen}", "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"),
                   "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
    process = subprocess.Popen(["audacity"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for trial in range(20):  # what comes while it starts is not answered
            try:
                with Audacity(connect_s=60) as audacity:
                    audacity.do("GetInfo: Type=Tracks", timeout_s=3)
                break
            except AudacityError:
                if trial == 19:
                    raise
        yield
    finally:
        process.kill()
        process.wait()
        server.terminate()
        server.wait()
        os.close(display)
        os.close(number)
        for path in audacity_pipe.pipe_paths():
            Path(path).unlink(missing_ok=True)


@pytest.fixture
def project(program, tmp_path, make_notes):
    """An empty project, which gets recordings of notes: project(rate, channels, start_s) -> their samples."""
    with Audacity() as audacity:
        audacity.do("SelectAll:")
        audacity.do("RemoveTracks:", may_fail=True)  # if there are none

    def add(sample_rate=44100, channels=1, start_s=0.0, duration_s=2.0, name=None):
        with Audacity() as audacity:
            index = len(audacity.info("Tracks"))
            audio = make_notes(sample_rate, duration_s, channels, seed=index)
            path = tmp_path / f"{name or f'take {index}'}.wav"
            soundfile.write(path, audio.T, sample_rate, subtype="FLOAT")
            audacity.do(f"Import2: Filename={quoted(str(path))}")
            audacity.do(f"SelectTracks: Track={index} TrackCount=1 Mode=Set")
            audacity.do(f"SetClip: At=0 Start={start_s!r}")
        return audio
    return add


@pytest.fixture
def jobs(tmp_path):
    folder = tmp_path / 'jobs "é" \\ here'
    folder.mkdir()
    return CopyingClient(folder)


def do(*commands):
    with Audacity() as audacity:
        for command in commands:
            audacity.do(command)


def tracks():
    with Audacity() as audacity:
        return audacity.info("Tracks")


def samples(folder, first, count=1):
    """What lies on tracks, from the project's beginning: [(first sample, audio (samples, channels))]."""
    folder.mkdir()
    with Audacity() as audacity:
        audacity.do(f"Select: Track={first} TrackCount={count} Mode=Set Start=0 End=100")
        passages, _ = read_selection(audacity, folder)
    return [(passage, soundfile.read(passage.path, dtype="float32", always_2d=True)[0]) for passage in passages]


def test_restored_tracks_lie_on_their_originals_to_the_sample(project, jobs, tmp_path):
    mono = project(44100, 1)
    stereo = project(48000, 2, start_s=1.2512345)
    do("Select: Track=0 TrackCount=2 Mode=Set Start=0.7123457 End=1.9345671")
    before = tracks()
    seen = []
    said = restore_selection(RECIPE, jobs, lambda share, message: seen.append((share, message)), poll_s=0.01)
    assert seen[0] == (0.5, "take 0: running") and seen[-1] == (1.0, "done")
    assert "take 0 (restored), take 1 (restored)" in said[0] and len(said) == 1
    assert jobs.recipes == [{**RECIPE, "depth": "float", "rate": None}] * 2
    assert not jobs.records and not list(jobs.folder.iterdir())

    after = tracks()
    assert after[:2] == before  # which of them are selected, too
    folder = tmp_path / "selection"
    folder.mkdir()
    with Audacity() as audacity:
        (again, _), _ = read_selection(audacity, folder)
    assert (again.first, again.samples) == (round(0.7123457 * 44100), round(1.9345671 * 44100) - again.first)
    assert [(track["name"], track["kind"], track["selected"]) for track in after[2:]] == [
        ("take 0 (restored)", "wave", 0), ("take 1 (restored)", "wave", 0), ("Generative EQ", "label", 0)]
    with Audacity() as audacity:
        (_, labels), = audacity.info("Labels")
    assert [label[2] for label in labels] == [
        "take 0: Generative EQ, piano, draft, 0:00.712 to 0:01.935",
        "take 1: Generative EQ, piano, draft, 0:01.251 to 0:01.935"]

    (one, restored_mono), (two, restored_stereo) = samples(tmp_path / "new", 2, 2)
    first = round(0.7123457 * 44100)
    assert abs(one.first - first) == 0 and abs(one.first + one.samples - round(1.9345671 * 44100)) <= 1
    np.testing.assert_array_equal(restored_mono[:, 0], mono[0, first:first + one.samples])
    assert two.first == round(1.2512345 * 48000)
    np.testing.assert_array_equal(restored_stereo.T, stereo[:, :two.samples])

    do("Undo:")
    assert [track["name"] for track in tracks()] == ["take 0", "take 1"]


def test_gaps_stay_and_neither_mute_nor_solo_nor_time_before_the_track_matters(project, jobs, tmp_path):
    audio = project(44100, 2, start_s=1.0)
    do("SelectTime: Start=1.5 End=1.75", "SplitDelete:", "SetTrackAudio: Mute=1")
    project()
    do("SetTrackAudio: Solo=1", "Select: Track=0 TrackCount=1 Mode=Set Start=0.2 End=2.25")
    restore_selection(RECIPE, jobs, poll_s=0.01)
    assert [(track["mute"], track["solo"]) for track in tracks()[:3]] == [(1, 0), (0, 1), (0, 0)]
    (passage, restored), = samples(tmp_path / "new", 2)
    assert [(clip.first, clip.samples) for clip in passage.clips] == [(44100, 22050), (77175, 22050)]
    expected = audio[:, :round(1.25 * 44100)].copy()
    expected[:, 22050:33075] = 0
    np.testing.assert_array_equal(restored.T, expected)


def test_gain_pan_and_envelope_are_not_applied_twice(project, jobs, tmp_path):
    project(44100, 2)
    do("SetTrackAudio: Gain=-7 Pan=-40", "SetEnvelope: Time=0.25 Value=0.9", "SetEnvelope: Time=1.5 Value=0.2",
       "Select: Track=0 TrackCount=1 Mode=Set Start=0.5 End=1.25")
    restore_selection(RECIPE, jobs, poll_s=0.01)
    heard = []
    for index in (0, 1):
        path = tmp_path / f"heard{index}.wav"
        do(f"SelectTracks: Track={index} TrackCount=1 Mode=Set",
           f"Export2: Filename={quoted(str(path))} NumChannels=2")  # what is heard in the selected time
        heard.append(soundfile.read(path, dtype="float32")[0])
    assert len(heard[0]) == 33075 and 0.01 < np.abs(heard[0]).max() < 0.2
    # Exported with 16 bits; Audacity tells gain and envelope with six digits.
    np.testing.assert_allclose(heard[1], heard[0], rtol=0, atol=1.5 / 32768)


@pytest.mark.parametrize("select, sentence", [
    (["SelectNone:"], "No audio track is selected"),
    (["NewLabelTrack:", "Select: Track=1 TrackCount=1 Mode=Set Start=0 End=1"], "No audio track"),
    (["Select: Track=0 TrackCount=1 Mode=Set Start=0.5 End=0.5"], "only a position"),
    (["Select: Track=0 TrackCount=1 Mode=Set Start=3 End=4"], "no audio in the selected time")])
def test_without_selected_audio_nothing_happens(project, jobs, select, sentence):
    project()
    do(*select)
    before = tracks()
    with pytest.raises(AudacityError, match=sentence):
        restore_selection(RECIPE, jobs, poll_s=0.01)
    assert tracks() == before and not jobs.recipes and not list(jobs.folder.iterdir())


def test_a_recipe_that_is_refused_leaves_nothing(project, jobs):
    project()
    do("SelectAll:")
    assert audacity_setup.is_running()
    with pytest.raises(AudacityError, match="no preset none"):
        restore_selection({"preset": "none"}, jobs, poll_s=0.01)
    assert len(tracks()) == 1 and not list(jobs.folder.iterdir())


def test_what_fails_is_told_and_the_rest_is_brought_in(project, jobs):
    project()
    project()
    jobs.failing = ["Audacity: take 0"]
    do("SelectAll:")
    said = restore_selection(RECIPE, jobs, poll_s=0.01)
    assert "a new track take 1 (restored)" in said[0] and said[1:] == ["take 0: It is silent."]
    assert [track["name"] for track in tracks()] == ["take 0", "take 1", "take 1 (restored)", "Generative EQ"]
    do("Select: Track=0 TrackCount=1 Mode=Set Start=0 End=1")
    with pytest.raises(AudacityError, match="Nothing was restored. take 0: It is silent."):
        restore_selection(RECIPE, jobs, poll_s=0.01)


def test_results_that_find_another_project_are_kept_for_importing_by_hand(project, jobs):
    project(name='it\'s "q" é')
    do("SelectAll:")
    name = tracks()[0]["name"]
    assert name == 'it\'s "q" é'
    with pytest.raises(AudacityError, match="is not the one .* import .*restored.aup") as caught:
        restore_selection(RECIPE, jobs, lambda share, message: do("SetTrackStatus: Name=other"), poll_s=0.01)
    kept, = jobs.folder.glob("*/restored.aup")
    assert str(kept) in str(caught.value) and len(tracks()) == 1
    do(f"Import2: Filename={quoted(kept.as_posix())}")
    assert [track["name"] for track in tracks()[1:]] == [f"{name} (restored)", "Generative EQ"]


def test_interrupted_waiting_leaves_the_jobs_and_something_to_import(project, jobs):
    def interrupt(share, message):
        raise KeyboardInterrupt
    project()
    do("SelectAll:")
    said, = restore_selection(RECIPE, jobs, interrupt, poll_s=0.01)
    kept, = jobs.folder.glob("*/restored.aup")
    assert str(kept) in said and "babe2 jobs list" in said and len(jobs.records) == 1


def test_a_selection_is_restored_by_the_service(project, tmp_path, monkeypatch):
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    audio = project(44100, 1, start_s=0.1234567, duration_s=1.0)
    do("SelectAll:")
    client = Client()
    try:
        restore_selection({"preset": "piano", "settings": {"ltas": "only"}}, client, poll_s=0.1)
        assert not client.jobs() and not list(client.folder.iterdir())
    finally:
        client.stop()
    (passage, restored), = samples(tmp_path / "new", 1)
    assert (passage.first, passage.samples) == (round(0.1234567 * 44100), audio.shape[1])
    assert 0.01 < np.abs(restored[:, 0] - audio[0]).max() < 1
