"""What a recording holds besides its samples: true in the result, or named as missing there. From file to file."""

import io
import struct
import zlib

import numpy as np
import pytest
import soundfile
from mutagen import id3 as mutagen_id3

from babe2_host.audio.chunks import Chunk, read_extras
from babe2_host.audio.recording import read_recording
from babe2_host.audio.writing import check_audio_output, not_carried, write_audio
from containers import (
    IXML,
    SMPL,
    aiff,
    aiff_chunk,
    aiff_chunks,
    bext,
    chunk,
    cue,
    cuesheet,
    flac_blocks,
    frame,
    id3,
    labels,
    mark,
    riff,
    syncsafe,
    wave,
    with_flac_blocks,
)

RATE, SAMPLES = 48000, 9600


def result(tmp_path, content: bytes, name: str, out: str, rate: int = RATE, samples: int | None = None, channels=1,
           depth=None):
    """Writes a result of a recording with this content: its path, and what is said."""
    (tmp_path / name).write_bytes(content)
    like = read_recording(tmp_path / name)
    samples = -(-like.audio.shape[1] * rate // like.sample_rate) if samples is None else samples
    audio = np.full((channels, samples), 0.25, np.float32)
    check_audio_output(tmp_path / out, like, depth=depth)
    write_audio(tmp_path / out, audio, rate, like, depth=depth)
    said = not_carried(tmp_path / out, audio, rate, like, depth=depth)
    read, hz = soundfile.read(tmp_path / out, always_2d=True)
    assert (hz, read.shape) == (rate, (samples, channels)) and np.abs(read - 0.25).max() < 1e-3
    start = f"Not carried over from {tmp_path / name} to {tmp_path / out} ("
    assert all(sentence.startswith(start) for sentence in said)
    return tmp_path / out, [sentence.removeprefix(start).replace("): ", ": ", 1) for sentence in said]


def names(path, kind="WAV") -> list[str]:
    return [c.name for c in read_extras(path, kind).chunks]


# ------------------------------------------------------------------------------------------------------- WAV

ARCHIVE = [chunk(b"bext", bext()), chunk(b"iXML", IXML), chunk(b"cue ", cue(10, 55)), chunk(b"smpl", SMPL),
           chunk(b"LIST", labels(b"a", b"b")), chunk(b"cart", bytes(2048)), chunk(b"axml", b"<adm/>"),
           chunk(b"chna", bytes(44)), chunk(b"ubxt", bytes(1280) + bext()[320:]), chunk(b"acid", bytes(24)),
           chunk(b"CSET", bytes(8)), chunk(b"r64m", bytes(320)), chunk(b"_PMX", b"<x:xmpmeta/>"),
           chunk(b"id3 ", id3(frame(b"TIT2", b"\0Air")))]


@pytest.mark.parametrize("front", [b"", id3(bytes(10), version=3), id3(frame(b"TALB", b"\0Wax"))])
def test_at_the_same_rate_all_that_is_carried_stays_byte_for_byte(tmp_path, front):
    out, said = result(tmp_path, front + wave(RATE, SAMPLES, *ARCHIVE), "in.wav", "out.wav")
    kept = read_extras(tmp_path / "in.wav").chunks[len(front) and 1:]
    assert said == [] and len(kept) == 14
    assert [c for c in read_extras(out).chunks if c.content != front] == list(kept)
    assert read_recording(out).tags == read_recording(tmp_path / "in.wav").tags
    assert ("album" in read_recording(out).tags.texts) == (b"Wax" in front)


def test_at_another_rate_what_counts_samples_is_converted(tmp_path):
    wavinfo = pytest.importorskip("wavinfo", reason="an independent reader of broadcast WAV files")
    ixml = b"<BWFXML><SPEED><FILE_SAMPLE_RATE>96000</FILE_SAMPLE_RATE><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>3456000000" \
        b"</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED></BWFXML>"
    content = wave(96000, 2 * SAMPLES, chunk(b"bext", bext(3_456_000_000)), chunk(b"iXML", ixml),
                   chunk(b"cue ", cue(960, 1921)), chunk(b"LIST", labels(b"refrain", b"trio")), chunk(b"smpl", SMPL))
    out, said = result(tmp_path, content, "in.wav", "out.wav")
    read = wavinfo.WavInfoReader(str(out))
    assert said == []
    assert (read.bext.time_reference, read.fmt.sample_rate) == (1_728_000_000, RATE)
    assert read.bext.coding_history == "A=ANALOGUE,M=mono\r\nA=PCM,F=48000,W=16,M=mono,T=BABE-2 FX\r\n"
    assert b"<FILE_SAMPLE_RATE>48000<" in read.ixml.source and b">1728000000<" in read.ixml.source
    assert [c.position for c in read.cues.cues] == [480, 961]
    assert [c.text for c in read.cues.labels] == ["refrain", "trio"]
    assert (read.smpl.sample_loops[0].start, read.smpl.sample_loops[0].end) == (5, 45)


DROPPED = [chunk(name, bytes(16)) for name in (b"qlty", b"levl", b"MD5 ", b"umid", b"link", b"elm1", b"Xtra", b"JUNK")]


def test_what_is_not_true_or_not_known_is_named_with_its_reason(tmp_path):
    out, said = result(tmp_path, wave(RATE, SAMPLES, *DROPPED, chunk(b"LIST", b"elsewhere")), "in.wav", "out.wav")
    assert names(out) == []
    assert said == [
        "valid only for the original samples: the quality report (qlty), the peak envelope (levl), the checksum "
        "(MD5), the UMID (umid), the list of linked files (link) and Pro Tools' data (elm1).",
        "unknown to this program: the chunk Xtra and the chunk LIST/else."]


@pytest.mark.parametrize("options, kept, said", [
    ({"samples": SAMPLES - 1},
     ["bext", "iXML", "cart", "ubxt", "acid", "CSET", "_PMX", "id3 "],
     ["tied to the original length or sample rate: the cue points (cue), the sampler's loops (smpl), the labels "
      "(LIST/adtl), the XML metadata (axml) and the channel assignments (chna).",
      "valid only for the original samples: the markers (r64m)."]),
    ({"channels": 2},
     ["bext", "iXML", "cue ", "smpl", "LIST/adtl", "cart", "ubxt", "acid", "CSET", "_PMX", "id3 "],
     ["tied to the original channels: the XML metadata (axml) and the channel assignments (chna).",
      "valid only for the original samples: the markers (r64m)."]),
    ({"depth": "24"},
     ["bext", "iXML", "cue ", "smpl", "LIST/adtl", "cart", "axml", "chna", "ubxt", "acid", "CSET", "_PMX", "id3 "],
     ["valid only for the original samples: the markers (r64m)."])])
def test_what_another_length_channels_or_depth_makes_untrue_is_named(tmp_path, options, kept, said):
    out, heard = result(tmp_path, wave(RATE, SAMPLES, *ARCHIVE), "in.wav", "out.wav", **options)
    assert (names(out), heard) == (kept, said)


def test_replay_gain_is_taken_out_of_a_waves_id3_tag_and_the_rest_left(tmp_path):
    frames = frame(b"TIT2", b"\0Air"), frame(b"CHAP", b"c\0" + bytes(16)), frame(b"RVA2", b"t\0\1\xfe\0\0")
    out, said = result(tmp_path, wave(RATE, SAMPLES, chunk(b"id3 ", id3(*frames))), "in.wav", "out.wav")
    assert read_extras(out).chunks == (Chunk("id3 ", id3(*frames[:2]), True),)
    assert said == ["valid only for the original samples: the ReplayGain or Sound Check values."]


BOMB = frame(b"TXXX", syncsafe(0) + zlib.compress(bytes(64 << 20), 9), flags=9)


def test_a_bomb_in_an_id3_tag_is_neither_unpacked_nor_handed_on(tmp_path):
    out, said = result(tmp_path, wave(RATE, SAMPLES, chunk(b"id3 ", id3(frame(b"TIT2", b"\0Air"), BOMB))), "in.wav",
                       "out.wav")
    assert read_extras(out).chunks == (Chunk("id3 ", id3(frame(b"TIT2", b"\0Air")), True),)
    assert said == ["unknown to this program: a damaged, encrypted or too large ID3 frame (TXXX)."]


# ------------------------------------------------------------------------------------------------ MP3 and Ogg

def test_what_an_mp3_holds_is_carried_or_named(tmp_path):
    soundfile.write(tmp_path / "a.mp3", np.zeros(SAMPLES), RATE)
    front = id3(frame(b"TIT2", b"\0Air"), frame(b"CHAP", b"c\0" + bytes(16)), frame(b"PRIV", b"me\0x"), BOMB,
                frame(b"TXXX", b"\0replaygain_track_gain\x00-3 dB"), frame(b"USLT", b"\0engx\0O mio"))
    one = b"TAG" + b"Air".ljust(30, b"\0") + b"Caruso".ljust(30, b"\0") + bytes(30) + b"1917" + bytes(30) + b"\xff"
    content = front + (tmp_path / "a.mp3").read_bytes() + b"APETAGEX".ljust(32, b"\0") + one
    out, said = result(tmp_path, content, "in.mp3", "out.flac")
    assert read_recording(tmp_path / "in.mp3").tags.texts == {
        "title": ("Air",), "artist": ("Caruso",), "date": ("1917",), "lyrics": ("O mio",)}
    assert read_recording(out).tags.texts == read_recording(tmp_path / "in.mp3").tags.texts
    assert said == [
        "specific to MP3 files: the APE tag (APE).",
        "valid only for the original samples: the ReplayGain or Sound Check values.",
        "tags this program cannot translate: the chapters (CHAP), a program's private data (PRIV) and a damaged, "
        "encrypted or too large ID3 frame (TXXX)."]
    result(tmp_path, content, "in.mp3", "out.wav")
    tag = mutagen_id3.ID3(io.BytesIO(read_extras(tmp_path / "out.wav").chunks[-1].content))
    assert tag.getall("USLT")[0].text == "O mio" and not tag.getall("TXXX")


def test_countless_comments_take_no_time_and_are_named(tmp_path):
    """Each added to a tuple of those before, they would take a time that grows with their square."""
    comments = b"\0\0\0\0" + struct.pack("<I", 60_000) + b"".join(
        struct.pack("<I", 9) + b"ARTIST=%02d" % (n % 100) for n in range(60_000))
    soundfile.write(tmp_path / "a.flac", np.zeros(SAMPLES), RATE)
    content = with_flac_blocks((tmp_path / "a.flac").read_bytes(), (4, comments))
    out, said = result(tmp_path, content, "in.flac", "out.flac")
    assert len(read_recording(out).tags.texts["artist"]) == 4096
    assert said == ["tags this program cannot translate: what goes beyond 4096 texts."]


def test_tags_that_a_format_has_no_names_for_are_named(tmp_path):
    soundfile.write(tmp_path / "a.mp3", np.zeros(SAMPLES), RATE)
    front = id3(frame(b"TIT2", b"\0Air"), frame(b"TSRC", b"\0DK1"), frame(b"TXXX", b"\3\xc3\xa9\0x"))
    content = front + (tmp_path / "a.mp3").read_bytes()
    assert result(tmp_path, content, "in.mp3", "out.caf")[1] == ["tags with no place in CAF files: isrc and é."]
    assert result(tmp_path, content, "in.mp3", "out.flac")[1] == ["tags with no place in FLAC files: é."]
    assert result(tmp_path, content, "in.mp3", "out.au")[1] == ["AU files cannot hold tags: the tags."]


# ------------------------------------------------------------------------------------------------------ FLAC

def foreign(*parts: bytes) -> list[tuple[int, bytes]]:
    """The blocks that `flac --keep-foreign-metadata` makes of a WAV file."""
    head = riff()[:12], chunk(b"fmt ", bytes(16)), b"data" + struct.pack("<I", 2 * SAMPLES)
    return [(2, b"riff" + part) for part in (*head, *parts)]


def flac(tmp_path, *blocks: tuple[int, bytes], channels: int = 1) -> bytes:
    soundfile.write(tmp_path / "plain.flac", np.zeros((SAMPLES, channels)), RATE)
    return with_flac_blocks((tmp_path / "plain.flac").read_bytes(), *blocks)


BLOCKS = [*foreign(chunk(b"cue ", cue(10)), chunk(b"LIST", labels(b"a")), chunk(b"bext", bext())),
          (5, cuesheet(0, 4800))]


def test_flac_keeps_its_cue_sheet_and_foreign_chunks_byte_for_byte(tmp_path):
    out, said = result(tmp_path, flac(tmp_path, *BLOCKS), "in.flac", "out.flac")
    found = flac_blocks(out.read_bytes())
    assert said == [] and [block for block in found if block[0] in (2, 5)] == BLOCKS
    assert found[0][0] == 0


@pytest.mark.parametrize("options, kept, said", [
    ({"samples": SAMPLES - 1}, [], ["valid only for the original samples: the chunks of the WAV file it was made of "
                                    "(APPLICATION riff).",
                                    "tied to the original length or sample rate: the cue sheet (CUESHEET)."]),
    ({"depth": "24"}, [5], ["valid only for the original samples: the chunks of the WAV file it was made of "
                            "(APPLICATION riff)."])])
def test_what_is_no_longer_true_in_a_flac_is_named(tmp_path, options, kept, said):
    out, heard = result(tmp_path, flac(tmp_path, *BLOCKS), "in.flac", "out.flac", **options)
    assert [kind for kind, _ in flac_blocks(out.read_bytes()) if kind in (2, 5)] == kept and heard == said


@pytest.mark.parametrize("stale", [chunk(b"PEAK", bytes(16)), chunk(b"levl", bytes(16)),
                                   chunk(b"bext", bext(version=2, loudness=b"\1" * 10))])
def test_foreign_chunks_that_tell_of_the_old_samples_are_not_kept(tmp_path, stale):
    _, said = result(tmp_path, flac(tmp_path, *foreign(stale)), "in.flac", "out.flac")
    assert said == ["valid only for the original samples: the chunks of the WAV file it was made of (APPLICATION "
                    "riff)."]


def test_foreign_chunks_come_back_in_a_wave(tmp_path):
    out, said = result(tmp_path, flac(tmp_path, *BLOCKS), "in.flac", "out.wav")
    assert [(c.name, c.content) for c in read_extras(out).chunks] == [
        ("cue ", cue(10)), ("LIST/adtl", labels(b"a")), ("bext", bext())]
    assert said == ["specific to FLAC files: the cue sheet (CUESHEET)."]


def test_other_applications_blocks_are_named(tmp_path):
    _, said = result(tmp_path, flac(tmp_path, (2, b"peem?")), "in.flac", "out.flac")
    assert said == ["unknown to this program: another program's data (APPLICATION peem)."]


# ------------------------------------------------------------------------------------------------------ AIFF

PARTS = [(b"MARK", mark(960, 1921)), (b"COMT", struct.pack(">HIhH", 1, 0, 0, 4) + b"hiss"), (b"AUTH", b"Caruso"),
         (b"ANNO", b"first"), (b"ANNO", b"second"), (b"(c) ", b"1917"), (b"NAME", b"Air"), (b"MIDI", b"\xf0\xf7")]


@pytest.mark.parametrize("rate, places", [(RATE, (960, 1921)), (24000, (480, 961))])
def test_aiff_keeps_its_chunks_and_its_marks_where_they_are_in_time(tmp_path, rate, places):
    content = aiff(RATE, SAMPLES, *(aiff_chunk(*part) for part in PARTS))
    out, said = result(tmp_path, content, "in.aiff", "out.aiff", rate)
    found = [part for part in aiff_chunks(out.read_bytes()) if part[0] in dict(PARTS)]
    assert said == [] and found == [(b"MARK", mark(*places)), *PARTS[1:]]
    assert read_recording(out).tags.texts == {"title": ("Air",), "artist": ("Caruso",), "copyright": ("1917",),
                                              "comment": ("first", "second")}


def test_what_only_aiff_can_have_is_named_and_its_marks_become_cue_points(tmp_path):
    content = aiff(RATE, SAMPLES, *(aiff_chunk(*part) for part in PARTS))
    out, said = result(tmp_path, content, "in.aiff", "out.wav")
    kept = {c.name: c.content for c in read_extras(out).chunks}
    assert (kept["cue "], kept["LIST/adtl"]) == (cue(960, 1921), labels(b"a", b"b"))
    assert read_recording(out).tags.texts["comment"] == ("first", "second")
    assert said == ["specific to AIFF files: the comments (COMT) and the MIDI data (MIDI)."]
    _, said = result(tmp_path, content, "in.aiff", "out.flac", samples=SAMPLES - 1)
    assert said == ["specific to AIFF files: the markers (MARK), the comments (COMT) and the MIDI data (MIDI)."]
    _, said = result(tmp_path, content, "in.aiff", "out.aiff", samples=SAMPLES - 1)
    assert said == ["tied to the original length or sample rate: the markers (MARK) and the comments (COMT)."]


# --------------------------------------------------------------------------------------------------- W64 and CAF

def test_what_wave64_and_caf_hold_is_carried_to_wav_or_named(tmp_path):
    def guid(name: bytes) -> bytes:
        return name + bytes.fromhex("f3acd3118cd100c04f8edb8a")
    soundfile.write(tmp_path / "a.w64", np.zeros(SAMPLES), RATE, "PCM_16")
    plain = (tmp_path / "a.w64").read_bytes()
    at = plain.index(guid(b"data"))
    content = plain[:at] + guid(b"bext") + struct.pack("<Q", 24 + 621) + bext() + bytes(3) + plain[at:]
    out, said = result(tmp_path, content, "in.w64", "out.wav")
    assert said == [] and read_extras(out).chunks == (Chunk("bext", bext()),)
    assert result(tmp_path, content, "in.w64", "out.w64")[1] == [
        "this program writes none into W64 files: the broadcast extension (bext)."]
    soundfile.write(tmp_path / "a.caf", np.zeros(SAMPLES), RATE, "PCM_16")
    content = (tmp_path / "a.caf").read_bytes()
    content = content[:8] + content[8:52] + b"mark" + struct.pack(">q", 8) + bytes(8) + content[52:]
    assert result(tmp_path, content, "in.caf", "out.wav")[1] == ["specific to CAF files: the markers (mark)."]


def test_what_a_big_endian_wave_holds_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(SAMPLES), RATE, "PCM_16", endian="BIG", format="WAV")
    content = (tmp_path / "a.wav").read_bytes()
    assert content[:4] == b"RIFX"
    content += b"bext" + struct.pack(">I", 602) + bytes(602) + b"levl" + struct.pack(">I", 2) + bytes(2)
    out, said = result(tmp_path, content, "in.wav", "out.wav")
    assert names(out) == []
    assert said == ["specific to RIFX files: the broadcast extension (bext).",
                    "valid only for the original samples: the peak envelope (levl)."]
