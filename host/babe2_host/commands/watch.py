"""`babe2 watch`: restores what is dropped into a folder."""

from __future__ import annotations

import argparse
import time

from ..console import OK, UsageError, speaker
from .jobs import add_recipe_options, recipe_of


def add(commands) -> None:
    parser = commands.add_parser(
        "watch", allow_abbrev=False, help="restore what is dropped into a folder",
        description="Watches a folder and the folders in it: every recording there is rendered into OUT_DIR, structure "
                    "kept, once it has come whole. Recordings are left as they are, and no file in OUT_DIR is written "
                    "over. Runs until Ctrl-C. The work is done by the job service (`babe2 jobs`), which may use both "
                    "folders from then on.")
    parser.add_argument("input", metavar="IN_DIR", help="the folder that recordings come into")
    parser.add_argument("-o", "--output", metavar="OUT_DIR", required=True, help="folder for the results")
    add_recipe_options(parser)
    parser.add_argument("--format", metavar="EXT", help="of the results: wav, flac, ... (default: as each recording)")
    parser.add_argument("--settled", type=float, metavar="SECONDS", default=3.0,
                        help="a recording that has not changed for so long is whole (default: 3)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`babe2 watch`, until Ctrl-C."""
    from ..service.requests import check_recipe
    from ..service.watching import LOOK_S, FolderWatch
    from ..states import JobState
    if not 0 <= args.settled < float("inf"):
        raise UsageError(f"--settled must be a number of seconds, not {args.settled:g}.")
    recipe = recipe_of(args)
    check_recipe(recipe)
    ending = "." + args.format.lower().lstrip(".") if args.format else None
    watch = FolderWatch(args.input, args.output, recipe, ending, args.settled)
    say, complain = speaker(args.quiet), speaker(False)
    say(f"Watches {watch.source}; results come into {watch.folder}. Ctrl-C ends it.")
    try:
        while True:
            for seen in watch.look():
                line = f"{seen.state:12}  {seen.job.name}  {seen.message}".rstrip()
                (complain if seen.state == JobState.FAILED else say)(line)
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        for seen in watch.cancel():
            say(f"{seen.state:12}  {seen.job.name}")
        say("Ended. What was not finished is taken again the next time.")
    return OK
