"""Curves in files, as other programs write them: levels in dB over frequency, in columns, in JSON, or as a preset.

Read are text of two or more columns, the first two Hz and dB, with or without a heading, divided by commas,
semicolons, tabs or spaces (CSV, REW, ARTA, Audacity's spectra); Equalizer APO's `GraphicEQ:`; Audacity's filter
curves, as text and as XML; and JSON with `freqs_hz` and `level_db` or `response_db`. What is doubtful is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..documents import parse_json
from ..texts import decoded, quoted, read_text

CURVE_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".frd", ".cal", ".xml")
COMMENTS = ("#", "*", ";", "//", "%", "!")  # at the beginning of a line
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
TOP_HZ = (100.0, 1e6)  # of a curve's highest frequency; below, it is one in kHz, or with a comma after the thousands
LEVEL_DB = (-500.0, 200.0)
RESPONSE_DB = (-2000.0, 200.0)  # 80 dB per octave over all of hearing is 800


@dataclass(frozen=True)
class _Row:
    """A line with values, or a point of JSON: its number, itself, and its fields as they stand there."""

    number: int
    line: str
    fields: list[str]
    kind: str = "line"

    def error(self, why: str) -> ValueError:
        return ValueError(f"{self.kind} {self.number}, {quoted(self.line)}, {why}.")


def is_curve(path: Path) -> bool:
    """Whether a file is text, by its ending or its beginning."""
    if path.suffix.lower() in CURVE_ENDINGS:
        return True
    with open(path, "rb") as file:
        head = file.read(4096)
    try:
        return bool(head) and all(letter.isprintable() or letter in "\t\r\n" for letter in decoded(head))
    except ValueError:
        return False


def read_curve(path: str | os.PathLike) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Frequencies in Hz, rising, and levels in dB.

    Raises OSError; and ValueError, whose text says what is wrong, for use after the file's name: "line 3, "1,000,0",
    has 3 values ...".
    """
    text = read_text(path)
    content = text.lstrip()
    if not content:
        raise ValueError("it is empty.")
    if content.startswith("{") or Path(path).suffix.lower() == ".json":
        return _from_json(text)
    if content.startswith("<"):
        rows = _audacity_xml(text)
    elif content.lower().startswith("filtercurve:"):
        rows = _audacity_preset(content)
    elif graphic := re.search(r"^\s*GraphicEQ\s*:(.*)$", text, re.M | re.I):
        line = text.count("\n", 0, graphic.start(1)) + 1
        rows = [_Row(line, point, point.split()) for point in graphic.group(1).split(";") if point.strip()]
    else:
        rows = _columns(text)
    return _points([(row, *_values(row)) for row in rows], LEVEL_DB)


def _points(points: list[tuple[_Row, float, float]], limits: tuple[float, float]):
    """Rows with their values, checked, as frequencies and levels."""
    if points and points[0][1] == 0:  # the first bin of a spectrum, which has no place on an axis of octaves
        points = points[1:]
    if len(points) < 2:
        raise ValueError("it holds fewer than two points, which are lines with a frequency in Hz and a level in dB.")
    last = 0.0
    for row, hz, db in points:
        if hz <= last:
            raise row.error(f"has the frequency {hz:g} Hz, " + (
                f"which is not above the one before, {last:g} Hz; frequencies must be rising" if last else
                "which must be above 0"))
        if not limits[0] <= db <= limits[1]:
            raise row.error(f"has the level {db:g} dB; levels lie from {limits[0]:g} to {limits[1]:g} dB")
        last = hz
    if not TOP_HZ[0] <= last <= TOP_HZ[1]:
        raise points[-1][0].error(f"is the last, and the highest frequency would be {last:g} Hz; frequencies must be "
                                  "in Hz, without a comma for the thousands")
    return tuple(hz for _, hz, _ in points), tuple(db for _, _, db in points)


def _values(row: _Row) -> tuple[float, float]:
    if len(row.fields) < 2 or not all(NUMBER.fullmatch(field) for field in row.fields[:2]):
        finite = not any(re.search("(?i)nan|inf", field) for field in row.fields[:2])
        raise row.error("does not hold a frequency in Hz and a level in dB" if finite else
                        "has a value that is not a finite number")
    hz, db = (float(field.replace(",", ".")) for field in row.fields[:2])
    return hz, db


# ------------------------------------------------------------------------------------------------------ columns

def _columns(text: str) -> list[_Row]:
    """The rows of a table, after its heading. Commas in their numbers are decimal ones."""
    rows: list[_Row] = []
    heading = _Row(0, "", [])
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].split("//")[0].strip().replace("\N{MINUS SIGN}", "-")
        if not line or line.startswith(COMMENTS):
            continue
        row = _Row(number, line, _fields(line))
        if rows or re.match(r"[-+.,\d]", row.fields[0]):
            rows.append(row)
        else:
            heading = row
    if re.match(r"(?i)(preamp|filter *\d*) *:", heading.line):
        raise heading.error("belongs to an equalizer of filters; export a curve instead, such as GraphicEQ")
    if re.search("(?i)khz", heading.line):
        raise heading.error("says that the frequencies are in kHz; they must be in Hz")
    _check_counts(rows, heading)
    _check_commas(rows, heading)
    return rows


def _fields(line: str) -> list[str]:
    dividers = ";", "\t", '","', r",\s+", r"\s+"
    divider = next((divider for divider in dividers if re.search(divider, line)), ",")
    fields = [field.strip().strip('"').strip() for field in re.split(divider, line)]
    while len(fields) > 1 and not fields[-1]:
        fields.pop()
    return fields


def _announced(heading: _Row) -> int:
    """How many columns a heading names; 0 if the line is not a heading, or if its names may contain spaces."""
    is_one = re.search("(?i)hz|freq", heading.line) and re.search("[,;\t]", heading.line)
    return len(heading.fields) if is_one else 0


def _check_counts(rows: list[_Row], heading: _Row) -> None:
    """That each row has as many values as the heading announces, or else as the first one."""
    for row in rows:
        first, count = (heading, _announced(heading)) if _announced(heading) else (rows[0], len(rows[0].fields))
        if len(row.fields) not in (1, count):
            raise row.error(f"has {len(row.fields)} values, and line {first.number} has {count} columns; where commas "
                            "divide them, write 1000 for 1,000 and decimals with a point")


def _check_commas(rows: list[_Row], heading: _Row) -> None:
    """That no comma can be one between thousands."""
    if _announced(heading) < 3 and rows and all(  # the columns may be one number
            len(row.fields) > 2 and re.match(r"[1-9]\d{0,2},\d{3},", row.line) for row in rows):
        raise rows[0].error("seems to have a comma between the thousands of a number; write 1000 for 1,000")
    with_comma = [(row, column) for row in rows for column, field in enumerate(row.fields[:2]) if "," in field]
    doubtful = all(column == 0 and THOUSANDS.fullmatch(row.fields[0]) for row, column in with_comma)
    if with_comma and (doubtful or any("." in field for row in rows for field in row.fields[:2])):
        raise with_comma[0][0].error("has a comma that may stand between thousands or before decimals; write 1000 for "
                                     "1,000, and decimals with a point")


# ---------------------------------------------------------------------------------------- other programs' formats

def _audacity_preset(text: str) -> list[_Row]:
    """Audacity's filter curve as text: FilterCurve:f0="20" f1="100" ... v0="-3" v1="0"."""
    line = text.splitlines()[0]
    values = {(name, int(at)): value for name, at, value in re.findall(r'\b([fv])(\d{1,6})="([^"]*)"', line)}
    return [_Row(1, f"{hz} {values.get(('v', at), '')}", [hz, values.get(("v", at), "")])
            for (name, at), hz in sorted(values.items(), key=lambda item: item[0][1]) if name == "f"]


def _audacity_xml(text: str) -> list[_Row]:
    """Audacity's older file of equalization curves, which must hold one."""
    curves = len(re.findall("<curve[ >]", text))
    if curves != 1:
        raise ValueError(f"it has {curves} curves, and must have one." if curves else
                         "it is XML, but not a curve of Audacity's.")
    return [_Row(number, line, [hz, db]) for number, line in enumerate(text.splitlines(), 1)
            for hz, db in re.findall(r'<point f="([^"]*)" d="([^"]*)"', line)]


def _from_json(text: str):
    try:
        curve = parse_json(text, finite=False)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error}).") from error
    levels = next((name for name in ("level_db", "response_db") if isinstance(curve, dict) and name in curve), "")
    if not levels or not all(isinstance(curve.get(name), list) for name in ("freqs_hz", levels)):
        raise ValueError("it needs the lists freqs_hz and level_db.")
    lists = [curve["freqs_hz"], curve[levels]]
    if len(lists[0]) != len(lists[1]):
        raise ValueError(f"it has {len(lists[0])} values in freqs_hz and {len(lists[1])} in {levels}.")
    for name, values in zip(("freqs_hz", levels), lists):
        for at, value in enumerate(values, 1):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
                raise ValueError(f"value {at} in {name}, {quoted(str(value))}, is not a finite number.")
    return _points([(_Row(at, f"{hz:g} Hz, {db:g} dB", [], "point"), float(hz), float(db))
                    for at, (hz, db) in enumerate(zip(*lists), 1)], RESPONSE_DB)
