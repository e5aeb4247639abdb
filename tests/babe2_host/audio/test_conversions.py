"""Chunks that count samples are converted to the nearest sample; what is not true of a result is taken out."""

import struct
from dataclasses import replace
from fractions import Fraction

import pytest

from babe2_host.audio import conversions
from babe2_host.audio.changes import CHANNELS, LENGTH, OLD_SAMPLES, Change, Lost, UntrueError, sentences
from containers import SMPL, bext, chunk, cue, labels, mark

SAME = Change((48000, 48000), (480_000, 480_000), (2, 2), ("PCM_24", "PCM_24"))
HALF = replace(SAME, rates=(96000, 48000), frames=(960_000, 480_000))
CD = replace(SAME, rates=(96000, 44100), frames=(960_000, 441_000))
PIECE = replace(SAME, frames=(480_000, 48_000), start=96_000)


@pytest.mark.parametrize("rates", [(96000, 48000), (44100, 48000), (44056, 44100), (8000, 192000), (192000, 8000)])
def test_places_go_to_the_nearest_sample_however_large(rates):
    change = replace(SAME, rates=rates)
    for place in (0, 1, 7, 3_456_000_000, 2 ** 40 + 1):
        exact = Fraction(place * rates[1], rates[0])
        assert abs(change.converted(place) - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("frames, whole", [((960_001, 480_000), True), ((960_001, 480_001), True),
                                           ((960_000, 480_001), False), ((960_000, 479_999), False)])
def test_a_resampled_result_is_whole_where_it_is_as_long(frames, whole):
    assert replace(HALF, frames=frames).whole == whole
    assert not replace(HALF, start=1).whole


# ------------------------------------------------------------------------------------------------- broadcast

@pytest.mark.parametrize("change, time", [
    (SAME, 3_456_000_000), (HALF, 1_728_000_000), (CD, 1_587_600_000), (PIECE, 3_456_096_000),
    (replace(HALF, start=96_000), 1_728_048_000)])
def test_the_time_reference_is_the_same_time_of_day(change, time):
    content, lost = conversions.bext(bext(3_456_000_000), change)
    assert struct.unpack_from("<Q", content, 338) == (time,) and lost == []
    assert content[:338] == bext()[:338] and content[346:602] == bext()[346:602]


@pytest.mark.parametrize("change", [SAME, replace(SAME, subtypes=("PCM_24", "FLOAT")), replace(SAME, channels=(2, 1))])
@pytest.mark.parametrize("content", [bext(), bext(2 ** 64 - 1), bext(version=0, umid=b"x" * 64), bext(version=2),
                                     bext(version=2, loudness=b"\xff\x7f" * 5), bext()[:340], b"", bext() + b"\0\0\0"])
def test_at_the_same_rate_the_broadcast_extension_stays_byte_for_byte(change, content):
    assert conversions.bext(content, change) == (content, [])


@pytest.mark.parametrize("change", [SAME, HALF])
def test_loudness_and_umid_of_the_old_samples_are_taken_out_and_named(change):
    loudness = struct.pack("<hHhhh", -2300, 5, 1, 2, 3)
    content, lost = conversions.bext(bext(version=2, umid=b"\6" * 64, loudness=loudness), change)
    assert content[348:412] == bytes(64) and content[412:422] == b"\xff\x7f" * 5
    assert content[346:348] == b"\2\0" and content[422:602] == bytes(180)
    assert lost == [Lost("the UMID of the broadcast extension", OLD_SAMPLES),
                    Lost("the loudness values of the broadcast extension", OLD_SAMPLES)]


@pytest.mark.parametrize("old, kept", [(b"A=ANALOGUE\r\n", b"A=ANALOGUE\r\n"), (b"A=ANALOGUE", b"A=ANALOGUE\r\n"),
                                       (b"A=ANALOGUE\r\n\0\0\0", b"A=ANALOGUE\r\n"), (b"", b"")])
@pytest.mark.parametrize("change, line", [
    (HALF, b"A=PCM,F=48000,W=24,M=stereo,T=BABE-2 FX\r\n"),
    (replace(CD, channels=(1, 1), subtypes=("PCM_24", "PCM_16")), b"A=PCM,F=44100,W=16,M=mono,T=BABE-2 FX\r\n"),
    (replace(CD, channels=(6, 6), subtypes=("FLOAT", "FLOAT")), b"A=PCM,F=44100,W=32,T=BABE-2 FX; floating point\r\n")])
def test_another_rate_adds_a_line_of_coding_history(old, kept, change, line):
    assert conversions.bext(bext(history=old), change)[0][602:] == kept + line


def test_the_broadcast_extension_in_unicode_is_converted_alike():
    wide = bytes(1280) + bext()[320:]
    assert conversions.ubxt(wide, SAME) == (wide, [])
    assert struct.unpack_from("<Q", conversions.ubxt(wide, HALF)[0], 1298) == (220500,)
    odd = b"something else"
    assert conversions.ubxt(odd, SAME) == (odd, [])
    for change in (HALF, PIECE):
        with pytest.raises(UntrueError):
            conversions.ubxt(odd, change)


def test_the_timers_of_a_cart_are_converted():
    def cart(*places):
        timers = b"".join(struct.pack("<4sI", b"SEG1", place) for place in places).ljust(64, b"\0")
        return bytes(684) + timers + bytes(1300)
    assert conversions.cart(cart(9600, 96001), HALF) == cart(4800, 48001)
    assert conversions.cart(cart(9600), SAME) == cart(9600) and conversions.cart(b"short", HALF) == b"short"
    assert conversions.cart(cart(), PIECE) == cart()
    with pytest.raises(UntrueError, match=LENGTH):
        conversions.cart(cart(1), PIECE)


# ---------------------------------------------------------------------------------------------------- places

def test_places_in_a_file_are_converted():
    assert conversions.cue(cue(0, 9600, 9601, 2 ** 31), HALF) == cue(0, 4800, 4801, 2 ** 30)
    region = b"adtl" + chunk(b"ltxt", struct.pack("<II4s4H", 1, 9600, b"rgn ", 0, 0, 0, 0)) + labels(b"trio")[4:]
    shorter = b"adtl" + chunk(b"ltxt", struct.pack("<II4s4H", 1, 4800, b"rgn ", 0, 0, 0, 0)) + labels(b"trio")[4:]
    assert conversions.labels(region, HALF) == shorter
    assert conversions.playlist(struct.pack("<4I", 1, 7, 9600, 2), HALF) == struct.pack("<4I", 1, 7, 4800, 2)
    assert conversions.marks(mark(9600, 9601), HALF) == mark(4800, 4801)


def test_a_samplers_loop_keeps_its_length_in_time():
    def smpl(period, first, last, fraction=0):
        return SMPL[:8] + struct.pack("<I", period) + SMPL[12:44] + struct.pack("<4I", first, last, fraction, 0)
    assert conversions.sampler(smpl(10417, 9600, 19199), HALF) == smpl(20833, 4800, 9599)
    # 96000 samples and a half become 48000 and a quarter, of which the last is the 48000th.
    assert conversions.sampler(smpl(10417, 0, 95999, 2 ** 31), HALF) == smpl(20833, 0, 47999)
    assert conversions.sampler(smpl(0, 2, 2), HALF) == smpl(0, 1, 1)


def test_markers_of_aiff_become_cue_points():
    assert [c.content for c in conversions.marks_as_cues(mark(10, 55))] == [cue(10, 55), labels(b"a", b"b")]
    assert conversions.marks_as_cues(b"") == conversions.marks_as_cues(b"\0\3") == ()


@pytest.mark.parametrize("convert, content", [
    (conversions.cue, cue(2 ** 32 - 1)), (conversions.playlist, struct.pack("<4I", 1, 7, 2 ** 32 - 1, 2)),
    (conversions.marks, mark(2 ** 32 - 1)), (conversions.marks, b"\xff\xff")])
def test_what_has_no_room_for_its_new_number_is_not_carried(convert, content):
    with pytest.raises(UntrueError):
        convert(content, replace(SAME, rates=(8000, 192000)))


# ------------------------------------------------------------------------------------------------------- XML

def ixml(**values) -> bytes:
    inside = "".join(f"\n  <{name}>{value}</{name}>" for name, value in values.items())
    return f"<?xml version='1.0' encoding='UTF-8'?><BWFXML>\n<SPEED>{inside}</SPEED><NOTE>é</NOTE></BWFXML>".encode()


LO, HI = "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO", "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI"


@pytest.mark.parametrize("change, old, new", [
    (HALF, {"FILE_SAMPLE_RATE": 96000, "TIMESTAMP_SAMPLE_RATE": 96000, HI: 0, LO: 3_456_000_000},
     {"FILE_SAMPLE_RATE": 48000, "TIMESTAMP_SAMPLE_RATE": 48000, HI: 0, LO: 1_728_000_000}),
    (HALF, {HI: 1, LO: 7}, {HI: 0, LO: 2 ** 31 + 4}),
    (HALF, {"DIGITIZER_SAMPLE_RATE": 96000, "TIMECODE_RATE": "30000/1001"},
     {"DIGITIZER_SAMPLE_RATE": 96000, "TIMECODE_RATE": "30000/1001"}),
    (HALF, {"FILE_SAMPLE_RATE": 96000, "TIMESTAMP_SAMPLE_RATE": 96096},
     {"FILE_SAMPLE_RATE": 48000, "TIMESTAMP_SAMPLE_RATE": 48048}),
    (PIECE, {"FILE_SAMPLE_RATE": 48000, LO: 5}, {"FILE_SAMPLE_RATE": 48000, LO: 96_005}),
    (replace(SAME, subtypes=("PCM_24", "PCM_16")), {"AUDIO_BIT_DEPTH": 24}, {"AUDIO_BIT_DEPTH": 16}),
    (replace(SAME, subtypes=("PCM_24", "PCM_16")), {"AUDIO_BIT_DEPTH": 20}, {"AUDIO_BIT_DEPTH": 20}),
    (HALF, {"BWF_TIME_REFERENCE_LOW": 9600, "BWF_TIME_REFERENCE_HIGH": 0},
     {"BWF_TIME_REFERENCE_LOW": 4800, "BWF_TIME_REFERENCE_HIGH": 0})])
def test_ixml_says_the_same_of_the_result(change, old, new):
    padded = ixml(**old) + b"\0\0"
    assert conversions.ixml(padded, change) == (ixml(**new) + b"\0\0", [])


def test_a_time_stamp_that_grows_beyond_32_bits_gets_its_upper_half():
    old = f"<BWFXML><{LO}>3000000000</{LO}></BWFXML>".encode()
    new = f"<BWFXML><{HI}>1</{HI}><{LO}>{6_000_000_000 - 2 ** 32}</{LO}></BWFXML>".encode()
    assert conversions.ixml(old, replace(SAME, rates=(48000, 96000))) == (new, [])


def test_sync_points_are_converted_each_by_itself():
    points = "<SYNC_POINT><SYNC_POINT_LOW>{}</SYNC_POINT_LOW><SYNC_POINT_HIGH>0</SYNC_POINT_HIGH>" \
        "<SYNC_POINT_EVENT_DURATION>{}</SYNC_POINT_EVENT_DURATION></SYNC_POINT>"
    document = "<BWFXML><SYNC_POINT_LIST><SYNC_POINT_COUNT>2</SYNC_POINT_COUNT>{}</SYNC_POINT_LIST><A/></BWFXML>"
    old = document.format(points.format(9600, 96) + points.format(19200, 0)).encode()
    new = document.format(points.format(4800, 48) + points.format(9600, 0)).encode()
    assert conversions.ixml(old, HALF) == (new, [])
    assert conversions.ixml(old, PIECE) == (b"<BWFXML><A/></BWFXML>", [Lost("the sync points of the iXML", LENGTH)])


def test_what_is_true_of_the_old_samples_is_taken_out_of_the_ixml():
    old = (b"<BWFXML><A>1</A><LOUDNESS><LOUDNESS_VALUE>-23</LOUDNESS_VALUE></LOUDNESS>"
           b"<TRACK_LIST><TRACK/></TRACK_LIST><BEXT><BWF_UMID>0606</BWF_UMID><BWF_VERSION>2</BWF_VERSION></BEXT></BWFXML>")
    new, lost = conversions.ixml(old, replace(SAME, channels=(2, 1)))
    assert new == b"<BWFXML><A>1</A><BEXT><BWF_VERSION>2</BWF_VERSION></BEXT></BWFXML>"
    assert lost == [Lost("the loudness values of the iXML", OLD_SAMPLES),
                    Lost("the track list of the iXML", CHANNELS), Lost("the UMID of the iXML", OLD_SAMPLES)]


NESTED = b"<!DOCTYPE a [<!ENTITY a 'x'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 50) for n in range(20)) + b"]><BWFXML><FILE_SAMPLE_RATE>&u;"


@pytest.mark.parametrize("content", [
    b"<BWFXML><FILE_SAMPLE_RATE>96000</BWFXML>", b"<FILE_SAMPLE_RATE> not XML", NESTED,
    "<BWFXML><FILE_SAMPLE_RATE>96000</FILE_SAMPLE_RATE></BWFXML>".encode("utf-16"),
    b"<BWFXML>" + b"<A>" * 100 + b"<FILE_SAMPLE_RATE>1</FILE_SAMPLE_RATE>" + b"</A>" * 100 + b"</BWFXML>",
    ixml(**{LO: "ten o'clock"}), ixml(**{LO: "9" * 5000}), ixml(TIMESTAMP_SAMPLE_RATE=48049)])
def test_what_cannot_be_changed_safely_is_not_carried_to_another_rate(content):
    with pytest.raises(UntrueError):
        conversions.ixml(content, HALF)
    assert conversions.ixml(content, SAME) == (content, [])


def test_the_audio_definition_model_states_the_new_rate_and_depth():
    document = '<trackUID UID="ATU_1" sampleRate="{0}" bitDepth="{1}"/><a:sampleRate>{0}</a:sampleRate><x y="96000"/>'
    old, new = document.format(96000, 24).encode(), document.format(48000, 16).encode()
    assert conversions.rates_in_xml(old, replace(HALF, subtypes=("PCM_24", "PCM_16"))) == new
    assert conversions.rates_in_xml(old, SAME) == old
    xmp = b"<x xmpDM:audioSampleRate='96000'/>"
    assert conversions.rates_in_xml(xmp, HALF) == xmp.replace(b"96", b"48")


# --------------------------------------------------------------------------------------------------- sentences

def test_there_is_a_sentence_for_each_reason():
    lost = [Lost("the cue points (cue)", LENGTH), Lost("the checksum (MD5)", OLD_SAMPLES),
            Lost("the labels (LIST/adtl)", LENGTH), Lost("the cue points (cue)", LENGTH)]
    assert sentences("a.wav", "b.wav", lost) == [
        "Not carried over from a.wav to b.wav (tied to the original length or sample rate): the cue points (cue) and "
        "the labels (LIST/adtl).",
        "Not carried over from a.wav to b.wav (valid only for the original samples): the checksum (MD5)."]
