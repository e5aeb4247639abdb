"""The second decoder: in a process of its own, with bounds, and for what libsndfile does not know only."""

import struct
import sys
import threading

import numpy as np
import pytest
import soundfile

from babe2_fx.audio import foreign, reading
from babe2_fx.audio.foreign import NotDecodedError
from babe2_fx.audio.reading import read_audio
from babe2_fx.files import FileError

RATE = 22050


@pytest.fixture
def unknown(monkeypatch):
    """libsndfile that knows no file at all."""
    def sound(*args, **kwargs):
        raise soundfile.LibsndfileError(reading.UNRECOGNISED)
    monkeypatch.setattr(reading.soundfile, "SoundFile", sound)


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    """decoder(lines): another program in the place of the decoder."""
    def decoder(lines):
        path = tmp_path / "decoder.py"
        path.write_text(lines)
        monkeypatch.setattr(foreign, "DECODER", path)
    return decoder


def test_it_gives_the_samples_that_the_file_holds(tmp_path, make_notes, unknown):
    audio = make_notes(RATE, 4.0, 2)
    with open(tmp_path / "a.wav", "wb") as file:
        data = np.ascontiguousarray(audio.T).tobytes()
        file.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, 3, 2, RATE, 8 * RATE, 8, 32) + b"data" + struct.pack("<I", len(data)) + data)
    recording = read_audio(tmp_path / "a.wav")
    assert np.array_equal(recording.audio, audio) and recording.sample_rate == RATE


def test_what_hangs_is_ended_and_said(tmp_path, unknown, decoder, monkeypatch):
    decoder("while True: pass")
    monkeypatch.setattr(foreign, "STALLED_S", 0.5)
    (tmp_path / "a.m4a").write_bytes(bytes(64))
    with pytest.raises(NotDecodedError, match="a.m4a cannot be read: its decoder did nothing.* Convert it to WAV"):
        read_audio(tmp_path / "a.m4a")


def test_its_process_ends_with_the_reading_of_it(tmp_path, decoder):
    decoder("import json, struct, sys, time\nabout = json.dumps({'rate': 8000, 'channels': 1, 'frames': 9}).encode()\n"
            "sys.stdout.buffer.write(struct.pack('<I', len(about)) + about)\nsys.stdout.flush()\ntime.sleep(600)")
    (tmp_path / "a.m4a").write_bytes(bytes(64))
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt), foreign.foreign(tmp_path / "a.m4a") as (about, _):
        assert about["rate"] == 8000
        raise KeyboardInterrupt
    assert set(threading.enumerate()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_it_gets_only_so_much_memory(tmp_path, decoder):
    own = foreign.DECODER.read_text()
    decoder(own.replace("            say({\"rate\"", "            bytearray(3 << 30)\n            say({\"rate\""))
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 1)), RATE)
    with pytest.raises(NotDecodedError, match="its decoder failed, or took more time or memory than a recording needs"):
        with foreign.foreign(tmp_path / "a.wav"):
            pass


def test_what_libsndfile_refuses_for_its_limits_is_not_given_to_it(tmp_path, decoder, monkeypatch):
    """A WAV file of 16,389 channels made Pedalboard's decoder spin for ever."""
    monkeypatch.setattr(reading, "foreign", lambda path: pytest.fail("it was given to the second decoder"))
    fmt = struct.pack("<IHHIIHHI", 20, 1, 0x4005, RATE, 2 * RATE, 2, 16, 0)
    for name, content in (("channels.wav", b"fmt " + fmt + b"data" + struct.pack("<I", 1000) + bytes(1000)),
                          ("no data.wav", b"fmt " + fmt + b"desc" + bytes(4000)),
                          ("rate.wav", b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1 << 30, 2, 2, 16) + b"data"
                           + struct.pack("<I", 1000) + bytes(1000))):
        (tmp_path / name).write_bytes(b"RIFF" + struct.pack("<I", len(content) + 4) + b"WAVE" + content)
        with pytest.raises(FileError):
            read_audio(tmp_path / name)


def test_reading_in_a_thread_does_not_outlive_the_process(tmp_path, unknown, decoder, monkeypatch):
    decoder("import time\ntime.sleep(600)")
    monkeypatch.setattr(foreign, "STALLED_S", 0.3)
    (tmp_path / "a.wma").write_bytes(bytes(64))
    failed = []

    def read():
        try:
            read_audio(tmp_path / "a.wma")
        except FileError as error:
            failed.append(error)
    thread = threading.Thread(target=read)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and failed[0].code == "not-decoded"
