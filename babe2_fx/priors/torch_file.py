"""What `torch.save` wrote, read without running anything that it holds.

Such a file is a zip archive of raw tensors and a pickle that says what they are. A pickle is a program, and
`torch.load` runs it. A `pickle.Unpickler` that looks up no foreign names would run no stranger's code, but it obeys
the file with what it has: it sets attributes of any object or class, makes a memo of any size at one instruction, and
overflows the stack where a dictionary's key is a tuple nested a million deep. So the standard library only splits the
pickle into its instructions (`pickletools.genops` runs nothing), and the few that a checkpoint needs are carried out
here, on plain values. No class is imported or instantiated, no attribute is set, nothing is called; OmegaConf need not
be installed.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..tensor_files import AGAIN
from ..texts import mistaken_for
from .prior import PriorError
from .refusals import LARGEST_SIZE, refused, shown, unusable

LARGEST = 4 * 2 ** 20  # bytes of the pickle and of the archive's directory; the published ones have some 10^5
CHUNK = 2 ** 20
DEEPEST = 20  # dictionaries and lists within each other, where all of a file is wanted

DTYPES = {f"torch.{name}Storage": dtype for name, dtype in (
    ("Double", torch.float64), ("Float", torch.float32), ("Half", torch.float16),
    ("BFloat16", torch.bfloat16), ("Long", torch.int64), ("Int", torch.int32), ("Short", torch.int16),
    ("Char", torch.int8), ("Byte", torch.uint8), ("Bool", torch.bool))}
REBUILD_TENSOR, REBUILD_PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
DICTIONARIES = ("collections.OrderedDict", "collections.defaultdict")
NUMPY_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
# What a checkpoint may name besides the classes of its configuration. All but the first line stay names.
NAMES = {
    REBUILD_TENSOR, REBUILD_PARAMETER, *DICTIONARIES, *DTYPES,
    *NUMPY_ARRAYS, "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.ndarray",
    "numpy.dtype", "_codecs.encode",
    *(f"builtins.{name}" for name in ("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
                                      "long", "set", "str", "tuple", "unicode")),
    *(f"typing.{name}" for name in ("Any", "Dict", "List", "Optional", "Tuple", "Union"))}
CONFIGURATION = re.compile(r"omegaconf(\.\w+)*\.\w+")

# Instructions that push a value given in the pickle itself.
LITERALS = {"BINBYTES", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "BINUNICODE8",
            "FLOAT", "INT", "LONG", "LONG1", "LONG4", "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE",
            "STRING", "UNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, eq=False, slots=True)
class Named:
    """A class or function that the pickle names. It stays a name."""

    text: str


@dataclass(eq=False, slots=True)
class Inert:
    """What the pickle would have made by calling a name: inert data."""

    name: str
    arguments: object
    state: object = None


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """Where a tensor's numbers lie in the archive; they are read when they are used."""

    entry: zipfile.ZipInfo
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, eq=False, slots=True)
class StoredTensor:
    """A tensor of the file: which of a storage's numbers it has, and in which order."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


# ------------------------------------------------------------------------------------------------ the archive

class TorchFile:
    """A checkpoint that is open for reading.

    Attributes:
        content: what was saved: plain values, `StoredTensor` for each tensor, `Named` and `Inert` for all else.
        size: bytes of the file, more than which no honest checkpoint needs.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int):
        self.size, self._archive = size, archive
        self._storages: dict[str, Tensor] = {}
        entries = _entries(archive, size)
        self.content = _interpret(bytes(_read(archive, entries["data.pkl"])), entries)

    def tensor(self, stored: StoredTensor) -> Tensor:
        """The tensor itself, in float32."""
        return self._tensor(stored).float().contiguous()

    def whole(self) -> Any:
        """All of the content: plain values in dictionaries, lists and tuples, and the tensors as they were saved."""
        done: dict[int, Any] = {}  # what the file refers to twice is made once

        def made(value: Any, depth: int) -> Any:
            if depth > DEEPEST:
                raise refused("has values nested without end.")
            if id(value) not in done:
                if isinstance(value, StoredTensor):
                    result: Any = self._tensor(value)
                elif type(value) is dict:
                    result = {key: made(item, depth + 1) for key, item in value.items()}
                elif type(value) in (list, tuple):
                    result = type(value)(made(item, depth + 1) for item in value)
                elif value is None or type(value) in (bool, int, float, str):
                    result = value
                else:
                    raise refused("holds something that is neither a number, a text nor a tensor.")
                done[id(value)] = result
            return done[id(value)]
        return made(self.content, 0)

    def _tensor(self, stored: StoredTensor) -> Tensor:
        entry = stored.storage.entry
        if entry.filename not in self._storages:
            data = _read(self._archive, entry)
            self._storages[entry.filename] = torch.frombuffer(data, dtype=stored.storage.dtype)
        numbers = self._storages[entry.filename]
        return numbers.as_strided(stored.size, stored.stride, stored.offset)


@contextmanager
def open_torch_file(path: Path) -> Iterator[TorchFile]:
    """Opens a file that `torch.save` wrote; nothing in it is run.

    Raises:
        PriorError: the file is not one, is damaged, or holds what no checkpoint holds. A PriorError raised while it is
            open is the rest of a sentence: the file's name is put before it.
    """
    try:
        _check_head(path)
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            yield TorchFile(archive, path.stat().st_size)
    except PriorError as error:
        raise PriorError(f"{path} {error}") from error.__cause__
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise PriorError(f"{path} is cut short or damaged ({shown(error)}). {AGAIN}") from error
    except OSError as error:
        raise PriorError(f"{path} cannot be read: {error.strerror or error}.") from error


class _Bounded(io.FileIO):
    """A file that gives no more than LARGEST bytes at once, so that a forged directory cannot fill the memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = LARGEST
        if size > LARGEST:
            raise zipfile.BadZipFile(f"a part of {size} bytes, which is too large")
        return super().read(size)


def _check_head(path: Path) -> None:
    """Raises PriorError saying what a file is if it is not a zip archive."""
    with open(path, "rb") as file:
        head = file.read(512)
    if what := mistaken_for(head):
        raise PriorError(f"is {what}.")
    if head[:1] == b"\x80":
        raise PriorError("is a bare pickle, as PyTorch wrote files before version 1.6, and is not read, "
                         "because such a file can run any program. If you trust it, save it again with a "
                         "newer PyTorch.")
    if head[8:10] == b'{"':
        raise PriorError("is a safetensors file under another name. Rename it to end in .safetensors.")
    if head[:2] != b"PK":
        raise unusable("is not a checkpoint: it does not begin as PyTorch's zip archives do.")


def _entries(archive: zipfile.ZipFile, file_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's entries by their names in its one folder, their sizes checked."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise refused("has two entries of one name in its archive.")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise refused("holds compressed data, which PyTorch never writes and which may be a zip bomb: "
                           f"{shown(info.filename)}, {info.compress_size} bytes that become "
                           f"{info.file_size}.")
    if sum(info.file_size for info in infos) > file_bytes:
        raise refused(f"claims to hold more data than its {file_bytes} bytes.")
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise unusable("is a zip archive but not a checkpoint: it does not have one data.pkl in a folder.")
    root = pickles[0].removesuffix("data.pkl")
    entries = {name.removeprefix(root): info for name, info in zip(names, infos) if name.startswith(root)}
    if entries["data.pkl"].file_size > LARGEST:
        raise refused(f"has a pickle of {entries['data.pkl'].file_size} bytes, where a checkpoint's has at "
                       f"most {LARGEST}.")
    if "byteorder" in entries and _read(archive, entries["byteorder"]) != b"little":
        raise PriorError("was written on a big-endian machine, which is not supported. Save it again on another.")
    return entries


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    """An entry's bytes, whose checksum zipfile verifies."""
    data = bytearray()
    with archive.open(info) as part:
        while chunk := part.read(CHUNK):
            data += chunk
    if len(data) < info.file_size:
        raise EOFError(f"{info.filename} ends early")
    return data


# ------------------------------------------------------------------------------------------------- the pickle

def _interpret(pickle: bytes, entries: dict[str, zipfile.ZipInfo]) -> object:
    """The value of a pickle, made of plain values, names, objects and tensors that are not read yet.

    No instruction takes more memory than a small object, so the pickle's own size bounds that of its value.
    """
    try:
        return _run(pickle, entries)
    except PriorError:
        raise
    except (IndexError, KeyError, OverflowError, TypeError, ValueError, struct.error) as error:
        raise PriorError(f"has a damaged pickle ({shown(error)}). {AGAIN}") from error


def _run(pickle: bytes, entries: dict[str, zipfile.ZipInfo]) -> object:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    argument: Any

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, argument, _ in pickletools.genops(pickle):
        code = opcode.name
        if code in LITERALS:
            stack.append(argument)
        elif code in CONSTANTS:
            stack.append(CONSTANTS[code])
        elif code in TUPLES:
            count = TUPLES[code]
            stack[-count:] = [tuple(stack[-count:])]
        elif code == "TUPLE":
            items = since_mark()
            stack.append(tuple(items))
        elif code in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if code == "EMPTY_LIST" else {})
        elif code in ("LIST", "DICT"):
            items = since_mark()
            stack.append(items if code == "LIST" else _filled({}, items))
        elif code == "MARK":
            marks.append(len(stack))
        elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif code == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif code in ("APPEND", "APPENDS"):
            items = since_mark() if code == "APPENDS" else [stack.pop()]
            if type(stack[-1]) is not list:
                raise refused("appends to something that is not a list.")
            stack[-1].extend(items)
        elif code in ("SETITEM", "SETITEMS"):
            if code == "SETITEM":
                marks.append(len(stack) - 2)
            items = since_mark()
            _filled(stack[-1], items)
        elif code == "GLOBAL":
            stack.append(_name(*argument.split(" ", 1)))
        elif code == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(_name(module, name))
        elif code in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            keywords = stack.pop() if code == "NEWOBJ_EX" else None
            arguments, callee = stack.pop(), stack.pop()
            stack.append(_made(callee, (arguments, keywords) if keywords else arguments))
        elif code == "INST":
            items = since_mark()
            stack.append(_made(_name(*argument.split(" ", 1)), tuple(items)))
        elif code == "OBJ":
            callee, *items = since_mark()
            stack.append(_made(callee, tuple(items)))
        elif code == "BUILD":
            state, target = stack.pop(), stack[-1]
            if isinstance(target, Inert):
                target.state = state
            elif type(target) is not dict:  # a state dict has notes on versions, which are not used
                raise refused("sets attributes of something that has none.")
        elif code == "BINPERSID":
            stack.append(_storage(stack.pop(), entries))
        elif code == "STOP":
            return stack.pop()
        elif code not in ("PROTO", "FRAME"):
            raise refused(f"has the instruction {code} in its pickle, which a checkpoint does not need.")
    raise ValueError("no end")


def _filled(target: dict, items: list) -> dict:
    """A dictionary with further items (key, value, key, value ...)."""
    if type(target) is not dict:
        raise refused("sets items of something that is not a dictionary.")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Hashing these takes no time; other keys, such as nested tuples, can take forever.
        short = type(key) is str and len(key) < 1000 or type(key) is int and abs(key) < LARGEST_SIZE
        if not (short or key is None or type(key) in (bool, float)):
            raise refused("has a dictionary with a key that is neither short text nor a number.")
        target[key] = value
    return target


def _name(module: object, name: object) -> Named:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise refused("names something by a value that is not text.")
    text = f"{'builtins' if module == '__builtin__' else module}.{name}"  # what Python 2, and so protocol 2, calls it
    if text not in NAMES and not (len(text) < 200 and "." not in name and CONFIGURATION.fullmatch(text)):
        raise refused(f"asks for {shown(text)}, which no checkpoint needs and which may be meant to run a "
                       "program.")
    return Named(text)


def _made(callee: object, arguments: Any) -> object:
    """What calling a name amounts to: tensors and dictionaries are what they seem, all else is inert."""
    if not isinstance(callee, Named):
        raise refused("calls something that is not a class or function.")
    if callee.text in DICTIONARIES:
        if not isinstance(arguments, tuple) or not all(isinstance(item, Named) for item in arguments):
            raise refused(f"calls {callee.text} with values.")
        return {}
    if callee.text == REBUILD_TENSOR:
        return _tensor(*arguments[:4])
    if callee.text == REBUILD_PARAMETER:
        if not isinstance(arguments[0], StoredTensor):
            raise refused("has a parameter that is not a tensor.")
        return arguments[0]
    return Inert(callee.text, arguments)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST_SIZE


def _storage(identity: Any, entries: dict[str, zipfile.ZipInfo]) -> Storage:
    """The storage of a persistent id, ("storage", type, key, device, count), if that is in the archive."""
    match identity:
        case ("storage", Named(text), str(key), str(), count) if (
                text in DTYPES and re.fullmatch("[0-9]{1,9}", key) and _is_count(count)):
            pass
        case _:
            raise refused("refers to something outside its pickle that is not a tensor's data.")
    entry, dtype = entries.get(f"data/{key}"), DTYPES[text]
    if entry is None:
        raise PriorError(f"lacks the tensor data/{key}. {AGAIN}")
    if count * dtype.itemsize != entry.file_size:
        raise refused(f"lies about the size of a tensor: data/{key} should have {count} numbers of "
                       f"{dtype.itemsize} bytes, and has {entry.file_size} bytes in all.")
    return Storage(entry, dtype, count)


def _tensor(storage: object, offset: Any, size: object, stride: object) -> StoredTensor:
    if not (isinstance(storage, Storage) and isinstance(size, tuple) and isinstance(stride, tuple)
            and len(size) == len(stride) <= 8 and all(map(_is_count, (offset, *size, *stride)))):
        raise refused("has a tensor without a proper size.")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    # Steps of zero would make a tensor of any size from one number.
    if math.prod(size) > storage.count or (0 not in size and last >= storage.count):
        raise refused(f"lies about the size of a tensor: {size} with strides {stride} from {offset} on is "
                       f"not within the {storage.count} numbers that it has.")
    return StoredTensor(storage, offset, size, stride)
