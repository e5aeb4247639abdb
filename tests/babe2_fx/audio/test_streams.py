"""Ogg and FLAC files of several streams, with junk in them, or that do not say how long they are."""

import io

import numpy as np
import pytest
import soundfile

from babe2_fx.audio import reading
from babe2_fx.audio.reading import read_audio, samples_of
from babe2_fx.files import FileError

RATE = 48000
TAG = b"TAG" + bytes(range(125))


@pytest.fixture(scope="module")
def make(make_notes):
    """make(format, subtype, seed=0, channels=1, rate=RATE): a file's bytes and what a decoder makes of them."""
    def make(file_format, subtype=None, seed=0, channels=1, rate=RATE):
        file = io.BytesIO()
        soundfile.write(file, make_notes(rate, 0.5, channels, seed).T, rate, format=file_format, subtype=subtype)
        file.seek(0)
        return bytearray(file.getvalue()), soundfile.read(file, dtype="float32", always_2d=True)[0].T
    return make


def pages(content) -> list[bytes]:
    """The pages of an Ogg file."""
    return [b"OggS" + bytes(part) for part in bytes(content).split(b"OggS")[1:]]


def flac_with(content, samples):
    """A FLAC file that states another number of samples."""
    content = bytearray(content)
    content[21:26] = ((int.from_bytes(content[21:26], "big") >> 36 << 36) | samples).to_bytes(5, "big")
    return content


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("junk", [b"", b"junk" * 50, TAG], ids=["next to next", "junk", "tag"])
def test_all_streams_of_a_chain_are_read_and_joined(tmp_path, make, subtype, junk):
    one, heard = make("OGG", subtype)
    two, heard_then = make("OGG", subtype, seed=1)
    (tmp_path / "a.ogg").write_bytes(one + junk + two + junk + one)
    recording = read_audio(tmp_path / "a.ogg")
    assert np.array_equal(recording.audio, np.concatenate([heard, heard_then, heard], axis=1))
    assert f"{tmp_path / 'a.ogg'} holds 3 streams one after the other; they were joined." in recording.notes[0]
    assert (f"{2 * len(junk)} bytes" in recording.notes[0]) == bool(junk) and recording.notes[0].endswith("1.50 s.")
    assert samples_of(tmp_path / "a.ogg") == (recording.audio.shape[1], 1, RATE)


@pytest.mark.parametrize("before", [b"junk" * 50, b"ID3\x04\0\0\0\0\0\x14" + bytes(20)], ids=["junk", "id3"])
def test_an_ogg_file_is_found_behind_other_bytes(tmp_path, make, before):
    content, heard = make("OGG", "VORBIS")
    (tmp_path / "a.ogg").write_bytes(before + content)
    assert np.array_equal(read_audio(tmp_path / "a.ogg").audio, heard)


def test_a_stream_of_something_else_among_the_pages_is_left_out(tmp_path, make):
    content, heard = make("OGG", "VORBIS")
    first, *others = pages(content)
    payload = b"fishead\0" + bytes(56)
    skeleton = b"OggS\0\x02" + bytes(8) + b"abcd" + bytes(4) + bytes(4) + b"\x01" + bytes([len(payload)]) + payload
    (tmp_path / "a.ogg").write_bytes(skeleton + first + b"".join(others))
    assert np.array_equal(read_audio(tmp_path / "a.ogg").audio, heard)


@pytest.mark.parametrize("cut", ["last page", "half a page", "half a head", "second stream"])
def test_a_chain_whose_last_stream_has_no_end_is_truncated(tmp_path, make, cut):
    content, _ = make("OGG", "VORBIS")
    here = {"last page": b"".join(pages(content)[:-1]), "half a page": content[:-200],
            "half a head": content + content[:20],
            "second stream": content + content[:len(content) // 2]}[cut]
    (tmp_path / "a.ogg").write_bytes(here)
    with pytest.raises(FileError, match="truncated: its last page is not the end of a stream"):
        read_audio(tmp_path / "a.ogg")


def test_streams_that_differ_are_not_joined(tmp_path, make):
    (tmp_path / "a.ogg").write_bytes(make("OGG", "VORBIS")[0] + make("OGG", "VORBIS", rate=44100)[0])
    with pytest.raises(FileError, match="Number 2 has 1 channel at 44100 Hz and cannot be joined"):
        read_audio(tmp_path / "a.ogg")


def in_ogg(flac) -> bytes:
    """A FLAC file in Ogg pages, as RFC 9639 has it: a packet for the header, the rest in pages of 4080 bytes."""
    head, rest = b"\x7fFLAC\1\0\0\1" + bytes(flac[:42]), bytes(flac[42:])
    contents = [head, *(rest[at:at + 4080] for at in range(0, len(rest), 4080))]
    made = b""
    for number, content in enumerate(contents):
        flags = 2 if number == 0 else 4 if number == len(contents) - 1 else 0
        full, last = divmod(len(content), 255)
        made += (b"OggS\0" + bytes([flags]) + bytes(8) + b"FLAC" + number.to_bytes(4, "little") + bytes(4)
                 + bytes([full + 1]) + b"\xff" * full + bytes([last]) + content)
    return made


@pytest.mark.parametrize("samples", [24000, 0], ids=["stated", "unknown"])
def test_flac_in_ogg_is_read_chains_of_it_too(tmp_path, make, samples):
    content, heard = make("FLAC", channels=2)
    content = in_ogg(flac_with(content, samples))
    (tmp_path / "a.oga").write_bytes(content)
    recording = read_audio(tmp_path / "a.oga")
    assert np.array_equal(recording.audio, heard) and len(recording.notes) == (samples == 0)
    assert samples_of(tmp_path / "a.oga") == (samples, 2, RATE)
    (tmp_path / "a.oga").write_bytes(content + content)
    recording = read_audio(tmp_path / "a.oga")
    assert np.array_equal(recording.audio, np.concatenate([heard, heard], axis=1))
    assert "holds 2 streams" in recording.notes[0]
    assert recording.notes[0].count("does not say how long") == (samples == 0)


@pytest.mark.parametrize("end", [b"", TAG], ids=["plain", "tag"])
def test_flac_that_does_not_say_how_long_it_is_is_read_to_its_end(tmp_path, make, end):
    content, heard = make("FLAC", channels=2)
    (tmp_path / "a.flac").write_bytes(flac_with(content, 0) + end)
    recording = read_audio(tmp_path / "a.flac")
    assert np.array_equal(recording.audio, heard)
    assert recording.notes == (
        f"The header of {tmp_path / 'a.flac'} does not say how long it is. All that is there was read, 0.50 s.",)


def test_flac_that_says_less_than_there_is_is_read_to_its_end(tmp_path, make):
    content, heard = make("FLAC", channels=2)
    (tmp_path / "a.flac").write_bytes(flac_with(content, 1000))
    recording = read_audio(tmp_path / "a.flac")
    assert np.array_equal(recording.audio, heard) and "states 1000 samples, but 24000 are there" in recording.notes[0]


@pytest.mark.parametrize("before, end", [(b"", b""), (b"ID3\x03\0\0\0\0\0\x14" + bytes(20), b""), (b"", TAG),
                                         (b"", b"rubbish" * 99)], ids=["plain", "id3", "tag", "rubbish"])
def test_healthy_flac_is_read_without_a_word(tmp_path, make, before, end):
    content, heard = make("FLAC", channels=2)
    (tmp_path / "a.flac").write_bytes(before + content + end)
    recording = read_audio(tmp_path / "a.flac")
    assert np.array_equal(recording.audio, heard) and recording.notes == ()
    assert samples_of(tmp_path / "a.flac") == (24000, 2, RATE)


@pytest.mark.parametrize("samples", [None, 0], ids=["stated", "unknown"])
def test_flac_files_one_after_the_other_are_joined(tmp_path, make, samples):
    content, heard = make("FLAC")
    content = content if samples is None else flac_with(content, samples)
    (tmp_path / "a.flac").write_bytes(content * 3)
    recording = read_audio(tmp_path / "a.flac")
    assert np.array_equal(recording.audio, np.tile(heard, 3)) and "holds 3 FLAC files" in recording.notes[0]


@pytest.mark.parametrize("samples", [None, 0], ids=["stated", "unknown"])
def test_flac_cut_in_half_is_refused(tmp_path, make, samples):
    content, _ = make("FLAC")
    content = content if samples is None else flac_with(content, samples)
    (tmp_path / "a.flac").write_bytes(content[:len(content) // 2])
    with pytest.raises(FileError, match="truncated"):
        read_audio(tmp_path / "a.flac")


def test_silence_without_end_in_a_small_file_does_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGE_SAMPLES", 1 << 18)
    monkeypatch.setattr(reading, "MOST_SAMPLES_A_BYTE", 16)
    soundfile.write(tmp_path / "a.flac", np.zeros(1 << 20), RATE)
    with pytest.raises(FileError, match="not read any further: its .* bytes hold more than .* samples") as caught:
        read_audio(tmp_path / "a.flac")
    assert caught.value.code == "too-long"
