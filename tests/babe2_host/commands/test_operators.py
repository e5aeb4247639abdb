"""Operators by their names on the command line and in boards."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx.operators import Clip, LowPass, TimeMask
from babe2_host import Board, BoardError
from babe2_host.cli import main

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "piano_78.flac"


@pytest.fixture
def recording(tmp_path):
    audio, rate = soundfile.read(EXAMPLE, dtype="float32", frames=44100)
    audio[10000:14000] = 0
    soundfile.write(tmp_path / "in.wav", audio, rate)
    return tmp_path / "in.wav"


def restore(recording, *more):
    return main(["restore", str(recording), "-o", str(recording.with_name("out.wav")), "--preset", "piano", "-q",
                 "--quality", "draft", "--set", "steps=2", *more])


def test_operators_are_named_with_their_parameters_and_recorded(recording, tmp_path):
    assert restore(recording, "--report", str(tmp_path / "report"), "--operator", "blind-eq", "--operator", "time-mask",
                   f"gaps_s={10000 / 44100}-{14000 / 44100}") == 0
    restored = soundfile.read(tmp_path / "out.wav")[0]
    assert np.sqrt(np.mean(restored[11000:13000] ** 2)) > 1e-3  # where there was nothing
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [operator["name"] for operator in record["operators"]] == ["blind-eq", "time-mask"]


@pytest.mark.parametrize("words, sentence", [
    (["kazoo"], "There is no operator called 'kazoo'; there are blind-eq, low-pass, time-mask, clip."),
    (["low-pass", "cutoff_hz"], "--operator low-pass needs PARAMETER=VALUE, as in --operator low-pass cutoff_hz=3000"),
    (["low-pass", "cutoff_hz=high"], "cutoff_hz of the operator low-pass must be a number, not 'high'."),
    (["clip", "level=3"], "The operator clip has no parameter 'level'; it has threshold_db."),
    (["time-mask", "gaps_s=2-1"], "must be pairs of a start and a later end in seconds, as in 1.5-1.7, not '2-1'.")])
def test_a_mistake_is_a_sentence_and_nothing_is_written(recording, capsys, words, sentence):
    assert restore(recording, "--operator", *words) == 2
    assert sentence in capsys.readouterr().err and not recording.with_name("out.wav").exists()


def test_what_does_not_go_together_is_a_sentence(recording, capsys):
    assert restore(recording, "--operator", "blind-eq", "--set", "filter_fit=none") == 2
    assert "blind-eq needs a fit of its EQ, but filter_fit = none" in capsys.readouterr().err


def test_a_board_names_operators_and_keeps_them(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "GenerativeEQ"\nquality = "draft"\n'
                    'operators = [{name = "low-pass", cutoff_hz = 4000.0}, {name = "clip"}, '
                    '{name = "time-mask", gaps_s = [[1.0, 1.5]]}]\n')
    effect = Board.load(path)[0]
    assert effect.operators == (LowPass(4000.0), Clip(), TimeMask([(1.0, 1.5)]))
    Board([effect]).save(tmp_path / "again.toml")
    assert Board.load(tmp_path / "again.toml")[0].operators == effect.operators
    path.write_text(path.read_text().replace("low-pass", "low-pas"))
    with pytest.raises(BoardError, match="no operator called 'low-pas'"):
        Board.load(path)
