"""JSON and TOML from strangers, read within bounds.

The parsers of the standard library obey their input: brackets without end overflow their stack, a TOML key of a
hundred thousand parts takes hours, and a number of ten thousand digits cannot even be printed in a message. What
others may have written is read here, so that a bad file is a sentence.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import FileError, reason
from .texts import decoded, mistaken_for

LARGEST_JSON, LARGEST_TOML = 64 << 20, 1 << 20  # bytes, where the caller does not say
DEEPEST = 64  # lists and tables within each other
MOST_GROUPS = 3 * 10 ** 6  # lists and tables in all: each takes a hundred times the memory of its two brackets
MOST_KEY_PARTS = 64  # of a TOML table's header; each line below it costs as much as it has parts
MOST_KEY_WORK, USUAL_KEY_PARTS = 10 ** 7, 8  # parts of TOML keys, squared: what the parser's time grows with
LARGEST_WHOLE = 2 ** 63 - 1  # as TOML has it


def read_json(path: str | os.PathLike, error: type[UserError] = FileError, most: int = LARGEST_JSON,
              finite: bool = True) -> Any:
    """The content of a JSON file of at most `most` bytes. Raises `error`; its field `why` is the reason alone.

    finite: whether NaN and Infinity, which are no JSON but which Python writes, are refused here.
    """
    return _read(Path(path), "JSON", error, most, lambda data: parse_json(data, finite))


def read_toml(path: str | os.PathLike, error: type[UserError] = FileError, most: int = LARGEST_TOML) -> dict[str, Any]:
    """The content of a TOML file of at most `most` bytes. Raises `error`; its field `why` is the reason alone."""
    return _read(Path(path), "TOML", error, most, parse_toml)


def parse_json(text: str | bytes, finite: bool = True) -> Any:
    """The value of a JSON text, with no name twice in an object. Raises ValueError saying what is wrong."""
    text = decoded(text, unicode=True) if isinstance(text, bytes) else text
    if text.count("[") + text.count("{") > MOST_GROUPS:
        raise ValueError(f"it has more than {MOST_GROUPS} lists and tables")
    return _bounded(lambda: json.loads(text, object_pairs_hook=_object), finite)


def parse_toml(text: str | bytes) -> dict[str, Any]:
    """The value of a TOML text; TOML has infinities. Raises ValueError saying what is wrong."""
    text = decoded(text, unicode=True) if isinstance(text, bytes) else text
    work = 0
    for number, line in enumerate(text.splitlines(), 1):
        dots = line.count(".")
        work += dots * dots if dots > USUAL_KEY_PARTS else 0
        if work > MOST_KEY_WORK or dots >= MOST_KEY_PARTS and line.lstrip().startswith("["):
            raise ValueError(f"line {number} has too many dots: no key has so many parts")
    if text.count("[") + text.count("{") > MOST_GROUPS:
        raise ValueError(f"it has more than {MOST_GROUPS} lists and tables")
    return _bounded(lambda: tomllib.loads(text), finite=False)


def _read(path: Path, kind: str, error: type[UserError], most: int, parse: Callable[[bytes], Any]) -> Any:
    def refusal(sentence: str, why: str = "") -> UserError:
        return error(f"{path} {sentence}", path=path, why=why or sentence)
    try:
        if not path.exists():
            raise error(f"There is no file {path}.", path=path, why="there is no such file.")
        if not path.is_file():  # a pipe would make the program wait, a device would have no end
            raise refusal("is a folder." if path.is_dir() else "is not a regular file.")
        with open(path, "rb") as file:
            data = file.read(most + 1)
        if data and (mistaken := mistaken_for(data)):
            raise refusal(f"is {mistaken}.")
        if len(data) > most:
            raise refusal(f"is larger than {most} bytes, as no such file is; it must be another kind of file.")
        return parse(data)
    except OSError as failure:
        raise refusal(f"cannot be read: {reason(failure)}.") from failure
    except ValueError as failure:
        why = str(failure).rstrip(".")
        raise refusal(f"is not a {kind} file: {why}.", f"{why}.") from failure


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object's items. A name that comes twice means one thing to one program and another to the next."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"it has the name {twice!r:.60} twice in one object")
    return result


def _bounded(parse: Callable[[], Any], finite: bool) -> Any:
    """What is parsed. Raises ValueError if it is nested too deeply, or has a number that is too long or not finite."""
    try:
        value = parse()
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _too_long() if "int_max_str_digits" in str(error) else error from None
    layer = [value]
    for _ in range(DEEPEST + 1):
        for item in layer:
            if finite and type(item) is float and not math.isfinite(item):
                raise ValueError(f"it has the number {item}, where only finite ones are of use")
            if type(item) is int and not -LARGEST_WHOLE <= item <= LARGEST_WHOLE:
                raise _too_long()
        layer = [inner for item in layer if isinstance(item, (dict, list))
                 for inner in (item.values() if isinstance(item, dict) else item)]
        if not layer:
            return value
    raise _too_deep()


def _too_long() -> ValueError:
    return ValueError("it has a whole number of more than 18 digits, too large for any use")


def _too_deep() -> ValueError:
    return ValueError(f"its lists and tables are nested more than {DEEPEST} deep")
