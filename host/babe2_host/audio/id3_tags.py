"""ID3 tags: read with bounds, and written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .id3 import MOST_FRAMES, Frame, plain_tag, tag_size, take_apart
from .tag_values import MOST_TEXTS, STALE, Tags

if TYPE_CHECKING:
    from mutagen.id3 import ID3

ID3_NAMES = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TDRC": "date", "TRCK": "tracknumber",
             "TCON": "genre", "TSRC": "isrc", "TCOM": "composer", "TPE2": "albumartist", "TPE3": "conductor",
             "TPE4": "arranger", "TEXT": "lyricist", "TPOS": "discnumber", "TSST": "discsubtitle",
             "TIT1": "grouping", "TIT3": "version", "TDOR": "originaldate", "TCOP": "copyright",
             "TPUB": "organization", "TENC": "encodedby", "TLAN": "language", "TMED": "media", "TBPM": "bpm",
             "TKEY": "initialkey", "TMOO": "mood", "TSOP": "artistsort", "TSOA": "albumsort",
             "TSOT": "titlesort", "TSO2": "albumartistsort", "TSOC": "composersort", "TOPE": "originalartist",
             "TOAL": "originalalbum", "TCMP": "compilation"}
PARTS = {"CHAP": "the chapters", "CTOC": "the table of chapters", "PRIV": "a program's private data",
         "GEOB": "an enclosed file", "POPM": "the rating", "PCNT": "the play counter", "SYLT": "the timed lyrics",
         "MCDI": "the CD's contents", "TIPL": "the people involved", "TMCL": "the musicians",
         "IPLS": "the people involved", "UFID": "an identifier", "EQU2": "the equalization", "RVRB": "the reverb"}
READ = ("COMM", "COM", "APIC", "PIC", "USLT", "ULT", "UFID")  # besides the texts, whose names begin with T
# Technical, or true of the old file only.
UNTOLD = ("TSSE", "TLEN", "TFLT", "TSIZ", "TDEN", "TDTG", "TDLY", "TSS", "TLE", "TFT", "TSI", "TDY", "ENCR", "GRID",
          "SEEK", "ASPI", "RBUF", "MLLT", "BUF", "CNT", "MLL")
MUSICBRAINZ = "http://musicbrainz.org"


def from_id3(content: bytes) -> Tags:
    """What an ID3 tag holds: ID3v2, or the 128 bytes of ID3v1.

    Raises:
        Exception: of many kinds, where it is damaged.
    """
    from mutagen.id3 import ID3

    if content[:3] == b"TAG":
        return _translated(ID3(io.BytesIO(content)), [], False)
    if not tag_size(content):
        raise ValueError("not an ID3 tag")
    version, frames = take_apart(content)
    known, unread = _sorted_out(frames)
    id3 = ID3(io.BytesIO(plain_tag(version, known)), load_v1=False) if known else ID3()
    return _translated(id3, unread, any(frame.tells_loudness for frame in frames))


def _sorted_out(frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """The frames to be read, and what the others are, in words."""
    known, unread, room = [], [], MOST_TEXTS
    for frame in frames:
        name = frame.name.rstrip("\0")
        if name in UNTOLD or frame.tells_loudness:
            continue
        if frame.content is None:
            unread.append(frame.unreadable)
        elif name in READ or name[0] == "T" and name not in PARTS:
            room -= _count_of_texts(frame.content) if name[0] in "TC" else 1
            if room >= 0:
                known.append(frame)
            else:
                unread.append(f"what goes beyond {MOST_TEXTS} texts")
        else:
            unread.append(f"{PARTS.get(name, 'a link' if name[0] == 'W' else 'the ID3 frame')} ({name})")
    if len(frames) == MOST_FRAMES:
        unread.append(f"what goes beyond {MOST_FRAMES} ID3 frames")
    return known, unread


def _count_of_texts(content: bytes) -> int:
    """How many texts a frame may hold, one behind the other."""
    return 1 + content[1:].count(b"\0\0" if content[:1] in (b"\1", b"\2") else b"\0")


def _translated(id3: ID3, unread: list[str], gains: bool) -> Tags:
    from mutagen.flac import Picture

    texts: dict[str, dict[str, None]] = {}  # with each text once
    pictures = []
    for frame in id3.values():
        kind, name = frame.FrameID, ID3_NAMES.get(frame.FrameID)
        values = getattr(frame, "text", ())
        if kind == "APIC":
            picture = Picture()
            picture.type, picture.mime = frame.type, frame.mime
            picture.desc, picture.data = frame.desc, frame.data
            pictures.append(picture.write())
            continue
        if kind == "COMM":
            name = "" if frame.desc.lower().startswith(STALE) else "comment"
        elif kind == "TXXX":
            name = frame.desc.lower()
            unread += [] if name else ["a text without a name (TXXX)"]
        elif kind == "TCON":
            values = frame.genres
        elif kind == "USLT":
            name, values = "lyrics", [frame.text]
        elif kind == "UFID" and frame.owner == MUSICBRAINZ:
            name, values = "musicbrainz_trackid", [frame.data.decode("latin-1")]
        elif not name and kind not in UNTOLD:
            unread.append(f"{PARTS.get(kind, 'the text')} ({kind})")
        if name:
            texts.setdefault(name, {}).update(dict.fromkeys(str(value) for value in values if str(value).strip()))
    return Tags({name: tuple(values) for name, values in texts.items() if values}, tuple(pictures),
                tuple(dict.fromkeys(unread)), gains)


def to_id3(tags: Tags, id3: ID3) -> None:
    """Adds tags to an ID3 tag of mutagen's."""
    from mutagen import id3 as frames
    from mutagen.flac import Picture

    frame_of = {name: frame for frame, name in ID3_NAMES.items()}
    for name, values in tags.texts.items():
        texts = [value.replace("\0", " ") for value in values]
        if name == "comment":
            for number, text in enumerate(texts):
                id3.add(frames.COMM(encoding=3, lang="eng", desc=str(number or ""), text=[text]))
            continue
        if name == "lyrics":
            for number, text in enumerate(texts):
                id3.add(frames.USLT(encoding=3, lang="eng", desc=str(number or ""), text=text))
            continue
        frame = getattr(frames, frame_of.get(name, "TXXX"))(encoding=3, text=texts)
        if isinstance(frame, frames.TXXX):
            frame.desc = name
        elif [str(text) for text in frame.text] != texts:  # a date that ID3 cannot say, such as "about 1917"
            frame = frames.TXXX(encoding=3, desc=name, text=texts)
        id3.add(frame)
    for picture in map(Picture, tags.pictures):
        desc = picture.desc
        while f"APIC:{desc}" in id3:  # ID3 distinguishes pictures by their descriptions
            desc += " "
        id3.add(frames.APIC(encoding=3, mime=picture.mime, type=picture.type, desc=desc, data=picture.data))
