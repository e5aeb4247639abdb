"""`babe2 batch`: a folder or a list of recordings, each through a preset or a board, into a folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import closing, nullcontext
from pathlib import Path

from babe2_fx.texts import printable

from ..console import (
    FAILED,
    OK,
    UsageError,
    answer,
    check_sound,
    choose_device,
    complain,
    parse_overrides,
    speaker,
    versions,
    way_out,
)
from .jobs import add_sound_options


def add(commands) -> None:
    parser = commands.add_parser(
        "batch", allow_abbrev=False, help="restore or render many recordings",
        description="Runs all recordings of a folder and the folders in it, or those of a list, through a preset or a "
                    "board. OUT_DIR keeps the folders' structure, and a record of everything in manifest.json. The "
                    "same command again goes on where it was stopped and leaves finished files alone.",
        epilog="A list is a CSV file with a line of column names, or a TOML file with a table [[files]] for each file. "
               "`file` is the recording; it may have `output` (its name in OUT_DIR), `preset` or `board`, `quality`, "
               "`target`, `target_match`, `gain_db` (by which the recording is raised first), `seed`, and any other "
               "setting that `babe2 settings` lists. What it does not say is as in the options. Exit code: 0 when all "
               "are done, 1 when some failed, 2 for a mistake in what was asked for.")
    parser.add_argument("input", metavar="IN", help="a folder of recordings, or a list (.csv, .toml)")
    parser.add_argument("-o", "--output", metavar="OUT_DIR", required=True, help="folder for the results")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--preset", metavar="NAME", help="what kind of music it is; `babe2 presets` lists them")
    how.add_argument("--board", metavar="BOARD", help="a board's TOML file, or one by its name; `babe2 boards` lists "
                                                      "them")
    parser.add_argument("--allow-external", action="store_true", help="load VST3 plugins and Audio Units that boards "
                        "name. They are programs: only for boards that you trust")
    add_sound_options(parser)
    parser.add_argument("--format", metavar="EXT", help="of the results: wav, flac, ... (default: as each recording)")
    parser.add_argument("--depth", choices=("16", "24", "float"), help="samples of the results (default: as each "
                                                                       "recording)")
    parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate of the results (default: as each "
                                                                "recording)")
    parser.add_argument("--overwrite", action="store_true", help="replace files in OUT_DIR that this command has not "
                                                                 "made, or that were changed since")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do, and about how much time "
                                                               "and room it takes; tries some steps to measure that")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument("--ray", metavar="ADDRESS", help="work on the Ray cluster with this address, such as "
                        "10.0.0.1:6379, auto (the one this computer belongs to) or local (this computer by itself). "
                        "Whoever can reach a Ray cluster can run programs on it: only for networks that you trust")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`babe2 batch`. What can be wrong with the jobs themselves is found out before the first is rendered."""
    from ..batch.job_list import LISTS, check_jobs, jobs_of_folder, jobs_of_list
    from ..rendering.recipe import Recipe
    check_sound(args)
    overrides = parse_overrides(args.overrides, args.seed)
    recipe = Recipe(args.preset, args.board, args.quality, args.target, args.target_match,
                    tuple(sorted(overrides.items())), rate=args.rate, depth=args.depth,
                    device=args.device if args.ray else choose_device(args.device), allow_external=args.allow_external)
    ending = "." + args.format.lower().lstrip(".") if args.format else None
    problems: list[str] = []
    given = Path(args.input)
    if given.is_dir() or not given.exists() and given.suffix.lower() not in LISTS:
        if not args.preset and not args.board:
            raise UsageError("Give --preset or --board; `babe2 presets` and `babe2 boards` list them.")
        jobs, problems = jobs_of_folder(args.input, args.output, recipe, ending)
    else:
        jobs = jobs_of_list(args.input, recipe, ending)
    check_jobs(jobs, args.output)
    pool = _cluster(args) if args.ray and not args.dry_run else None
    for problem in problems:
        complain(problem)
    if args.dry_run:
        _say_estimate(jobs, args.output)
        return FAILED if problems else OK
    counts = _render(jobs, args, pool)
    said = ", ".join(f"{counts[state]} {state}" for state in ("done", "as before", "failed") if counts[state])
    speaker(args.quiet)(f"{_files(len(jobs))}: {said}. {Path(args.output) / 'manifest.json'} has the record.")
    return FAILED if problems or counts["failed"] else OK


def _cluster(args: argparse.Namespace):
    from ..batch.ray_pool import RayPool
    return RayPool(args.ray, args.device)


def _render(jobs: list, args: argparse.Namespace, pool) -> Counter:
    """Runs the batch under a table: a line for each file and, on a terminal, a last one for what is at work."""
    from tqdm import tqdm

    from ..batch.estimate import duration_s
    from ..batch.run import run_batch
    from ..states import JobState
    say, live, counts = speaker(args.quiet), sys.stderr.isatty() and not args.quiet, Counter()
    lengths = [0.0 if args.quiet else duration_s(job) for job in jobs]
    say(f"{_files(len(jobs))}, {_time(sum(lengths))} of music.")
    width, pace = len(str(len(jobs))), _Pace(sum(lengths))
    at_work: dict[int, float] = {}  # seconds of music that are done, by the number of a file
    bar = tqdm(total=1.0, disable=not live, file=sys.stderr, mininterval=0.2, miniters=0, leave=False,
               bar_format="{percentage:3.0f}%|{bar:16}| {desc}")

    def row(at, state: JobState | str, words: str) -> None:
        with tqdm.external_write_mode(sys.stderr) if live else nullcontext():
            say(f"{at.number:{width}}/{at.count}  {state:9}  {words:>16}  {at.job.name}")

    with bar, closing(run_batch(jobs, args.output, versions(), overwrite=args.overwrite, pool=pool)) as batch:
        for at in batch:
            length_s = lengths[at.number - 1]
            if at.state == JobState.RUNNING:
                if at.number not in at_work and not live:
                    row(at, "begun", pace.left(sum(at_work.values())))
                at_work[at.number] = length_s * at.now.share_done
                done_s = sum(at_work.values())
                others = f" and {len(at_work) - 1} more" if len(at_work) > 1 else ""
                bar.set_description_str(f"{printable(at.job.name)}, block {at.now.block}/{at.now.blocks}, "
                                        f"step {at.now.step}/{at.now.steps}{others}, {pace.left(done_s)}",
                                        refresh=False)
                bar.update(pace.share(done_s) - bar.n)
                continue
            at_work.pop(at.number, None)
            counts[at.state] += 1
            pace.past(length_s, at.state == JobState.DONE)
            if at.state == JobState.FAILED:
                with tqdm.external_write_mode(sys.stderr) if live else nullcontext():
                    complain(f"{at.job.name}: {at.reason}{way_out(at.code, args)}")
                continue
            row(at, at.state, f"took {_time(at.rendered.taken_s)}" if at.state == JobState.DONE else "")
            for note in at.rendered.notes if at.state == JobState.DONE else ():
                with tqdm.external_write_mode(sys.stderr) if live else nullcontext():
                    say(f"{'':{2 * width + 5}}{note}")
    return counts


class _Pace:
    """Estimates the time left for `length_s` seconds of music from what has been rendered in this run."""

    def __init__(self, length_s: float):
        self.whole_s, self.done_s, self.started = length_s, 0.0, time.monotonic()

    def past(self, length_s: float, rendered: bool) -> None:
        """A file is finished; one that was not rendered takes no time, and must not make the rest look quick."""
        if rendered:
            self.done_s += length_s
        else:
            self.whole_s -= length_s

    def share(self, more_s: float = 0.0) -> float:
        return min((self.done_s + more_s) / self.whole_s, 1.0) if self.whole_s > 0 else 1.0

    def left(self, more_s: float = 0.0) -> str:
        share = self.share(more_s)
        return f"{_time((time.monotonic() - self.started) * (1 / share - 1))} left" if share > 0 else ""


def _say_estimate(jobs: list, folder: str) -> None:
    from ..batch.estimate import estimate, to_do
    left = to_do(jobs, folder)
    for job in left:
        answer(f"{job.source} -> {Path(folder) / job.name}")
    print(f"{_files(len(jobs))}, {len(jobs) - len(left)} done before, {len(left)} to do.")
    if not left:
        return
    found = estimate(left, folder)
    work = "unknown" if found.work_s is None else f"about {_time(found.work_s)}"
    print(f"Music {_time(found.duration_s)}. Time {work}, on this machine as busy as it is now.")
    print(f"Room {_size(found.result_bytes)} and meanwhile up to {_size(found.meanwhile_bytes)} more; "
          f"{_size(found.free_bytes)} are free.")
    if found.result_bytes + found.meanwhile_bytes > found.free_bytes:
        print("That is more than there is: make room, or choose another folder.")


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
