"""Chunks and blocks, read from whatever claims to be a recording."""

import struct

import numpy as np
import pytest
import soundfile

from babe2_fx.audio.containers import MOST_CHUNKS, W64_HEAD
from babe2_fx.audio.views import Source
from babe2_host.audio import chunks as module
from babe2_host.audio.chunks import Chunk, Extras, read_extras, scan
from babe2_host.audio.riff import read_info
from containers import (
    IXML,
    RATE,
    SMPL,
    aiff,
    aiff_chunk,
    bext,
    chunk,
    cue,
    frame,
    id3,
    labels,
    mark,
    riff,
    with_flac_blocks,
)

FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
DATA = chunk(b"data", np.arange(100, dtype="<i2").tobytes())
FULL = (chunk(b"bext", bext()), chunk(b"iXML", IXML), FMT, DATA, chunk(b"cue ", cue(10, 55)),
        chunk(b"LIST", labels(b"refrain", b"trio")), chunk(b"smpl", SMPL))
FULL_NAMES = ["bext", "iXML", "cue ", "LIST/adtl", "smpl"]


def extras_of(tmp_path, content: bytes) -> Extras:
    (tmp_path / "in.wav").write_bytes(content)
    return read_extras(tmp_path / "in.wav")


def test_chunks_are_read_byte_for_byte_and_in_order(tmp_path):
    found = extras_of(tmp_path, riff(*FULL))
    assert [c.name for c in found.chunks] == FULL_NAMES
    assert [c.content for c in found.chunks] == [bext(), IXML, cue(10, 55), labels(b"refrain", b"trio"), SMPL]
    assert [c.after_data for c in found.chunks] == [False, False, True, True, True]
    assert found.unread == () and found.channel_mask is None


def test_what_only_says_how_to_read_the_samples_is_no_chunk(tmp_path):
    technical = [chunk(name, bytes(16)) for name in (b"PEAK", b"JUNK", b"fact", b"PAD ", b"FLLR")]
    found = extras_of(tmp_path, riff(FMT, *technical, chunk(b"LIST", b"wavl" + bytes(8)), DATA, *technical))
    assert found == Extras()


def test_all_else_is_read_so_that_it_can_be_named(tmp_path):
    parts = [chunk(name, bytes(16)) for name in (b"qlty", b"ubxt", b"umid", b"levl", b"MD5 ", b"what")]
    found = extras_of(tmp_path, riff(FMT, *parts, DATA, chunk(b"LIST", b"elsewhere")))
    assert [c.name for c in found.chunks] == ["qlty", "ubxt", "umid", "levl", "MD5 ", "what", "LIST/else"]


@pytest.mark.parametrize("content", [
    b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"RIFF\x04\0\0\0AVI ", b"fLaC" * 20, riff(b"fmt"), riff(FMT[:-3]),
    riff(b"\xff" * 64), riff(bytes(4096)), riff(chunk(b"LIST", b"ad")),
    riff(form=b"RF64"), riff(chunk(b"ds64", b"", size=0xFFFFFFFF), form=b"RF64"),
    riff(chunk(b"fmt ", struct.pack("<HHI", 0xFFFE, 2, RATE), size=40))])
def test_what_is_no_wave_has_no_chunks(tmp_path, content):
    assert extras_of(tmp_path, content) == Extras()


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
    assert len(extras_of(tmp_path, content).chunks) < MOST_CHUNKS


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


def test_scan_leaves_lists_closed(tmp_path):
    (tmp_path / "in.wav").write_bytes(riff(*FULL))
    with open(tmp_path / "in.wav", "rb") as file:
        names = [name for name, *_ in scan(Source(file, tmp_path / "in.wav"))]
    assert names == ["bext", "iXML", "fmt ", "data", "cue ", "LIST", "smpl"]


# ------------------------------------------------------------------------------------------------ other kinds

@pytest.mark.parametrize("form", [b"RIFF", b"RF64", b"BW64"])
@pytest.mark.parametrize("version, flags", [(2, 0), (3, 0), (4, 0), (4, 0x10)])
def test_id3_in_front_of_a_wave_hides_nothing(tmp_path, form, version, flags):
    tag = id3(frame(b"TIT2" if version > 2 else b"TT2", b"\0Air", version), version=version, flags=flags)
    tag += b"3DI" + tag[3:10] if flags else b""  # a footer
    ds64 = [chunk(b"ds64", struct.pack("<QQQI", 0, 200, 100, 0))] if form != b"RIFF" else []
    data = DATA if form == b"RIFF" else chunk(b"data", DATA[8:], size=0xFFFFFFFF)
    content = tag + riff(*ds64, FMT, chunk(b"bext", bext()), data, chunk(b"cue ", cue(10)), form=form)
    for times in (0, 1):  # some taggers put a second one in front
        found = extras_of(tmp_path, times * tag + content)
        assert [c.name for c in found.chunks] == ["id3 "] * (1 + times) + ["bext", "cue "]
        assert found.chunks[0].content == tag and found.chunks[-2].content == bext()


@pytest.mark.parametrize("head", [b"ID3", b"ID3\x04\0\0\xff\xff\xff\xff", b"ID3\x04\0\0\x7f\x7f\x7f\x7f"])
def test_what_only_begins_like_id3_in_front_ends_the_search(tmp_path, head):
    assert not [c for c in extras_of(tmp_path, head + riff(*FULL)).chunks if c.name == "id3 "]


def test_id3_of_an_unknown_version_in_front_hides_nothing(tmp_path):
    tag = b"ID3\x09\0\0\0\0\0\0"
    found = extras_of(tmp_path, tag + riff(*FULL)).chunks
    assert found[0] == Chunk("id3 ", tag) and found[1:] == extras_of(tmp_path, riff(*FULL)).chunks


def test_wave64_has_chunks_too(tmp_path):
    def guid(name: bytes) -> bytes:
        return name + bytes.fromhex("f3acd3118cd100c04f8edb8a")

    def part(name: bytes, content: bytes) -> bytes:
        return guid(name) + struct.pack("<Q", 24 + len(content)) + content + bytes(-len(content) % 8)
    soundfile.write(tmp_path / "a.w64", np.zeros(100), RATE, "PCM_16")
    plain = (tmp_path / "a.w64").read_bytes()
    at = plain.index(guid(b"data"))
    (tmp_path / "in.w64").write_bytes(plain[:at] + part(b"bext", bext()) + part(b"levl", b"?") + plain[at:])
    assert soundfile.info(tmp_path / "in.w64").frames == 100
    assert read_extras(tmp_path / "in.w64", "W64").chunks == (Chunk("bext", bext()), Chunk("levl", b"?"))


def test_aiff_has_chunks_before_and_after_its_samples(tmp_path):
    content = aiff(RATE, 100, aiff_chunk(b"NAME", b"Air"), aiff_chunk(b"MARK", mark(10, 55)), aiff_chunk(b"what", b"?"))
    (tmp_path / "in.aiff").write_bytes(content + aiff_chunk(b"ANNO", b"odd"))
    assert read_extras(tmp_path / "in.aiff", "AIFF").chunks == (
        Chunk("NAME", b"Air"), Chunk("MARK", mark(10, 55)), Chunk("what", b"?"), Chunk("ANNO", b"odd", True))


def test_flac_has_blocks(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(5000), RATE)
    content = with_flac_blocks((tmp_path / "a.flac").read_bytes(), (5, b"sheet"), (2, b"riffRIFF"), (2, b"a"),
                               (77, b"?"))
    tag = id3(frame(b"TIT2", b"\0Air"))
    (tmp_path / "in.flac").write_bytes(tag + content)
    assert read_extras(tmp_path / "in.flac", "FLAC").chunks == (
        Chunk("id3 ", tag), Chunk("CUESHEET", b"sheet"), Chunk("APPLICATION/riff", b"riffRIFF"),
        Chunk("APPLICATION", b"a"), Chunk("block of type 77", b"?"))


def test_caf_au_and_mp3_have_what_is_named(tmp_path):
    (tmp_path / "in.caf").write_bytes(b"caff\0\1\0\0" + b"mark" + struct.pack(">q", 3) + b"abc"
                                      + b"data" + struct.pack(">q", -1) + bytes(40))
    assert read_extras(tmp_path / "in.caf", "CAF").chunks == (Chunk("mark", b"abc"),)
    for order, magic in ((">", b".snd"), ("<", b"dns.")):
        head = magic + struct.pack(order + "5I", 32, 8, 3, RATE, 1)
        (tmp_path / "in.au").write_bytes(head + b"Air\0\0\0\0\0" + bytes(8))
        assert read_extras(tmp_path / "in.au", "AU").chunks == (Chunk("ANNO", b"Air\0\0\0\0\0"),)
    one, ape = b"TAG".ljust(128, b"x"), b"APETAGEX".ljust(32, b"\0")
    (tmp_path / "in.mp3").write_bytes(id3(frame(b"TIT2", b"\0Air")) + bytes(500) + ape + one)
    assert [c.name for c in read_extras(tmp_path / "in.mp3", "MP3").chunks] == ["id3 ", "ID3v1", "APE"]


@pytest.mark.parametrize("kind", ["WAV", "W64", "AIFF", "FLAC", "CAF", "AU", "MP3"])
def test_rubbish_of_any_kind_never_raises(tmp_path, kind):
    rng = np.random.default_rng(0)
    heads = (b"RIFF\0\0\0\0WAVE", W64_HEAD + bytes(8) + b"wave" + bytes(12), b"FORM\0\0\0\0AIFF", b"fLaC",
             b"caff\0\1\0\0", b".snd", b"ID3\4\0\0\0\0\1\1")
    for number in range(200):
        rubbish = rng.integers(0, 256, 300).astype(np.uint8)
        rubbish[rng.random(300) < 0.6] = (0, 32, 255)[number % 3]
        (tmp_path / "in").write_bytes(heads[number % len(heads)] + rubbish.tobytes())
        read_extras(tmp_path / "in", kind)
