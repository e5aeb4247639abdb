"""Tags, who plays what and when: read from one file, written to another, and translated between formats.

In between they have the names of Vorbis comments.
"""

from __future__ import annotations

import base64
import binascii
import io

import soundfile

from .chunks import FLAC_BLOCKS, Chunk, Extras
from .id3_tags import from_id3, to_id3
from .riff import info_chunk, read_info
from .tag_values import LOUDNESS, MOST_PICTURES, MOST_TEXTS, STALE, Tags

INFO_NAMES = {"INAM": "title", "IART": "artist", "IPRD": "album", "ICRD": "date", "ITRK": "tracknumber",
              "IGNR": "genre", "ICMT": "comment", "ICOP": "copyright", "IMUS": "composer", "ILNG": "language",
              "IMED": "media", "IENG": "engineer", "ITCH": "technician", "ISBJ": "subject",
              "IKEY": "keywords", "IARL": "archivallocation", "ISRC": "source", "ISFT": "software"}
LIBSNDFILE_NAMES = ("title", "artist", "comment", "album", "date", "genre", "tracknumber", "copyright",
                    "license")
AIFF_TEXTS = {"NAME": "title", "AUTH": "artist", "(c) ": "copyright", "ANNO": "comment"}
PICTURE = "metadata_block_picture"  # Ogg has no other place for pictures than a comment of this name
TAGLESS = ("AU", "W64")


# ---------------------------------------------------------------------------------------------------- reading

def read_tags(path, file_format: str, strings: dict[str, str], extras: Extras) -> Tags:
    """The tags of a recording.

    Args:
        file_format: as libsndfile names it.
        strings: those that libsndfile found in it; they count where nothing else does.
        extras: its chunks, which may hold tags.

    Raises:
        Exception: of many kinds, where tags are damaged.
    """
    from mutagen import File
    from mutagen.flac import FLAC
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggspeex import OggSpeex
    from mutagen.oggvorbis import OggVorbis

    found = []
    if file_format == "FLAC":
        found.append(_from_comments(FLAC(path)))
    elif file_format == "OGG":  # none but these, since mutagen unpacks ID3 tags without measure
        file = File(path, options=[OggVorbis, OggOpus, OggFLAC, OggSpeex])
        if file is not None and file.tags is not None:
            found.append(_from_comments(file))
    # ID3 comes first: it distinguishes two artists from one, and states its encoding.
    for name, read in (("id3 ", from_id3), ("id3v1", from_id3), ("list/info", _from_info)):
        found += [read(chunk.content) for chunk in extras.chunks if chunk.name.lower() == name]
    if extras.kind in ("AIFF", "AU"):
        found.append(_from_aiff(extras))
    if not any(found):
        found.append(Tags({name: (strings[name],) for name in LIBSNDFILE_NAMES if strings.get(name)}))
    texts: dict[str, tuple[str, ...]] = {}
    for tags in found:
        texts = tags.texts | texts  # the first source of a tag wins
    tags = _bounded({name: values for name, values in texts.items() if not name.startswith(STALE)},
                    [picture for tags in found for picture in tags.pictures],
                    [what for tags in found for what in tags.unread],
                    any(tags.gains for tags in found) or any(name.startswith(LOUDNESS) for name in texts))
    wave_chunks(tags)  # tags that cannot be written again are damaged, which is better found now than after the render
    return tags


def _bounded(texts: dict[str, tuple[str, ...]], pictures: list[bytes], unread: list[str], gains: bool) -> Tags:
    kept, room = {}, MOST_TEXTS
    for name, values in texts.items():
        if values[:room]:
            kept[name] = values[:room]
        room -= len(kept.get(name, ()))
    if room == 0 and kept != texts:
        unread = [*unread, f"what goes beyond {MOST_TEXTS} texts"]
    if len(pictures) > MOST_PICTURES:
        unread = [*unread, f"what goes beyond {MOST_PICTURES} pictures"]
    return Tags(kept, tuple(pictures[:MOST_PICTURES]), tuple(dict.fromkeys(unread)), gains)


def _from_info(content: bytes) -> Tags:
    info = read_info(content)
    others = [name for name in info if name not in INFO_NAMES]
    return Tags({tag: (info[name],) for name, tag in INFO_NAMES.items() if name in info},
                unread=tuple(f"the text {name}" for name in others))


def _from_aiff(extras: Extras) -> Tags:
    texts: dict[str, list[str]] = {}
    for chunk in extras.chunks:
        text = chunk.content.split(b"\0")[0]
        if chunk.name in AIFF_TEXTS and text.strip():
            try:
                words = text.decode("utf-8")
            except UnicodeDecodeError:
                words = text.decode("mac-roman")
            texts.setdefault(AIFF_TEXTS[chunk.name], []).append(words)
    return Tags({name: tuple(values) for name, values in texts.items()})


def _from_comments(file) -> Tags:
    """From Vorbis comments, of FLAC and Ogg."""
    from mutagen.flac import Picture
    from mutagen.flac import error as PictureError

    pictures = [picture.write() for picture in getattr(file, "pictures", ())]
    texts: dict[str, list[str]] = {}
    for name, value in file.tags or ():
        if name.lower() == PICTURE:
            try:
                pictures.append(Picture(base64.b64decode(value, validate=True)).write())
            except (binascii.Error, ValueError, PictureError):
                continue  # keep the text without it
        elif value.strip():
            texts.setdefault(name.lower(), []).append(value)
    return Tags({name: tuple(values) for name, values in texts.items()}, tuple(pictures))


# ---------------------------------------------------------------------------------------------------- writing

def set_strings(file: soundfile.SoundFile, tags: Tags, extras: Extras) -> None:
    """Gives libsndfile the tags of a file that it is about to write, where it writes those best and the file's
    other chunks do not hold them."""
    known = {"AIFF": ("title", "artist", "comment"), "CAF": LIBSNDFILE_NAMES}.get(file.format, ())
    there = {AIFF_TEXTS.get(chunk.name) for chunk in extras.chunks}
    for name in known:
        if name in tags.texts and name not in there:
            setattr(file, name, "; ".join(tags.texts[name]).replace("\0", " "))


def write_tags(path, tags: Tags, extras: Extras, file_format: str, subtype: str) -> None:
    """Writes tags into a FLAC, Ogg, MP3 or AIFF file, and other blocks into FLAC. Raises OSError as the file system
    does."""
    blocks = extras.chunks if file_format == "FLAC" else ()
    if not (tags or blocks) or file_format not in ("FLAC", "OGG", "MP3", "AIFF"):
        return
    from mutagen import MutagenError, aiff, flac, mp3, oggopus, oggvorbis

    kind = {"FLAC": flac.FLAC, "MP3": mp3.MP3, "AIFF": aiff.AIFF,
            "OGG": oggopus.OggOpus if subtype == "OPUS" else oggvorbis.OggVorbis}[file_format]
    try:
        file = kind(path)
        if file.tags is None:
            file.add_tags()
        if file_format in ("MP3", "AIFF"):
            to_id3(tags, file.tags)
        else:
            _to_comments(tags, file)
        for block in blocks:
            made = flac.MetadataBlock(block.content)
            made.code = FLAC_BLOCKS.index(block.name.split("/")[0])
            file.metadata_blocks.append(made)
        file.save()
    except MutagenError as error:  # it wraps what the file system says
        reason = error.args[0] if error.args else None
        if isinstance(reason, OSError):
            raise reason from error
        raise


def unwritten(tags: Tags, file_format: str) -> list[str]:
    """The names of the tags that a file of this format has no place for."""
    if file_format == "CAF":
        return [name for name in tags.texts if name not in LIBSNDFILE_NAMES] + ["pictures"] * bool(tags.pictures)
    if file_format in ("FLAC", "OGG"):
        return [name for name in tags.texts if not _comment_name(name)]
    return []


def wave_chunks(tags: Tags) -> tuple[Chunk, ...]:
    """Tags as a WAV file has them: `LIST/INFO` for the few that it has names for, and all of them as ID3."""
    from mutagen.id3 import ID3

    if not tags:
        return ()
    texts = {name: "; ".join(tags.texts[tag]) for name, tag in INFO_NAMES.items() if tag in tags.texts}
    id3, content = ID3(), io.BytesIO()
    to_id3(tags, id3)
    id3.save(content, padding=lambda info: 0)
    return (*((info_chunk(texts),) if texts else ()), Chunk("id3 ", content.getvalue(), after_data=True))


def _to_comments(tags: Tags, file) -> None:
    from mutagen.flac import FLAC, Picture

    for name, values in tags.texts.items():
        if _comment_name(name):
            file.tags[_comment_name(name).upper()] = [value.replace("\0", " ") for value in values]
    if isinstance(file, FLAC):
        for picture in tags.pictures:
            file.add_picture(Picture(picture))
    elif tags.pictures:
        file.tags[PICTURE.upper()] = [base64.b64encode(picture).decode("ascii") for picture in tags.pictures]


def _comment_name(name: str) -> str:
    """What the standard has room for in a name: ASCII, but for the equals sign."""
    return "".join(c for c in name if " " <= c <= "}" and c != "=")
