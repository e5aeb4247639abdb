"""`babe2 jobs`: renders in the background, by the job service. DAWs' scripts call it too."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from babe2_fx.catalogue.presets import QUALITIES
from babe2_fx.texts import printable

from ..console import (
    FAILED,
    INTERRUPTED,
    OK,
    UsageError,
    answer,
    check_sound,
    choose_device,
    fail,
    parse_overrides,
)


def add(commands) -> None:
    parser = commands.add_parser(
        "jobs", allow_abbrev=False, help="renders in the background",
        description="Renders in the background, one after the other, by a service that starts when it is needed and "
                    "ends when it is idle. Jobs survive the program that submitted them.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    submit = actions.add_parser("submit", allow_abbrev=False, help="submit a recording; prints the job's id")
    submit.add_argument("input", metavar="IN", help="the recording, in a folder that jobs may use")
    submit.add_argument("-o", "--output", metavar="OUT", help="the result, a file that is not there yet (default: "
                                                              "result.wav in the job's own folder)")
    add_recipe_options(submit)
    submit.add_argument("--first", type=int, default=0, metavar="N",
                        help="submit a part of the recording, from this sample on (the first is 0)")
    submit.add_argument("--samples", type=int, metavar="N", help="how many samples the part has")
    submit.add_argument("--label", metavar="TEXT", default="", help="a note that stays with the job")
    submit.set_defaults(run=_submit)

    _action(actions, "list", _list, "list all jobs")
    _action(actions, "status", _status, "print a job's record").add_argument("id", metavar="ID")
    _action(actions, "wait", _wait, "wait until a job has ended").add_argument("id", metavar="ID")
    _action(actions, "cancel", _cancel, "cancel jobs").add_argument("ids", metavar="ID", nargs="+")
    _action(actions, "remove", _remove, "forget jobs that have ended, and delete their folders").add_argument(
        "ids", metavar="ID", nargs="+")
    _action(actions, "folder", _folder, "print the folder of jobs")
    _action(actions, "allow", _allow, "let jobs read and write a folder and all in it (or a file)").add_argument(
        "folder", metavar="FOLDER")
    _action(actions, "deny", _deny, "take that back").add_argument("folder", metavar="FOLDER")
    _action(actions, "allowed", _allowed, "list the folders that jobs may use")
    _action(actions, "stop", _stop, "end the service; unfinished jobs go on with the next one")


def add_recipe_options(parser: argparse.ArgumentParser, of_files: bool = True) -> None:
    """The options of a job's recipe, for every command that submits jobs. `recipe_of` reads them.

    Args:
        of_files: with those of the result's format, for commands whose results are files of the user's.
    """
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--preset", metavar="NAME", help="what kind of music it is; `babe2 presets` lists them")
    how.add_argument("--board", metavar="NAME", help="a board by its name; `babe2 boards` lists them")
    add_sound_options(parser)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.set_defaults(depth=None, rate=None)
    if of_files:
        parser.add_argument("--depth", choices=("16", "24", "float"), help="samples of the result (default: as the "
                                                                           "recording)")
        parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate of the result (default: as the "
                                                                    "recording)")


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how a preset or a board is to sound, for every command on more than one file."""
    parser.add_argument("--quality", choices=QUALITIES, help="draft is fast, paper is slow (default: standard, or as "
                                                             "the board says)")
    parser.add_argument("--target", metavar="FILE", help="the spectrum to come to: a curve, a recording, or a folder "
                                                         "of recordings")
    parser.add_argument("--target-match", type=float, metavar="SHARE",
                        help="0 to 1: how far to pull the restored spectrum to the target at the end")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the random numbers")
    parser.add_argument("--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[],
                        help="change an expert setting; may be repeated")


def recipe_of(args: argparse.Namespace) -> dict:
    """What `Client.submit` takes of them."""
    check_sound(args)
    if args.device == "cuda":
        choose_device(args.device)
    return {"preset": args.preset, "board": args.board, "quality": args.quality, "target": args.target,
            "target_match": args.target_match, "settings": parse_overrides(args.overrides, args.seed),
            "depth": args.depth, "rate": args.rate, "device": args.device}


def _action(actions, name: str, run, help: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, allow_abbrev=False, help=help)
    parser.set_defaults(run=run)
    return parser


def _submit(args: argparse.Namespace) -> None:
    from ..service import Client
    client, recipe = Client(), recipe_of(args)
    if args.samples is None:
        if args.first:
            raise UsageError("--first needs --samples.")
        answer(client.submit(args.input, args.output, label=args.label, **recipe)["id"])
        return
    if args.first < 0 or args.samples < 1:
        raise UsageError("--first must be 0 or more, and --samples 1 or more.")
    from ..audio.excerpt import cut
    part = client.folder / f"part-{secrets.token_hex(8)}.wav"
    try:
        cut(Path(args.input), args.first, args.samples, part)
        answer(client.submit(part, args.output, label=args.label, **recipe)["id"])
    finally:
        part.unlink(missing_ok=True)  # a job has made it its own


def _list(args: argparse.Namespace) -> None:
    from ..service import Client
    for job in Client().jobs():
        share = f"{job['share_done']:4.0%}" if job["state"] == "running" else ""
        answer(f"{job['id']}  {job['state']:9}  {share:4}  {job['input']} -> {job['output']}")


def _status(args: argparse.Namespace) -> None:
    from ..service import Client
    client = Client()
    client.job(args.id)
    record = (client.folder / args.id / "job.json").read_text(encoding="utf-8", errors="surrogateescape")
    # Names may be no valid text; as JSON escapes them, every program can read them back.
    print(record.encode("utf-8", "backslashreplace").decode(), end="")


def _wait(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..service import Client
    client = Client()
    job = client.job(args.id)
    with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar:24}| {desc}", miniters=0,
              mininterval=0.2 if sys.stderr.isatty() else 10.0) as bar:
        while job["state"] in ("waiting", "running"):
            left = f", {job['left_s']:.0f} s left" if job["left_s"] is not None else ""
            bar.set_description_str(f"{printable(job['message'] or job['state'])}{left}", refresh=False)
            bar.update(job["share_done"] - bar.n)
            time.sleep(0.3)
            job = client.job(args.id)
        bar.update(job["share_done"] - bar.n)
    if job["state"] == "done":
        answer(job["output"])
        return OK
    if job["state"] == "cancelled":
        return fail(f"Job {args.id} was cancelled.", INTERRUPTED)
    return fail(job["message"], FAILED)


def _cancel(args: argparse.Namespace) -> None:
    from ..service import Client
    for job_id in args.ids:
        Client().cancel(job_id)


def _remove(args: argparse.Namespace) -> None:
    from ..service import Client
    for job_id in args.ids:
        Client().remove(job_id)


def _folder(args: argparse.Namespace) -> None:
    from ..service.places import jobs_folder
    answer(str(jobs_folder()))


def _allow(args: argparse.Namespace) -> None:
    from ..service.places import allow
    allow(args.folder)


def _deny(args: argparse.Namespace) -> None:
    from ..service.places import deny
    deny(args.folder)


def _allowed(args: argparse.Namespace) -> None:
    from ..service.places import allowed_folders, jobs_folder
    for folder in (jobs_folder(), *allowed_folders()):
        answer(str(folder))


def _stop(args: argparse.Namespace) -> None:
    from ..service import Client
    Client().stop()
