"""The head of a safetensors file: what it says it holds, checked before anything is read or made by it."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .documents import parse_json
from .errors import UserError
from .files import FileError, reason
from .texts import mistaken_for

LARGEST_FILE = 2 << 30  # bytes; the published models have some 2 * 10^8
LARGEST_HEAD = 4 << 20  # the embedded priors' have 3 * 10^4
MOST_TENSORS = 10 ** 4
MOST_DIMENSIONS = 8
DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4,
               "U16": 2, "U8": 1, "BOOL": 1}
AGAIN = "Download or copy it again."


@dataclass(frozen=True)
class StoredShape:
    """A tensor of the file: its type as the format names it ("F16"), and its shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """What a safetensors file says it holds: texts by name, and tensors by name."""

    metadata: dict[str, str]
    tensors: dict[str, StoredShape]


def read_head(path: str | os.PathLike, error: type[UserError] = FileError) -> Head:
    """The head of a safetensors file whose tensors lie one after the other up to its end. Raises `error`."""
    path = Path(path)
    try:
        if not path.is_file():
            raise error(f"{path} is not a file." if path.exists() else f"There is no file {path}.", path=path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(512)
            if what := _other(start):
                raise error(f"{path} {what}", path=path)
            length, = struct.unpack("<Q", start[:8])
            if length > LARGEST_HEAD:
                raise ValueError(f"its head has {length} bytes, where a prior's has at most {LARGEST_HEAD}")
            if size > LARGEST_FILE:
                raise ValueError(f"it has {size} bytes, where at most {LARGEST_FILE} are of use")
            file.seek(8)
            text = file.read(length)
        if len(text) < length:
            raise ValueError(f"it is cut short. {AGAIN}")
        return _head(parse_json(text), size - 8 - length)
    except ValueError as failure:
        raise error(f"{path} is not a safetensors file that can be read: {str(failure).rstrip('.')}.",
                    path=path) from failure
    except OSError as failure:
        raise error(f"{path} cannot be read: {reason(failure)}.", path=path) from failure


def _other(start: bytes) -> str:
    """What a file that begins like this is instead, as the end of a sentence; "" if it may be a safetensors file."""
    if what := mistaken_for(start):
        return f"is {what}."
    if start.startswith(b"PK\x03\x04"):
        return ("is a zip archive, as PyTorch's checkpoints are, and not a safetensors file. "
                "Install it with `babe2 weights import`.")
    if len(start) < 8 or start[8:9] != b"{":
        return "is not a safetensors file: it does not begin as one."
    return ""


def _head(content: Any, data_bytes: int) -> Head:
    if not isinstance(content, dict):
        raise ValueError("its head is not a table")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata is not text")
    if len(content) > MOST_TENSORS:
        raise ValueError(f"it has {len(content)} tensors, where at most {MOST_TENSORS} are of use")
    tensors, places = {}, []
    for name, entry in content.items():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(first), int(last)]} if (
                    dtype in DTYPE_BYTES and len(shape) <= MOST_DIMENSIONS
                    and all(type(n) is int and n >= 0 for n in shape)):
                pass
            case _:
                raise ValueError(f"what it says of the tensor {name!r:.80} cannot be understood")
        if math.prod(shape) * DTYPE_BYTES[dtype] != last - first:
            raise ValueError(f"it says that the tensor {name!r:.80} has {last - first} bytes, which contradicts "
                             "its shape")
        tensors[name] = StoredShape(dtype, tuple(shape))
        places.append((first, last))
    end = 0
    for first, last in sorted(places):
        if first != end:
            raise ValueError("its tensors overlap, or leave gaps")
        end = last
    if end > data_bytes:
        raise ValueError(f"it is cut short: its tensors have {end} bytes, and {data_bytes} are there. {AGAIN}")
    if end < data_bytes:
        raise ValueError(f"{data_bytes - end} bytes follow its last tensor")
    return Head(metadata, tensors)
