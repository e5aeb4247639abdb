"""Checkpoints as the paper's authors published them, read without running anything that they hold.

Such a file is a zip archive of raw tensors and of a pickle that says what they are. A pickle is a program,
and `torch.load` runs it. A `pickle.Unpickler` that looks up no foreign names would run no stranger's code,
but it does as the file says with what it has: it sets attributes of any object and class, makes a memo of any
size at one instruction, and overflows the stack where a dictionary's key is a tuple nested a million deep. So
the pickle is only split into its instructions by the standard library (`pickletools.genops` runs nothing),
and the few that a checkpoint needs are carried out here, on plain values. No class is imported or made, no
attribute is set, nothing is called; OmegaConf need not be installed.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .checkpoints import PriorError
from .network import CQTDiff, NetworkConfig
from .prior import Prior

LARGEST = 4 * 2 ** 20  # bytes of the pickle and of the archive's directory; the published ones have some 10^5
CHUNK = 2 ** 20
LARGEST_SIZE = 2 ** 40  # of anything counted
MOST_STEPS = 300  # to the value of one setting, through wrappings and interpolations
LTAS_BINS = (1025, 2049)
AGAIN = "Download or copy it again."

DTYPES = {f"torch.{name}Storage": dtype for name, dtype in (
    ("Double", torch.float64), ("Float", torch.float32), ("Half", torch.float16),
    ("BFloat16", torch.bfloat16), ("Long", torch.int64), ("Int", torch.int32), ("Short", torch.int16),
    ("Char", torch.int8), ("Byte", torch.uint8), ("Bool", torch.bool))}
REBUILD_TENSOR, REBUILD_PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
DICTIONARIES = ("collections.OrderedDict", "collections.defaultdict")
NUMPY_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
# What a checkpoint may name besides the classes of its configuration. All but the first two lines stay names.
NAMES = {
    REBUILD_TENSOR, REBUILD_PARAMETER, *DICTIONARIES,
    *DTYPES, *NUMPY_ARRAYS, "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.ndarray",
    "numpy.dtype", "_codecs.encode",
    *(f"builtins.{name}" for name in ("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
                                      "long", "set", "str", "tuple", "unicode")),
    *(f"typing.{name}" for name in ("Any", "Dict", "List", "Optional", "Tuple", "Union"))}
CONFIGURATION = re.compile(r"omegaconf(\.\w+)*\.\w+")

# Instructions that push a value which stands in the pickle itself.
LITERALS = {"BINBYTES", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "BINUNICODE8",
            "FLOAT", "INT", "LONG", "LONG1", "LONG4", "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE",
            "STRING", "UNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, eq=False, slots=True)
class _Name:
    """A class or function that the pickle names. It stays a name."""

    text: str


@dataclass(eq=False, slots=True)
class _Object:
    """What the pickle would have made by calling a name: inert data."""

    name: str
    arguments: object
    state: object = None


@dataclass(frozen=True, eq=False, slots=True)
class _Storage:
    """Where a tensor's numbers lie in the archive; they are read when they are used."""

    entry: zipfile.ZipInfo
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, eq=False, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_official(path: str | os.PathLike) -> Prior:
    """The prior of an official checkpoint: its EMA weights, its sizes and its LTAS if it has one. On the CPU.

    Only these are read, so that the optimizer's state and the other copy of the weights take no memory.

    Raises:
        PriorError: the file is none, is damaged, or holds what no checkpoint holds; nothing in it was run.
    """
    path = Path(path)
    try:
        _check_head(path)
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            entries = _entries(archive, path.stat().st_size)
            checkpoint = _interpret(bytes(_read(archive, entries["data.pkl"])), entries)
            return _prior(checkpoint, archive, path)
    except PriorError as error:  # what is wrong, as the rest of a sentence that begins with the file
        raise PriorError(f"{path} {error}") from error.__cause__
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise PriorError(f"{path} is cut short or damaged ({_shown(error)}). {AGAIN}") from error
    except OSError as error:
        raise PriorError(f"{path} cannot be read: {error.strerror or error}.") from error


# ------------------------------------------------------------------------------------------------ the archive

class _Bounded(io.FileIO):
    """A file that gives no more than LARGEST bytes at once: a false directory cannot fill the memory."""

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST:
            raise zipfile.BadZipFile(f"a part of {size} bytes, which is too large")
        return super().read(LARGEST if size < 0 else size)


def _check_head(path: Path) -> None:
    """Says what a file is that is not a zip archive."""
    with open(path, "rb") as file:
        head = file.read(16)
    if not head:
        raise PriorError(f"is empty. {AGAIN}")
    if head[:1] == b"\x80":
        raise PriorError("is a bare pickle, as PyTorch wrote files before version 1.6, and is not read, "
                         "because such a file can run any program. Save it again with a newer PyTorch where "
                         "it is trusted.")
    if head[8:10] == b'{"':
        raise PriorError("is a safetensors file under another name. Rename it to end in .safetensors.")
    if head[:2] != b"PK":
        raise _unusable("is not a checkpoint: it does not begin as a zip archive of PyTorch does.")


def _entries(archive: zipfile.ZipFile, file_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's entries by their names in its one folder, once their sizes are found to be possible."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise _refused("has two entries of one name in its archive.")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise _refused("holds compressed data, which PyTorch never writes and which may be a zip bomb: "
                           f"{_shown(info.filename)}, {info.compress_size} bytes that become "
                           f"{info.file_size}.")
    if sum(info.file_size for info in infos) > file_bytes:
        raise _refused(f"claims to hold more data than its {file_bytes} bytes.")
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _unusable("is a zip archive but not a checkpoint: it does not have one data.pkl in a folder.")
    root = pickles[0].removesuffix("data.pkl")
    entries = {name.removeprefix(root): info for name, info in zip(names, infos) if name.startswith(root)}
    if entries["data.pkl"].file_size > LARGEST:
        raise _refused(f"has a pickle of {entries['data.pkl'].file_size} bytes, where a checkpoint's has at "
                       f"most {LARGEST}.")
    if "byteorder" in entries and _read(archive, entries["byteorder"]) != b"little":
        raise PriorError("was written on a big-endian machine, which is not read. Save it again on another.")
    return entries


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    """An entry's bytes; zipfile compares their checksum."""
    data = bytearray(info.file_size)
    view, done = memoryview(data), 0
    with archive.open(info) as part:
        while done < len(data):
            count = part.readinto(view[done:done + CHUNK])
            if not count:
                raise EOFError(f"{info.filename} ends early")
            done += count
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
        raise PriorError(f"has a damaged pickle ({_shown(error)}). {AGAIN}") from error


def _run(pickle: bytes, entries: dict[str, zipfile.ZipInfo]) -> object:
    stack, marks, memo = [], [], {}

    def since_mark() -> list:
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
                raise _refused("appends to what is not a list.")
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
            if isinstance(target, _Object):
                target.state = state
            elif type(target) is not dict:  # a state dict has notes on versions, which are not used
                raise _refused("sets attributes of what has none.")
        elif code == "BINPERSID":
            stack.append(_storage(stack.pop(), entries))
        elif code == "STOP":
            return stack.pop()
        elif code not in ("PROTO", "FRAME"):
            raise _refused(f"has the instruction {code} in its pickle, which a checkpoint does not need.")
    raise ValueError("no end")


def _filled(target: dict, items: list) -> dict:
    """A dictionary with further items (key, value, key, value ...)."""
    if type(target) is not dict:
        raise _refused("sets items of what is not a dictionary.")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Hashing these takes no time; other keys, such as nested tuples, can take forever.
        short = type(key) is str and len(key) < 1000 or type(key) is int and abs(key) < LARGEST_SIZE
        if not (short or key is None or type(key) in (bool, float)):
            raise _refused("has a dictionary with a key that is neither short text nor a number.")
        target[key] = value
    return target


def _name(module: str, name: str) -> _Name:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise _refused("names something by what is not text.")
    text = f"{'builtins' if module == '__builtin__' else module}.{name}"  # as in Python 2, so in protocol 2
    if text not in NAMES and not (len(text) < 200 and "." not in name and CONFIGURATION.fullmatch(text)):
        raise _refused(f"asks for {_shown(text)}, which no checkpoint needs and which may be meant to run a "
                       "program.")
    return _Name(text)


def _made(callee: object, arguments: object) -> object:
    """What calling a name comes to: tensors and dictionaries are what they seem, all else is inert."""
    if not isinstance(callee, _Name):
        raise _refused("calls what is not a class or function.")
    if callee.text in DICTIONARIES:
        if not isinstance(arguments, tuple) or not all(isinstance(item, _Name) for item in arguments):
            raise _refused(f"calls {callee.text} with values.")
        return {}
    if callee.text == REBUILD_TENSOR:
        return _tensor(*arguments[:4])
    if callee.text == REBUILD_PARAMETER:
        if not isinstance(arguments[0], _Tensor):
            raise _refused("has a parameter that is not a tensor.")
        return arguments[0]
    return _Object(callee.text, arguments)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST_SIZE


def _storage(identity: object, entries: dict[str, zipfile.ZipInfo]) -> _Storage:
    """The storage of a persistent id, ("storage", type, key, device, count), if that is in the archive."""
    match identity:
        case ("storage", _Name(text), str(key), str(), count) if (
                text in DTYPES and re.fullmatch("[0-9]{1,9}", key) and _is_count(count)):
            pass
        case _:
            raise _refused("refers to something outside its pickle that is not a tensor's data.")
    entry, dtype = entries.get(f"data/{key}"), DTYPES[text]
    if entry is None:
        raise PriorError(f"lacks the tensor data/{key}. {AGAIN}")
    if count * dtype.itemsize != entry.file_size:
        raise _refused(f"lies about the size of a tensor: data/{key} should have {count} numbers of "
                       f"{dtype.itemsize} bytes, and has {entry.file_size} bytes in all.")
    return _Storage(entry, dtype, count)


def _tensor(storage: object, offset: object, size: object, stride: object) -> _Tensor:
    if not (isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)
            and len(size) == len(stride) <= 8 and all(map(_is_count, (offset, *size, *stride)))):
        raise _refused("has a tensor without a proper size.")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    # Steps of zero would make a tensor of any size from one number.
    if math.prod(size) > storage.count or (0 not in size and last >= storage.count):
        raise _refused(f"lies about the size of a tensor: {size} with strides {stride} from {offset} on is "
                       f"not within the {storage.count} numbers that it has.")
    return _Tensor(storage, offset, size, stride)


# ------------------------------------------------------------------------------------------ the configuration

class _Settings:
    """The checkpoint's `args`: values by their paths, out of the wrapping of the configuration's classes."""

    def __init__(self, args: object):
        self.args = args
        self.steps_left = 0  # of the current look-up; settings can refer to each other in circles

    def get(self, path: str) -> object:
        """The value at a path such as "network.cqt.window"; None where there is none."""
        self.steps_left = MOST_STEPS
        return self._at(tuple(path.split(".")))

    def number(self, path: str, low: float, high: float, whole: bool = True, default: float | None = None):
        value = self.get(path)
        if value is None:
            value = default
        if type(value) is not int and (whole or type(value) is not float) or not low <= value <= high:
            raise _unusable(f"has no usable setting {path}: it must be a {'whole ' if whole else ''}number "
                            f"from {low} to {high}, not {_shown(value)}.")
        return value

    def whole_numbers(self, path: str, low: int, high: int) -> tuple[int, ...]:
        values = self.get(path)
        if type(values) is not list or len(values) > 100:
            raise _unusable(f"has no usable setting {path}: it must be a list of numbers, not "
                            f"{_shown(values)}.")
        return tuple(self.number(f"{path}.{i}", low, high) for i in range(len(values)))

    def _at(self, where: tuple[str, ...]) -> object:
        node = self._plain(self.args, ())
        for depth, key in enumerate(where, 1):
            if type(node) is dict:
                node = node.get(key)
            else:
                found = type(node) is list and key.isdecimal() and int(key) < len(node)
                node = node[int(key)] if found else None
            node = self._plain(node, where[:depth])
        return node

    def _plain(self, node: object, where: tuple[str, ...]) -> object:
        """A node without its wrapping: a dictionary or list of nodes, or one value, interpolated."""
        while True:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise _unusable("has settings that refer to each other without end.")
            if isinstance(node, _Object) and type(node.state) is dict:
                node = node.state.get("_content", node.state.get("_val"))
            elif isinstance(node, str) and node.startswith("${"):
                reference = re.fullmatch(r"\$\{(\.*)([\w.]{1,200})\}", node)
                if not reference:
                    raise _unusable(f"has {_shown(node)} for {'.'.join(where)}, which is not understood.")
                up = len(reference[1])  # dots lead up from the node; without them the path is from the top
                node = self._at((where[:-up] if up else ()) + tuple(reference[2].split(".")))
            else:
                return node


def _config(settings: _Settings) -> NetworkConfig:
    """The network's sizes. The limits are far beyond any sensible one's, and keep sizes from being traps."""
    window = settings.get("network.cqt.window")
    if window not in ("kaiser", "hann"):
        raise _unusable(f"has the CQT window {_shown(window)}, where 'kaiser' and 'hann' are known.")
    sizes = {
        "sample_rate": settings.number("exp.sample_rate", 1000, 400000),
        "block_length": settings.number("exp.audio_len", 256, 2 ** 22),
        "octaves": settings.number("network.cqt.num_octs", 1, 12),
        "bins_per_octave": settings.number("network.cqt.bins_per_oct", 4, 512),
        "window": window,
        "window_beta": float(settings.number("network.cqt.beta", 0, 100, whole=False, default=1.0)),
        "channels": settings.whole_numbers("network.Ns", 8, 4096),
        "layers": settings.whole_numbers("network.num_dils", 1, 16),
        "bottlenecks": settings.number("network.num_bottleneck_layers", 1, 16, default=1),
        "embedding": settings.number("network.emb_dim", 1, 8192)}
    try:
        return NetworkConfig(**sizes)
    except ValueError as error:
        raise _unusable(f"has settings that do not go together: {str(error).rstrip('.')}.") from error


# -------------------------------------------------------------------------------------------------- the prior

def _prior(checkpoint: object, archive: zipfile.ZipFile, path: Path) -> Prior:
    if type(checkpoint) is not dict or type(checkpoint.get("ema")) is not dict or "args" not in checkpoint:
        raise _unusable("is not an official checkpoint: it has no weights `ema` and settings `args`.")
    settings = _Settings(checkpoint["args"])
    config = _config(settings)
    with torch.device("meta"):  # sizes only: the weights come from the file
        network = CQTDiff(config)
    sigma_data = float(settings.number("diff_params.sigma_data", 1e-6, 1e3, whole=False))
    ema = checkpoint["ema"]
    _check_weights(ema, network.state_dict(), path.stat().st_size)
    storages: dict[str, Tensor] = {}
    weights = {name: _materialized(tensor, archive, storages) for name, tensor in ema.items()}
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise PriorError(f"has weights that are not finite numbers, in {name}. {AGAIN}")
    network.load_state_dict(CQTDiff.kernels() | weights, assign=True)
    try:
        network.transform(config.block_length)  # made at first use otherwise, which is late to fail
    except (IndexError, ValueError) as error:
        raise _unusable(f"has settings that do not go together: {str(error).rstrip('.')}.") from error
    info = {"origin": {"file": path.name}}
    if type(checkpoint.get("it")) is int:
        info["origin"]["iterations"] = checkpoint["it"]
    return Prior(network, sigma_data, _level(sigma_data), _ltas(checkpoint.get("LTAS"), archive), info=info)


def _check_weights(ema: dict, expected: dict[str, Tensor], file_bytes: int) -> None:
    """Raises PriorError where the weights are not those of the network that the settings describe."""
    faults = []
    for fault, names in (("lacks", [n for n in expected if n not in ema and n not in CQTDiff.kernels()]),
                         ("has besides", [n for n in ema if n not in expected])):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            faults.append(f"it {fault} {_shown(names[0])}{more}")
    for name, tensor in ema.items():
        if not faults and not (isinstance(tensor, _Tensor) and tensor.storage.dtype.is_floating_point):
            faults.append(f"{_shown(name)} is not a tensor of fractional numbers")
        if not faults and tensor.size != tuple(expected[name].shape):
            faults.append(f"{name} has the shape {tensor.size}, not {tuple(expected[name].shape)}")
    if faults:
        raise PriorError("has weights that are not those of the network its settings describe: "
                         f"{'; '.join(faults)}. Only CQT-Diff+ networks without attention can be used.")
    # Tensors may share their numbers, and then many large ones come out of little.
    if sum(math.prod(tensor.size) * tensor.storage.dtype.itemsize for tensor in ema.values()) > file_bytes:
        raise _refused(f"lies about the size of its tensors, which need more than its {file_bytes} bytes.")


def _materialized(tensor: _Tensor, archive: zipfile.ZipFile, storages: dict[str, Tensor]) -> Tensor:
    """The tensor itself, in float32. `storages` are those already read."""
    entry, dtype = tensor.storage.entry, tensor.storage.dtype
    if entry.filename not in storages:
        storages[entry.filename] = torch.frombuffer(_read(archive, entry), dtype=dtype)
    return storages[entry.filename].as_strided(tensor.size, tensor.stride, tensor.offset).float().contiguous()


def _level(sigma_data: float) -> float:
    """Standard deviation of recordings to restore: the training data's, but 0.07 for the published piano.

    It is not read from the settings. The `sigma_norm` there is that of demonstrations made during training,
    and in the authors' configuration 1 for the piano too, which they restore at 0.07.
    """
    return 0.07 if math.isclose(sigma_data, 0.063, rel_tol=1e-3) else sigma_data


def _ltas(value: object, archive: zipfile.ZipFile) -> Tensor | None:
    if value is None:
        return None
    if isinstance(value, _Tensor):
        fits = value.storage.dtype.is_floating_point and math.prod(value.size) in LTAS_BINS
        ltas = _materialized(value, archive, {}).reshape(-1) if fits else None
    else:
        ltas = _array(value)
    usable = ltas is not None and len(ltas) in LTAS_BINS and ltas.isfinite().all()
    if not usable or ltas.min() < 0 or ltas.max() == 0:
        raise _unusable(f"has an unusable LTAS: it must be a power spectrum of {LTAS_BINS[0]} or "
                        f"{LTAS_BINS[1]} values that are finite, not negative and not all zero.")
    return ltas


def _array(value: object) -> Tensor | None:
    """The numbers of a NumPy array of floats in a row, without asking NumPy; None if it is no such array."""
    if not (isinstance(value, _Object) and value.name in NUMPY_ARRAYS):
        return None
    match value.state:
        case (_, tuple(), _Object("numpy.dtype", (str(code), *_), (_, "<", *_)), _, data):
            dtype = {"f2": torch.float16, "f4": torch.float32, "f8": torch.float64}.get(code)
        case _:
            return None
    match data:  # bytes, or how pickles of protocol 2 write them
        case _Object("_codecs.encode", (str(text), "latin1")):
            data = text.encode("latin1", errors="replace")
    if dtype is None or not isinstance(data, bytes) or not data or len(data) % dtype.itemsize:
        return None
    return torch.frombuffer(bytearray(data), dtype=dtype).float()


def _shown(value: object) -> str:
    """A stranger's value in a message: short, and without line breaks or control codes."""
    if isinstance(value, str | Exception):
        text = str(value)
    else:
        plain = value is None or type(value) in (bool, float) or _is_count(value)
        text = repr(value) if plain else "something else"
    text = "".join(c if c.isprintable() else "?" for c in text[:120])
    return text + "..." if len(text) == 120 else text


def _refused(what: str) -> PriorError:
    """For what no honest checkpoint holds."""
    return PriorError(f"{what} Nothing in it was run. Take the file from its publisher, or ask whom it is "
                      "from for a safetensors file.")


def _unusable(what: str) -> PriorError:
    """For files that are something else, or another kind of model."""
    return PriorError(f"{what} Give a .pt file as it was published.")
