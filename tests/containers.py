"""Files of several kinds, made byte by byte, independently of the program."""

import struct

import numpy as np

RATE = 44100


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bool = True) -> bytes:
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + (b"\0" if pad and len(content) % 2 else b"")


def riff(*parts: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(parts)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def wave(rate: int, samples: int, *parts: bytes) -> bytes:
    """A WAV file of 16 bits, mono, with chunks behind its samples."""
    fmt = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    return riff(chunk(b"fmt ", fmt), chunk(b"data", np.arange(samples).astype("<i2").tobytes()), *parts)


def bext(time: int = 441000, version: int = 1, umid: bytes = bytes(64), loudness: bytes = bytes(10),
         history: bytes = b"A=ANALOGUE,M=mono\r\n") -> bytes:
    """The content of a broadcast extension (EBU Tech 3285), with a coding history of odd length."""
    return (b"Stars and Stripes Forever".ljust(256, b"\0") + b"Archive".ljust(32, b"\0") + b"REF-1917".ljust(32, b"\0")
            + b"1999-05-0117:30:00" + struct.pack("<QH", time, version) + umid + loudness + bytes(180) + history)


def cue(*places: int) -> bytes:
    points = (struct.pack("<II4sIII", n, at, b"data", 0, 0, at) for n, at in enumerate(places, 1))
    return struct.pack("<I", len(places)) + b"".join(points)


def labels(*texts: bytes) -> bytes:
    return b"adtl" + b"".join(chunk(b"labl", struct.pack("<I", n) + text + b"\0") for n, text in enumerate(texts, 1))


IXML = b"<?xml version='1.0'?><BWFXML><NOTE>Marimba</NOTE></BWFXML>"
SMPL = struct.pack("<9I", 0, 0, 22676, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 1, 0, 10, 90, 0, 0)


def aiff_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">I", len(content)) + content + b"\0" * (len(content) % 2)


def aiff(rate: int, samples: int, *parts: bytes) -> bytes:
    """An AIFF file of 16 bits, mono."""
    rate_80_bits = struct.pack(">HQ", 16383 + rate.bit_length() - 1, rate << 64 - rate.bit_length())
    body = (b"AIFF" + aiff_chunk(b"COMM", struct.pack(">hIh", 1, samples, 16) + rate_80_bits) + b"".join(parts)
            + aiff_chunk(b"SSND", bytes(8) + np.arange(samples).astype(">i2").tobytes()))
    return b"FORM" + struct.pack(">I", len(body)) + body


def aiff_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a whole AIFF file, whose sizes are checked."""
    assert content[:4] == b"FORM" and struct.unpack(">I", content[4:8])[0] == len(content) - 8
    found, at = [], 12
    while at < len(content):
        size, = struct.unpack(">I", content[at + 4:at + 8])
        found.append((content[at:at + 4], content[at + 8:at + 8 + size]))
        at += 8 + size + size % 2
    assert at == len(content)
    return found


def mark(*places: int) -> bytes:
    """The content of an AIFF file's markers, named a, b, ..."""
    points = (struct.pack(">HIB", n, at, 1) + b"%c" % (96 + n) for n, at in enumerate(places, 1))
    return struct.pack(">H", len(places)) + b"".join(points)


def flac_blocks(content: bytes) -> list[tuple[int, bytes]]:
    """The metadata blocks of a FLAC file: type and content."""
    assert content[:4] == b"fLaC"
    found, at, last = [], 4, False
    while not last:
        last, size = content[at] >= 128, int.from_bytes(content[at + 1:at + 4], "big")
        found.append((content[at] & 127, content[at + 4:at + 4 + size]))
        at += 4 + size
    return found


def with_flac_blocks(content: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """A FLAC file with further blocks behind the first."""
    new = b"".join(bytes([kind]) + len(block).to_bytes(3, "big") + block for kind, block in blocks)
    return content[:42] + new + content[42:]


def cuesheet(*places: int) -> bytes:
    """The content of a FLAC cue sheet that is not a CD's."""
    tracks = b"".join(struct.pack(">QB", at, n) + bytes(12 + 14) + b"\x01" + struct.pack(">QB3x", 0, 1)
                      for n, at in enumerate(places, 1))
    end = struct.pack(">QB", 99999, 255) + bytes(27)
    return bytes(128 + 8 + 259) + bytes([len(places) + 1]) + tracks + end


def syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3(*frames: bytes, version: int = 4, flags: int = 0) -> bytes:
    body = b"".join(frames)
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(body)) + body


def frame(name: bytes, content: bytes, version: int = 4, flags: int = 0) -> bytes:
    if len(name) == 3:
        return name + len(content).to_bytes(3, "big") + content
    return name + (syncsafe(len(content)) if version == 4 else struct.pack(">I", len(content))) + struct.pack(
        ">H", flags) + content
