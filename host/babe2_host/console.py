"""What all commands share: exit codes, mistakes, what is printed, progress on stderr, and reading of options."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TextIO

from babe2_fx.errors import UserError
from babe2_fx.progress import Run
from babe2_fx.settings import NAMES, unknown_setting
from babe2_fx.texts import printable

OK, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
# What a command can do about an error, by its code: the option's name in `args`, and a sentence about it.
WAYS_OUT = {"external-plugin": ("allow_external", "The option --allow-external allows it."),
            "not-replaced": ("overwrite", "Move it away, or give --overwrite.")}


class UsageError(UserError):
    """A mistake in the options; the message is a sentence for the user."""


# ---------------------------------------------------------------------------------------------------- printing

def answer(line: str) -> None:
    """Prints a line on stdout: what the command was asked for. Nothing in it acts on a terminal."""
    print(printable(line))


def speaker(quiet: bool) -> Callable[[str], None]:
    """What prints a line for the user, on stderr; nothing if `quiet`."""
    return (lambda line: None) if quiet else (lambda line: print(printable(line), file=sys.stderr))


def complain(sentence: str) -> None:
    """Prints what went wrong, also where the command is to be quiet."""
    print(f"babe2: {printable(sentence)}", file=sys.stderr)


def fail(sentence: str, code: int) -> int:
    """Says what went wrong; returns the exit code."""
    complain(sentence)
    return code


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Within the block all that is printed, by whatever library, goes through `_Stream`, and may have nowhere to go."""
    open_closed_descriptors()
    out, err = (stream or open(os.devnull, "w", encoding="utf-8") for stream in (sys.stdout, sys.stderr))
    with contextlib.redirect_stdout(_Stream(out)), contextlib.redirect_stderr(_Stream(err, vital=False)):
        yield


def open_closed_descriptors() -> None:
    """Points standard streams that are closed (`2>&-`) at the null device. Otherwise the next file that is opened, a
    result perhaps, would get their number, and what C libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free


class _Stream:
    """A stream that prints characters which a terminal would obey, and those it does not have, escaped.

    A reader that has gone (`| head`) does not stop the work, and of stderr (not `vital`) neither does a full disk.
    """

    def __init__(self, stream: TextIO, vital: bool = True):
        self._stream, self._vital = stream, vital

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        # Lines, tabs and the carriage return of progress bars are meant.
        shown = "".join(part if part in "\n\r\t" else printable(part) for part in re.split("([\n\r\t])", text))
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._try(lambda: self._stream.write(shown.encode(encoding, "backslashreplace").decode(encoding)))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable) -> None:
        try:
            act()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())  # or Python would try again when it ends
            if self._vital and not isinstance(error, BrokenPipeError):
                raise


# ------------------------------------------------------------------------------------------- mistakes, progress

def sentence(error: BaseException) -> str | None:
    """What to say to the user of an error, with its notes; None for those that are faults of this program."""
    if isinstance(error, UserError):
        return " ".join([str(error), *getattr(error, "__notes__", ())])
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:  # of a library that takes text alone
        return f"The name {error.object} is not valid text (UTF-8), and cannot be used here; rename it."
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; shorter recordings, or smaller batches, need less."
    torch = sys.modules.get("torch")  # only what has been imported can have raised
    if isinstance(error, RuntimeError) and torch is not None and (
            isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
        return "There is not enough memory for this (on the GPU: try --device cpu)."
    return None


def way_out(code: str, args: object) -> str:
    """What the command that was given can do about an error with this code, in its own words; "" if nothing."""
    option, words = WAYS_OUT.get(code, ("", ""))
    return f" {words}" if hasattr(args, option) else ""


def watch(run: Run, quiet: bool):
    """Goes through a run of `Progress` under a progress bar on stderr; returns its value."""
    from tqdm import tqdm
    # In a log each update is a line of its own, so there they are few.
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    form = "{percentage:3.0f}%|{bar:24}| {desc}{elapsed} elapsed, {remaining} left"
    with run, tqdm(total=1.0, disable=quiet, file=sys.stderr, mininterval=interval_s, miniters=0, smoothing=0.1,
                   bar_format=form) as bar:
        for now in run:
            bar.set_description_str(f"block {now.block}/{now.blocks}, step {now.step}/{now.steps}, "
                                    f"sigma {now.sigma:.2g}, ", refresh=False)
            bar.update(now.share_done - bar.n)
        bar.update(1 - bar.n)
    return run.value


# ---------------------------------------------------------------------------------------------------- options

def parse_overrides(pairs: list[str], seed: int | None = None) -> dict[str, str | int | float]:
    """`["steps=20", ...]` as settings' names and values; `seed` is one more. Raises UsageError."""
    overrides = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name or not text:
            raise UsageError(f"--set needs NAME=VALUE, as in --set steps=20, not {pair!r}.")
        if name not in NAMES:
            words = unknown_setting(name)
            raise UsageError(f"{words[0].upper()}{words[1:]}; `babe2 settings` lists them.")
        overrides[name] = text if NAMES[name].choices else _number(text)
    if seed is not None:
        overrides["seed"] = seed
    return overrides


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text  # the settings say best what they expected


def checked(make: Callable):
    """What `make` returns; its ValueError as a mistake in the options."""
    try:
        return make()
    except UserError:
        raise
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error


def choose_device(name: str) -> str:
    """"cpu" or "cuda", for those or "auto". Raises UsageError for a GPU that is not there."""
    if name == "cpu":
        return name
    import torch
    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise UsageError("There is no CUDA GPU that PyTorch can use here; take --device cpu or auto.")
    return "cpu"


def check_option(args: argparse.Namespace, name: str, low: float, high: float, unit: str = "") -> None:
    """Raises UsageError for an option's number, by its name in `args`, that is not from `low` to `high`."""
    value = getattr(args, name, None)
    if value is not None and not low <= value <= high:  # NaN too
        raise UsageError(f"--{name.replace('_', '-')} must lie from {low:g} to {high:g}{unit}, not {value:g}.")


def check_sound(args: argparse.Namespace) -> None:
    """Raises UsageError for what --target-match and --rate cannot be, where a command has them."""
    from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE
    check_option(args, "target_match", 0, 1)
    check_option(args, "rate", LOWEST_RATE, HIGHEST_RATE, " Hz")


# ---------------------------------------------------------------------------------------------------- records

def version(distribution: str) -> str:
    """The installed version of a distribution, or why there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """What a result may depend on, for the record of a run."""
    return {name: version(name) for name in ("babe2-fx", "torch", "torchaudio", "numpy", "scipy")} | {
        "python": platform.python_version(), "platform": platform.platform()}
