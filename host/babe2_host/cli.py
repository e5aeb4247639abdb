"""The command `babe2`. Heavy imports wait until they are needed, so that help and mistakes come at once."""

from __future__ import annotations

import argparse
import errno
import os
import sys

from babe2_fx.errors import UserError

from .commands import batch, compare, degrade, eq, evaluate, presets, render, train, weights
from .console import FAILED, INTERRUPTED, MISTAKE, OK, fail, version

COMMANDS = (render, batch, presets, weights, eq, train, evaluate, degrade, compare)
USER_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
               errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG)


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    0: done · 2: a mistake in what was asked for · 1: another failure · 130: stopped with Ctrl-C.
    """
    try:
        args = build_parser().parse_args(argv)
        return args.run(args) or OK
    except SystemExit as end:  # argparse has said what there is to say
        return end.code or OK
    except KeyboardInterrupt:
        return fail("Stopped; nothing was left half-written.", INTERRUPTED)
    except BrokenPipeError:  # `babe2 settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except MemoryError:
        return fail("There is not enough memory for this; shorter recordings, or smaller batches, need less.", FAILED)
    except (RuntimeError, OSError, ValueError) as error:
        code = _exit_code(error)
        if code is None:
            raise
        return fail(_sentence(error), code)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="babe2", allow_abbrev=False,
        description="Restores old music recordings with a generative equalizer (BABE-2).")
    parser.add_argument("--version", action="version", version=f"babe2-fx {version('babe2-fx')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _exit_code(error: Exception) -> int | None:
    """The exit code for errors that a sentence can answer; None for those that are faults of this program."""
    if isinstance(error, UserError):
        return getattr(error, "exit_code", MISTAKE)
    if isinstance(error, OSError):
        return MISTAKE if error.errno in USER_ERRNOS else FAILED
    return FAILED if _is_out_of_memory(error) else None


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # only what has been imported can have raised
    return isinstance(error, RuntimeError) and torch is not None and (
        isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error))


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}."
    if _is_out_of_memory(error):
        return "There is not enough memory for this (on the GPU: try --device cpu)."
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
