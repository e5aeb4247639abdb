"""Files whose headers state another length than there is: what is there is read, and what was found is said."""

import io
import struct

import numpy as np
import pytest
import soundfile

from babe2_fx.audio.reading import duration_s, read_audio, read_passage
from babe2_fx.files import FileError

RATE, SAMPLES = 44100, 22050
SECONDS = "All that is there was read, 0.50 s."
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
ID3 = b"ID3\x03\0\0\0\0\0\x14" + bytes(20)
NO_LENGTH, STATES, PROMISES = "does not say how long", "bytes of audio, but {there} are there", "bytes more than there"


def audio_of(channels=2):
    rng = np.random.default_rng(5)
    return np.rint(0.3 * rng.standard_normal((SAMPLES, channels)).clip(-3, 3) * 2 ** 15).astype(np.int16)


AUDIO = audio_of()


def made(file_format, subtype="PCM_16", audio=AUDIO, **options) -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, audio, RATE, format=file_format, subtype=subtype, **options)
    return bytearray(file.getvalue())


def with_size(content: bytearray, name: bytes, value: int, kind: str = "<I", after: int = 4) -> bytearray:
    """A file whose chunk `name` has another size, `after` bytes behind the name's beginning."""
    at = content.index(name) + after
    struct.pack_into(kind, content, at, value)
    return content


def wav(size, **options):
    return with_size(made("WAV", **options), b"data", size)


def rf64(size):
    return with_size(made("RF64"), b"ds64", size, "<Q", 16)


def w64(size):
    return with_size(made("W64"), b"data", size & 2 ** 64 - 1, "<Q", 16)


def aiff(size):
    return with_size(made("AIFF"), b"SSND", size, ">I")


def caf(size):
    return with_size(made("CAF"), b"data", size, ">q")


def au(size):
    return with_size(made("AU"), b".snd", size, ">I", 8)


THERE = SAMPLES * 4  # bytes of samples
WRONG = [
    ("0.wav", wav(0), NO_LENGTH), ("largest.wav", wav(0xFFFFFFFF), NO_LENGTH), ("sox.wav", wav(0x7FFFF000), NO_LENGTH),
    ("alsa.wav", wav(0x80000000), NO_LENGTH), ("half.wav", wav(THERE // 2), STATES),
    ("44.wav", wav(THERE + 44), PROMISES),
    ("16.wav", wav(THERE + 16), PROMISES), ("little.wav", wav(THERE - 400), STATES),
    ("0 and chunks.wav", wav(0) + LIST, NO_LENGTH), ("largest and chunks.wav", wav(0xFFFFFFFF) + LIST, NO_LENGTH),
    ("half and chunks.wav", wav(THERE // 2) + LIST, STATES), ("44 and chunks.wav", wav(THERE + 44) + LIST, PROMISES),
    ("over the chunks.wav", wav(THERE + 4000) + LIST, PROMISES),
    ("id3.wav", ID3 + wav(THERE // 2), STATES), ("id3 and 0.wav", ID3 + ID3 + wav(0), NO_LENGTH),
    ("odd id3.wav", ID3[:9] + b"\x15" + bytes(21) + wav(THERE // 2) + LIST, STATES),
    ("big-endian.wav", with_size(made("WAV", endian="BIG"), b"data", THERE // 2, ">I"), STATES),
    ("extensible.wav", with_size(made("WAVEX"), b"data", 0xFFFFFFFF), NO_LENGTH),
    ("0.rf64", rf64(0), NO_LENGTH), ("largest.rf64", rf64(2 ** 64 - 1), NO_LENGTH),
    ("half.rf64", rf64(THERE // 2), STATES), ("44.rf64", rf64(THERE + 44), PROMISES),
    ("half.bw64", b"BW64" + rf64(THERE // 2)[4:], STATES),
    ("0.w64", w64(0), NO_LENGTH), ("24.w64", w64(24), NO_LENGTH), ("largest.w64", w64(-1), NO_LENGTH),
    ("half.w64", w64(24 + THERE // 2), STATES), ("44.w64", w64(24 + THERE + 44), PROMISES),
    ("0.aiff", aiff(0), NO_LENGTH), ("8.aiff", aiff(8), NO_LENGTH), ("half.aiff", aiff(8 + THERE // 2), STATES),
    ("44.aiff", aiff(8 + THERE + 44), PROMISES),
    ("half and chunks.aiff", aiff(8 + THERE // 2) + b"ANNO" + struct.pack(">I", 6) + b"A word", STATES),
    ("half.aifc", with_size(made("AIFF", endian="LITTLE"), b"SSND", 8 + THERE // 2, ">I"), STATES),
    ("-1.caf", caf(-1), NO_LENGTH), ("4.caf", caf(4), NO_LENGTH), ("half.caf", caf(4 + THERE // 2), STATES),
    ("44.caf", caf(4 + THERE + 44), PROMISES),
    ("0.au", au(0), NO_LENGTH), ("sox.au", au(0x7FFFFFFF), NO_LENGTH), ("largest.au", au(0xFFFFFFFF), NO_LENGTH),
    ("half.au", au(THERE // 2), STATES), ("44.au", au(THERE + 44), PROMISES),
]


@pytest.mark.parametrize("name, content, said", WRONG, ids=[name for name, *_ in WRONG])
def test_all_samples_are_read_whatever_the_header_says_and_what_was_found_is_said(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    recording = read_audio(tmp_path / name)
    assert np.array_equal(recording.audio, AUDIO.T.astype(np.float32) / 2 ** 15) and recording.sample_rate == RATE
    note, = recording.notes
    assert note.startswith(f"The header of {tmp_path / name} ") and note.endswith(SECONDS)
    assert said.format(there=THERE) in note
    assert duration_s(tmp_path / name) == 0.5


@pytest.mark.parametrize("name, content", [
    ("riff 0.wav", with_size(made("WAV"), b"RIFF", 0)), ("riff small.wav", with_size(made("WAV"), b"RIFF", 99)),
    ("form 0.aiff", with_size(made("AIFF"), b"FORM", 0, ">I")),
    ("riff 0.w64", with_size(made("W64"), b"riff", 0, "<Q", 16)),
    ("chunks.wav", made("WAV") + LIST), ("chunks.rf64", made("RF64") + LIST),
    ("healthy.bw64", b"BW64" + made("RF64")[4:]),
    ("own chunk.wav", made("WAV") + b"zzzz" + struct.pack("<I", 8) + bytes(range(8))),
    ("zeros.wav", made("WAV") + bytes(4096)), ("id3v1.wav", made("WAV") + b"TAG" + bytes(range(125))),
    ("id3v2.wav", made("WAV") + ID3), ("a few bytes.wav", made("WAV") + b"\r\n"), ("id3.wav", ID3 + made("WAV")),
    ("id3.aiff", ID3 + made("AIFF")), ("comm 0.aiff", with_size(made("AIFF"), b"COMM", 0, ">I", 10)),
    ("no padding.wav", (lambda c: c[:12] + b"JUNK" + struct.pack("<I", 3) + b"abc" + c[12:])(made("WAV"))),
    ("no padding.aiff", (lambda c: c[:12] + b"ANNO" + struct.pack(">I", 3) + b"abc" + c[12:])(made("AIFF"))),
    ("size in data.rf64", with_size(with_size(made("RF64"), b"ds64", 0, "<Q", 16), b"data", THERE)),
    ("odd.rf64", (lambda c: c[:48] + b"JUNK" + struct.pack("<I", 3) + b"abc\0" + c[48:])(made("RF64"))),
])
def test_what_is_no_fault_of_the_length_is_read_without_a_word(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    recording = read_audio(tmp_path / name)
    assert np.array_equal(recording.audio, AUDIO.T.astype(np.float32) / 2 ** 15) and recording.notes == ()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "GSM610"])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_every_kind_of_samples_is_read_to_its_end(tmp_path, subtype, size):
    audio = audio_of(1)[:8000]
    content = made("WAV", subtype, audio)
    (tmp_path / "a.wav").write_bytes(content)
    expected = read_audio(tmp_path / "a.wav").audio
    (tmp_path / "a.wav").write_bytes(with_size(content, b"data", size))
    assert np.array_equal(read_audio(tmp_path / "a.wav").audio, expected) and expected.shape[1] >= 8000


@pytest.mark.parametrize("content", [
    wav(THERE * 2), wav(THERE + THERE // 50), wav(0xB0000000), rf64(THERE * 2), w64(24 + THERE * 2),
    aiff(8 + THERE * 2), caf(4 + THERE * 2), au(THERE * 2), ID3 + wav(THERE * 2)], ids=range(9))
def test_a_file_of_which_much_is_missing_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileError, match="truncated: its header promises .* bytes of audio but only 88200") as caught:
        read_audio(tmp_path / "a")
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("one, other", [
    (made("WAV"), made("WAV")), (made("WAV") + LIST, made("WAV") + LIST), (wav(0xFFFFFFFF), wav(0xFFFFFFFF)),
    (made("AIFF"), made("AIFF")), (ID3 + made("WAV"), made("WAV"))], ids=["wav", "chunks", "pipes", "aiff", "id3"])
def test_files_that_were_put_one_after_the_other_are_joined(tmp_path, one, other):
    (tmp_path / "a").write_bytes(one + other)
    recording = read_audio(tmp_path / "a")
    assert np.array_equal(recording.audio, np.tile(AUDIO.T.astype(np.float32) / 2 ** 15, 2))
    assert "holds 2 files one after the other; they were joined." in recording.notes[0]
    assert duration_s(tmp_path / "a") == 1.0


def test_what_cannot_be_joined_is_refused_by_a_sentence(tmp_path):
    (tmp_path / "a.wav").write_bytes(made("WAV") + made("WAV", audio=audio_of(1)))
    with pytest.raises(FileError, match="Number 2 has 1 channel at 44100 Hz and cannot be joined") as caught:
        read_audio(tmp_path / "a.wav")
    assert caught.value.code == "not-joined"


def test_a_file_made_of_names_of_chunks_is_decided_at_once(tmp_path):
    """Each of two million places could begin a row of chunks."""
    (tmp_path / "a.wav").write_bytes(wav(0)[:44] + (b"LIST" + bytes(4)) * (1 << 18) + b"\1\2\3\4")
    assert read_audio(tmp_path / "a.wav").audio.shape[1] > 1 << 18


def test_a_file_made_of_thousands_of_files_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(made("WAV", audio=AUDIO[:1]) * 5000)
    with pytest.raises(FileError, match="holds more than 4096 recordings one after the other"):
        read_audio(tmp_path / "a.wav")


def test_more_channels_than_can_be_read_are_refused_at_once(tmp_path):
    content = made("WAV")
    struct.pack_into("<H", content, content.index(b"fmt ") + 10, 3000)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(FileError, match="states 3000 channels; there must be from 1 to 1024"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [made("WAV"), wav(THERE // 2), wav(0)], ids=["healthy", "half", "0"])
def test_a_passage_is_where_it_is_in_the_whole(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    passage, rate = read_passage(tmp_path / "a.wav", 20000, 3000)
    assert rate == RATE and np.array_equal(passage[:, :2050], AUDIO.T[:, 20000:].astype(np.float32) / 2 ** 15)
    assert read_passage(tmp_path / "a.wav", 100, 50)[0].shape == (2, 50)


def test_a_header_cannot_reserve_memory_for_what_is_not_there(tmp_path, monkeypatch):
    """36 bits of a FLAC header say how many samples there are: 2 ** 36 - 1 of them would take 512 GB."""
    from babe2_fx.audio import mapped
    sizes = []
    allocate = mapped.allocate
    monkeypatch.setattr(mapped, "allocate", lambda *shape: sizes.append(np.prod(shape)) or allocate(*shape))
    content = made("FLAC")
    content[21:26] = bytes([content[21] | 0x0F]) + b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(FileError, match=f"promises {2 ** 36 - 1} samples but only {SAMPLES} are there"):
        read_audio(tmp_path / "a.flac")
    assert 0 < max(sizes) <= 16 * len(content)


@pytest.mark.parametrize("file_format", ["WAV", "AIFF", "FLAC", "OGG", "W64", "CAF"])
@pytest.mark.parametrize("name", [b"caf\xe9.x", b"\xff\xfe.x", "è.x".encode()])
def test_names_that_are_not_utf_8_are_read(tmp_path, file_format, name):
    import os
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(made(file_format, None))
    assert read_audio(os.fsdecode(path)).audio.shape == (2, SAMPLES)
