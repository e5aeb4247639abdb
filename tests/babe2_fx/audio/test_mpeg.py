"""MP3 files whose headers state no length, or a wrong one; files that were joined, and junk in them."""

import io
import struct

import numpy as np
import pytest
import soundfile

from babe2_fx.audio.mpeg import frame_of
from babe2_fx.audio.reading import duration_s, read_audio
from babe2_fx.files import FileError

RATE = 44100
ID3V1, APE = b"TAG" + bytes(125), b"APETAGEX" + struct.pack("<III", 2000, 40, 0) + bytes(12) + b"x" * 8
APE += b"APETAGEX" + struct.pack("<III", 2000, 40, 0) + bytes(12)
ID3V2 = b"ID3\x04\0\0\0\0\x01\x14" + b"\xff\xfb" * 74


@pytest.fixture(scope="module")
def make(make_notes):
    """make(mode="VARIABLE", seed=0, seconds=1.5): an MP3's bytes, and how many are its frame without audio."""
    def make(mode="VARIABLE", seed=0, seconds=1.5, rate=RATE, channels=2):
        file = io.BytesIO()
        # Loud first, then nothing: the first frame's bit rate is not that of the rest.
        audio = make_notes(rate, seconds, channels, seed).T * np.linspace(1, 0, round(rate * seconds))[:, None] ** 8
        soundfile.write(file, audio, rate, format="MP3", bitrate_mode=mode, compression_level=0.1)
        content = file.getvalue()
        frame = frame_of(content)
        assert content[frame.info_at:frame.info_at + 4] in (b"Xing", b"Info")
        return bytearray(content), frame
    return make


def decoded(tmp_path, content):
    (tmp_path / "whole.mp3").write_bytes(content)
    recording = read_audio(tmp_path / "whole.mp3")
    assert recording.notes == ()
    return recording.audio


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [44100, 48000, 22050, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_frames_are_read_where_no_header_says_how_many_there_are(tmp_path, make, mode, rate, channels):
    content, frame = make(mode, rate=rate, channels=channels)
    whole = decoded(tmp_path, content)
    (tmp_path / "a.mp3").write_bytes(content[frame.size:])
    recording = read_audio(tmp_path / "a.mp3")
    # Nobody cuts the encoder's delay off now: what was heard begins later, and all of it is there.
    frames = struct.unpack_from(">I", content, frame.info_at + 8)[0]
    assert recording.audio.shape == (channels, frames * frame.samples) and recording.notes == ()
    late = 529 + 576
    assert np.corrcoef(recording.audio[0, late:late + whole.shape[1]], whole[0])[0, 1] > 0.999
    assert duration_s(tmp_path / "a.mp3") == frames * frame.samples / rate


@pytest.mark.parametrize("junk", [bytes(5000), bytes(range(250)) * 8, ID3V2 + bytes(2000)],
                         ids=["zeros", "rubbish", "padded id3"])
def test_all_frames_behind_junk_are_read(tmp_path, make, junk):
    content, frame = make()
    whole = decoded(tmp_path, content[frame.size:])
    (tmp_path / "a.mp3").write_bytes(junk + content[frame.size:])
    assert np.array_equal(read_audio(tmp_path / "a.mp3").audio, whole)
    assert duration_s(tmp_path / "a.mp3") == whole.shape[1] / RATE


def test_a_length_within_a_wav_that_counts_the_encoders_delay_is_no_loss(tmp_path, make):
    content, frame = make("CONSTANT", channels=1)
    sound, samples = content[frame.size:], decoded(tmp_path, content[frame.size:]).shape[1]
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 16000, 1, 0, 12, 1, 2, 417, 1, 1393)
    chunks = [(b"fmt ", fmt), (b"fact", struct.pack("<I", samples + 996)), (b"data", sound + bytes(len(sound) % 2))]
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(of)) + of for name, of in chunks)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert read_audio(tmp_path / "a.wav").audio.shape[1] == pytest.approx(samples, abs=2 * frame.samples)


@pytest.mark.parametrize("between", [b"", ID3V1, ID3V2, ID3V1 + ID3V2, APE + ID3V1, b"\0" * 5000],
                         ids=["nothing", "id3v1", "id3v2", "id3v1 and 2", "ape", "zeros"])
def test_files_that_were_joined_are_read_one_after_the_other(tmp_path, make, between):
    one, two = make()[0], make("CONSTANT", seed=1)[0]
    (tmp_path / "a.mp3").write_bytes(one + between + two + between)
    recording = read_audio(tmp_path / "a.mp3")
    assert np.array_equal(recording.audio, np.concatenate([decoded(tmp_path, one), decoded(tmp_path, two)], axis=1))
    assert "holds 2 MP3 files one after the other; they were joined." in recording.notes[0]
    assert ("are not MP3" in recording.notes[0]) == (between[:1] == b"\0")


@pytest.mark.parametrize("stated", [20, 1])
def test_a_header_that_states_too_few_frames_is_not_believed(tmp_path, make, stated):
    content, frame = make()
    whole, at = decoded(tmp_path, content), frame.info_at + 8
    frames = struct.unpack_from(">I", content, at)[0]
    struct.pack_into(">I", content, at, stated)
    (tmp_path / "a.mp3").write_bytes(content)
    recording = read_audio(tmp_path / "a.mp3")
    assert np.array_equal(recording.audio[:, :whole.shape[1]], whole)
    assert f"states {stated} MP3 frames, but {frames} are there" in recording.notes[0]


def test_a_header_that_states_too_many_frames_and_the_right_bytes_is_not_believed(tmp_path, make):
    content, frame = make()
    whole, at = decoded(tmp_path, content), frame.info_at + 8
    struct.pack_into(">I", content, at, 4000)
    (tmp_path / "a.mp3").write_bytes(content)
    recording = read_audio(tmp_path / "a.mp3")
    assert np.array_equal(recording.audio[:, :whole.shape[1]], whole) and "states 4000 MP3 frames" in recording.notes[0]


def test_a_file_that_was_cut_short_is_refused(tmp_path, make):
    content, _ = make("CONSTANT")
    (tmp_path / "a.mp3").write_bytes(content[:len(content) // 2])
    with pytest.raises(FileError, match="is truncated: its header promises"):
        read_audio(tmp_path / "a.mp3")


def test_junk_among_the_frames_is_passed_over(tmp_path, make):
    content, frame = make("CONSTANT")
    at = frame.size
    for _ in range(12):
        at += frame_of(bytes(content[at:at + 4])).size
    (tmp_path / "a.mp3").write_bytes(content[:at] + b"\x55" * 3000 + content[at:])
    recording = read_audio(tmp_path / "a.mp3")
    assert np.array_equal(recording.audio, decoded(tmp_path, content))
    assert "3000 bytes in" in recording.notes[0] and "are not MP3 and were passed over" in recording.notes[0]


@pytest.mark.parametrize("before", [b"junk" * 3000, bytes(3000), ID3V2, ID3V2 * 2, APE], ids=[
    "junk", "zeros", "id3", "two id3", "ape"])
def test_an_mp3_is_found_behind_other_bytes(tmp_path, make, before):
    content, _ = make()
    (tmp_path / "a.mp3").write_bytes(before + content)
    assert np.array_equal(read_audio(tmp_path / "a.mp3").audio, decoded(tmp_path, content))


@pytest.mark.parametrize("head, size, samples", [  # ISO/IEC 11172-3 and 13818-3
    ("fffb9064", 417, 1152), ("fffb9264", 418, 1152), ("fff38464", 192, 576), ("fffda064", 626, 1152),
    ("ffff1664", 36, 384), ("fffb0064", None, None), ("ffeb9064", None, None), ("fff19064", None, None)])
def test_the_sizes_of_frames_are_those_of_the_standard(head, size, samples):
    frame = frame_of(bytes.fromhex(head))
    assert (frame.size, frame.samples) == (size, samples) if size else frame is None
