"""Plugins that are programs of their own: run only if allowed, and known by their files."""

import copy
import copyreg
import os
import pickle
import tomllib
from typing import ClassVar

import pedalboard
import pytest
from pedalboard import Gain, Invert, Mix, Pedalboard

from babe2_host.boards import plugins
from babe2_host.boards.board import Board
from babe2_host.boards.board_files import FORMAT
from babe2_host.boards.copies import external
from babe2_host.boards.plugins import BoardError, load_external
from offline_effects import Halve, assert_same, noise


class FakeParameter:
    """A parameter of VST3Plugin below, which stands for what a true one has."""

    type = float

    def __init__(self, plugin):
        self.plugin = plugin

    @property
    def raw_value(self):
        return (self.plugin.gain_db + 100) / 200


class VST3Plugin(Gain):
    identifier = "VST3-Fake-1"
    loaded: ClassVar = []

    def __init__(self, path_to_plugin_file, plugin_name=None):
        if not path_to_plugin_file.endswith(".vst3"):
            raise ImportError("Unable to load plugin: not a VST3.")
        super().__init__(0.0)
        VST3Plugin.loaded.append(path_to_plugin_file)

    @property
    def parameters(self):
        return {"gain_db": FakeParameter(self)}


@pytest.fixture
def fake_vst3(folder, monkeypatch):
    """fake.vst3, which is not a program but loads as one."""
    monkeypatch.setattr(pedalboard, "VST3Plugin", VST3Plugin)
    monkeypatch.setattr(plugins, "_externals", {})
    VST3Plugin.loaded.clear()
    (folder / "fake.vst3").mkdir()
    return folder / "fake.vst3"


def external_board(path, more=""):
    return f'format = "{FORMAT}"\n[[plugins]]\nplugin = "VST3Plugin"\npath = "{path}"\n{more}'


def test_programs_are_run_only_if_allowed(fake_vst3, folder):
    (folder / "board.toml").write_text(external_board("fake.vst3", "parameters = { gain_db = -6 }"))
    with pytest.raises(BoardError, match="fake.vst3 is a program"):
        Board.load("board.toml")
    assert VST3Plugin.loaded == []
    board = Board.load("board.toml", allow_external=True)
    assert VST3Plugin.loaded == [str(fake_vst3)] and board[0].gain_db == -6
    board[0].gain_db = 2.5
    Board([Gain(), board[0]]).save("again.toml")
    assert tomllib.loads((folder / "again.toml").read_text())["plugins"][1] == {
        "plugin": "VST3Plugin", "path": "fake.vst3", "parameters": {"gain_db": 2.5}}
    assert repr(board) == f"Board([VST3Plugin({str(fake_vst3)!r}, parameter_values={{'gain_db': 2.5}})])"
    assert Board.load("again.toml", allow_external=True)[1].gain_db == 2.5


@pytest.mark.parametrize("path, more, words", [
    ("no.vst3", "", "there is no plugin"),
    ("board.toml", "", "cannot be loaded: Unable to load plugin: not a VST3"),
    ("fake.vst3", "parameters = { gian_db = 1 }", "no parameter called 'gian_db'. Did you mean 'gain_db'"),
    ("fake.vst3", 'parameters = { gain_db = "x" }', "gain_db cannot be 'x'"),
    ("fake.vst3", "parameters = { gain_db = nan }", "gain_db cannot be nan: it must be a number"),
    ("fake.vst3", "plugin_name = 3", "must be text"),
])
def test_what_is_wrong_with_a_program_is_named(path, more, words, fake_vst3, folder):
    (folder / "board.toml").write_text(external_board(path, more))
    with pytest.raises(BoardError, match=words) as raised:
        Board.load("board.toml", allow_external=True)
    assert "board.toml, plugin 1 (VST3Plugin)" in str(raised.value)


def test_a_program_from_elsewhere_cannot_be_kept_until_its_file_is_known(fake_vst3, folder):
    plugin = VST3Plugin(str(fake_vst3))
    with pytest.raises(BoardError, match="`babe2_host.load_external`"):
        Board([plugin]).save("board.toml")
    plugin = load_external(fake_vst3, {"gain_db": 1.5})
    Board([plugin]).save("board.toml")
    assert Board.load("board.toml", allow_external=True)[0].gain_db == 1.5
    with pytest.raises(BoardError, match="there is no plugin"):
        load_external("no.vst3")
    if not hasattr(pedalboard, "AudioUnitPlugin"):
        with pytest.raises(BoardError, match="macOS"):
            load_external(fake_vst3, kind="AudioUnitPlugin")


def test_a_program_is_copied_by_its_file_and_parameters_if_that_is_known(fake_vst3, folder, monkeypatch):
    monkeypatch.setitem(copyreg.dispatch_table, VST3Plugin, external)  # as of the true class
    board = Board([load_external(fake_vst3, {"gain_db": 2.5}), Halve()])
    for made in (copy.deepcopy(board), pickle.loads(pickle.dumps(board))):
        assert made[0] is not board[0] and type(made[0]) is VST3Plugin and made[0].gain_db == 2.5
        made[0].gain_db = 1.0
    assert board[0].gain_db == 2.5 and len(VST3Plugin.loaded) == 3
    board[0] = VST3Plugin(str(fake_vst3))
    plugins._externals.clear()
    for do in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"plugin 1 \(VST3Plugin\) cannot, .*`babe2_host.load_external`"):
            do(board)


def test_a_true_vst3_plugin_runs_and_is_kept(folder):
    """Runs where BABE2_TEST_VST3 names an effect."""
    path = os.environ.get("BABE2_TEST_VST3")
    if not path:
        pytest.skip("BABE2_TEST_VST3 does not name a VST3 effect")
    plugin, twin = load_external(path), pedalboard.load_plugin(path)
    numbers = {name: item for name, item in plugin.parameters.items() if item.type is float}
    for name, item in numbers.items():
        for each in (plugin, twin):
            setattr(each, name, round(0.3 * item.min_value + 0.7 * item.max_value))
    audio = noise(2, 4000)
    expected = Pedalboard([Gain(-3), twin, Invert()])(audio, 44100, 512)
    assert_same(Board([Gain(-3), plugin, Invert()])(audio, 44100, 512), expected)
    assert_same(Board([Gain(-3), Halve(1.0), plugin, Invert()])(audio, 44100, 512), expected)
    Board([Mix([plugin]), Gain(-3)]).save("board.toml")
    tables = tomllib.loads((folder / "board.toml").read_text())["plugins"]
    assert set(tables[0]["plugins"][0]["parameters"]) >= set(numbers)
    with pytest.raises(BoardError, match="is a program"):
        Board.load("board.toml")
    again = Board.load("board.toml", allow_external=True)
    assert_same(again(audio, 44100), Pedalboard([Mix([twin]), Gain(-3)])(audio, 44100))
