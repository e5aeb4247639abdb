"""Fixtures for the tests of boards."""

import numpy as np
import pytest
import soundfile


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
