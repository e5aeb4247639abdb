"""The report: pictures that can be read, a record that says everything, whole or not at all."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from babe2_fx.equalizer import BreakpointEQ
from babe2_fx.files import FileError
from babe2_fx.restoration import RestorationResult
from babe2_fx.settings import Settings
from babe2_host.audio.recording import Recording
from babe2_host.tools import report
from babe2_host.tools.report import FILES, check_report_folder, write_report
from standin import tiny_prior

RATE = 44100
RECORD = {"preset": "piano", "seed": 0, "time_taken_s": 12.0, "notes": ["One note."]}


@pytest.fixture(scope="module")
def prior():
    return tiny_prior()


@pytest.fixture
def case(make_notes):
    """A recording and a result of its restoration, made by hand."""
    audio = make_notes(RATE, 1.0, 2)
    hz, ltas_hz = np.geomspace(20, 11025, 400), np.linspace(0, 11025, 1025)[1:]
    eq = BreakpointEQ((80.0, 300.0, 1000.0, 3000.0, 6000.0), (12.0, 3.0, -4.0, -12.0), 22050)
    fall = -12 * np.log2(ltas_hz / 1000)
    result = RestorationResult(audio, RATE, eq, hz, np.maximum(eq.response_db(hz), -120), 1000.0, ltas_hz,
                               fall + eq.response_db(ltas_hz), fall, fall + 1, Settings(), ())
    return Recording(Path("recording.wav"), audio, RATE, "WAV", "PCM_24"), result


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_report_holds_two_pictures_and_a_record(tmp_path, case, prior):
    recording, result = case
    write_report(tmp_path / "report", recording, result, prior, RECORD)
    assert names(tmp_path) == ["report"] and names(tmp_path / "report") == sorted(FILES)
    for name in FILES[:2]:
        picture = imread(tmp_path / "report" / name)
        assert picture.shape[0] > 700 and picture.shape[1] > 1000
        assert (picture[:4, :4, :3] == 1).all()  # dark on light
        assert picture[..., :3].min() < 0.2  # and something is drawn
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["input"] == {"path": "recording.wav", "format": "WAV", "subtype": "PCM_24",
                               "sample_rate": RATE, "channels": 2, "samples": RATE}
    assert record["times_real_time"] == 12 and record["notes"] == ["One note."]
    assert record["settings"]["steps"] == Settings().solver.steps
    assert record["equalizer"]["breakpoints_hz"][2] == record["equalizer"]["reference_hz"] == 1000
    assert record["prior"]["sample_rate"] == 22050 and record["prior"]["parameters"] > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["04 絆.wav", "caf\udce9 $x_1$\n.wav"])
def test_any_name_can_be_reported(tmp_path, case, prior, name):
    recording, result = case
    write_report(tmp_path / "report", replace(recording, path=Path(name)), result, prior, RECORD)
    assert json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["input"]["path"] == name


def told(result):
    """The result with a deviation that is known from 100 Hz to 4 kHz."""
    hz = result.frequencies_hz
    return replace(result, deviation_db=np.where((hz > 100) & (hz < 4000), 3.0, np.nan), found="A band limit, certain.")


def test_the_learned_response_has_a_band_of_its_deviation(tmp_path, case):
    """Shaded in the colour of the curve, where nothing but white is without it."""
    _, result = case
    shaded = []
    for number, one in enumerate((result, told(result), replace(told(result), deviation_db=0 * result.frequencies_hz
                                                                 + np.nan))):
        report.equalizer_picture(tmp_path / f"{number}.png", one, "recording.wav")
        red, green, blue = imread(tmp_path / f"{number}.png")[..., :3].transpose(2, 0, 1)
        shaded.append(int(((red > 0.85) & (blue > 0.8) & (red - green > 0.07)).sum()))
    assert shaded[1] > 5000 and shaded[1] > 5 * max(shaded[0], shaded[2])


def test_the_pictures_are_described_in_words(tmp_path, case, prior):
    from PIL import Image
    recording, result = case
    write_report(tmp_path / "plain", recording, result, prior, RECORD)
    write_report(tmp_path / "told", recording, told(result), prior, RECORD)
    plain, words = (json.loads((tmp_path / name / "report.json").read_text())["pictures"] for name in ("plain", "told"))
    assert "not known" in plain["equalizer.png"] and "shaded" not in plain["equalizer.png"]
    assert "shaded band within one standard deviation" in words["equalizer.png"]
    assert words["equalizer.png"].endswith("A band limit, certain.")
    with Image.open(tmp_path / "told" / "equalizer.png") as picture:
        assert picture.text["Description"] == words["equalizer.png"]


def test_louder_and_higher_is_darker_and_further_up(tmp_path, make_notes):
    """A tone at 8 kHz after silence shows in the upper half of the lower panel only."""
    time_s = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 8000 * time_s)[None].astype(np.float32)
    report.spectrograms_picture(tmp_path / "a.png", (0 * tone, RATE), (tone, RATE), 22050, "tone")
    picture = imread(tmp_path / "a.png")[..., :3].mean(axis=2)
    height, width = picture.shape
    inside = picture[:, width // 4:width // 2]
    dark_rows = np.flatnonzero((inside < 0.15).mean(axis=1) > 0.9) / height
    drawn = dark_rows[(dark_rows > 0.55) & (dark_rows < 0.9)]
    assert len(drawn) and drawn.max() < 0.75
    assert (inside[int(0.1 * height):int(0.4 * height)] > 0.98).mean() > 0.99


@pytest.mark.parametrize("change", ["no equalizer", "silence", "one sample", "no levels"])
def test_results_with_little_in_them_are_drawn(tmp_path, case, prior, change):
    recording, result = case
    parts = dict(vars(result))
    if change == "no equalizer":
        parts["equalizer"] = None
    elif change == "silence":
        parts["audio"] = 0 * result.audio
        recording = Recording(recording.path, 0 * recording.audio, RATE, "WAV", "PCM_16")
    elif change == "one sample":
        parts["audio"] = result.audio[:, :1]
        recording = Recording(recording.path, recording.audio[:, :1], RATE, "WAV", "PCM_16")
    else:
        parts["input_ltas_db"] = np.full_like(result.ltas_hz, -np.inf)
        parts["restored_ltas_db"] = np.full_like(result.ltas_hz, np.nan)
        parts["response_db"] = np.zeros_like(result.frequencies_hz)
    write_report(tmp_path / "report", recording, RestorationResult(**parts), prior, RECORD)
    assert names(tmp_path / "report") == sorted(FILES)


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path, case, prior):
    (tmp_path / "report.json").write_text("earlier")
    (tmp_path / "mine.txt").write_text("mine")
    check_report_folder(tmp_path)
    write_report(tmp_path, *case, prior, RECORD)
    assert names(tmp_path) == sorted([*FILES, "mine.txt"])
    assert json.loads((tmp_path / "report.json").read_text())["preset"] == "piano"


def test_a_report_that_fails_leaves_nothing(tmp_path, case, prior, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(report, "spectrograms_picture", full)
    with pytest.raises(FileError, match="report could not be written: No space left"):
        write_report(tmp_path / "report", *case, prior, RECORD)
    assert names(tmp_path) == []


def test_folders_that_cannot_be_are_refused_before_the_render(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for folder, sentence in (("file", "is a file; --report needs"), ("nowhere/report", "there is no folder"),
                             ("file/report", "is a file, not a folder")):
        with pytest.raises(FileError, match=sentence):
            check_report_folder(tmp_path / folder)
    with pytest.raises(FileError, match="name of a file of the report"):
        check_report_folder(tmp_path / "folder", tmp_path / "folder" / "report.json")
    check_report_folder(tmp_path / "new")
    assert names(tmp_path) == ["file", "folder"]
