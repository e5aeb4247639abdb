"""Boards by name, and what the package shows of them."""

import os

import numpy as np
import pytest
from pedalboard import Gain

import babe2_host
from babe2_host.boards.board import Board
from babe2_host.boards.catalogue import find_board, list_boards
from babe2_host.boards.plugins import BoardError
from offline_effects import noise


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
        with pytest.raises(BoardError, match=f"There is no board {path[:900]}"):
            find_board(path)


@pytest.mark.parametrize("name", babe2_host.__all__)
def test_the_face_of_the_package_has_what_it_names(name):
    assert getattr(babe2_host, name).__name__ == name


def test_the_face_of_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="'babe2_host' has no attribute 'Plank'"):
        babe2_host.Plank  # noqa: B018
