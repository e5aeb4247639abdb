"""`babe2 weights`: gets the weights of the published models."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

from babe2_fx.catalogue.presets import PresetError, list_presets, load_preset
from babe2_fx.catalogue.weights import config_folder, weights_path

from ..console import FAILED, INTERRUPTED, OK, answer, fail, speaker


def add(commands) -> None:
    parser = commands.add_parser(
        "weights", allow_abbrev=False, help="get the weights of the published models",
        description="Lists, installs, checks and removes the weights that presets use which do not have their own.")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def new(name, run, help, **kwargs):
        action = actions.add_parser(name, allow_abbrev=False, help=help, description=f"{help}.", **kwargs)
        action.set_defaults(run=run)
        return action

    new("list", run_weights_list, "List the published models and what is installed")
    pull = new("pull", run_weights_pull, "Download and install a published model",
               epilog="What broke off goes on where it stopped when the command is given again.")
    pull.add_argument("name", metavar="NAME", help="as `babe2 weights list` has it")
    pull.add_argument("--force", action="store_true",
                      help="also if it is installed, or if its file is not the one of the first download any more")
    pull.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    take = new("import", run_weights_import, "Install weights from a file on this computer")
    take.add_argument("file", metavar="FILE", help="a published checkpoint (.pt) or a prior file (.safetensors)")
    take.add_argument("--name", metavar="NAME", help="what to call them (default: from the file's name)")
    take.add_argument("--force", action="store_true", help="replace other weights of that name")
    verify = new("verify", run_weights_verify, "Check that installed weights are as they were installed")
    verify.add_argument("name", metavar="NAME", nargs="?", help="only these (default: all)")
    remove = new("remove", run_weights_remove, "Delete installed weights")
    remove.add_argument("name", metavar="NAME")


def run_weights_list(args: argparse.Namespace) -> None:
    """`babe2 weights list`."""
    from ..tools.weights import list_weights
    for entry in list_weights():
        answer(f"{entry.name}: {'not installed' if entry.record is None else 'installed'}")
        if entry.model:
            print(f"    for: {entry.model.purpose}\n    licence: {entry.model.licence}")
        else:
            print("    for: not known, it was imported\n    licence: not known")
        if entry.record is None:
            print(f"    file: {entry.model.address}\n    get it: babe2 weights pull {entry.name}")
        else:
            origin = entry.record.get("origin") or {}
            answer(f"    at: {weights_path(entry.name)}")
            answer(f"    from: {origin.get('address') or origin.get('file') or 'not on record'}")
    print("\nWhere `pull` has no network: download the file in another way, then `babe2 weights import FILE`.")


def run_weights_pull(args: argparse.Namespace) -> int:
    """`babe2 weights pull`: a progress bar on stderr, then what can be done with it."""
    from tqdm import tqdm

    from ..tools.weights import pull

    say = speaker(args.quiet)
    bar = None

    def report(done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(unit="B", unit_scale=True, file=sys.stderr, disable=args.quiet, initial=done, total=total,
                       mininterval=0.2 if sys.stderr.isatty() else 10.0, desc=args.name)
        bar.update(done - bar.n)
        if done == total:
            bar.close()
            say("Reading it and writing it as a prior file.")

    try:
        done = pull(args.name, args.force, report)
    except KeyboardInterrupt as stop:
        done, code = None, getattr(stop, "exit_code", INTERRUPTED)
    finally:
        if bar is not None:
            bar.close()  # before anything else is said
    if done is None:
        return fail("Stopped; the same command goes on with the download from here.", code)
    say(_installed(args.name) if done else f"{args.name} is installed already; --force downloads it again.")
    return OK


def run_weights_import(args: argparse.Namespace) -> None:
    """`babe2 weights import`."""
    from ..tools.weights import import_file
    speaker(False)(_installed(import_file(args.file, args.name, args.force)))


def run_weights_verify(args: argparse.Namespace) -> int:
    """`babe2 weights verify`: a line for each; exit code 1 if any is not as it was."""
    from ..tools.weights import list_weights, verify
    names = [args.name]
    if args.name is None:
        names = [entry.name for entry in list_weights() if entry.record is not None]
    if not names:
        print("No weights are installed.")
    code = OK
    for name in names:
        problem = verify(name)
        if problem:
            code = fail(problem, FAILED)
        else:
            answer(f"{name}: as it was installed.")
    return code


def run_weights_remove(args: argparse.Namespace) -> None:
    """`babe2 weights remove`."""
    from ..tools.weights import remove
    remove(args.name)
    speaker(False)(f"Removed {args.name}.")


def _installed(name: str) -> str:
    """Says that weights are installed, and how to use them."""
    users = []
    for preset in list_presets():
        with suppress(PresetError):
            if load_preset(preset).weights == name:
                users.append(preset)
    use = (f"use it with --preset {' or '.join(users)}" if users else
           f"to use it, write a preset with weights = \"{name}\" in {config_folder() / 'presets'}")
    return f"Installed {name} at {weights_path(name)}; {use}."
