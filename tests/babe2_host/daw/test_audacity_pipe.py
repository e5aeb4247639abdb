"""Audacity's project file, its pipes and its settings, without Audacity."""

import os
import sys
import threading
from xml.etree import ElementTree

import pytest

from babe2_host.daw import audacity_pipe, audacity_setup
from babe2_host.daw.audacity_pipe import Audacity, AudacityError
from babe2_host.daw.audacity_project import Clip, Passage, clock, write_project
from babe2_host.daw.audacity_selection import envelope_within

RECIPE = {"preset": "piano", "quality": "draft"}


def test_an_envelope_is_cut_along_lines_in_decibels():
    points = [(1.0, 1.0), (3.0, 0.01)]
    assert envelope_within([], 0.0, 1.0) == ()
    assert envelope_within(points, 2.0, 5.0) == ((0.0, pytest.approx(0.1)), (1.0, 0.01), (3.0, 0.01))
    assert envelope_within(points, 0.0, 0.5) == ((0.0, 1.0), (0.5, 1.0))


def test_times_are_shown_as_on_the_ruler():
    assert [clock(time_s) for time_s in (0.0, 59.9996, 62.5, 3600)] == ["0:00.000", "1:00.000", "1:02.500", "60:00.000"]


def test_the_project_holds_every_sample_once_and_names_as_they_are(tmp_path):
    clips = (Clip(1000, 600000), Clip(700000, 5, ((0.0, 1.0), (0.1, 0.5))))
    passage = Passage('<"é" & \\>', tmp_path / "track1.wav", 96000, 2, 1000, 699005, 0.5, -0.25, clips)
    root = ElementTree.parse(write_project(tmp_path, [passage], {**RECIPE, "target": "/a/b/my target.csv"})).getroot()
    left, right = root.findall("wavetrack")
    assert left.get("name") == right.get("name") == '<"é" & \\> (restored)'
    assert [left.get("linked"), right.get("linked"), left.get("gain"), left.get("pan")] == ["1", "0", "0.5", "-0.25"]
    for channel, track in enumerate((left, right)):
        assert [round(float(clip.get("offset")) * 96000) for clip in track.findall("waveclip")] == [1000, 700000]
        blocks = [block.attrib for block in track.iter("pcmaliasblockfile")]
        assert [(int(block["aliasstart"]), int(block["aliaslen"])) for block in blocks] == [
            (0, 262144), (262144, 262144), (524288, 75712), (699000, 5)]
        assert {block["aliaschannel"] for block in blocks} == {str(channel)}
    names = [block.get("summaryfile") for block in root.iter("pcmaliasblockfile")]
    assert len(set(names)) == len(names)
    assert root.find("labeltrack/label").get("title") == (
        '<"é" & \\>: Generative EQ, piano, draft, target my target.csv, 0:00.010 to 0:07.292')
    assert (tmp_path / root.get("projname")).is_dir()


@pytest.fixture
def pipes(tmp_path, monkeypatch):
    """A pair of pipes in the place of Audacity's."""
    if sys.platform == "win32":
        pytest.skip("named pipes of Windows lie in no folder")
    paths = str(tmp_path / "to"), str(tmp_path / "from")
    for path in paths:
        os.mkfifo(path)
    monkeypatch.setattr(audacity_pipe, "pipe_paths", lambda: paths)
    return paths


def serve(pipes, answers):
    """Answers a line with each of `answers`, then closes as Audacity does; None: it waits until the client is gone."""
    def run():
        with open(pipes[0], "rb") as requests, open(pipes[1], "wb", buffering=0) as replies:
            for answer in answers:
                requests.readline()
                if answer is None:
                    requests.read()
                else:
                    replies.write(answer)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_without_audacity_the_user_is_told_what_to_enable(tmp_path, monkeypatch):
    monkeypatch.setattr(audacity_pipe, "pipe_paths", lambda: (str(tmp_path / "to"), str(tmp_path / "from")))
    with pytest.raises(AudacityError, match="Start it; .*babe2 daw install audacity"):
        Audacity(connect_s=0.2)


def test_pipes_that_an_ended_audacity_left_are_not_waited_for(pipes):
    with pytest.raises(AudacityError, match="cannot be reached"):
        Audacity(connect_s=0.2)


def test_an_audacity_that_shows_a_dialog_is_not_waited_for_for_ever(pipes):
    thread = serve(pipes, [None])
    with Audacity() as audacity, pytest.raises(AudacityError, match="GetInfo within 0 seconds.*a dialog"):
        audacity.do("GetInfo: Type=Tracks", timeout_s=0.2)
    thread.join(5)


def test_an_audacity_that_closes_is_reported(pipes):
    thread = serve(pipes, [b"\n[ ]"])
    with Audacity() as audacity, pytest.raises(AudacityError, match="was closed"):
        audacity.info("Tracks")
    thread.join(5)


def test_answers_come_in_pieces_and_failures_are_told(pipes):
    thread = serve(pipes, [b'\n[ { "name":"back\\slash \\"q\\"" } ]\nBatchCommand finished: OK\n\n',
                           b"\nNo such file\nBatchCommand finished: Failed!\n\n"])
    with Audacity() as audacity:
        assert audacity.info("Tracks") == [{"name": 'back\\slash "q"'}]
        with pytest.raises(AudacityError, match="Import2: X: No such file"):
            audacity.do("Import2: X")
    thread.join(5)


def test_a_command_that_audacity_would_split_is_not_sent(pipes):
    thread = serve(pipes, [None])
    with Audacity() as audacity, pytest.raises(AudacityError, match="BABE2_DATA"):
        audacity.do("Import2: Filename=" + "x" * 1000)
    thread.join(5)


def test_the_module_is_enabled_in_the_settings_on_request(tmp_path, monkeypatch):
    settings = tmp_path / "audacity.cfg"
    monkeypatch.setattr(audacity_setup, "settings_file", lambda: settings)
    monkeypatch.setattr(audacity_setup, "is_running", lambda: False)
    text = "[Version]\nMajor=3\n[Module]\nmod-ogg=1\nmod-script-pipe=4\n[ModulePath]\nmod-script-pipe=/usr/lib/x.so\n"
    settings.write_text(text)
    assert "Preferences > Modules" in audacity_setup.install()[0]
    assert settings.read_text() == text
    assert str(settings) in audacity_setup.install(enable=True)[0]
    assert settings.read_text() == text.replace("pipe=4", "pipe=1")
    settings.write_text("[Version]\nMajor=3\n[ModulePath]\nmod-script-pipe=4\n")
    with pytest.raises(AudacityError, match="Start it once"):
        audacity_setup.install(enable=True)
    monkeypatch.setattr(audacity_setup, "is_running", lambda: True)
    with pytest.raises(AudacityError, match="Close it first"):
        audacity_setup.install(enable=True)
