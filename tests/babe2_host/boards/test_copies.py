"""Boards and Mixes are copied and pickled with all that is in them; what cannot be is named."""

import copy
import multiprocessing
import pickle
import threading

import numpy as np
import pedalboard
import pytest
from pedalboard import Chain, Convolution, Delay, Gain, Invert, LadderFilter, Pedalboard, Reverb
from pedalboard_native._internal import AddLatency

from babe2_fx import GenerativeEQ
from babe2_host import Board, Mix
from babe2_host.boards.effects import PeakNormalize, SpectralGate
from babe2_host.boards.plugins import NATIVE, parameter_names
from offline_effects import Halve, assert_same, noise, unusual

DEEP = {"deepcopy": copy.deepcopy, **{f"pickle {protocol}": lambda one, protocol=protocol: pickle.loads(
    pickle.dumps(one, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}}
ALL = DEEP | {"copy": copy.copy}


class Locked(Halve):
    """A user's effect that can be kept in a file, but not pickled."""

    def __init__(self, amount=0.5, **more):
        super().__init__(amount, **more)
        self.lock = threading.Lock()


class Tagged(Board):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tags = ["a"]


def board_of_all() -> Board:
    return Board([Gain(-1.3), None, GenerativeEQ(quality="draft", seed=3, s_churn=5), Halve(0.25),
                  Mix([None, Board([SpectralGate(0.3), LadderFilter(LadderFilter.Mode.HPF24, 300)], title="wet")]),
                  Pedalboard([Invert(), Chain([Delay(0.2), pedalboard.Mix([None, Reverb(0.7)])])]),
                  PeakNormalize(-3.0)], title="All", sample_rate=48000, depth="24")


@pytest.mark.parametrize("do", ALL)
def test_a_copy_has_all_that_the_board_has(do):
    board = board_of_all()
    made = ALL[do](board)
    assert type(made) is Board and made is not board and repr(made) == repr(board)
    assert (made.title, made.sample_rate, made.depth, made[4][1].title) == ("All", 48000, "24", "wet")
    with pytest.raises(AttributeError, match="Did you mean 'sample_rate'"):
        made.sample_rat = 1


@pytest.mark.parametrize("do", DEEP)
def test_a_deep_copy_is_of_its_own(do):
    board = board_of_all()
    before, made = repr(board), DEEP[do](board)
    made[0].gain_db, made[2].mix, made[3].amount, made[4][1][0].reduction = 6.0, 0.5, 0.75, 0.1
    made[5][1][0].delay_seconds = 0.5
    made.title, made.sample_rate = "Other", None
    made[4].append(Gain())
    made.clear()
    assert repr(board) == before


def test_a_shallow_copy_is_another_list_of_the_same():
    board = board_of_all()
    made = copy.copy(board)
    assert all(a is b for a, b in zip(made, board))
    made.append(Gain())
    made.title = "Other"
    assert len(board) == len(made) - 1 and board.title == "All"


@pytest.mark.parametrize("do", ALL)
def test_a_copy_sounds_the_same(do):
    def make():
        return Board([Delay(0.003), Halve(0.25), Mix([None, Board([Reverb(), PeakNormalize()])]), Gain(-3)])
    made = ALL[do](make())
    assert_same(made(noise(2, 2000), 44100), make()(noise(2, 2000), 44100))
    assert_same(made(noise(1, 700), 22050, 64), make()(noise(1, 700), 22050, 64))


@pytest.mark.parametrize("do", DEEP)
@pytest.mark.parametrize("name", NATIVE)
def test_every_plugin_of_pedalboard_is_copied_to_the_last_bit(name, do, room_wav):
    plugin = unusual(NATIVE[name], room_wav)
    made, = DEEP[do](Board([plugin]))
    assert type(made) is type(plugin) and made is not plugin
    for parameter in parameter_names(type(plugin)):
        assert getattr(made, parameter) == getattr(plugin, parameter), parameter


def test_values_that_a_board_file_does_not_take_are_copied_too():
    assert copy.deepcopy(Board([Gain(-1000)]))[0].gain_db == Gain(-1000).gain_db


def test_a_plugin_in_two_boards_is_one_in_their_copies():
    gain = Gain(-3)
    for do in DEEP.values():
        one, other = do([Board([gain]), Board([Mix([gain])])])
        assert one[0] is other[0][0] and one[0] is not gain


def test_a_users_own_board_stays_one():
    for do in ALL.values():
        made = do(Tagged([Gain()], title="T"))
        assert type(made) is Tagged and made.tags == ["a"] and made.title == "T"
    one = Tagged([Gain()])
    copy.deepcopy(one).tags.append("b")
    assert one.tags == ["a"]


def test_a_copys_lock_and_native_plugins_are_its_own():
    board = Board([Delay(0.01)])
    board(noise(2, 500), 44100)
    for do in ALL.values():
        made = do(board)
        assert made._lock is not board._lock and made._first is not board._first


@pytest.mark.parametrize("do", DEEP)
@pytest.mark.parametrize("make, where, why", [
    (lambda: AddLatency(3), r"2\.2\.1 \(AddLatency\)", "cannot pickle"),
    (lambda: Convolution(np.ones(3, np.float32), 1.0, 44100), r"2\.2\.1 \(Convolution\)", "given as numbers"),
    (lambda: Chain([Gain(), AddLatency(3)]), r"2\.2\.1 \(Chain\)", "AddLatency"),
    (lambda: Locked(), r"2\.2\.1 \(Locked\)", "lock"),
])
def test_what_cannot_be_copied_is_named_with_another_way(do, make, where, why):
    board = Board([Gain(), Mix([None, Board([make()])])])
    with pytest.raises(TypeError, match=f"^This Board cannot be (copied|pickled): its plugin {where}.*{why}.*"
                                        r"`board\.save` and `Board\.load`\.$"):
        DEEP[do](board)
    assert len(copy.copy(board)) == 2


def test_the_other_way_keeps_what_a_pickle_does_not(folder):
    Board([Locked(0.25, more="plain")]).save("board.toml")
    assert Board.load("board.toml", {"Locked": Locked})[0].amount == 0.25


def test_a_board_goes_to_another_process():
    board = Board([Gain(-3), Mix([None, Board([Delay(0.003), PeakNormalize(-6.0)])])], title="T")
    audio = noise(2, 1000)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert_same(pool.apply(board, (audio, 44100)), board(audio, 44100))
