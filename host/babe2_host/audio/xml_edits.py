"""Small changes to the XML of chunks, which leave every other byte as it was.

The parser is expat, which reads in one pass and by itself opens nothing; documents with a DTD, which could define
entities that grow, are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from xml.parsers import expat

MOST_BYTES = 16 << 20
DEEPEST = 64


class NotXmlError(ValueError):
    """What cannot be changed safely: not well-formed, or with a DTD, or in an encoding of two bytes."""


@dataclass(frozen=True)
class Element:
    """An element: its name, where it begins and ends in the document, its text and where that is; the place of the
    element that it stands in. An element with others in it has no text."""

    name: str
    place: tuple[int, int]
    text: str
    text_place: tuple[int, int]
    parent: int


def elements(document: bytes, names: Collection[str]) -> list[Element]:
    """The elements that have one of these names, in the order in which they end. Raises NotXmlError."""
    body = document.rstrip(b"\0")  # chunks are padded with zeros
    if len(body) > MOST_BYTES or b"\0" in body:
        raise NotXmlError("It is too long, or not in UTF-8.")
    found: list[Element] = []
    open_ones: list[tuple[str, int]] = []
    texts: list[tuple[int, str]] = []  # since the last tag
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict) -> None:
        if len(open_ones) >= DEEPEST:
            raise NotXmlError("It is nested too deeply.")
        open_ones.append((name, parser.CurrentByteIndex))
        texts[:] = [(-1, "")]

    def end(name: str) -> None:
        at = parser.CurrentByteIndex
        _, begin = open_ones.pop()
        if name in names and at > begin:  # not <EMPTY/>
            text = "".join(part for _, part in texts)
            where = (texts[1][0] if len(texts) > 1 else at, at)
            found.append(Element(name, (begin, body.index(b">", at) + 1), text if texts else "", where,
                                 open_ones[-1][1] if open_ones else -1))
        texts.clear()

    def text(part: str) -> None:
        if texts:  # directly behind a start tag
            texts.append((parser.CurrentByteIndex, part))

    def doctype(*_: object) -> None:
        raise NotXmlError("It has a DTD.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise NotXmlError(str(error)) from error
    return found


def edited(document: bytes, edits: Iterable[tuple[tuple[int, int], bytes]]) -> bytes:
    """The document with other bytes in some places; of places within each other the outer one counts."""
    parts, at = [], 0
    for (begin, end), new in sorted(edits, key=lambda edit: (edit[0][0], -edit[0][1])):
        if begin >= at:
            parts += [document[at:begin], new]
            at = end
    return b"".join((*parts, document[at:]))
