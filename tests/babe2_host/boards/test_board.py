"""Board: Pedalboard's contract with offline effects in it, and boards in files."""

import copy
import os
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pedalboard
import pytest
import soundfile
from pedalboard import (
    BrickwallLimiter,
    Chain,
    Compressor,
    Convolution,
    Delay,
    Distortion,
    Gain,
    HighpassFilter,
    Invert,
    LadderFilter,
    Mix,
    PeakFilter,
    Pedalboard,
    Phaser,
    PitchShift,
    Resample,
    Reverb,
)
from pedalboard_native._internal import AddLatency, PrimeWithSilenceTestPlugin

import babe2_host
from babe2_fx.files import FileError
from babe2_host.boards import plugins
from babe2_host.boards.board import Board, OfflineEffect
from babe2_host.boards.board_files import FORMAT
from babe2_host.boards.catalogue import find_board, list_boards
from babe2_host.boards.plugins import NATIVE, BoardError, load_external, parameter_names


@dataclass
class Halve:
    """A stand-in for an effect that has to hear the whole recording."""

    amount: float = 0.5
    words: str = ""
    on: bool = True
    more: object = None
    is_effect: ClassVar = True
    resets: ClassVar = 0

    def process(self, input_array, sample_rate, buffer_size, reset):
        if not reset:
            raise ValueError("Halve needs it all at once.")
        return input_array * np.float32(self.amount)

    def reset(self):
        Halve.resets += 1


class Broken(Halve):
    """An effect that returns whatever it was made with."""

    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def process(self, input_array, sample_rate, buffer_size, reset):
        return self.returned


class Instrument(Halve):
    is_effect = False


EFFECTS = {"Halve": Halve}


@pytest.fixture(autouse=True)
def no_boards_of_the_users_own(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def room_wav(folder):
    """room.wav: an impulse response."""
    decay = np.exp(-np.arange(800) / 100)
    soundfile.write("room.wav", np.random.default_rng(5).normal(size=800) * decay, 44100)
    return folder / "room.wav"


def noise(*shape, dtype=np.float32, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def assert_same(one, other):
    assert one.dtype == other.dtype == np.float32
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


# ----------------------------------------------------------------------------- as Pedalboard, to the last bit

# Each makes new plugins, for two boards must not share them.
CHAINS = {
    "empty": list,
    "filters": lambda: [HighpassFilter(80), PeakFilter(1000, 4, 0.7), LadderFilter(LadderFilter.Mode.LPF24)],
    "dynamics": lambda: [Compressor(-20, 4), Distortion(10), BrickwallLimiter(-1)],
    "tails": lambda: [Delay(0.01, 0.5, 0.5), Phaser(), Reverb()],
    "late": lambda: [AddLatency(37), Gain(-3), PrimeWithSilenceTestPlugin(100), Resample(8000)],
    "nested": lambda: [Gain(-3), Mix([Chain([Delay(0.003), AddLatency(5)]), Chain([])]),
                       Pedalboard([Invert(), Reverb()])],
}
SHAPES = [(0,), (1,), (1000,), (2, 0), (0, 2), (1, 1), (2, 1), (3, 2), (1, 700), (2, 700), (700, 1), (700, 2),
          (6, 300)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chain", CHAINS)
def test_without_offline_effects_the_output_is_pedalboards(chain, shape):
    for rate in (8000, 44100, 48000.5, 96000):
        for size in (1, 64, 512, 8192, 100000):
            for dtype in (np.float32, np.float64):
                audio = noise(*shape, dtype=dtype)
                expected = Pedalboard(CHAINS[chain]())(audio, rate, size)
                board = Board(CHAINS[chain]())
                assert_same(board(audio, rate, size), expected)
                assert_same(board.process(input_array=audio, sample_rate=rate, buffer_size=size), expected)


def test_pitch_shift_too():  # which is slow, and whose latency is long
    audio = noise(2, 700)
    expected = Pedalboard([Gain(-3), PitchShift(3), Delay(0.01)])(audio, 44100, 512)
    assert_same(Board([Gain(-3), PitchShift(3), Delay(0.01)])(audio, 44100, 512), expected)


@pytest.mark.parametrize("block", [1, 100, 512, 3000])
@pytest.mark.parametrize("chain", CHAINS)
def test_streaming_gives_pedalboards_blocks(chain, block):
    native, board = Pedalboard(CHAINS[chain]()), Board(CHAINS[chain]())
    audio = noise(2, 6000 if block > 1 else 60)
    for size in (64, 8192):
        for start in range(0, audio.shape[1], block):
            piece = audio[:, start:start + block]
            first = start == 0
            assert_same(board(piece, 44100, size, reset=first), native(piece, 44100, size, reset=first))


def test_boards_within_stream_as_pedalboards_within():
    def chain(kind):
        return kind([Gain(-3), kind([AddLatency(37), kind([Delay(0.01)]), kind([])]), Reverb()])

    native, board = chain(Pedalboard), chain(Board)
    for seed in range(5):
        piece = noise(2, 300, seed=seed)
        assert_same(board(piece, 44100, 128, reset=False), native(piece, 44100, 128, reset=False))


def test_edits_and_changed_parameters_are_heard_as_in_pedalboard():
    boards = [Pedalboard([Delay(0.01), Gain(-3)]), Board([Delay(0.01), Gain(-3)])]
    edits = [lambda b: setattr(b[1], "gain_db", -9), lambda b: b.insert(0, Reverb()),
             lambda b: b.append(Invert()), lambda b: b.remove(b[1]),
             lambda b: b.__setitem__(0, Phaser()), lambda b: b.__delitem__(-1)]
    for seed, edit in enumerate(edits):
        for b in boards:
            edit(b)
        native, own = (b(noise(2, 400, seed=seed), 44100, 128, reset=False) for b in boards)
        assert_same(own, native)


@pytest.mark.parametrize("square", [(2, 2), (2, 1), (3, 3)], ids=str)
@pytest.mark.parametrize("first", [(2, 300), (300, 2), (300,)], ids=str)
def test_the_layout_of_square_arrays_is_remembered_as_in_pedalboard(first, square):
    native, board = Pedalboard([Delay(0.0001), Gain()]), Board([Delay(0.0001), Gain()])
    audio = noise(*square, seed=7)
    for do in (lambda b: b(noise(*first), 44100), lambda b: b.append(Invert()), lambda b: b.reset()):
        do(native)
        do(board)
        assert outcome(lambda: board(audio, 44100)) == outcome(lambda: native(audio, 44100))


def outcome(call):
    """What a call returns, or the kind of its error."""
    try:
        result = call()
    except Exception as error:
        return type(error)
    return (result.shape, result.tobytes()) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("plugins", [[], [Gain()], [Halve()]], ids=["empty", "native", "offline"])
@pytest.mark.parametrize("arguments", [
    ([0.1, 0.2], 44100), (np.zeros(9, np.int16), 44100), (np.zeros(9, np.float16), 44100), (None, 44100),
    (np.zeros((1, 2, 3), np.float32), 44100), (np.float32(1), 44100), (np.zeros((0, 0)), 44100),
    (np.zeros((2, 2)), 44100), (np.zeros(9), "fast"), (np.zeros(9), None), (np.zeros(9), 44100, 1.5),
    (np.zeros(9), 44100, -1), (np.zeros(9), 44100, 512, "yes"),
], ids=repr)
def test_what_pedalboard_refuses_is_refused_alike(plugins, arguments):
    expected = outcome(lambda: Pedalboard([Gain()])(*arguments))
    assert issubclass(expected, Exception)
    assert outcome(lambda: Board(plugins)(*arguments)) is expected


def test_a_buffer_of_nothing_is_refused_where_pedalboard_would_never_return():
    with pytest.raises(ValueError, match="buffer_size must be at least 1, not 0"):
        Board([Gain()])(noise(2, 100), 44100, 0)


@pytest.mark.parametrize("effects", [[], [Halve()]], ids=["native", "mixed"])
def test_one_plugin_in_two_places_is_refused(effects):
    gain = Gain()
    for other in (gain, Mix([Chain([gain])]), Board([gain])):
        with pytest.raises(RuntimeError, match="same plugin instance"):
            Board([gain, *effects, other])(noise(100), 44100)


# -------------------------------------------------------------------------------------------- offline effects

@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_offline_effects_run_between_pedalboards(shape):
    audio = noise(*shape, dtype=np.float64)
    half = Halve(0.5)
    board = Board([Delay(0.002), Gain(-3), half, Reverb(), Invert(), Halve(0.25), half])
    before, after = Pedalboard([Delay(0.002), Gain(-3)]), Pedalboard([Reverb(), Invert()])
    expected = after(before(audio, 44100, 64) * np.float32(0.5), 44100, 64) * np.float32(0.125)
    assert_same(board(audio, 44100, 64), expected)
    assert_same(board(audio, 44100, 64), expected)


def test_neighbouring_plugins_run_as_one_pedalboard_those_of_boards_within_too():
    board = Board([Gain(), Board([Gain(), Halve(), Gain()]), Pedalboard([Gain()]), Halve(), Halve(), Gain()])
    assert [len(stage) if isinstance(stage, Pedalboard) else "effect" for stage in board._arrange()[1:]] == [
        "effect", 2, "effect", "effect", 1]


def test_an_offline_effect_first_is_given_float32_and_may_write_on_it():
    class InPlace(Halve):
        def process(self, input_array, sample_rate, buffer_size, reset):
            assert input_array.dtype == np.float32
            input_array *= 2
            return input_array

    audio = noise(2, 100, dtype=np.float64)
    kept = audio.copy()
    assert_same(Board([InPlace()])(audio, 44100), 2 * audio.astype(np.float32))
    assert np.array_equal(audio, kept)


def test_an_offline_effect_refuses_to_stream_in_its_own_words():
    for board in (Board([Gain(), Halve()]), Board([Halve(), Gain()]), Board([Board([Halve()])])):
        with pytest.raises(ValueError, match="Halve needs it all at once"):
            board(noise(2, 100), 44100, reset=False)
        board(noise(2, 100), 44100)


@pytest.mark.parametrize("returned, error, words", [
    (None, TypeError, "Broken returned NoneType"), ([0.0], TypeError, "Broken returned list"),
    (np.zeros((2, 9), np.int16), TypeError, "Broken returned int16"),
    (np.zeros((9, 2)), RuntimeError, r"shape \(2, 9\) and returned \(9, 2\)"),
    (np.zeros(9), RuntimeError, r"returned \(9,\)"),
])
def test_what_an_effect_returns_is_checked(returned, error, words):
    with pytest.raises(error, match=words):
        Board([Broken(returned), Gain()])(noise(2, 9), 44100)


def test_an_effects_float64_becomes_float32():
    assert Board([Broken(np.zeros((2, 9)))])(noise(2, 9), 44100).dtype == np.float32


def test_reset_reaches_all():
    delay = Delay(0.01)
    board = Board([Halve(), delay])
    before = Halve.resets
    board.reset()
    assert Halve.resets == before + 1
    native = Pedalboard([delay])
    native(noise(2, 1000), 44100)
    board.reset()
    assert not native(np.zeros((2, 1000), np.float32), 44100, reset=False).any()


def test_a_board_is_an_effect_and_an_offline_effect_is_known_by_its_methods():
    assert Board().is_effect and not Board().is_instrument
    assert isinstance(Board(), OfflineEffect) and isinstance(Halve(), OfflineEffect)
    assert not isinstance("Halve", OfflineEffect)


# ----------------------------------------------------------------------------------------------- being a list

PARTS = [Gain(), Reverb(), Delay(), Pedalboard([Gain()])]

# What Pedalboard has of a list's ways.
SHARED = {
    "append": lambda b: b.append(PARTS[3]), "append text": lambda b: b.append("Gain"),
    "append class": lambda b: b.append(Gain), "append number": lambda b: b.append(3),
    "insert 0": lambda b: b.insert(0, PARTS[3]), "insert 1": lambda b: b.insert(1, PARTS[3]),
    "insert 3": lambda b: b.insert(3, PARTS[3]), "insert -1": lambda b: b.insert(-1, PARTS[3]),
    "insert -3": lambda b: b.insert(-3, PARTS[3]), "insert 4": lambda b: b.insert(4, PARTS[3]),
    "insert -4": lambda b: b.insert(-4, PARTS[3]), "insert text": lambda b: b.insert(0, "Gain"),
    "get 0": lambda b: b[0], "get -1": lambda b: b[-1], "get -3": lambda b: b[-3], "get 3": lambda b: b[3],
    "get -4": lambda b: b[-4], "get text": lambda b: b["a"], "get 1.0": lambda b: b[1.0],
    "get NumPy's": lambda b: b[np.int64(1)],
    "set 1": lambda b: b.__setitem__(1, PARTS[3]), "set -3": lambda b: b.__setitem__(-3, PARTS[3]),
    "set 3": lambda b: b.__setitem__(3, PARTS[3]), "set text": lambda b: b.__setitem__(0, "Gain"),
    "del 0": lambda b: b.__delitem__(0), "del -1": lambda b: b.__delitem__(-1),
    "del 3": lambda b: b.__delitem__(3),
    "remove": lambda b: b.remove(PARTS[1]), "remove another": lambda b: b.remove(PARTS[3]),
    "remove an equal": lambda b: b.remove(Gain()), "len": len, "bool": bool, "list": list,
    "reversed": lambda b: list(reversed(b)), "in": lambda b: PARTS[2] in b,
    "in another": lambda b: PARTS[3] in b,
    "in an equal": lambda b: Gain() in b, "in None": lambda b: None in b, "==": lambda b: b == b,
    "== another": lambda b: b == type(b)(list(b)), "== a list": lambda b: b == PARTS[:3],
    "unpack": lambda b: [*b], "hash": lambda b: hash(b) == hash(b),
}


@pytest.mark.parametrize("name", SHARED)
def test_it_is_the_list_that_pedalboard_is(name):
    native, board = Pedalboard(PARTS[:3]), Board(PARTS[:3])
    expected = outcome(lambda: SHARED[name](native))
    got = outcome(lambda: SHARED[name](board))
    assert got == expected
    assert list(board) == list(native)


# And the rest of a list's.
LISTS = {
    "pop": lambda b: b.pop(), "pop 0": lambda b: b.pop(0), "pop -2": lambda b: b.pop(-2),
    "pop 9": lambda b: b.pop(9),
    "extend": lambda b: b.extend(PARTS[3:]), "extend by iterator": lambda b: b.extend(iter(PARTS[3:])),
    "extend by itself": lambda b: b.extend(b), "clear": lambda b: b.clear(), "reverse": lambda b: b.reverse(),
    "index": lambda b: b.index(PARTS[1]), "index from 2": lambda b: b.index(PARTS[1], 2),
    "index from -1": lambda b: b.index(PARTS[2], -1), "index before": lambda b: b.index(PARTS[2], 0, 2),
    "index of another": lambda b: b.index(PARTS[3]), "count": lambda b: b.count(PARTS[0]),
    "count text": lambda b: b.count("Gain"), "in text": lambda b: "Gain" in b,
    "slice": lambda b: list(b[1:]), "slice back": lambda b: list(b[::-1]),
    "slice of none": lambda b: list(b[5:9]),
    "set slice": lambda b: b.__setitem__(slice(0, 2), PARTS[3:]),
    "set steps": lambda b: b.__setitem__(slice(0, 3, 2), [PARTS[3], PARTS[0]]),
    "set steps badly": lambda b: b.__setitem__(slice(0, 3, 2), PARTS[3:]),
    "del slice": lambda b: b.__delitem__(slice(1, None)),
    "del steps": lambda b: b.__delitem__(slice(0, 3, 2)),
    "pop all": lambda b: [b.pop() for _ in range(4)], "copy": lambda b: list(copy.copy(b)),
}


@pytest.mark.parametrize("name", LISTS)
def test_it_does_what_a_list_does(name):
    plain, board = PARTS[:3], Board(PARTS[:3])
    expected = outcome(lambda: LISTS[name](plain))
    assert outcome(lambda: LISTS[name](board)) == expected
    assert list(board) == plain


def test_adding_in_place_extends_the_same_board():
    board = same = Board(PARTS[:1])
    board += PARTS[1:]
    assert board is same and list(board) == PARTS


def test_slices_and_copies_are_boards_of_their_own():
    board = Board(PARTS, title="All")
    part, whole = board[:2], copy.copy(board)
    assert isinstance(part, Board) and isinstance(whole, Board) and whole.title == "All"
    part.append(PARTS[3])
    whole.clear()
    assert list(board) == PARTS
    assert_same(board[:1](noise(9), 44100), Gain()(noise(9), 44100))


def test_effects_that_compare_equal_are_told_apart():
    one, other = Halve(), Halve()
    board = Board([one, other])
    assert board.index(other) == 1 and board.count(one) == 1
    board.remove(other)
    assert board[0] is one and other not in board


@pytest.mark.parametrize("wrong, error, words", [
    ("Gain", TypeError, "not 'Gain'"), (None, TypeError, "not None"), (3, TypeError, "not 3"),
    (Gain, TypeError, r"Gain is a class; .* Gain\(\.\.\.\)"), (Halve, TypeError, "Halve is a class"),
    ([Gain()], TypeError, "process, reset and is_effect"), (lambda audio: audio, TypeError, "process, reset"),
    (Instrument(), ValueError, "is an instrument"),
])
def test_what_cannot_be_in_a_board_is_refused_and_nothing_is_changed(wrong, error, words):
    board = Board(PARTS[:2])
    for put in (lambda: Board([wrong]), lambda: board.append(wrong), lambda: board.insert(0, wrong),
                lambda: board.__setitem__(0, wrong), lambda: board.__setitem__(slice(0, 1), [Gain(), wrong]),
                lambda: board.extend([Gain(), wrong])):
        with pytest.raises(error, match=words):
            put()
    assert list(board) == PARTS[:2]


def test_a_board_cannot_be_within_itself():
    board, around = Board(), Board()
    around.append(Board([board]))
    for within in (board, around):
        with pytest.raises(ValueError, match="into itself"):
            board.append(within)


@pytest.mark.parametrize("not_a_list", ["Gain", 3, Gain()])
def test_only_lists_of_plugins_make_a_board(not_a_list):
    with pytest.raises(TypeError):
        Board(not_a_list)


# ---------------------------------------------------------------------------------------------------- threads

@pytest.mark.parametrize("make", [lambda: [Delay(0.003), Reverb(), Gain(-3)],
                                  lambda: [Delay(0.003), Halve(), Reverb(), Halve(), BrickwallLimiter()]],
                         ids=["native", "mixed"])
def test_threads_may_share_a_board(make):
    board = Board(make())
    inputs = [noise(1 + seed % 2, 3000 + 100 * seed, seed=seed) for seed in range(16)]
    expected = [Board(make())(audio, 44100, 256) for audio in inputs]
    with ThreadPoolExecutor(6) as pool:
        for got, wanted in zip(pool.map(lambda audio: board(audio, 44100, 256), inputs), expected):
            assert_same(got, wanted)


def test_a_board_may_be_edited_while_other_threads_call_it():
    board, done, errors = Board([Gain(0), Halve(1.0), Gain(0)]), threading.Event(), []

    def call():
        while not done.is_set():
            try:
                assert np.isfinite(board(noise(2, 2000), 44100, 256)).all()
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        board.insert(1, Gain(0))
        board.append(Halve(1.0))
        del board[0]
        board.pop()
    done.set()
    for thread in threads:
        thread.join()
    assert not errors


# --------------------------------------------------------------------------------------------- as Python text

def test_the_repr_makes_the_same_board(room_wav):
    board = Board([HighpassFilter(30.1), LadderFilter(LadderFilter.Mode.HPF24, 300),
                   Mix([None, Chain([Delay()])]),
                   Board([Pedalboard([PeakFilter(1000, 3.3)]), Halve(0.1, "it's")], title="In"),
                   pedalboard.GSMFullRateCompressor(Resample.Quality.Linear),
                   BrickwallLimiter(true_peak=True), Convolution(str(room_wav), 0.2)], title="Out")
    again = eval(repr(board), vars(pedalboard) | {"Board": Board, "Halve": Halve})
    assert repr(again) == repr(board)
    assert "cutoff_frequency_hz=30.1" in repr(board) and "gain_db=3.3" in repr(board)
    assert_same(again(noise(2, 2000), 44100), board(noise(2, 2000), 44100))


def test_the_repr_of_what_cannot_be_written_is_its_own():
    assert "<pedalboard.Convolution" in repr(Board([Convolution(np.ones(3, np.float32), sample_rate=44100)]))
    assert repr(Board()) == "Board([])"


# -------------------------------------------------------------------------------------------- boards in files

def unusual(kind, room_wav):
    """A plugin of a class of Pedalboard with no parameter at its default."""
    plugin = Convolution(str(room_wav)) if kind is Convolution else kind()
    for name in parameter_names(kind):
        now = getattr(plugin, name)
        if isinstance(now, bool):
            values = [not now]
        elif isinstance(now, float):
            values = [0.9 * now + 0.0123, 1.1 * now + 0.123]
        else:
            values = [list(type(now).__members__.values())[3]]
        for value in values:
            try:
                setattr(plugin, name, value)
                break
            except ValueError:
                continue
        assert getattr(plugin, name) != now
    return plugin


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
    "dunder": (a("Gain", "__class__ = 1.0"), ["no parameter called '__class__'"]),
    "method": (a("Gain", "process = 1.0"), ["no parameter called 'process'"]),
    "text": (a("Gain", 'gain_db = "loud"'), ["plugin 1 (Gain)", "gain_db must be a number, not 'loud'"]),
    "boolean": (a("Gain", "gain_db = true"), ["gain_db must be a number, not True"]),
    "list": (a("Gain", "gain_db = [1.0]"), ["gain_db must be a number, not [1.0]"]),
    "table": (a("Gain", "gain_db = { a = 1 }"), ["gain_db must be a number"]),
    "date": (a("Gain", "gain_db = 1999-01-01"), ["gain_db must be a number"]),
    "NaN": (a("Gain", "gain_db = nan"), ["gain_db must be a finite number, not nan"]),
    "infinite": (a("Gain", "gain_db = -inf"), ["gain_db must be a finite number, not -inf"]),
    "huge": (a("Gain", f"gain_db = 1{400 * '0'}"), ["gain_db must be a finite number"]),
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
    "Mix of offline": (a("Mix", 'plugins = [{ plugin = "Halve" }]'), ["plugin 1 (Mix)", "not Halve"]),
    "Mix of Board": (a("Mix", 'plugins = [{ plugin = "Board" }]'), ["plugin 1 (Mix)", "not Board"]),
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

    def fail(source, destination):
        monkeypatch.setattr(os, "replace", replace)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match="no space left"):
        Board([Gain(2)]).save("board.toml")
    assert (folder / "board.toml").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["board.toml"]


# --------------------------------------------------------------------- plugins that are programs of their own

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


def external(path, more=""):
    return f'format = "{FORMAT}"\n[[plugins]]\nplugin = "VST3Plugin"\npath = "{path}"\n{more}'


def test_programs_are_run_only_if_allowed(fake_vst3, folder):
    (folder / "board.toml").write_text(external("fake.vst3", "parameters = { gain_db = -6 }"))
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
    (folder / "board.toml").write_text(external(path, more))
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


# --------------------------------------------------------------------------------------------- boards by name

@pytest.mark.parametrize("name", ["piano-78", "voice-78"])
def test_boards_ship(name, folder):
    assert name in list_boards()
    board = Board.load(find_board(name))
    assert board.title and [type(plugin).__name__ for plugin in board] == [
        "HighpassFilter", "GenerativeEQ", "BrickwallLimiter"]
    board[1].mix = 0.0  # the input: no weights are needed
    output = board(4 * noise(1, 22050), 44100)
    assert output.shape == (1, 22050) and 0.8 < np.abs(output).max() <= 10 ** (-1 / 20) + 1e-6


def test_the_users_own_boards_are_found_by_name(folder):
    own = os.environ["BABE2_CONFIG"]
    os.mkdir(os.path.join(own, "boards"))
    Board([Gain(-3)], title="Mine").save(os.path.join(own, "boards", "mine.toml"))
    assert "mine" in list_boards()
    assert Board.load(find_board("mine")).title == "Mine"
    Board().save(os.path.join(own, "boards", "piano-78.toml"))
    with pytest.raises(BoardError, match="name of a board that ships"):
        find_board("piano-78")
    assert list_boards().count("piano-78") == 1


def test_a_board_is_found_by_its_path_or_what_there_is_is_named(folder):
    Board().save("piano-78.toml")
    assert str(find_board("piano-78.toml")) == "piano-78.toml"
    assert find_board(folder / "piano-78.toml") == folder / "piano-78.toml"
    with pytest.raises(BoardError, match="no board called 'piano-87'. Did you mean 'piano-78'.*voice-78"):
        find_board("piano-87")
    for path in ("no.toml", "sub/piano-78", 5000 * "x" + ".toml"):
        with pytest.raises(BoardError, match=f"There is no board {path}"):
            find_board(path)


@pytest.mark.parametrize("name", babe2_host.__all__)
def test_the_face_of_the_package_has_what_it_names(name):
    assert getattr(babe2_host, name).__name__ == name


def test_the_face_of_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="'babe2_host' has no attribute 'Plank'"):
        babe2_host.Plank  # noqa: B018
