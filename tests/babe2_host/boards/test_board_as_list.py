"""A Board does what a list of plugins does."""

import copy

import numpy as np
import pytest
from pedalboard import Delay, Gain, Pedalboard, Reverb

from babe2_host.boards.board import Board
from offline_effects import Halve, Instrument, assert_same, noise, outcome

PARTS = [Gain(), Reverb(), Delay(), Pedalboard([Gain()])]

# What Pedalboard has of a list's ways.
SHARED = {
    "append": lambda b: b.append(PARTS[3]), "append text": lambda b: b.append("Gain"),
    "append class": lambda b: b.append(Gain), "append number": lambda b: b.append(3),
    "insert 0": lambda b: b.insert(0, PARTS[3]), "insert 1": lambda b: b.insert(1, PARTS[3]),
    "insert 3": lambda b: b.insert(3, PARTS[3]), "insert -1": lambda b: b.insert(-1, PARTS[3]),
    "insert -3": lambda b: b.insert(-3, PARTS[3]), "insert 4": lambda b: b.insert(4, PARTS[3]),
    "insert -4": lambda b: b.insert(-4, PARTS[3]), "insert text": lambda b: b.insert(0, "Gain"),
    "append None": lambda b: b.append(None), "insert None": lambda b: b.insert(1, None),
    "set None": lambda b: b.__setitem__(0, None), "None in it": lambda b: (b.append(None), None in b),
    "nested list": lambda b: b.append([PARTS[3]]),
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
    board = Board(PARTS, title="All", sample_rate=44100, depth="24")
    part, whole = board[:2], copy.copy(board)
    for made in (part, whole):
        assert isinstance(made, Board) and (made.title, made.sample_rate, made.depth) == ("All", 44100, "24")
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
    ("Gain", TypeError, "not 'Gain'"), (3, TypeError, "not 3"),
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
