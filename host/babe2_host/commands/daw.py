"""`babe2 daw`: restorations in the DAW."""

from __future__ import annotations

import argparse

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
    install.set_defaults(run=_install)


def _install(args: argparse.Namespace) -> None:
    from importlib import import_module
    for sentence in import_module(f"..daw.{args.daw}", __package__).install():
        print(sentence)
