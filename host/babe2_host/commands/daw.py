"""`babe2 daw`: restorations in the DAW."""

from __future__ import annotations

import argparse
import sys

from babe2_fx.texts import printable

from ..console import UsageError, answer
from .jobs import add_recipe_options, recipe_of

DAWS = ("ardour", "audacity", "reaper")


def add(commands) -> None:
    parser = commands.add_parser(
        "daw", allow_abbrev=False, help="restore in a DAW",
        description="Brings restorations into a DAW: select, restore, and the take is on the track. The folder "
                    "docs/daw has a page for each.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    install = actions.add_parser("install", allow_abbrev=False,
                                 help="put the script where a DAW looks for it, and say what is left to do")
    install.add_argument("daw", choices=DAWS)
    install.add_argument("--folder", metavar="DIR", help="REAPER's resource folder, of a portable installation")
    install.add_argument("--enable", action="store_true", help="write Audacity's setting instead of saying which it is")
    install.set_defaults(run=_install)

    audacity = actions.add_parser(
        "audacity", allow_abbrev=False, help="restore what is selected in Audacity",
        description="Restores what is selected in Audacity, which has to run with its module mod-script-pipe "
                    "(`babe2 daw install audacity`). The restored tracks come below the others, with a label that says "
                    "what was done. Ctrl-C leaves the work going on.")
    add_recipe_options(audacity, of_files=False)
    audacity.set_defaults(run=_audacity)


def _install(args: argparse.Namespace) -> None:
    from importlib import import_module
    options = {"folder": args.folder} if args.folder else {"enable": True} if args.enable else {}
    if args.folder and args.daw != "reaper" or args.enable and args.daw != "audacity":
        raise UsageError("--folder is for reaper, --enable for audacity.")
    for sentence in import_module(f"..daw.{args.daw}", __package__).install(**options):
        answer(sentence)


def _audacity(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..daw.audacity import restore_selection
    with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar:24}| {desc}", miniters=0,
              mininterval=0.2 if sys.stderr.isatty() else 10.0) as bar:
        def progress(share: float, message: str) -> None:
            bar.set_description_str(printable(message), refresh=False)
            bar.update(share - bar.n)
        said = restore_selection(recipe_of(args), progress=progress)
    for sentence in said:
        answer(sentence)
