"""What of a recording's chunks goes into its result: what is carried is true there, what is not is named.

A chunk is carried byte for byte where it is still true, converted where that can be done exactly, and left behind
otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from babe2_fx.audio.containers import is_name

from . import conversions
from .changes import CHANNELS, LENGTH, OLD_SAMPLES, UNKNOWN, Change, Lost, UntrueError
from .chunks import TECHNICAL, Chunk, Extras
from .id3 import still_true, tag_size, take_apart

WAVES = ("WAV", "WAVEX", "RF64")  # the formats, as libsndfile names them, that have RIFF's chunks
GAIN = Lost("the ReplayGain or Sound Check values", OLD_SAMPLES)
FOREIGN = "APPLICATION/riff"  # a chunk of the WAV file that a FLAC file was made of
WHAT = {  # what a user may know the chunk as
    "bext": "the broadcast extension", "ubxt": "the broadcast extension in Unicode", "iXML": "the production data",
    "axml": "the XML metadata", "chna": "the channel assignments", "cart": "the traffic data", "_PMX": "the XMP data",
    "DISP": "the display title", "inst": "the instrument", "cue ": "the cue points", "LIST/adtl": "the labels",
    "plst": "the playlist", "smpl": "the sampler's loops", "acid": "the tempo and key", "CSET": "the character set",
    "r64m": "the markers", "qlty": "the quality report", "levl": "the peak envelope", "MD5 ": "the checksum",
    "umid": "the UMID", "UMID": "the UMID", "link": "the list of linked files", "strc": "the beats",
    "minf": "Pro Tools' data", "elm1": "Pro Tools' data", "regn": "the regions", "ovwf": "the overview",
    "ovvw": "the overview", "mark": "the markers", "strg": "the names of markers", "midi": "the MIDI data",
    "chan": "the channel layout", "CHAN": "the channel layout", "MARK": "the markers", "INST": "the instrument's loops",
    "COMT": "the comments", "AUTH": "the author", "NAME": "the name", "ANNO": "the annotation", "(c) ": "the copyright",
    "APPL": "another program's data", "MIDI": "the MIDI data", "AESD": "the channel status",
    "CUESHEET": "the cue sheet", FOREIGN: "the chunks of the WAV file it was made of",
    "APPLICATION/aiff": "the chunks of the AIFF file it was made of", "APE": "the APE tag"}
DESCRIBING = ("qlty", "levl", "MD5 ", "umid", "UMID", "link", "ovwf", "ovvw", "minf", "elm1", "regn", "strc")
TAGS = ("id3 ", "list/info", "id3v1", "name", "auth", "anno", "(c) ")  # in lower case: these are carried as tags

Rule = Callable[[bytes, Change], tuple[bytes | None, list[Lost]]]


def called(name: str) -> str:
    """A chunk in words, with its name."""
    kind, _, own = name.partition("/")
    shown = name.strip() if kind != "APPLICATION" else f"APPLICATION {own.strip()}"
    if name in WHAT:
        return f"{WHAT[name]} ({shown})"
    return f"another program's data ({shown})" if kind == "APPLICATION" else f"the chunk {shown}"


def carried(extras: Extras, file_format: str, change: Change) -> tuple[Extras, list[Lost]]:
    """What goes into a file of this format, as libsndfile names it, and what does not."""
    kind, lost = "WAV" if file_format in WAVES else file_format, []
    if kind == "WAV":
        extras, lost = _as_wave(extras)
    if extras.kind != kind or kind not in RULES:
        why = f"this program writes none into {kind} files"
        if extras.kind != kind:
            why = f"specific to {'WAV' if extras.kind == 'W64' else extras.kind} files"
        return Extras(kind=kind), lost + [
            Lost(called(chunk.name), OLD_SAMPLES if chunk.name in DESCRIBING else why) for chunk in extras.chunks
            # The layout of one or two channels is what everybody assumes.
            if chunk.name.lower() not in TAGS and (chunk.name.lower() != "chan" or change.channels[0] > 2)]
    if kind == "FLAC" and not _foreign_is_true(extras, change):
        rest = tuple(chunk for chunk in extras.chunks if chunk.name != FOREIGN)
        lost += [Lost(called(FOREIGN), OLD_SAMPLES)] * (len(rest) < len(extras.chunks))
        extras = replace(extras, chunks=rest)
    chunks = []
    for chunk in extras.chunks:
        content, missing = _by_rule(chunk, change, RULES[kind])
        lost += missing
        if content is not None:
            chunks.append(replace(chunk, content=content))
    return replace(extras, chunks=tuple(chunks), channel_mask=None if change.remixed else extras.channel_mask), lost


def _by_rule(chunk: Chunk, change: Change, rules: dict[str, Rule]) -> tuple[bytes | None, list[Lost]]:
    if chunk.name not in rules:
        if chunk.name.lower() in TAGS:
            return None, []
        return None, [Lost(called(chunk.name), OLD_SAMPLES if chunk.name in DESCRIBING else UNKNOWN)]
    try:
        return rules[chunk.name](chunk.content, change)
    except UntrueError as reason:
        return None, [Lost(called(chunk.name), str(reason))]


# ------------------------------------------------------------------------------------------------------ rules

def _kept(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    return content, []


def _entire(convert: Callable[[bytes, Change], bytes]) -> Rule:
    """For what counts samples: true of the whole recording only, and to be converted to another rate."""
    def rule(content: bytes, change: Change) -> tuple[bytes | None, list[Lost]]:
        if not change.whole:
            raise UntrueError(LENGTH)
        return (convert(content, change) if change.resampled else content), []
    return rule


def _same_format(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    """For what counts bytes, or cannot be converted."""
    if not change.same_format:
        raise UntrueError(OLD_SAMPLES)
    return content, []


def _same_clock(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    if not change.whole or change.resampled:
        raise UntrueError(LENGTH)
    return content, []


def _model(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    """The audio definition model says what each channel is, and when it begins and ends."""
    if change.remixed:
        raise UntrueError(CHANNELS)
    if not change.whole:
        raise UntrueError(LENGTH)
    return conversions.rates_in_xml(content, change), []


def _xmp(content: bytes, change: Change) -> tuple[bytes, list[Lost]]:
    if not change.whole and b"xmpDM:" in content:  # it may have markers and a duration
        raise UntrueError(LENGTH)
    return conversions.rates_in_xml(content, change), []


def _id3(content: bytes, change: Change) -> tuple[bytes | None, list[Lost]]:
    if tag_size(content) and not take_apart(content)[1]:  # empty
        return None, []
    content, left = still_true(content)
    return content, [GAIN if frame.tells_loudness else Lost(frame.unreadable, UNKNOWN) for frame in left]


def _always(convert: Callable[[bytes, Change], bytes]) -> Rule:
    return lambda content, change: (convert(content, change), [])


def _unchanged(content: bytes, change: Change) -> bytes:
    return content


RULES: dict[str, dict[str, Rule]] = {
    "WAV": {"bext": conversions.bext, "ubxt": conversions.ubxt, "iXML": conversions.ixml, "axml": _model,
            "chna": _model, "cart": _always(conversions.cart), "_PMX": _xmp, "DISP": _kept, "inst": _kept,
            "acid": _kept, "CSET": _kept, "LIST/INFO": _kept, "id3 ": _id3, "ID3 ": _id3,
            "cue ": _entire(conversions.cue), "LIST/adtl": _entire(conversions.labels),
            "plst": _entire(conversions.playlist), "smpl": _entire(conversions.sampler), "r64m": _same_format},
    "AIFF": {"MARK": _entire(conversions.marks), "INST": _entire(_unchanged), "COMT": _entire(_unchanged),
             "MIDI": _kept, "APPL": _kept, "AESD": _kept, "NAME": _kept, "AUTH": _kept, "ANNO": _kept, "(c) ": _kept},
    "FLAC": {"CUESHEET": _same_clock, FOREIGN: _same_format, "APPLICATION/aiff": _same_format,
             "APPLICATION/w64 ": _same_format}}


# ---------------------------------------------------------------------------------------------- between formats

def _as_wave(extras: Extras) -> tuple[Extras, list[Lost]]:
    """The chunks of another kind of file as those of a WAV file where they are such, and the rest."""
    if extras.kind == "W64":
        return replace(extras, kind="WAV"), []
    if extras.kind == "FLAC":
        chunks, rest = foreign_chunks(extras), [c.name for c in extras.chunks if c.name != FOREIGN]
        chunks = tuple(chunk for chunk in chunks if chunk.name.lower() not in TAGS)
    elif extras.kind == "AIFF":
        marks = [chunk for chunk in extras.chunks if chunk.name == "MARK"]
        chunks, rest = conversions.marks_as_cues(marks[0].content) if marks else (), [
            c.name for c in extras.chunks if c.name != "MARK"]
    else:
        return extras, []
    lost = [Lost(called(name), f"specific to {extras.kind} files") for name in rest
            if name.lower() not in TAGS]
    return Extras(chunks, kind="WAV"), lost


def foreign_chunks(extras: Extras) -> tuple[Chunk, ...]:
    """The chunks, but for the technical ones, of the WAV file that a FLAC file was made of.

    `flac --keep-foreign-metadata` keeps a WAV file's header and each of its chunks in a block, the samples left out.
    """
    chunks, after = [], False
    for block in extras.chunks:
        name, content = block.content[4:8], block.content[12:]
        if block.name != FOREIGN or not is_name(name) or name in (b"RIFF", b"RF64"):
            continue
        size, = struct.unpack("<I", block.content[8:12].ljust(4, b"\0"))
        after = after or name == b"data"
        label = name.decode("ascii") + ("/" + content[:4].decode("latin-1") if name == b"LIST" else "")
        if label not in TECHNICAL["WAV"] and size <= len(content):
            chunks.append(Chunk(label, content[:size], after))
    return tuple(chunks)


def _foreign_is_true(extras: Extras, change: Change) -> bool:
    """Whether all chunks of the WAV file that a FLAC file was made of are still true; only together do they serve."""
    chunks = foreign_chunks(extras)
    blocks = [chunk.content[4:8] for chunk in extras.chunks if chunk.name == FOREIGN]
    return change.same_format and b"PEAK" not in blocks and all(
        _by_rule(chunk, change, RULES["WAV"]) == (chunk.content, []) for chunk in chunks)
