"""Text from anywhere: read in the encoding that it came in, and shown so that nothing in it acts on a terminal."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Iterable

LARGEST = 16 << 20  # bytes of a file of text; all that this program reads are far below
LONGEST_SHOWN = 60  # letters of a line that a message quotes
JOINERS = "\u200c\u200d"  # Persian and emoji need them, and they do nothing else
MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# How files begin that are often taken for others, and what is said of them: "FILE is ...".
BEGINNINGS = (
    ((b"version https://git-lfs.", b"version https://hawser."),
     "a Git LFS pointer in place of the file, which was not downloaded: run `git lfs pull` where it came from"),
    ((b"/annex/objects/", b"../.git/annex/", b".git/annex/"),
     "a git-annex pointer in place of the file, which was not downloaded: run `git annex get` where it came from"),
    ((b"<!doctype html", b"<html", b"<head", b"<body", b"<script"),
     "a web page in place of the file, often one that asks to log in or says what went wrong: download it again"),
    ((b"not found", b"404: ", b"404 not ", b"403 for", b"forbidden", b"access denied", b"access to ", b"<error",
      b"{\"message\"", b"{\"error", b"{\"detail\"", b"invalid username", b"entry not found"),
     "a server's message in place of the file: download it again"),
    ((b"[internetshortcut]",), "a link to a web page, not the file that the page offers"),
    ((b"\x1f\x8b",), "compressed with gzip: unpack it first"),
    ((b"7z\xbc\xaf\x27\x1c",), "a 7z archive: unpack it first"),
    ((b"rar!\x1a\x07",), "a RAR archive: unpack it first"),
    ((b"bzh",), "compressed with bzip2: unpack it first"),
    ((b"\xfd7zxz\0",), "compressed with xz: unpack it first"),
    ((b"\x28\xb5\x2f\xfd",), "compressed with zstd: unpack it first"),
    ((b"%pdf-",), "a PDF"),
    ((b"\0\x05\x16\x07",), "what macOS keeps of a file besides its content; the file has the same name without `._`"),
)


def printable(text: str) -> str:
    """Text whose every character can be seen: those that cannot, or that move what is around them, as \\xNN or \\uNNNN.

    A byte of a name that is not valid UTF-8, which Python keeps as half a surrogate pair, is \\xNN as well.

    Examples:
        >>> printable("caf\\udce9 絆\\x1b[31m")
        'caf\\\\xe9 絆\\\\x1b[31m'
    """
    return text if text.isprintable() else "".join(c if _is_seen(c) else _escaped(c) for c in text)


def _is_seen(character: str) -> bool:
    return (character.isprintable() or character in JOINERS
            or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def _escaped(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) & 0xFF:02x}"
    # As JSON has it, which escapes the ones below by itself.
    return f"\\u{ord(character):04x}" if 0x7F <= ord(character) <= 0xFF else character.encode("unicode_escape").decode()


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them, each once: a, b and c."""
    once = list(dict.fromkeys(names))
    return " and ".join(part for part in (", ".join(once[:-1]), once[-1]) if part)


def quoted(line: str) -> str:
    """A line of a file, for a message: printable, not too long, in quotation marks."""
    line = line.strip()
    return f'"{printable(line[:LONGEST_SHOWN])}{"…" if len(line) > LONGEST_SHOWN else ""}"'


def read_text(path: str | os.PathLike, largest: int = LARGEST, unicode: bool = False) -> str:
    """The text in a file of at most so many bytes, `decoded`, with its lines ended alike.

    unicode: whether it must be Unicode, as JSON and TOML are.
    Raises OSError; and ValueError, which says what the file is in the place of such text: "it is ...".
    """
    with open(path, "rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        size = f"{largest >> 20} MB" if largest >= 1 << 20 else f"{largest >> 10} KB"
        raise ValueError(f"it is larger than {size}, as no such file is")
    if content and (mistaken := mistaken_for(content)):
        raise ValueError(f"it is {mistaken}")
    return decoded(content, unicode).replace("\r\n", "\n").replace("\r", "\n")


def decoded(content: bytes, unicode: bool = False) -> str:
    """Text in UTF-8, in UTF-16 or UTF-32 with or without their mark, or else, if it need not be `unicode`, in Windows'
    Western European code.

    Raises ValueError for what is not text.
    """
    encodings = [encoding for mark, encoding in MARKS if content.startswith(mark)][:1]
    if not encodings and b"\0" in content:
        # Of two bytes for a letter, the upper one is mostly zero.
        first, second = content[:4096:2].count(0), content[1:4096:2].count(0)
        encodings = ["utf-16-le"] if second > 4 * first else ["utf-16-be"] if first > 4 * second else []
    elif not encodings and unicode:
        return content.decode("utf-8-sig")
    elif not encodings:
        encodings = ["utf-8", "cp1252", "latin-1"]
    for encoding in encodings:
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(encoding).removeprefix("\ufeff")
            if "\0" not in text:
                return text
    raise ValueError("it is not text")


def mistaken_file(path: str | os.PathLike) -> str | None:
    """As `mistaken_for`, of a file. Raises OSError."""
    with open(path, "rb") as file:
        return mistaken_for(file.read(4096))


def mistaken_for(content: bytes) -> str | None:
    """What a file is that stands in the place of another, by its content or the first few hundred bytes of it.

    The end of a sentence, "FILE is ...", that says what to do. None where it is nothing that is known here.
    """
    if not content.strip(b"\0"):
        return "nothing but zeros, as a broken download leaves it: download it again" if content else "empty (0 bytes)"
    head = content[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode()
    head = head.removeprefix(b"\xef\xbb\xbf").lower()
    text = head.lstrip()
    for beginnings, what in BEGINNINGS:
        if head.startswith(beginnings) or text.startswith(beginnings):
            return what
    if text.startswith((b"<?xml", b"<!--")):  # what follows says more
        return next((what for beginnings, what in BEGINNINGS if any(b in text for b in beginnings if b[:1] == b"<")),
                    None)
    return None
