"""`babe2 restore` and `babe2 render`: an audio file through one effect, or through a board, to an audio file."""

from __future__ import annotations

import argparse
import itertools
import os
from contextlib import ExitStack
from dataclasses import replace

from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.settings import BASELINES

from ..console import (
    OK,
    UsageError,
    answer,
    check_sound,
    checked,
    choose_device,
    complain,
    parse_overrides,
    speaker,
    versions,
    watch,
)
from ..rendering.recipe import Recipe
from .presets import add_preset_options


def add(commands) -> None:
    restore = commands.add_parser(
        "restore", allow_abbrev=False, help="restore a recording",
        description="Restores a recording: estimates what the medium did to its spectrum and synthesises "
                    "what it lost. The result has the input's sample rate, length and channels.",
        epilog="Expert settings: `babe2 settings` lists them; change one with --set NAME=VALUE.")
    _add_files(restore)
    add_preset_options(restore)
    restore.add_argument("--target", metavar="FILE", action="append", help="the spectrum to come to, in place of the "
                         "preset's: a curve (two columns, Hz and dB), a recording that sounds as it should, or a "
                         "folder of such; may be repeated for several recordings")
    restore.add_argument("--target-match", type=float, default=0.0, metavar="SHARE",
                         help="0 to 1: how far to pull the restored spectrum to the target at the end (default: 0)")
    restore.add_argument("--operator", dest="operators", metavar=("NAME", "PARAMETER=VALUE"), nargs="+",
                         action="append", default=[], help="what was done to the recording, in place of an unknown "
                         "equalization (blind-eq): low-pass, time-mask, clip, with their parameters, as in --operator "
                         "low-pass cutoff_hz=3000; may be repeated, the first thing that was done first")
    _add_output_options(restore)
    restore.set_defaults(run=run_restore)

    render = commands.add_parser(
        "render", allow_abbrev=False, help="run a recording through a board of effects",
        description="Runs a recording through a board: a chain of effects, kept in a TOML file.")
    _add_files(render)
    render.add_argument("--board", metavar="BOARD", required=True,
                        help="a board's TOML file, or one by its name; `babe2 boards` lists them")
    render.add_argument("--allow-external", action="store_true", help="load VST3 plugins and Audio Units that the "
                        "board names. They are programs: only for a board that you trust")
    render.add_argument("--quality", choices=QUALITIES,
                        help="of every GenerativeEQ in it (default: as the board says)")
    render.add_argument("--seed", type=int, metavar="N",
                        help="of every GenerativeEQ in it (default: as the board says)")
    _add_output_options(render)
    render.set_defaults(run=run_render)

    boards = commands.add_parser("boards", allow_abbrev=False, help="list the boards for `render`",
                                 description="Lists the boards: those that come with this program and your own.")
    boards.set_defaults(run=run_boards)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="the recording: WAV, FLAC, AIFF, OGG, MP3, ...")
    parser.add_argument("-o", "--output", metavar="OUT", required=True,
                        help="the result; its extension chooses the format. Replaced if there")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", choices=("16", "24", "float"),
                        help="samples of the output: 16 or 24 bits, dithered, or 32-bit float (default: as the input)")
    parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate of the output (default: as the input). A "
                        "low one leaves no room for new highs")
    parser.add_argument("--eq-out", metavar="EQ.json", help="write the learned equalizer as JSON")
    parser.add_argument("--report", metavar="DIR", help="write pictures of the equalizer and of before and "
                                                        "after, and a record of the run, into this folder")
    parser.add_argument("--resume", action="store_true", help="go on after the last finished block of a run with the "
                                                              "same input and options that was stopped or killed")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                        help="where to compute (default: auto, the GPU if there is one)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def run_restore(args: argparse.Namespace) -> int:
    """`babe2 restore`: a board of one effect. What can be wrong is found out before sampling begins."""
    overrides = (BASELINES[args.baseline] if args.baseline else {}) | parse_overrides(args.overrides, args.seed)
    preset = load_preset(args.preset)
    checked(lambda: preset.settings(args.quality, **overrides))
    check_sound(args)
    preset.prior_path  # noqa: B018 - says how to get weights that are missing, before anything else is read

    targets, operators = args.target or [], tuple(map(_operator, args.operators))

    def board():
        made = Recipe(args.preset, quality=args.quality, target=targets[0] if len(targets) == 1 else None,
                      target_match=args.target_match, settings=tuple(sorted(overrides.items())), rate=args.rate,
                      operators=operators, device=choose_device(args.device)).make()
        if len(targets) > 1:
            from babe2_fx import TargetProfile  # which imports torch, and that takes seconds
            made[0].target = TargetProfile.from_recordings(targets)
        return made
    record = {"preset": args.preset, "quality": args.quality, "baseline": args.baseline, "target": args.target,
              "operators": [{"name": name, **dict(parameters)} for name, parameters in operators]}
    sources = [preset.file, preset.prior_path, *targets]
    return _run(args, board, record, f"preset {args.preset}, {args.baseline or args.quality}", sources)


def _operator(words: list[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`["low-pass", "cutoff_hz=3000"]` as a name and its parameters. Raises UsageError."""
    name, *pairs = words
    for pair in pairs:
        if not all(part.strip() for part in pair.partition("=")):
            raise UsageError(f"--operator {name} needs PARAMETER=VALUE, as in --operator low-pass cutoff_hz=3000, not "
                             f"{pair!r}.")
    return name, tuple(tuple(part.strip() for part in pair.split("=", 1)) for pair in pairs)


def run_render(args: argparse.Namespace) -> int:
    """`babe2 render`: a board from a file."""
    from ..boards.catalogue import find_board
    check_sound(args)
    path = find_board(args.board)
    recipe = Recipe(board=str(path), quality=args.quality, settings=() if args.seed is None else (("seed", args.seed),),
                  rate=args.rate, device=args.device, allow_external=args.allow_external)
    made = recipe.make()
    effects = made.effects("GenerativeEQ")
    for option in ("eq_out", "report"):
        if getattr(args, option) and len(effects) != 1:
            raise UsageError(f"--{option.replace('_', '-')} needs a board with one GenerativeEQ; {path} has "
                             f"{len(effects) or 'none'}.")

    def board():
        for effect in effects:
            effect.device = choose_device(args.device)
            effect.prior  # noqa: B018 - one that is missing is found out before the render
        return made
    return _run(args, board, {"board": str(path), "quality": args.quality}, f"board {args.board}",
                recipe.sources(made))


def _run(args: argparse.Namespace, make_board, record: dict, chosen: str, sources: list) -> int:
    """What both commands do: checks, the render, and what is written besides it."""
    from ..audio.destinations import destination
    from ..audio.recording import read_recording
    from ..rendering.render import render_destination

    sources = [args.input, *sources]  # never written to, whatever the outputs are called
    outputs = {"--output": args.output, "--eq-out": args.eq_out, "--report": args.report}
    outputs = {option: path for option, path in outputs.items() if path}
    for (one, path), (other, same) in itertools.combinations(outputs.items(), 2):
        if os.path.realpath(path) == os.path.realpath(same):
            raise UsageError(f"{path} is given as {one} and as {other}; each needs a name of its own.")
    recording = read_recording(args.input)
    with ExitStack() as held:
        eq_place = held.enter_context(destination(args.eq_out, *sources)) if args.eq_out else None
        if args.report:
            from ..tools.report import check_report_folder
            check_report_folder(args.report, *sources, *list(outputs.values())[:-1])
        board = make_board()
        output = held.enter_context(render_destination(recording, args.output, board, *sources, depth=args.depth))
        return _render(args, recording, board, output, eq_place, record, chosen)


def _render(args: argparse.Namespace, recording, board, output, eq_place, record: dict, chosen: str) -> int:
    """The render and what is written, each into its `Place`."""
    from babe2_fx.files import write_whole

    from ..rendering.render import render_file
    effects = board.effects("GenerativeEQ")
    device = effects[0].device if effects else "cpu"
    seed = effects[0].seed if effects else 0

    say = speaker(args.quiet)
    say(f"{args.input}: {recording.duration_s:.1f} s, {recording.sample_rate} Hz, {_channels(recording.channels)}; "
        f"{chosen}, on {device}")
    try:
        done = watch(render_file(recording, output, board, depth=args.depth, resume=args.resume, seed=seed),
                     args.quiet)
    except BaseException:
        from ..rendering.journal import FolderJournal
        kept = FolderJournal(args.output)
        if kept.blocks():
            complain(f"Finished blocks are kept in {kept.folder}; the same command with --resume goes on after them.")
        raise
    if args.resume:
        say(f"{done.resumed_blocks} finished block{'s' * (done.resumed_blocks != 1)} of the earlier run "
            f"{'was' if done.resumed_blocks == 1 else 'were'} taken over." if done.resumed_blocks else
            "There was no unfinished run of the same input and options; this one started over.")
    for note in done.notes:
        say(note)
    say(f"Wrote {args.output} ({done.taken_s:.0f} s).")
    if eq_place:
        text = done.results[0].eq_json() + "\n"
        write_whole(eq_place, lambda part: part.write_text(text))
        say(f"Wrote {eq_place}.")
    if args.report:
        from ..tools.report import write_report
        record |= {"seed": seed, "output": args.output, "time_taken_s": round(done.taken_s, 3),
                   "level_lowered_db": round(done.lowered_db, 3), "notes": list(done.notes),
                   "ltas_distance_db": effects[0].ltas_distance_db, "versions": versions()}
        result = replace(done.results[0], audio=done.audio)  # the board's, not the effect's alone
        write_report(args.report, recording, result, effects[0].prior, record)
        say(f"Wrote {args.report}: equalizer.png, spectrograms.png, report.json.")
    return OK


def run_boards(args: argparse.Namespace) -> None:
    """`babe2 boards`: names and titles. One that is broken does not hide the others."""
    from ..boards.catalogue import describe_boards
    for line in describe_boards():
        answer(line)


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")
