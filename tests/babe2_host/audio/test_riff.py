"""WAV and RF64 files: written so that others read them, and their lists of texts."""

import struct
import wave

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from babe2_fx.audio.containers import MOST_CHUNKS
from babe2_host.audio.chunks import Chunk, Extras, read_extras
from babe2_host.audio.riff import PCM, SAMPLE_TYPES, info_chunk, read_info, wave_frame, write_wave
from containers import IXML, RATE, SMPL, bext, chunk, cue, labels, riff

FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
DATA = chunk(b"data", np.arange(100, dtype="<i2").tobytes())
FULL = (chunk(b"bext", bext()), chunk(b"iXML", IXML), FMT, DATA, chunk(b"cue ", cue(10, 55)),
        chunk(b"LIST", labels(b"refrain", b"trio")), chunk(b"smpl", SMPL))


def extras_of(tmp_path, content: bytes) -> Extras:
    (tmp_path / "in.wav").write_bytes(content)
    return read_extras(tmp_path / "in.wav")


def write(path, samples: np.ndarray, sample_type: str, extras=Extras(), **options):
    with open(path, "wb") as file:
        write_wave(file.write, [samples[:30], samples[30:]], *samples.shape, RATE, sample_type, extras, **options)


# ---------------------------------------------------------------------------------------------------- writing

@pytest.mark.filterwarnings("ignore:Chunk .non-data. not understood")
@pytest.mark.parametrize("mask", [None, 0x3F])
@pytest.mark.parametrize("rf64", [False, True])
@pytest.mark.parametrize("sample_type", SAMPLE_TYPES)
def test_others_read_what_is_written(tmp_path, sample_type, rf64, mask):
    tag, bits = SAMPLE_TYPES[sample_type]
    rng = np.random.default_rng(0)
    if tag == PCM:
        samples = rng.integers(-2 ** (bits - 1), 2 ** (bits - 1), (101, 6))
        samples[0], samples[1] = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    else:
        samples = rng.normal(0, 1, (101, 6))
    extras = Extras((Chunk("bext", bext()), Chunk("LIST/adtl", labels(b"a"), True)), mask)
    path = tmp_path / "out.wav"
    write(path, samples, sample_type, extras, rf64=rf64)

    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (RATE, 6, 101, sample_type)
    assert info.format == ("RF64" if rf64 else "WAV" if mask is None else "WAVEX")
    rate, read = scipy.io.wavfile.read(path)
    assert rate == RATE
    if sample_type == "PCM_24":
        read = read >> 8
    np.testing.assert_array_equal(read, samples.astype({"FLOAT": "f4"}.get(sample_type, samples.dtype)))
    by_libsndfile = soundfile.read(path, dtype="float64")[0]
    np.testing.assert_array_equal(by_libsndfile, read / (2.0 ** (bits - 1) if tag == PCM else 1))
    assert sorted(c.name for c in read_extras(path).chunks) == ["LIST/adtl", "bext"]
    if not rf64:  # where libsndfile needs chunks of odd length to stand behind the samples
        assert read_extras(path) == extras


def test_pythons_own_reader_takes_the_plain_form(tmp_path):
    samples = np.arange(200).reshape(100, 2)
    write(tmp_path / "out.wav", samples, "PCM_16", Extras((Chunk("iXML", IXML), Chunk("smpl", SMPL, True))))
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.getparams()[:4] == (2, 2, RATE, 100)
        assert file.readframes(100) == samples.astype("<i2").tobytes()


def test_another_reader_finds_the_archives_chunks(tmp_path):
    wavinfo = pytest.importorskip("wavinfo", reason="an independent reader of broadcast WAV files")
    extras = extras_of(tmp_path, riff(*FULL))
    write(tmp_path / "out.wav", np.arange(303).reshape(303, 1), "PCM_24", extras)
    for name in ("in.wav", "out.wav"):
        read = wavinfo.WavInfoReader(str(tmp_path / name))
        assert read.bext.description == "Stars and Stripes Forever"
        assert (read.bext.originator_ref, read.bext.originator_date) == ("REF-1917", "1999-05-01")
        assert (read.bext.time_reference, read.bext.coding_history) == (441000, "A=ANALOGUE,M=mono\r\n")
        assert b"Marimba" in read.ixml.source if isinstance(read.ixml.source, bytes) else "Marimba" in str(
            read.ixml.to_dict())
        assert [c.position for c in read.cues.cues] == [10, 55]
        assert [c.text for c in read.cues.labels] == ["refrain", "trio"]
        loop = read.smpl.sample_loops[0]
        assert (loop.start, loop.end) == (10, 90)


def test_samples_of_an_odd_number_of_bytes_are_padded(tmp_path):
    write(tmp_path / "out.wav", np.arange(101).reshape(101, 1), "PCM_24",
          Extras((Chunk("cue ", cue(5), True),)))
    content = (tmp_path / "out.wav").read_bytes()
    assert len(content) % 2 == 0 and struct.unpack("<I", content[4:8])[0] == len(content) - 8
    assert read_extras(tmp_path / "out.wav").chunks == (Chunk("cue ", cue(5), True),)


def test_the_same_samples_make_the_same_file(tmp_path):
    for name in ("a.wav", "b.wav"):  # libsndfile writes the time into float files
        write(tmp_path / name, np.zeros((50, 1)), "FLOAT")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert b"PEAK" not in (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize("frames, form", [(2 ** 30 - 10, b"RIFF"), (2 ** 30 - 9, b"RF64"), (2 ** 31, b"RF64")])
def test_files_become_rf64_where_32_bits_end(frames, form):
    head, tail = wave_frame(frames, 2, RATE, "PCM_16")
    size = len(head) + 4 * frames + len(tail)
    assert head[:4] == form and tail == b""
    if form == b"RIFF":
        assert struct.unpack("<I", head[4:8])[0] == size - 8
        assert head[-4:] == struct.pack("<I", 4 * frames)
    else:
        assert head[4:8] == head[-4:] == b"\xff" * 4 and head[12:16] == b"ds64"
        assert struct.unpack("<QQQI", head[20:48]) == (size - 8, 4 * frames, frames, 0)


def test_chunks_count_towards_the_limit():
    extras = Extras((Chunk("bext", bytes(1 << 20)),))
    assert wave_frame(2 ** 30 - 2 ** 17, 2, RATE, "PCM_16")[0][:4] == b"RIFF"
    assert wave_frame(2 ** 30 - 2 ** 17, 2, RATE, "PCM_16", extras)[0][:4] == b"RF64"


def test_others_read_rf64_of_more_than_4_gb(tmp_path):
    """The file has a hole where most of its samples would be."""
    frames = 2 ** 30 + 5
    head, tail = wave_frame(frames, 2, RATE, "PCM_16", Extras((Chunk("cue ", cue(5), True),)))
    with open(tmp_path / "out.wav", "wb") as file:
        file.write(head)
        file.seek(len(head) + 4 * (frames - 1))
        file.write(struct.pack("<hh", 1234, -4321) + tail)
    if (tmp_path / "out.wav").stat().st_blocks * 512 >= 1 << 24:
        pytest.skip("this file system has no holes in files")
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert (file.format, file.frames) == ("RF64", frames)
        file.seek(frames - 1)
        assert file.read(dtype="int16").tolist() == [[1234, -4321]]
    assert [c.name for c in read_extras(tmp_path / "out.wav").chunks] == ["cue "]


def test_info_texts_come_back(tmp_path):
    texts = {"INAM": "Prélude", "IART": "An even name", "ICMT": "odd"}
    made = info_chunk(texts)
    assert read_info(made.content) == texts
    write(tmp_path / "out.wav", np.zeros((10, 1)), "FLOAT", Extras((made,)))
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert (file.title, file.artist, file.comment) == tuple(texts.values())


def test_info_texts_are_read_in_either_encoding():
    content = b"INFO" + chunk(b"INAM", "Prélude".encode() + b"\0") + chunk(b"IART", "Søren".encode("cp1252")) \
        + chunk(b"ICMT", b"  \0") + chunk(b"INAM", b"again\0") + chunk(b"ICRD", b"1917", size=99)
    assert read_info(content) == {"INAM": "Prélude", "IART": "Søren"}
    assert read_info(b"") == read_info(b"INFO") == {}


def test_countless_texts_are_not_counted_for_ever():
    assert len(read_info(b"INFO" + b"".join(chunk(b"%04d" % n, b"x") for n in range(9999)))) == MOST_CHUNKS
