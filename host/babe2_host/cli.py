"""The command `babe2`. Heavy imports wait until they are needed, so that help and mistakes come at once."""

from __future__ import annotations

import argparse
import errno
import sys

from babe2_fx.errors import UserError

from .commands import batch, compare, daw, degrade, eq, evaluate, jobs, presets, render, train, watch, weights
from .console import FAILED, INTERRUPTED, MISTAKE, OK, fail, safe_streams, sentence, version, way_out
from .stopping import signals_as_ctrl_c

COMMANDS = (render, batch, watch, jobs, daw, presets, weights, eq, train, evaluate, degrade, compare)
USER_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
               errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG)


@safe_streams()
def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    0: done · 2: a mistake in what was asked for · 1: another failure · 130: stopped with Ctrl-C (143: by SIGTERM, 129:
    by SIGHUP).
    """
    args = None
    try:
        with signals_as_ctrl_c():
            args = build_parser().parse_args(argv)
            code = args.run(args) or OK
            sys.stdout.flush()  # a full disk is found out here
            return code
    except SystemExit as end:  # argparse has said what there is to say
        return end.code or OK
    except KeyboardInterrupt as stop:
        return fail("Stopped; nothing was left half-written.", getattr(stop, "exit_code", INTERRUPTED))
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        return fail(said + way_out(getattr(error, "code", ""), args), _exit_code(error))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="babe2", allow_abbrev=False,
        description="Restores old music recordings with a generative equalizer (BABE-2).")
    parser.add_argument("--version", action="version", version=f"babe2-fx {version('babe2-fx')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _exit_code(error: Exception) -> int:
    if isinstance(error, UserError):
        return getattr(error, "exit_code", MISTAKE)
    mistake = isinstance(error, UnicodeEncodeError) or isinstance(error, OSError) and error.errno in USER_ERRNOS
    return MISTAKE if mistake else FAILED


if __name__ == "__main__":
    sys.exit(main())
