"""Tags, who plays what and when: read from one file, written to another, and translated between formats.

In between, tags have the names of Vorbis comments, in lower case: title, artist, date, isrc, ...
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass, field

import soundfile

from .riff import Chunk, WaveExtras, info_chunk, read_info

ID3_NAMES = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TDRC": "date", "TRCK": "tracknumber",
             "TCON": "genre", "TSRC": "isrc", "TCOM": "composer", "TPE2": "albumartist", "TPE3": "conductor",
             "TPE4": "arranger", "TEXT": "lyricist", "TPOS": "discnumber", "TSST": "discsubtitle",
             "TIT1": "grouping", "TIT3": "version", "TDOR": "originaldate", "TCOP": "copyright",
             "TPUB": "organization", "TENC": "encodedby", "TLAN": "language", "TMED": "media", "TBPM": "bpm",
             "TKEY": "initialkey", "TMOO": "mood", "TSOP": "artistsort", "TSOA": "albumsort",
             "TSOT": "titlesort"}
INFO_NAMES = {"INAM": "title", "IART": "artist", "IPRD": "album", "ICRD": "date", "ITRK": "tracknumber",
              "IGNR": "genre", "ICMT": "comment", "ICOP": "copyright", "IMUS": "composer", "ILNG": "language",
              "IMED": "media", "IENG": "engineer", "ITCH": "technician", "ISBJ": "subject",
              "IKEY": "keywords", "IARL": "archivallocation", "ISRC": "source", "ISFT": "software"}
LIBSNDFILE_NAMES = ("title", "artist", "comment", "album", "date", "genre", "tracknumber", "copyright",
                    "license")
# True of the old file's samples or coding only. A comment named iTun... is iTunes' own bookkeeping.
STALE = ("replaygain_", "r128_", "itun", "encoder")
PICTURE = "metadata_block_picture"  # Ogg has no other place for pictures than a comment of this name
TAGLESS = ("AU", "W64")


@dataclass(frozen=True)
class Tags:
    """texts: by name, one or more each · pictures: covers and the like, each as the content of a FLAC picture
    block, which says what it shows."""

    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: tuple[bytes, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.texts or self.pictures)


# ---------------------------------------------------------------------------------------------------- reading

def read_tags(path, strings: dict[str, str], extras: WaveExtras | None) -> Tags:
    """The tags of a recording.

    Args:
        strings: those that libsndfile found in it; they count where nothing else does.
        extras: a WAV file's chunks, which hold its tags; None for files of other kinds.

    Raises:
        Exception: of many kinds, where tags are damaged.
    """
    import mutagen
    from mutagen.id3 import ID3

    found = []
    # ID3 comes first: it distinguishes two artists from one, and states its encoding.
    for chunk in sorted(extras.chunks if extras else (), key=lambda chunk: chunk.name == "LIST/INFO"):
        if chunk.name.lower() == "id3 ":
            found.append(_from_id3(ID3(io.BytesIO(chunk.content))))
        elif chunk.name == "LIST/INFO":
            info = read_info(chunk.content)
            found.append(Tags({tag: (info[name],) for name, tag in INFO_NAMES.items() if name in info}))
    if extras is None:
        file = mutagen.File(path)
        if file is not None and isinstance(file.tags, ID3):
            found.append(_from_id3(file.tags))
        elif file is not None and file.tags is not None:
            found.append(_from_comments(file))
    if not any(found):
        found.append(Tags({name: (strings[name],) for name in LIBSNDFILE_NAMES if strings.get(name)}))
    texts = {}
    for tags in found:
        texts = tags.texts | texts  # the first source of a tag wins
    tags = Tags({name: values for name, values in texts.items() if not name.startswith(STALE)},
                tuple(picture for tags in found for picture in tags.pictures))
    wave_chunks(tags)  # tags that cannot be written again are damaged, which is better found now than after the render
    return tags


def _from_comments(file) -> Tags:
    """From Vorbis comments, of FLAC and Ogg."""
    from mutagen.flac import Picture
    from mutagen.flac import error as PictureError

    pictures = [picture.write() for picture in getattr(file, "pictures", ())]
    texts = {}
    for name, value in file.tags:
        if name.lower() == PICTURE:
            try:
                pictures.append(Picture(base64.b64decode(value, validate=True)).write())
            except (binascii.Error, ValueError, PictureError):
                continue  # keep the text without it
        elif value.strip():
            texts[name.lower()] = (*texts.get(name.lower(), ()), value)
    return Tags(texts, tuple(pictures))


def _from_id3(id3) -> Tags:
    from mutagen.flac import Picture

    texts, pictures = {}, []
    for frame in id3.values():
        name = ID3_NAMES.get(frame.FrameID)
        if frame.FrameID == "COMM" and not frame.desc.lower().startswith(STALE):
            name = "comment"
        elif frame.FrameID == "TXXX":
            name = frame.desc.lower()
        elif frame.FrameID == "APIC":
            picture = Picture()
            picture.type, picture.mime = frame.type, frame.mime
            picture.desc, picture.data = frame.desc, frame.data
            pictures.append(picture.write())
        if name:
            values = [str(value) for value in (frame.genres if frame.FrameID == "TCON" else frame.text)]
            new = [value for value in values if value.strip() and value not in texts.get(name, ())]
            if new:
                texts[name] = (*texts.get(name, ()), *new)
    return Tags(texts, tuple(pictures))


# ---------------------------------------------------------------------------------------------------- writing

def set_strings(file: soundfile.SoundFile, tags: Tags) -> None:
    """Gives libsndfile the tags of a file that it is about to write, where it writes those best."""
    known = {"AIFF": ("title", "artist", "comment"), "CAF": LIBSNDFILE_NAMES}.get(file.format, ())
    for name in known:
        if name in tags.texts:
            setattr(file, name, "; ".join(tags.texts[name]).replace("\0", " "))


def write_tags(path, tags: Tags, file_format: str, subtype: str) -> None:
    """Writes tags into a FLAC, Ogg, MP3 or AIFF file. Raises OSError as the file system does."""
    if not tags or file_format not in ("FLAC", "OGG", "MP3", "AIFF"):
        return
    from mutagen import MutagenError, aiff, flac, mp3, oggopus, oggvorbis

    kind = {"FLAC": flac.FLAC, "MP3": mp3.MP3, "AIFF": aiff.AIFF,
            "OGG": oggopus.OggOpus if subtype == "OPUS" else oggvorbis.OggVorbis}[file_format]
    try:
        file = kind(path)
        if file.tags is None:
            file.add_tags()
        if file_format in ("MP3", "AIFF"):
            _to_id3(tags, file.tags)
        else:
            _to_comments(tags, file)
        file.save()
    except MutagenError as error:  # it wraps what the file system says
        reason = error.args[0] if error.args else None
        if isinstance(reason, OSError):
            raise reason from error
        raise


def wave_chunks(tags: Tags) -> tuple[Chunk, ...]:
    """Tags as a WAV file has them: `LIST/INFO` for the few that it has names for, and all of them as ID3."""
    from mutagen.id3 import ID3

    if not tags:
        return ()
    texts = {name: "; ".join(tags.texts[tag]) for name, tag in INFO_NAMES.items() if tag in tags.texts}
    id3, content = ID3(), io.BytesIO()
    _to_id3(tags, id3)
    id3.save(content, padding=lambda info: 0)
    return (*((info_chunk(texts),) if texts else ()), Chunk("id3 ", content.getvalue(), after_data=True))


def _to_comments(tags: Tags, file) -> None:
    from mutagen.flac import FLAC, Picture

    for name, values in tags.texts.items():
        # What the standard has no room for in a name: everything but ASCII, and the equals sign.
        allowed = "".join(c for c in name if " " <= c <= "}" and c != "=")
        if allowed:
            file.tags[allowed.upper()] = [value.replace("\0", " ") for value in values]
    if isinstance(file, FLAC):
        for picture in tags.pictures:
            file.add_picture(Picture(picture))
    elif tags.pictures:
        file.tags[PICTURE.upper()] = [base64.b64encode(picture).decode("ascii") for picture in tags.pictures]


def _to_id3(tags: Tags, id3) -> None:
    from mutagen import id3 as frames
    from mutagen.flac import Picture

    frame_of = {name: frame for frame, name in ID3_NAMES.items()}
    for name, values in tags.texts.items():
        values = [value.replace("\0", " ") for value in values]
        if name == "comment":
            for number, value in enumerate(values):
                id3.add(frames.COMM(encoding=3, lang="eng", desc=str(number or ""), text=[value]))
            continue
        frame = getattr(frames, frame_of.get(name, "TXXX"))(encoding=3, text=values)
        if isinstance(frame, frames.TXXX):
            frame.desc = name
        elif [str(text) for text in frame.text] != values:  # a date that ID3 cannot say, such as "about 1917"
            frame = frames.TXXX(encoding=3, desc=name, text=values)
        id3.add(frame)
    for picture in map(Picture, tags.pictures):
        desc = picture.desc
        while f"APIC:{desc}" in id3:  # ID3 distinguishes pictures by their descriptions
            desc += " "
        id3.add(frames.APIC(encoding=3, mime=picture.mime, type=picture.type, desc=desc, data=picture.data))
