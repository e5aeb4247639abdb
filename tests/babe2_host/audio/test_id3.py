"""ID3 tags of all versions are taken apart as others do it, and never without bounds."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from mutagen import id3 as mutagen_id3

from babe2_host.audio.id3 import MOST_FRAMES, MOST_UNPACKED, plain_tag, still_true, tag_size, take_apart
from babe2_host.audio.id3_tags import from_id3
from containers import frame, id3, syncsafe

TEXT = b"\0" + b"Marimba " * 40  # longer than 127 bytes, where the two ways of writing sizes begin to differ
PACKED = zlib.compress(TEXT)


def unsynchronised(data: bytes) -> bytes:
    return data.replace(b"\xff", b"\xff\0")


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("unsync", [False, True])
def test_frames_are_those_that_another_program_wrote(version, unsync):
    tag, file = mutagen_id3.ID3(), io.BytesIO()
    tag.add(mutagen_id3.TIT2(encoding=1, text="ÿþ Prélude \u00ff"))
    tag.add(mutagen_id3.TXXX(encoding=0, desc="matrix", text="B" * 300))
    tag.add(mutagen_id3.APIC(encoding=0, mime="image/png", type=3, desc="x", data=b"\xff\xe0\xff\0" * 5000))
    tag.save(file, v2_version=version)
    content = file.getvalue()
    if unsync and version == 3:
        body = unsynchronised(content[10:])
        content = content[:5] + b"\x80" + syncsafe(len(body)) + body
    found, frames = take_apart(content)
    assert found == version and [f.name for f in frames] == ["TIT2", "TXXX", "APIC"]
    read = from_id3(content)
    assert read.texts == {"title": ("ÿþ Prélude \u00ff",), "matrix": ("B" * 300,)}
    assert read.pictures[0].endswith(b"\xff\xe0\xff\0" * 5000) and read.unread == ()


@pytest.mark.parametrize("name, tag", [
    ("2.2", id3(frame(b"TT2", TEXT), version=2)),
    ("2.3", id3(frame(b"TIT2", TEXT, 3), version=3)),
    ("2.3 compressed", id3(frame(b"TIT2", len(TEXT).to_bytes(4, "big") + PACKED, 3, 0x80), version=3)),
    ("2.3 compressed, grouped", id3(frame(b"TIT2", len(TEXT).to_bytes(4, "big") + b"g" + PACKED, 3, 0xA0), version=3)),
    ("2.3 with a name of 2.2", id3(frame(b"TT2\0", TEXT, 3), version=3)),
    ("2.3 with an extended header", id3(b"\0\0\0\6\0\0\0\0\0\0", frame(b"TIT2", TEXT, 3), version=3, flags=0x40)),
    ("2.4", id3(frame(b"TIT2", TEXT))),
    ("2.4 with sizes as in 2.3", id3(frame(b"TIT2", TEXT, 3), frame(b"TALB", TEXT, 3))),
    ("2.4 with an extended header", id3(b"\0\0\0\6\1\0", frame(b"TIT2", TEXT), flags=0x40)),
    ("2.4 with the flag of one alone", id3(frame(b"TIT2", TEXT), flags=0x40)),
    ("2.4 with its length", id3(frame(b"TIT2", syncsafe(len(TEXT)) + TEXT, flags=1))),
    ("2.4 grouped", id3(frame(b"TIT2", b"g" + TEXT, flags=0x40))),
    ("2.4 compressed", id3(frame(b"TIT2", syncsafe(len(TEXT)) + PACKED, flags=9))),
    ("2.4 compressed and unsynchronised", id3(frame(b"TIT2", syncsafe(len(TEXT)) + unsynchronised(PACKED), flags=11))),
    ("2.4 with padding", id3(frame(b"TIT2", TEXT), bytes(500)))])
def test_every_way_to_write_a_title_is_read(name, tag):
    assert from_id3(tag).texts["title"] == (TEXT[1:].decode().strip() + " ",)
    plain = plain_tag(*take_apart(tag))
    assert str(mutagen_id3.ID3(io.BytesIO(plain))["TIT2"]) == TEXT[1:].decode()


@pytest.mark.parametrize("version, flags", [(3, 0x80), (4, 9)])
@pytest.mark.parametrize("count", [1, 40])
def test_what_unpacks_to_too_much_is_left_and_named(version, flags, count):
    size = (40 << 20) // count
    packed = syncsafe(0) + zlib.compress(b"\3" + b"x" * size, 9)
    tag = id3(*[frame(b"TXXX", packed, version, flags)] * count, frame(b"TIT2", b"\0Air", version), version=version)
    tracemalloc.start()
    try:
        read = from_id3(tag)
        still_true(tag)
        assert tracemalloc.get_traced_memory()[1] < 6 * MOST_UNPACKED
    finally:
        tracemalloc.stop()
    assert read.texts["title"] == ("Air",) and sum(map(len, read.texts)) < 100
    assert read.unread == ("a damaged, encrypted or too large ID3 frame (TXXX)",)


def test_countless_frames_and_texts_take_no_time():
    """A quadratic walk, in this program or in mutagen, would take minutes."""
    read = from_id3(id3(*[frame(b"TXXX", b"\0%06d\0x" % n) for n in range(100_000)]))  # a name and a text each
    assert len(read.texts) == MOST_FRAMES // 2
    assert read.unread == ("what goes beyond 4096 texts", "what goes beyond 4096 ID3 frames")
    texts = b"\0".join(b"%06d" % n for n in range(500_000))
    read = from_id3(id3(frame(b"TPE1", b"\0" + texts), frame(b"TPE1", b"\0z" + texts), frame(b"TIT2", b"\0Air")))
    assert read.texts == {}  # an even longer list came first
    assert read.unread == ("what goes beyond 4096 texts",)


def test_frames_within_frames_stay_closed():
    nested = frame(b"TIT2", b"\0Air")
    for _ in range(3000):
        nested = frame(b"CHAP", b"c\0" + bytes(16) + nested)
    read = from_id3(id3(nested, frame(b"TALB", b"\0Wax")))
    assert read.texts == {"album": ("Wax",)} and read.unread == ("the chapters (CHAP)",)


def test_what_is_no_tag_is_refused_and_damage_named():
    for content in (b"", b"ID3", b"rubbish" * 9, b"ID3\4\0\0\xff\xff\xff\xff" + bytes(40)):
        assert tag_size(content) == 0 and take_apart(content) == (4, [])
        with pytest.raises(ValueError, match="not an ID3 tag"):
            from_id3(content)
    cut = id3(frame(b"TIT2", b"\0Air"), frame(b"TALB", TEXT)[:60])
    assert from_id3(cut).texts == {"title": ("Air",)}
    assert from_id3(cut).unread == ("a damaged, encrypted or too large ID3 frame (TALB)",)
    secret = id3(frame(b"TIT2", b"\1secret", flags=4), frame(b"TALB", b"\0Wax"))
    assert from_id3(secret).unread == ("a damaged, encrypted or too large ID3 frame (TIT2)",)


def test_parts_that_tags_have_no_names_for_are_named():
    read = from_id3(id3(frame(b"PRIV", b"me\0data"), frame(b"POPM", b"me\0\x80"), frame(b"WOAR", b"http://a"),
                        frame(b"UFID", b"http://musicbrainz.org\0abc-1"), frame(b"USLT", b"\0eng\0O mio"),
                        frame(b"TSSE", b"\0LAME"), frame(b"TPRO", b"\0(P) 1917"), frame(b"CTOC", b"toc\0\3\0")))
    assert read.texts == {"musicbrainz_trackid": ("abc-1",), "lyrics": ("O mio",)}
    assert read.unread == ("a program's private data (PRIV)", "the rating (POPM)", "a link (WOAR)",
                           "the table of chapters (CTOC)", "the text (TPRO)")


RVA2 = frame(b"RVA2", b"track\0\1\xfe\0\0")
GAIN = frame(b"TXXX", b"\0replaygain_track_gain\x00-3 dB")
GAIN_16 = frame(b"TXXX", b"\1" + "REPLAYGAIN_TRACK_PEAK".encode("utf-16") + b"\0\0" + "1".encode("utf-16"))
NORM = frame(b"COMM", b"\0engiTunNORM\0 00000A")
KEPT = (frame(b"TIT2", b"\0Air"), frame(b"CHAP", b"c\0" + bytes(16)), frame(b"COMM", b"\0eng\0from shellac"))


@pytest.mark.parametrize("stale", [RVA2, GAIN, GAIN_16, NORM])
def test_what_says_how_loud_the_old_samples_were_is_taken_out_alone(stale):
    tag, left = still_true(id3(KEPT[0], stale, *KEPT[1:], bytes(20)))
    assert tag == id3(*KEPT) and [f.raw for f in left] == [stale]
    assert from_id3(id3(stale)).gains and not from_id3(tag).gains


def test_a_tag_that_is_true_stays_byte_for_byte():
    tag = id3(*KEPT, bytes(100))
    assert still_true(tag) == (tag, [])
    assert still_true(b"not a tag") == (b"not a tag", [])


def test_an_unsynchronised_tag_stays_readable_without_its_gains():
    for version, flags in ((3, 0x80), (4, 0x80)):
        frames = [frame(b"TIT2", b"\1\xff\xfeA\0", version), frame(b"RVA2", b"t\0\1\xfe\0\0", version)]
        if version == 3:
            body = unsynchronised(b"".join(frames))
        else:
            body = b"".join(frame(f[:4], unsynchronised(f[10:])) for f in frames)
        tag, left = still_true(id3(body, version=version, flags=flags))
        assert [f.name for f in left] == ["RVA2"]
        assert mutagen_id3.ID3(io.BytesIO(tag))["TIT2"] == "A" and "RVA2" not in str(tag)


def test_rubbish_in_tags_never_takes_the_walk_apart():
    rng = np.random.default_rng(0)
    good = id3(frame(b"TIT2", TEXT), frame(b"TXXX", syncsafe(9) + PACKED, flags=9), *KEPT, RVA2, bytes(30))
    for _ in range(2000):
        spoiled = bytearray(good)
        for at in rng.integers(5, len(good), 6):
            spoiled[at] = rng.choice([0, 1, 8, 127, 128, 255, rng.integers(256)])
        version, frames = take_apart(bytes(spoiled))
        assert sum(len(f.content or b"") for f in frames) <= len(good) + MOST_UNPACKED
        still_true(bytes(spoiled))
        take_apart(plain_tag(version, frames))
