"""Fixtures for the tests of batches."""

import pytest
import soundfile

from batches import GAIN, RATE


@pytest.fixture
def shelf(folder, make_notes):
    """The folder `in` with three recordings, two of them a folder down, and a board that lowers them by 6 dB."""
    (folder / "in" / "disc 1").mkdir(parents=True)
    for seed, name in enumerate(("a.wav", "disc 1/b.flac", "disc 1/ü.wav")):
        soundfile.write(folder / "in" / name, make_notes(RATE, 0.5, seed=seed).T, RATE)
    (folder / "in" / "notes.txt").write_text("not a recording")
    (folder / "in" / "._a.wav").write_text("what macOS leaves on other disks")
    (folder / "gain.toml").write_text(f'format = "babe2-board-1"\n{GAIN}')
    return folder
