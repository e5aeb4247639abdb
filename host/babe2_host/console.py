"""What all commands share: exit codes, mistakes, progress on stderr, and reading of options."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib import metadata

from babe2_fx.errors import UserError
from babe2_fx.progress import Run
from babe2_fx.settings import NAMES, unknown_setting

OK, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130


class UsageError(UserError):
    """A mistake in the options; the message is a sentence for the user."""


def speaker(quiet: bool) -> Callable[[str], None]:
    """What prints a line for the user, on stderr; nothing if `quiet`."""
    return (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr))


def fail(sentence: str, code: int) -> int:
    """Says what went wrong; returns the exit code."""
    print(f"babe2: {sentence}", file=sys.stderr)
    return code


def sentence(error: BaseException) -> str | None:
    """What to say to the user of an error, with its notes; None for those that are faults of this program."""
    if isinstance(error, UserError):
        return " ".join([str(error), *getattr(error, "__notes__", ())])
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; shorter recordings, or smaller batches, need less."
    torch = sys.modules.get("torch")  # only what has been imported can have raised
    if isinstance(error, RuntimeError) and torch is not None and (
            isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
        return "There is not enough memory for this (on the GPU: try --device cpu)."
    return None


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
