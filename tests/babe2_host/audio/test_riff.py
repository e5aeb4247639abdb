"""RIFF and RF64 chunks: read from whatever claims to be a WAV file, written so that others read them."""

import io
import struct
import wave

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from babe2_host.audio import riff as module
from babe2_host.audio.riff import (
    Chunk,
    WaveExtras,
    info_chunk,
    read_extras,
    read_info,
    scan,
    wave_frame,
    write_wave,
)

RATE = 44100


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bool = True) -> bytes:
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + (b"\0" if pad and len(content) % 2 else b"")


def riff(*parts: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(parts)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def bext(description: bytes = b"Stars and Stripes Forever") -> bytes:
    """The content of a version 1 broadcast extension with a coding history of odd length."""
    return (description.ljust(256, b"\0") + b"Archive".ljust(32, b"\0") + b"REF-1917".ljust(32, b"\0")
            + b"1999-05-0117:30:00" + struct.pack("<QH", 441000, 1) + bytes(64 + 190) + b"A=ANALOGUE,M=mono\r\n")


def cue(*places: int) -> bytes:
    points = (struct.pack("<II4sIII", n, at, b"data", 0, 0, at) for n, at in enumerate(places, 1))
    return struct.pack("<I", len(places)) + b"".join(points)


def labels(*texts: bytes) -> bytes:
    return b"adtl" + b"".join(chunk(b"labl", struct.pack("<I", n) + text + b"\0") for n, text in enumerate(texts, 1))


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
DATA = chunk(b"data", np.arange(100, dtype="<i2").tobytes())
IXML = b"<?xml version='1.0'?><BWFXML><NOTE>Marimba</NOTE></BWFXML>"
SMPL = struct.pack("<9I", 0, 0, 22676, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 1, 0, 10, 90, 0, 0)
FULL = (chunk(b"bext", bext()), chunk(b"iXML", IXML), FMT, DATA, chunk(b"cue ", cue(10, 55)),
        chunk(b"LIST", labels(b"refrain", b"trio")), chunk(b"smpl", SMPL))
FULL_NAMES = ["bext", "iXML", "cue ", "LIST/adtl", "smpl"]


def extras_of(tmp_path, content: bytes) -> WaveExtras:
    (tmp_path / "in.wav").write_bytes(content)
    return read_extras(tmp_path / "in.wav")


def write(path, samples: np.ndarray, sample_type: str, extras=WaveExtras(), **options):
    with open(path, "wb") as file:
        write_wave(file.write, [samples[:30], samples[30:]], *samples.shape, RATE, sample_type, extras, **options)


# ---------------------------------------------------------------------------------------------------- reading

def test_chunks_are_read_byte_for_byte_and_in_order(tmp_path):
    found = extras_of(tmp_path, riff(*FULL))
    assert [c.name for c in found.chunks] == FULL_NAMES
    assert [c.content for c in found.chunks] == [bext(), IXML, cue(10, 55), labels(b"refrain", b"trio"), SMPL]
    assert [c.after_data for c in found.chunks] == [False, False, True, True, True]
    assert found.unread == () and found.channel_mask is None


def test_what_describes_the_old_samples_stays_behind(tmp_path):
    stale = [chunk(name, bytes(16)) for name in (b"PEAK", b"levl", b"MD5 ", b"JUNK", b"fact", b"what")]
    found = extras_of(tmp_path, riff(FMT, *stale, chunk(b"LIST", b"wavl" + bytes(8)), DATA, *stale))
    assert found == WaveExtras()


@pytest.mark.parametrize("content", [
    b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"RIFF\x04\0\0\0AVI ", b"fLaC" * 20, riff(b"fmt"), riff(FMT[:-3]),
    riff(b"\xff" * 64), riff(bytes(4096)), b"RIFX" + riff(FMT)[4:], riff(chunk(b"LIST", b"ad")),
    riff(form=b"RF64"), riff(chunk(b"ds64", b"", size=0xFFFFFFFF), form=b"RF64")])
def test_what_is_no_wave_has_no_chunks(tmp_path, content):
    assert extras_of(tmp_path, content) == WaveExtras()


@pytest.mark.parametrize("size", [len(bext()) + 1000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_a_chunk_that_promises_more_than_is_there_is_named_and_not_loaded(tmp_path, size):
    found = extras_of(tmp_path, riff(FMT, DATA, chunk(b"cue ", cue(1)), chunk(b"bext", bext(), size)))
    assert [c.name for c in found.chunks] == ["cue "] and found.unread == ("bext",)


@pytest.mark.parametrize("stated", [0, 4, 7, 0x7FFFF000, 0xFFFFFFFF])
def test_the_size_of_the_whole_is_not_believed(tmp_path, stated):
    assert [c.name for c in extras_of(tmp_path, riff(*FULL, size=stated)).chunks] == FULL_NAMES


@pytest.mark.parametrize("cut", range(1, len(b"".join(FULL)) + 12, 7))
def test_a_cut_file_gives_the_chunks_that_are_whole(tmp_path, cut):
    whole = riff(*FULL)
    found = extras_of(tmp_path, whole[:-cut])
    expected = extras_of(tmp_path, whole).chunks
    assert found.chunks == expected[:len(found.chunks)]
    assert len(found.unread) <= 1


def test_a_chunk_of_odd_length_may_lack_its_padding(tmp_path):
    for pad in (True, False):
        odd = chunk(b"iXML", IXML + b" " * (1 - len(IXML) % 2), pad=pad)
        found = extras_of(tmp_path, riff(FMT, odd, chunk(b"bext", bext()), DATA, chunk(b"cue ", cue(3))))
        assert [c.name for c in found.chunks] == ["iXML", "bext", "cue "], pad


def test_a_stream_of_unknown_length_ends_the_search(tmp_path):
    data = chunk(b"data", bytes(100), size=0xFFFFFFFF)
    found = extras_of(tmp_path, riff(chunk(b"bext", bext()), FMT, data, size=0xFFFFFFFF))
    assert [c.name for c in found.chunks] == ["bext"]


def test_lists_within_lists_are_carried_closed(tmp_path):
    nested = b"adtl"
    for _ in range(2000):
        nested = b"adtl" + chunk(b"LIST", nested)
    found = extras_of(tmp_path, riff(FMT, DATA, chunk(b"LIST", nested)))
    assert found.chunks == (Chunk("LIST/adtl", nested, after_data=True),)
    assert read_info(b"INFO" + chunk(b"LIST", nested)) == {"LIST": "adtlLIST" + nested[8:10].decode("cp1252")}


def test_countless_empty_chunks_are_not_counted_for_ever(tmp_path):
    content = riff(FMT, chunk(b"bext", b"") * 300_000)
    assert len(extras_of(tmp_path, content).chunks) < module.MOST_CHUNKS
    assert len(read_info(b"INFO" + b"".join(chunk(b"%04d" % n, b"x") for n in range(9999)))) == module.MOST_CHUNKS


def test_chunks_are_not_loaded_without_measure(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    found = extras_of(tmp_path, riff(FMT, DATA, chunk(b"cue ", cue(1)), chunk(b"axml", bytes(990)),
                                     chunk(b"smpl", SMPL)))
    assert [c.name for c in found.chunks] == ["cue ", "smpl"] and found.unread == ("axml",)


def test_rf64_states_its_sizes_elsewhere(tmp_path):
    data = DATA[8:]
    table = struct.pack("<4sQ", b"axml", 5) + struct.pack("<4sQ", b"none", 2 ** 63)
    for ds64 in (struct.pack("<QQQI", 0, len(data), 100, 0), struct.pack("<QQQI", 0, len(data), 100, 2) + table,
                 struct.pack("<QQQI", 0, len(data), 100, 0xFFFFFFFF)):
        for form in (b"RF64", b"BW64"):
            found = extras_of(tmp_path, riff(chunk(b"ds64", ds64), FMT, chunk(b"data", data, size=0xFFFFFFFF),
                                             chunk(b"axml", b"<adm>", size=0xFFFFFFFF if len(ds64) > 28 else None),
                                             chunk(b"cue ", cue(7)), form=form, size=0xFFFFFFFF))
            assert [c.content for c in found.chunks] == [b"<adm>", cue(7)]
    lying = struct.pack("<QQQI", 2 ** 64 - 1, 2 ** 64 - 1, 2 ** 64 - 1, 0)
    assert extras_of(tmp_path, riff(chunk(b"ds64", lying), chunk(b"bext", bext()), FMT,
                                    chunk(b"data", data, size=0xFFFFFFFF), form=b"RF64")).unread == ()


def test_rubbish_never_raises(tmp_path):
    rng, whole = np.random.default_rng(0), riff(*FULL)
    for _ in range(300):
        spoiled = bytearray(whole)
        for at in rng.integers(0, len(whole), 8):
            spoiled[at] = rng.integers(256)
        extras_of(tmp_path, bytes(spoiled))
        read_info(bytes(spoiled[8:]))


def test_info_texts_are_read_in_either_encoding():
    content = b"INFO" + chunk(b"INAM", "Prélude".encode() + b"\0") + chunk(b"IART", "Søren".encode("cp1252")) \
        + chunk(b"ICMT", b"  \0") + chunk(b"INAM", b"again\0") + chunk(b"ICRD", b"1917", size=99)
    assert read_info(content) == {"INAM": "Prélude", "IART": "Søren"}
    assert read_info(b"") == read_info(b"INFO") == {}


# ---------------------------------------------------------------------------------------------------- writing

@pytest.mark.filterwarnings("ignore:Chunk .non-data. not understood")
@pytest.mark.parametrize("mask", [None, 0x3F])
@pytest.mark.parametrize("rf64", [False, True])
@pytest.mark.parametrize("sample_type", module.SAMPLE_TYPES)
def test_others_read_what_is_written(tmp_path, sample_type, rf64, mask):
    tag, bits = module.SAMPLE_TYPES[sample_type]
    rng = np.random.default_rng(0)
    if tag == module.PCM:
        samples = rng.integers(-2 ** (bits - 1), 2 ** (bits - 1), (101, 6))
        samples[0], samples[1] = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    else:
        samples = rng.normal(0, 1, (101, 6))
    extras = WaveExtras((Chunk("bext", bext()), Chunk("LIST/adtl", labels(b"a"), True)), mask)
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
    np.testing.assert_array_equal(by_libsndfile, read / (2.0 ** (bits - 1) if tag == module.PCM else 1))
    assert sorted(c.name for c in read_extras(path).chunks) == ["LIST/adtl", "bext"]
    if not rf64:  # where libsndfile needs chunks of odd length to stand behind the samples
        assert read_extras(path) == extras


def test_pythons_own_reader_takes_the_plain_form(tmp_path):
    samples = np.arange(200).reshape(100, 2)
    write(tmp_path / "out.wav", samples, "PCM_16", WaveExtras((Chunk("iXML", IXML), Chunk("smpl", SMPL, True))))
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
          WaveExtras((Chunk("cue ", cue(5), True),)))
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
    extras = WaveExtras((Chunk("bext", bytes(1 << 20)),))
    assert wave_frame(2 ** 30 - 2 ** 17, 2, RATE, "PCM_16")[0][:4] == b"RIFF"
    assert wave_frame(2 ** 30 - 2 ** 17, 2, RATE, "PCM_16", extras)[0][:4] == b"RF64"


def test_others_read_rf64_of_more_than_4_gb(tmp_path):
    """The file has a hole where most of its samples would be."""
    frames = 2 ** 30 + 5
    head, tail = wave_frame(frames, 2, RATE, "PCM_16", WaveExtras((Chunk("cue ", cue(5), True),)))
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
    write(tmp_path / "out.wav", np.zeros((10, 1)), "FLOAT", WaveExtras((made,)))
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert (file.title, file.artist, file.comment) == tuple(texts.values())


def test_scan_leaves_lists_closed():
    names = [name for name, *_ in scan(io.BytesIO(riff(*FULL)))]
    assert names == ["bext", "iXML", "fmt ", "data", "cue ", "LIST", "smpl"]
