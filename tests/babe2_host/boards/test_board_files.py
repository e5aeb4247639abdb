"""Boards in TOML files: kept to the last bit, written by a person, and what can be wrong with them."""

import os
import tomllib

import numpy as np
import pytest
from pedalboard import (
    Chain,
    Convolution,
    Delay,
    Gain,
    HighpassFilter,
    Invert,
    LadderFilter,
    Mix,
    PeakFilter,
    Pedalboard,
)
from pedalboard_native._internal import AddLatency

import babe2_host
from babe2_fx.files import FileError
from babe2_host.boards.board import Board
from babe2_host.boards.board_files import FORMAT
from babe2_host.boards.plugins import NATIVE, BoardError, parameter_names
from offline_effects import Halve, Instrument, assert_same, noise, unusual

EFFECTS = {"Halve": Halve}


@pytest.mark.parametrize("name", NATIVE)
def test_every_plugin_of_pedalboard_is_kept_to_the_last_bit(name, room_wav):
    plugin = unusual(NATIVE[name], room_wav)
    Board([plugin]).save("board.toml")
    again = Board.load("board.toml")[0]
    assert type(again) is type(plugin)
    for parameter in parameter_names(type(plugin)):
        assert getattr(again, parameter) == getattr(plugin, parameter), parameter
    audio = noise(2, 3000)
    assert_same(again(audio, 44100), plugin(audio, 44100))


def test_the_native_plugins_are_found():
    assert {"Gain", "HighpassFilter", "Convolution", "BrickwallLimiter", "Resample"} <= set(NATIVE)
    assert not {"Plugin", "ExternalPlugin", "VST3Plugin", "Pedalboard", "IIRFilter"} & set(NATIVE)


def test_numbers_are_written_as_a_person_would(folder):
    gains = [round(0.7 * k - 60, 1) for k in range(140)]
    Board([PeakFilter(440.1, gain, 0.7) for gain in gains]).save("board.toml")
    tables = tomllib.loads((folder / "board.toml").read_text())["plugins"]
    assert tables[0] == {"plugin": "PeakFilter", "cutoff_frequency_hz": 440.1, "gain_db": -60.0, "q": 0.7}
    assert [table["gain_db"] for table in tables] == gains
    audio = noise(1, 50)
    for gain, plugin in zip(gains, Board.load("board.toml")):
        assert_same(plugin(audio, 44100), PeakFilter(440.1, gain, 0.7)(audio, 44100))


def test_a_board_of_all_kinds_is_kept(folder):
    board = Board([Gain(-1), Mix([Gain(-6), None, Chain([Delay(0.1), Mix([])])]),
                   Halve(0.3, 'a "b"\n\x07é', False), Pedalboard([Invert()]),
                   Board([Halve(), Board([], title="empty")])], title="Ünusual")
    board.save("board.toml")
    again = Board.load("board.toml", effects=EFFECTS)
    # A None in a Mix is the dry signal; so is a Chain of nothing.
    assert repr(again) == repr(board).replace("None, Chain", "Chain([]), Chain")
    assert again.title == "Ünusual"
    assert_same(again(noise(2, 500), 44100), board(noise(2, 500), 44100))
    again.save("again.toml")
    assert (folder / "again.toml").read_bytes() == (folder / "board.toml").read_bytes()
    assert Board.load("board.toml", EFFECTS)[4][1].title == "empty"


def test_a_mix_of_offline_effects_is_kept_and_one_in_a_chain_is_pedalboards(folder):
    board = Board([babe2_host.Mix([None, Board([Halve(0.3), Gain(-3)], title="wet"), Delay(0.1)]), None,
                   Chain([Mix([Gain(-6), Chain([Mix([Invert()])])])])])
    board.save("board.toml")
    again = Board.load("board.toml", EFFECTS)
    # A None is the audio as it is; so is a Chain of nothing.
    assert repr(again) == repr(board).replace("None, ", "Chain([]), ")
    assert type(again[0]) is babe2_host.Mix and type(again[2][0]) is Mix and again[0][1].title == "wet"
    assert_same(again(noise(2, 500), 44100), board(noise(2, 500), 44100))
    Board([Mix([Gain(), None])]).save("native.toml")
    loaded = Board.load("native.toml")
    loaded[0].append(Halve())  # a Mix from a file takes everything
    assert len(loaded[0]) == 3


BY_HAND = """
format = "babe2-board-1"
title = "By hand"   # whole numbers will do, and short lists can be in one line

[[plugins]]
plugin = "HighpassFilter"
cutoff_frequency_hz = 40

[[plugins]]
plugin = "Gain"

[[plugins]]
plugin = "Mix"
plugins = [ { plugin = "Gain", gain_db = 3 }, { plugin = "Delay" } ]

[[plugins]]
plugin = "LadderFilter"
mode = "BPF12"

[[plugins]]
plugin = "Halve"
amount = 1
"""


def test_a_board_written_by_hand_is_read(folder):
    (folder / "hand.toml").write_text(BY_HAND)
    assert repr(Board.load("hand.toml", EFFECTS)) == repr(Board([
        HighpassFilter(40), Gain(), Mix([Gain(3), Delay()]), LadderFilter(LadderFilter.Mode.BPF12), Halve(1)],
        title="By hand"))


def test_a_file_without_plugins_is_an_empty_board(folder):
    (folder / "empty.toml").write_text(f'format = "{FORMAT}"\n')
    assert len(Board.load("empty.toml")) == 0
    Board().save("empty.toml")
    assert len(Board.load("empty.toml")) == 0


def test_an_impulse_response_is_found_beside_the_board_wherever_both_are(room_wav, folder):
    (folder / "sub").mkdir()
    Board([Convolution(os.path.relpath(room_wav))]).save("board.toml")
    assert '"room.wav"' in (folder / "board.toml").read_text()
    for name in ("board.toml", "room.wav"):
        os.rename(name, folder / "sub" / name)
    os.chdir("/")
    board = Board.load(folder / "sub" / "board.toml")
    assert board[0].impulse_response_filename == str(folder / "sub" / "room.wav")
    board.save(folder / "board.toml")
    assert '"sub/room.wav"' in (folder / "board.toml").read_text()
    (folder / "elsewhere").mkdir()
    board.save(folder / "elsewhere" / "board.toml")  # not beside it: in full
    assert Board.load(folder / "elsewhere" / "board.toml")[0].impulse_response_filename == str(
        folder / "sub" / "room.wav")
    text = (folder / "elsewhere" / "board.toml").read_text().replace(str(folder / "sub"), "../sub")
    (folder / "elsewhere" / "board.toml").write_text(text)
    assert len(Board.load(folder / "elsewhere" / "board.toml")) == 1


def test_generative_eq_is_found_without_being_registered_and_its_target_beside_the_board(folder):
    (folder / "curve.txt").write_text("100 0\n1000 -10\n8000 -30\n")
    (folder / "board.toml").write_text(f"""format = "{FORMAT}"
[[plugins]]
plugin = "GenerativeEQ"
preset = "piano"
mix = 0.5
target = "curve.txt"
steps = 7
""")
    effect = Board.load("board.toml")[0]
    assert (effect.preset, effect.mix, effect.settings.solver.steps) == ("piano", 0.5, 7)
    assert effect.target is not None
    Board([effect]).save("again.toml")
    table = tomllib.loads((folder / "again.toml").read_text())["plugins"][0]
    assert table == {"plugin": "GenerativeEQ", "preset": "piano", "mix": 0.5, "target": "curve.txt",
                     "steps": 7}
    assert repr(Board.load("again.toml")[0]) == repr(effect)


# Each: what is in the file (after the format, where it begins with [[), and words of the error.
def a(plugin, more=""):
    return f'[[plugins]]\nplugin = "{plugin}"\n{more}\n'


GAIN = a("Gain")
BAD = {
    "empty": ("", ["format"]),
    "not TOML": ("<xml>", ["not a TOML file", "line 1"]),
    "not UTF-8": (b"\xff\xfe\x00", ["not a TOML file"]),
    "brackets": ("a = " + 100000 * "[", ["not a TOML file"]),
    "no format": (GAIN, ["format", FORMAT]),
    "another format": ('format = "babe2-board-2"', [f'format = "{FORMAT}"']),
    "format number": ("format = 1", ["format"]),
    "title": ("title = 3", ["title must be text, not 3"]),
    "key": ('plugin = "Gain"', ["no key called 'plugin'", "Did you mean 'plugins'?", "format, plugins"]),
    "plugins text": ('plugins = "Gain"', ["plugins must be a list of tables, not 'Gain'"]),
    "plugins table": ("[plugins]\na = 1", ["plugins must be a list of tables"]),
    "plugins of text": ('plugins = ["Gain"]', ["plugin 1 must be a table, not 'Gain'"]),
    "nameless": ("[[plugins]]\ngain_db = 1.0", ["plugin 1", 'such as plugin = "Gain"']),
    "name of list": ('[[plugins]]\nplugin = ["Gain"]', ["plugin 1", "not ['Gain']"]),
    "unknown plugin": (GAIN + a("Gian"), ["plugin 2", "no plugin called 'Gian'", "Did you mean 'Gain'?",
                                          "Bitcrush", "GenerativeEQ", "Halve"]),
    "class": (a("__class__"), ["no plugin called '__class__'"]),
    "module": (a("io"), ["no plugin called 'io'"]),
    "function": (a("load_plugin"), ["no plugin called 'load_plugin'"]),
    "abstract": (a("ExternalPlugin"), ["no plugin called"]),
    "internal": (a("AddLatency"), ["no plugin called"]),
    "path as name": (a("os.system"), ["no plugin called"]),
    "parameter": (a("Gain", "gain = 1.0"), ["plugin 1 (Gain)", "no parameter called 'gain'", "'gain_db'?"]),
    "parameter of none": (a("Invert", 'on = true'), ["(Invert)", "called 'on'", "none"]),
    "setting of earlier versions": (a("GenerativeEQ", "ltas_margin = 0.5"), ["no setting ltas_margin any more"]),
    "dunder": (a("Gain", "__class__ = 1.0"), ["no parameter called '__class__'"]),
    "method": (a("Gain", "process = 1.0"), ["no parameter called 'process'"]),
    "text": (a("Gain", 'gain_db = "loud"'), ["plugin 1 (Gain)", "gain_db must be a number, not 'loud'"]),
    "boolean": (a("Gain", "gain_db = true"), ["gain_db must be a number, not True"]),
    "list": (a("Gain", "gain_db = [1.0]"), ["gain_db must be a number, not [1.0]"]),
    "table": (a("Gain", "gain_db = { a = 1 }"), ["gain_db must be a number"]),
    "date": (a("Gain", "gain_db = 1999-01-01"), ["gain_db must be a number"]),
    "NaN": (a("Gain", "gain_db = nan"), ["gain_db must be a finite number, not nan"]),
    "infinite": (a("Gain", "gain_db = -inf"), ["gain_db must be a finite number, not -inf"]),
    "huge": (a("Gain", f"gain_db = 1{400 * '0'}"), ["a whole number of more than 18 digits"]),
    "long text": (a("Gain", f'gain_db = "{100000 * "x"}"'), ["gain_db must be a number"]),
    "loud": (a("Gain", "gain_db = 1e9"), ["gain_db must lie from -200 to 200, not 1e+09"]),
    "negative": (a("HighpassFilter", 'cutoff_frequency_hz = -5'), ["(HighpassFilter)", "from 0 to"]),
    "ratio": (a("NoiseGate", 'ratio = 0.5'), ["ratio must lie from 1 to"]),
    "endless": (a("Resample", 'target_sample_rate = 1e9'), ["target_sample_rate must lie"]),
    "Pedalboard's range": (a("Reverb", 'room_size = 2.0'), ["room_size cannot be 2.0", "Room Size"]),
    "choice": (a("LadderFilter", 'mode = "HPF42"'), ["no mode called 'HPF42'", "'HPF24'?", "BPF12"]),
    "choice number": (a("LadderFilter", 'mode = 3'), ["mode must be one of LPF12", "not 3"]),
    "switch": (a("BrickwallLimiter", 'true_peak = 1'), ["true_peak must be true or false, not 1"]),
    "within": (a("Mix", '[[plugins.plugins]]\nplugin = "Gain"\ngain = 1'),
               ["plugin 1.1 (Gain)", "no parameter called 'gain'"]),
    "Mix of parameters": (a("Mix", 'mix = 1'), ["(Mix)", "no parameter called 'mix'", "plugins"]),
    "Chain of offline": (a("Chain", 'plugins = [{ plugin = "Halve" }]'), ["plugin 1 (Chain)", "not this Halve"]),
    "Pedalboard of Board": (a("Pedalboard", 'plugins = [{ plugin = "Board" }]'), ["1 (Pedalboard)", "not this Board"]),
    "Chain of a Mix of offline": (
        a("Chain", 'plugins = [{ plugin = "Mix", plugins = [{ plugin = "Halve" }] }]'),
        ["plugin 1 (Chain)", "not this Mix (it has offline effects", "a Board takes both"]),
    "Mix of text": (a("Mix", 'plugins = "Gain"'), ["plugin 1", "plugins must be a list"]),
    "title within": (a("Board", 'title = 1'), ["plugin 1", "title must be text"]),
    "deep": ("plugins = " + 40 * '[{ plugin = "Chain", plugins = ' + "[]" + 40 * "}]", ["deep"]),
    "no response": (a("Convolution"), ["(Convolution)", "must name an audio file"]),
    "response number": (a("Convolution", 'impulse_response_filename = 1'), ["must name an audio file"]),
    "response missing": (a("Convolution", 'impulse_response_filename = "../../no.wav"'),
                         ["no impulse response", "no.wav"]),
    "response folder": (a("Convolution", 'impulse_response_filename = "."'), ["no impulse response"]),
    "response not audio": (a("Convolution", 'impulse_response_filename = "board.toml"'),
                           ["is not an audio file"]),
    "response zero byte": (a("Convolution", 'impulse_response_filename = "a\\u0000b"'),
                           ["no impulse response"]),
    "response device": (a("Convolution", 'impulse_response_filename = "/dev/zero"'),
                        ["no impulse response"]),
    "effect parameter": (a("Halve", 'amuont = 1'), ["(Halve)", "called 'amuont'", "'amount'?"]),
    "effect text": (a("Halve", 'amount = "x"'), ["amount must be a number, not 'x'"]),
    "effect switch": (a("Halve", 'on = 1'), ["on must be true or false"]),
    "effect words": (a("Halve", 'words = 1'), ["words must be text, not 1"]),
    "effect boolean": (a("Halve", 'amount = true'), ["amount must be a number, not True"]),
    "effect NaN": (a("Halve", 'amount = nan'), ["amount must be a finite number"]),
    "effect date": (a("Halve", 'more = 1999-01-01'), ["more must be text, a number"]),
    "effect nested NaN": (a("Halve", 'more = [[1, nan]]'), ["more must be a finite number"]),
    "GenerativeEQ preset": (a("GenerativeEQ", 'preset = "piaon"'), ["(GenerativeEQ)", "'piaon'", "piano"]),
    "GenerativeEQ path": (a("GenerativeEQ", 'preset = "../../etc"'), ["(GenerativeEQ)", "no preset"]),
    "GenerativeEQ value": (a("GenerativeEQ", 'mix = 2'), ["mix must lie from 0 to 1"]),
    "GenerativeEQ setting": (a("GenerativeEQ", 'mixx = 2'), ["'mixx'", "preset", "target_match"]),
    "GenerativeEQ objects": (a("GenerativeEQ", 'prior = "x"'), ["no parameter called 'prior'"]),
    "GenerativeEQ target": (a("GenerativeEQ", 'target = "no.txt"'), ["(GenerativeEQ)", "no.txt"]),
    "VST3": (a("VST3Plugin", 'path = "x.vst3"'), ["plugin 1 (VST3Plugin)", "x.vst3", "is a program",
                                                  "allow_external=True"]),
    "Audio Unit": (a("AudioUnitPlugin", 'path = "x.component"'), ["allow_external=True"]),
    "VST3 nowhere": (a("VST3Plugin"), ["needs a path"]),
    "VST3 key": (a("VST3Plugin", 'paht = "x"'), ["called 'paht'", "'path'?", "plugin_name"]),
    "VST3 parameters": (a("VST3Plugin", 'path = "x"\nparameters = 3'), ["parameters must be a table"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_with_a_mistake_is_refused_and_the_mistake_named(name, folder):
    text, words = BAD[name]
    if isinstance(text, str):
        if text and name not in ("not TOML", "brackets", "no format", "another format", "format number"):
            text = f'format = "{FORMAT}"\n{text}'
        text = text.encode()
    (folder / "board.toml").write_bytes(text)
    with pytest.raises(BoardError) as raised:
        Board.load(folder / "board.toml", effects=EFFECTS)
    message = str(raised.value)
    for word in [str(folder / "board.toml"), *words]:
        assert word in message, message
    assert len(message) < 1500 and message.endswith(".") and not message.endswith("..")


def test_what_is_no_file_is_refused(folder):
    (folder / "big.toml").write_text("#" * (2 << 20))
    for path, words in (("no.toml", "There is no board no.toml"), (folder, "is not a file"),
                        ("a\0b", "There is no board"), ("/dev/zero", "is not a file"),
                        ("big.toml", "larger than"), (5000 * "x", "There is no board")):
        with pytest.raises(BoardError, match=words):
            Board.load(path)


def test_a_factory_that_makes_no_effect_is_refused(folder):
    (folder / "board.toml").write_text(f'format = "{FORMAT}"\n[[plugins]]\nplugin = "Thing"\n')
    for thing in (lambda: 3, Instrument):
        with pytest.raises(BoardError, match=r"plugin 1 \(Thing\): Thing was registered as an effect, but"):
            Board.load("board.toml", effects={"Thing": thing})


class Opaque(Halve):
    def __repr__(self):
        return "<Opaque>"


class Gainlike(Gain):
    pass


@pytest.mark.parametrize("make, words", [
    (lambda: Convolution(np.ones(3, np.float32), 1.0, 44100), r"plugin 2 \(Convolution\).*given as numbers"),
    (lambda: AddLatency(3), r"plugin 2 \(AddLatency\).*not one of Pedalboard's own classes"),
    (lambda: Gainlike(), "not one of Pedalboard's own classes"),
    (lambda: Mix([Chain([AddLatency(3)])]), r"plugin 2\.1\.1 \(AddLatency\)"),
    (lambda: Board([Gain(-1000)]), r"plugin 2\.1 \(Gain\).*gain_db must lie from -200 to 200"),
    (lambda: Gain(float("nan")), "gain_db must be a finite number"),
    (lambda: Opaque(), r"repr does not have the form Opaque\(parameter=value"),
    (lambda: Halve(more=object()), "repr does not have the form"),
    (lambda: Halve(more=Halve()), "its more is not a plain value"),
    (lambda: Halve(more={1: 2}), "more must be text"),
    (lambda: Halve(amount=float("inf")), "amount is not a plain value"),
    (lambda: Halve(words="\ud800"), "not Unicode"),
])
def test_what_cannot_be_kept_is_refused_and_the_old_file_stays(make, words, folder):
    (folder / "board.toml").write_text("old")
    with pytest.raises(BoardError, match=words) as raised:
        Board([Gain(), make()]).save("board.toml")
    assert "board.toml" in str(raised.value)
    assert [path.name for path in folder.iterdir()] == ["board.toml"]
    assert (folder / "board.toml").read_text() == "old"


def test_a_board_that_cannot_be_written_says_why(folder):
    (folder / "sub").mkdir()
    for path, words in (("no/board.toml", "there is no folder no"), ("sub", "is a folder")):
        with pytest.raises(FileError, match=words):
            Board([Gain()]).save(path)


def test_a_broken_off_save_leaves_the_old_file(folder, monkeypatch):
    Board([Gain(1)]).save("board.toml")
    before = (folder / "board.toml").read_bytes()
    replace = os.replace

    def fail(source, destination, **folders):
        monkeypatch.setattr(os, "replace", replace)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match="no space left"):
        Board([Gain(2)]).save("board.toml")
    assert (folder / "board.toml").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["board.toml"]


def test_a_board_may_begin_with_the_mark_of_its_encoding(tmp_path):
    text = 'format = "babe2-board-1"\r\n[[plugins]]\r\nplugin = "Gain"\r\ngain_db = -6.0\r\n'
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "board.toml").write_bytes(text.encode(encoding))
        assert Board.load(tmp_path / "board.toml")[0].gain_db == -6
