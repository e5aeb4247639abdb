"""The one reader. What it refuses, and what of it the host needs, is tested where the host reads."""

import numpy as np
import pytest
import soundfile

from babe2_fx import TargetProfile
from babe2_fx.audio import reading
from babe2_fx.audio.reading import read_audio
from babe2_fx.files import FileError
from babe2_fx.training.material import decode

RATE = 44100


@pytest.mark.parametrize("ending", [".wav", ".flac", ".aiff", ".ogg", ".mp3"])
def test_reading_in_chunks_is_reading_at_once(tmp_path, make_notes, ending, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_FRAMES", 5000)
    soundfile.write(tmp_path / f"a{ending}", make_notes(RATE, 1.5, 2).T, RATE)
    expected, _ = soundfile.read(tmp_path / f"a{ending}", dtype="float32")
    recording = read_audio(tmp_path / f"a{ending}")
    assert np.array_equal(recording.audio, expected.T) and recording.duration_s == len(expected) / RATE


@pytest.mark.parametrize("read", [read_audio, TargetProfile.from_file, lambda path: list(decode(path, RATE))],
                         ids=["reader", "target", "training"])
def test_a_recording_cut_in_half_is_refused_wherever_it_is_read(tmp_path, make_notes, read):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_notes(RATE, 1.0).T, RATE)
    read(path)
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(FileError, match="a.wav is truncated: its header promises") as caught:
        read(path)
    assert caught.value.code == "truncated" and caught.value.fields == {"path": path}
