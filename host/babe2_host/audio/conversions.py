"""Chunks for a result that differs from its recording: what counts samples is converted, exactly, to the new rate."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

from .changes import CHANNELS, LENGTH, NOT_CONVERTED, OLD_SAMPLES, Change, Lost, UntrueError
from .chunks import Chunk
from .xml_edits import Element, NotXmlError, edited, elements

UNKNOWN_LOUDNESS = 0x7FFF  # EBU Tech 3285
WORD_LENGTHS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64, "PCM_S8": 8, "PCM_U8": 8}
DATE = re.compile(rb"\d{4}[^0-9]\d{2}[^0-9]\d{2}|\0{10}| {10}")


def _u32(samples: int) -> int:
    if samples > 0xFFFFFFFF:
        raise UntrueError(NOT_CONVERTED)
    return samples


# ------------------------------------------------------------------------------------------------- broadcast

def bext(content: bytes, change: Change, text_bytes: int = 320) -> tuple[bytes, list[Lost]]:
    """The broadcast extension (EBU Tech 3285), and which of its values had to be taken out.

    The time reference is converted. The UMID is the original's, and the loudness that of its samples. At another rate
    the coding history gets a line (EBU R 98). text_bytes: of the fixed texts before the date.
    """
    new, lost, fixed = bytearray(content), [], text_bytes + 282
    stamp, version = text_bytes + 18, text_bytes + 26
    if len(content) >= stamp + 8:
        time, = struct.unpack_from("<Q", content, stamp)
        struct.pack_into("<Q", new, stamp, change.converted(time + change.start) % 2 ** 64)
    if len(content) < fixed:
        return bytes(new), lost
    stated, = struct.unpack_from("<H", content, version)
    umid = slice(version + 2, version + 66)
    if stated >= 1 and any(content[umid]):
        new[umid] = bytes(64)
        lost.append(Lost("the UMID of the broadcast extension", OLD_SAMPLES))
    loudness = struct.pack("<H", UNKNOWN_LOUDNESS) * 5
    if stated >= 2 and content[version + 66:version + 76] not in (loudness, bytes(10)):
        new[version + 66:version + 76] = loudness
        lost.append(Lost("the loudness values of the broadcast extension", OLD_SAMPLES))
    if change.resampled:
        history = bytes(new[fixed:]).rstrip(b"\0")
        new[fixed:] = history + (b"" if not history or history.endswith(b"\n") else b"\r\n") + _coding(change)
    return bytes(new), lost


def _coding(change: Change) -> bytes:
    """A line of coding history for the result."""
    mode = {1: "M=mono,", 2: "M=stereo,"}.get(change.channels[1], "")
    floats = "; floating point" if change.subtypes[1] in ("FLOAT", "DOUBLE") else ""
    return (f"A=PCM,F={change.rates[1]},W={WORD_LENGTHS.get(change.subtypes[1], 24)},{mode}"
            f"T=BABE-2 FX{floats}\r\n").encode("ascii")


def ubxt(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    """The broadcast extension in UTF-8 (ITU-R BS.1352), whose texts have four times as many bytes."""
    if not DATE.match(content, 1280):
        if change.resampled or change.start:
            raise UntrueError(NOT_CONVERTED)
        return content, []
    new, lost = bext(content, change, text_bytes=1280)
    return new, [Lost(f"{one.what} in Unicode", one.why) for one in lost]


def cart(content: bytes, change: Change) -> bytes:
    """The cart chunk (AES46), whose eight timers count samples."""
    new = bytearray(content)
    for at in range(684, min(748, len(content) - 7), 8):
        name, sample = struct.unpack_from("<4sI", content, at)
        if name.strip(b"\0 "):
            if not change.whole:
                raise UntrueError(LENGTH)
            struct.pack_into("<I", new, at + 4, _u32(change.converted(sample)))
    return bytes(new)


# ---------------------------------------------------------------------------------------------------- places

def cue(content: bytes, change: Change) -> bytes:
    new = bytearray(content)
    for at in range(4, len(content) - 23, 24):
        place, chunk, offset = struct.unpack_from("<I4s8xI", content, at + 4)
        struct.pack_into("<I", new, at + 4, _u32(change.converted(place)))
        if chunk == b"data":
            struct.pack_into("<I", new, at + 20, _u32(change.converted(offset)))
    return bytes(new)


def labels(content: bytes, change: Change) -> bytes:
    """`LIST/adtl`: of its texts, those that stand for a passage state its length."""
    new, at = bytearray(content), 4
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        if name == b"ltxt" and size >= 8 and at + 16 <= len(content):
            length, = struct.unpack_from("<I", content, at + 12)
            struct.pack_into("<I", new, at + 12, _u32(change.converted(length)))
        at += 8 + size + size % 2
    return bytes(new)


def playlist(content: bytes, change: Change) -> bytes:
    new = bytearray(content)
    for at in range(4, len(content) - 11, 12):
        length, = struct.unpack_from("<I", content, at + 4)
        struct.pack_into("<I", new, at + 4, _u32(change.converted(length)))
    return bytes(new)


def sampler(content: bytes, change: Change) -> bytes:
    """`smpl`: the duration of a sample in ns, and loops from their first sample to their last."""
    new = bytearray(content)
    if len(content) >= 12 and struct.unpack_from("<I", content, 8)[0]:
        struct.pack_into("<I", new, 8, (2 * 10 ** 9 + change.rates[1]) // (2 * change.rates[1]))
    count = struct.unpack_from("<I", content, 28)[0] if len(content) >= 36 else 0
    for at in range(36, min(36 + 24 * count, len(content) - 23), 24):
        first, last, fraction = struct.unpack_from("<III", content, at + 8)
        # A fraction of a sample is said in units of 2**-32, and lengthens the loop.
        end = (Fraction(last + 1) + Fraction(fraction, 2 ** 32)) * change.ratio
        first, last = change.converted(first), round(end) - 1
        struct.pack_into("<III", new, at + 8, _u32(first), _u32(max(last, first)), 0)
    return bytes(new)


def marks(content: bytes, change: Change) -> bytes:
    """The markers of an AIFF file."""
    new, at = bytearray(content), 2
    for _ in range(int.from_bytes(content[:2], "big")):
        if at + 7 > len(content):
            raise UntrueError(NOT_CONVERTED)
        struct.pack_into(">I", new, at + 2, _u32(change.converted(int.from_bytes(content[at + 2:at + 6], "big"))))
        at += 7 + content[at + 6] + (content[at + 6] + 1) % 2
    return bytes(new)


def marks_as_cues(content: bytes) -> tuple[Chunk, ...]:
    """The markers of an AIFF file as a WAV file has them: cue points with labels."""
    points, texts, at = [], [b"adtl"], 2
    for _ in range(int.from_bytes(content[:2], "big")):
        if at + 7 > len(content) or at + 7 + content[at + 6] > len(content):
            break
        name, place, length = struct.unpack_from(">HIB", content, at)
        points.append(struct.pack("<II4sIII", name, place, b"data", 0, 0, place))
        label = struct.pack("<I", name) + content[at + 7:at + 7 + length] + b"\0"
        texts.append(b"labl" + struct.pack("<I", len(label)) + label + b"\0" * (len(label) % 2))
        at += 7 + length + (length + 1) % 2
    if not points:
        return ()
    return (Chunk("cue ", struct.pack("<I", len(points)) + b"".join(points), after_data=True),
            Chunk("LIST/adtl", b"".join(texts), after_data=True))


# ------------------------------------------------------------------------------------------------------- XML

# A number of samples in two halves of 32 bits: the name of the lower, and of the higher.
HALVES = {"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO": "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI",
          "BWF_TIME_REFERENCE_LOW": "BWF_TIME_REFERENCE_HIGH", "SYNC_POINT_LOW": "SYNC_POINT_HIGH"}
LOUDNESS = ("LOUDNESS", "BWF_LOUDNESS_VALUE", "BWF_LOUDNESS_RANGE", "BWF_MAX_TRUE_PEAK_LEVEL",
            "BWF_MAX_MOMENTARY_LOUDNESS", "BWF_MAX_SHORT_TERM_LOUDNESS")
TAKEN_OUT = {**dict.fromkeys(LOUDNESS, Lost("the loudness values of the iXML", OLD_SAMPLES)),
             "BWF_UMID": Lost("the UMID of the iXML", OLD_SAMPLES),
             "SYNC_POINT_LIST": Lost("the sync points of the iXML", LENGTH),
             "TRACK_LIST": Lost("the track list of the iXML", CHANNELS)}


def ixml(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    """The iXML, and which of its values had to be taken out.

    Raises:
        UntrueError: something of it is not true of the result, and it is not XML that could be changed.
    """
    names = {*LOUDNESS, "BWF_UMID"}
    if change.resampled or change.start:
        names |= {"FILE_SAMPLE_RATE", "TIMESTAMP_SAMPLE_RATE", *HALVES, *HALVES.values(), "SYNC_POINT_EVENT_DURATION"}
    names |= {name for name, wrong in (("SYNC_POINT_LIST", not change.whole), ("TRACK_LIST", change.remixed),
                                       ("AUDIO_BIT_DEPTH", change.subtypes[0] != change.subtypes[1])) if wrong}
    if change.same_format and b"\0" in content.rstrip(b"\0"):  # in UTF-16
        return content, []
    if b"\0" not in content.rstrip(b"\0") and not any(name.encode() in content for name in names):
        return content, []
    try:
        found = elements(content, names)
    except NotXmlError as error:
        raise UntrueError(NOT_CONVERTED) from error
    by_place = {(element.parent, element.name): element for element in found}
    edits, lost = [], []
    for element in found:
        if element.name in TAKEN_OUT:
            edits.append((element.place, b""))
            lost.append(TAKEN_OUT[element.name])
        elif element.name in HALVES:
            edits += _number_in_halves(element, by_place.get((element.parent, HALVES[element.name])), change)
        elif element.name not in HALVES.values() and element.text.strip():
            edits.append((element.text_place, _ixml_value(element, change).encode("ascii")))
    return edited(content, edits), list(dict.fromkeys(lost))


def _ixml_value(element: Element, change: Change) -> str:
    if element.name == "AUDIO_BIT_DEPTH":
        old, new = (WORD_LENGTHS.get(subtype) for subtype in change.subtypes)
        return str(new) if new and element.text.strip() == str(old) else element.text
    if element.name == "FILE_SAMPLE_RATE":
        return str(change.rates[1])
    if element.name == "SYNC_POINT_EVENT_DURATION":
        return str(change.converted(_number(element)))
    rate = _number(element) * change.ratio  # of the time stamp: where the film was pulled down it has its own
    if rate.denominator > 1:
        raise UntrueError(NOT_CONVERTED)
    return str(rate)


def _number_in_halves(low: Element, high: Element | None, change: Change) -> list[tuple[tuple[int, int], bytes]]:
    old = _number(low) + (_number(high) << 32 if high else 0)
    new = change.converted(old if low.name == "SYNC_POINT_LOW" else old + change.start)  # or a time of day
    edits = [(low.text_place, str(new & 0xFFFFFFFF).encode("ascii"))]
    if high:
        edits.append((high.text_place, str(new >> 32).encode("ascii")))
    elif new >> 32:
        name = HALVES[low.name]
        edits.append(((low.place[0], low.place[0]), f"<{name}>{new >> 32}</{name}>".encode("ascii")))
    return edits


def _number(element: Element) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,20}\s*", element.text):
        raise UntrueError(NOT_CONVERTED)
    return int(element.text)


def rates_in_xml(content: bytes, change: Change) -> bytes:
    """The audio definition model (`axml`, ITU-R BS.2076) and XMP, which state the rate and bit depth of the file."""
    old, new = (WORD_LENGTHS.get(subtype) for subtype in change.subtypes)
    for name, before, after in ((rb"sampleRate", *change.rates), (rb"audioSampleRate", *change.rates),
                                (rb"bitDepth", old, new)):
        if before and after and before != after:
            stated = rb"(\b" + name + rb"(?:\s*=\s*[\"']|>)\s*)" + str(before).encode() + rb"(?=\s*[\"'<])"
            content = re.sub(stated, rb"\g<1>" + str(after).encode(), content)
    return content

