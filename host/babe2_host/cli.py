"""The command `babe2`. Heavy imports wait until they are needed, so that help and mistakes come at once."""

from __future__ import annotations

import argparse
import errno
import itertools
import json
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import fields
from importlib import metadata

from babe2_fx.presets import QUALITIES, PresetError, list_presets, load_preset
from babe2_fx.settings import BASELINES, Settings, baseline
from babe2_fx.weights import config_folder, prior_info, weights_path

OK, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
USER_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
               errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG)


class UsageError(ValueError):
    """A mistake in what was asked for; the message is a sentence for the user."""


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
        return _fail("Stopped; nothing was left half-written.", INTERRUPTED)
    except BrokenPipeError:  # `babe2 settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except MemoryError:
        return _fail("There is not enough memory for this recording. Cut it into shorter parts.", FAILED)
    except (RuntimeError, OSError, ValueError) as error:
        code = _exit_code(error)
        if code is None:
            raise
        return _fail(_sentence(error), code)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="babe2", allow_abbrev=False,
        description="Restores old music recordings with a generative equalizer (BABE-2).")
    parser.add_argument("--version", action="version", version=f"babe2-fx {version('babe2-fx')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    restore = commands.add_parser(
        "restore", allow_abbrev=False, help="restore a recording",
        description="Restores a recording: estimates what the medium did to its spectrum and synthesises "
                    "what it lost. The result has the input's sample rate, length and channels.",
        epilog="Expert settings: `babe2 settings` lists them; change one with --set NAME=VALUE.")
    restore.add_argument("input", metavar="IN", help="the recording: WAV, FLAC, AIFF, OGG, MP3, ...")
    restore.add_argument("-o", "--output", metavar="OUT", required=True,
                         help="the restored recording; its extension chooses the format. Replaced if there")
    _add_preset_options(restore)
    restore.add_argument("--depth", choices=("16", "24", "float"),
                         help="samples of the output: 16 or 24 bits, dithered, or 32-bit float (default: as the input)")
    restore.add_argument("--eq-out", metavar="EQ.json", help="write the learned equalizer as JSON")
    restore.add_argument("--report", metavar="DIR", help="write pictures of the equalizer and of before and "
                                                         "after, and a record of the run, into this folder")
    restore.add_argument("--target", metavar="FILE", help="the spectrum to come to, in place of the "
                         "preset's: a curve (two columns, Hz and dB) or a recording that sounds as it should")
    restore.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                         help="where to compute (default: auto, the GPU if there is one)")
    restore.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    restore.set_defaults(run=run_restore)

    settings = commands.add_parser(
        "settings", allow_abbrev=False, help="list the expert settings",
        description="Lists every setting with its value, its range and what it does.")
    _add_preset_options(settings, required=False)
    settings.set_defaults(run=run_settings)

    eq = commands.add_parser("eq", allow_abbrev=False, help="take a learned equalizer elsewhere")
    export = eq.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "export", allow_abbrev=False, help="write the correction in another program's format",
        description="Writes the correction, the inverse of a learned response, for other programs.")
    export.add_argument("source", metavar="EQ.json", help="what --eq-out wrote")
    export.add_argument("--as", dest="kind", required=True, choices=("csv", "fir", "graphic-eq", "parametric"),
                        help="a table, an impulse response, or text for Equalizer APO: a curve or a few bands")
    export.add_argument("-o", "--output", metavar="OUT", required=True, help="the file to write; replaced if there")
    export.add_argument("--limit-db", type=float, default=20.0, metavar="DB",
                        help="the most that is lifted (default: 20)")
    export.add_argument("--sample-rate", type=int, default=44100, metavar="HZ", help="of the impulse response")
    export.add_argument("--phase", choices=("minimum", "linear"), default="minimum", help="of the impulse response")
    export.add_argument("--bands", type=int, default=6, metavar="N", help="how many parametric bands (default: 6)")
    export.set_defaults(run=run_eq_export)

    presets = commands.add_parser(
        "presets", allow_abbrev=False, help="list the presets", usage="babe2 presets [-h] [show NAME]",
        description="Lists the presets: those that come with this program, and your own, which are files NAME.toml or "
                    f"NAME/preset.toml in {config_folder() / 'presets'}.")
    presets.set_defaults(run=run_presets)
    show = presets.add_subparsers(metavar="show NAME", prog="babe2 presets").add_parser(
        "show", allow_abbrev=False, help="print one in full", description="Prints a preset in full.")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=run_presets_show)

    _add_weights(commands.add_parser(
        "weights", allow_abbrev=False, help="get the weights of the published models",
        description="Lists, installs, checks and removes the weights that presets use which do not have their own."))
    return parser


def _add_weights(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name, run, help, **kwargs):
        action = actions.add_parser(name, allow_abbrev=False, help=help, description=f"{help}.", **kwargs)
        action.set_defaults(run=run)
        return action

    add("list", run_weights_list, "List the published models and what is installed")
    pull = add("pull", run_weights_pull, "Download and install a published model",
               epilog="What broke off goes on where it stopped when the command is given again.")
    pull.add_argument("name", metavar="NAME", help="as `babe2 weights list` has it")
    pull.add_argument("--force", action="store_true",
                      help="also if it is installed, or if its file is not the one of the first download any more")
    pull.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    take = add("import", run_weights_import, "Install weights from a file on this computer")
    take.add_argument("file", metavar="FILE", help="a published checkpoint (.pt) or a prior file (.safetensors)")
    take.add_argument("--name", metavar="NAME", help="what to call them (default: from the file's name)")
    take.add_argument("--force", action="store_true", help="replace other weights of that name")
    verify = add("verify", run_weights_verify, "Check that installed weights are as they were installed")
    verify.add_argument("name", metavar="NAME", nargs="?", help="only these (default: all)")
    remove = add("remove", run_weights_remove, "Delete installed weights")
    remove.add_argument("name", metavar="NAME")


def _add_preset_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("--preset", metavar="NAME", required=required,
                        help="what kind of music it is; `babe2 presets` lists them")
    parser.add_argument("--quality", choices=QUALITIES, default="standard",
                        help="draft is fast, paper is slow (default: standard)")
    parser.add_argument("--baseline", choices=tuple(BASELINES), help="use an older method, for comparison: a "
                        "plain equalizer from long-term spectra, or BABE")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the random numbers; the same seed "
                                                              "gives the same result on the same machine")
    parser.add_argument("--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[],
                        help="change an expert setting; may be repeated")


# --------------------------------------------------------------------------------------------------- commands

def run_restore(args: argparse.Namespace) -> None:
    """`babe2 restore`: everything that can be wrong is found out before sampling begins."""
    from .audio_files import (
        check_audio_output,
        check_destination,
        not_carried,
        read_audio,
        write_audio,
        write_whole,
    )

    overrides = parse_overrides(args.overrides, args.seed)
    # Never written to, whatever the outputs are called.
    sources = [args.input] + ([args.target] if args.target else [])
    outputs = {"--output": args.output, "--eq-out": args.eq_out, "--report": args.report}
    outputs = {option: path for option, path in outputs.items() if path}
    for (one, path), (other, same) in itertools.combinations(outputs.items(), 2):
        if os.path.realpath(path) == os.path.realpath(same):
            raise UsageError(f"{path} is given as {one} and as {other}; each needs a name of its own.")
    preset = load_preset(args.preset)
    prior_path = preset.prior_path
    settings = _settings(preset, args.quality, args.baseline, overrides)
    recording = read_audio(args.input)
    check_audio_output(args.output, recording, *sources, depth=args.depth)
    if args.eq_out:
        check_destination(args.eq_out, *sources)
    if args.report:
        from .report import check_report_folder
        check_report_folder(args.report, *sources, *list(outputs.values())[:-1])

    device = choose_device(args.device)
    # These import torch, which takes seconds; hence only here.
    from babe2_fx.priors import load_prior
    from babe2_fx.restoration import Restorer
    from babe2_fx.spectra import TargetProfile

    target = TargetProfile.from_file(args.target) if args.target else None
    say = (lambda line: None) if args.quiet else (lambda line: print(line, file=sys.stderr))
    prior = load_prior(prior_path, device)
    say(f"{args.input}: {recording.duration_s:.1f} s, {recording.sample_rate} Hz, "
        f"{_channels(recording.channels)}; preset {preset.name}, "
        f"{args.baseline or args.quality}, on {device}")
    started = time.monotonic()
    result = _render(Restorer(prior, settings, target=target), recording, args.quiet)
    taken_s = time.monotonic() - started

    notes = list(result.notes)
    lowered_db = write_audio(args.output, result.audio, recording.sample_rate, recording, depth=args.depth,
                             seed=settings.seed)
    if lowered_db:
        notes.append(f"The restored peaks did not fit the file's integer samples; the level of the whole "
                     f"recording was lowered by {lowered_db:.2f} dB.")
    notes.extend(not_carried(args.output, result.audio, recording.sample_rate, recording))
    for note in notes:
        say(note)
    say(f"Wrote {args.output} ({taken_s:.0f} s).")
    if args.eq_out:
        text = json.dumps(result.eq_export(), indent=1) + "\n"
        write_whole(args.eq_out, lambda part: part.write_text(text))
        say(f"Wrote {args.eq_out}.")
    if args.report:
        from .report import write_report
        record = {"preset": preset.name, "quality": args.quality, "baseline": args.baseline,
                  "target": args.target, "seed": settings.seed, "output": args.output,
                  "time_taken_s": round(taken_s, 3), "level_lowered_db": round(lowered_db, 3), "notes": notes,
                  "versions": versions()}
        write_report(args.report, recording, result, prior, record)
        say(f"Wrote {args.report}: equalizer.png, spectrograms.png, report.json.")


def run_eq_export(args: argparse.Namespace) -> None:
    """`babe2 eq export`."""
    from .eq_export import export_eq
    done = export_eq(args.source, args.kind, args.output, limit_db=args.limit_db, sample_rate=args.sample_rate,
                     phase=args.phase, bands=args.bands)
    for note in done.notes:
        print(note)
    print(f"Wrote {done.path}.")


def run_settings(args: argparse.Namespace) -> None:
    """`babe2 settings`: the values in effect for a preset and a quality, or the defaults."""
    overrides = parse_overrides(args.overrides, args.seed)
    if args.preset:
        settings = _settings(load_preset(args.preset), args.quality, args.baseline, overrides)
        print(f"Values of preset {args.preset}, quality {args.quality}:\n")
    else:
        settings = _checked(lambda: Settings().replace(**overrides))
        print("Default values; with --preset (and --quality) those of a preset:\n")
    for item in fields(settings):
        meta, value = item.metadata, getattr(settings, item.name)
        extent = ", ".join(meta["choices"]) if meta["choices"] else f"{meta['low']:g} to {meta['high']:g}"
        print(f"{item.name} = {value}\n    {meta['help']} ({extent})")


def run_presets(args: argparse.Namespace) -> None:
    """`babe2 presets`: names, titles, and whether each can be used. One that is broken does not hide the others."""
    broken = []
    for name in list_presets():
        try:
            preset = load_preset(name)
            print(f"{name:16} {preset.state:22} {preset.title}")
        except PresetError as error:
            print(f"{name:16} cannot be used")
            broken.append(str(error))
    for sentence in broken:
        print(f"babe2: {sentence}", file=sys.stderr)


def run_presets_show(args: argparse.Namespace) -> None:
    """`babe2 presets show`: all there is to say of one."""
    preset = load_preset(args.name)
    print(f"{preset.name}: {preset.title}\n{preset.description}\n")
    print(f"file: {preset.file}")
    try:
        path = preset.prior_path
        print(f"prior: {path} ({preset.state})")
        print(f"origin: {_origin(path)}")
    except PresetError as error:
        print(f"prior: {error}")
    print("\nsettings other than the defaults (`babe2 settings` explains them):")
    defaults = Settings()
    for quality in QUALITIES:
        settings = preset.settings(quality)
        changed = [f"{item.name} = {getattr(settings, item.name)}" for item in fields(settings)
                   if getattr(settings, item.name) != getattr(defaults, item.name)]
        print(f"  {quality}: {', '.join(changed) or 'none'}")
    if preset.card:
        print(f"\n{preset.card.rstrip()}")


def _origin(path) -> str:
    """What a prior file says of where it came from."""
    try:
        info = prior_info(path)
    except (OSError, ValueError) as error:
        return f"unknown; the file cannot be read ({error})"
    source = info.get("installed_from")
    if isinstance(source, dict):
        return f"{source.get('address') or source.get('file')}, SHA-256 {source.get('sha256')}"
    facts = [f"{info[key]} {words}" for key, words in (("steps", "training steps"), ("material_hours", "h of material"))
             if key in info]
    return "trained with this program" + (f": {', '.join(facts)}" if facts else "")


def run_weights_list(args: argparse.Namespace) -> None:
    """`babe2 weights list`."""
    from .weights import list_weights
    for entry in list_weights():
        print(f"{entry.name}: {'not installed' if entry.record is None else 'installed'}")
        if entry.model:
            print(f"    for: {entry.model.purpose}\n    licence: {entry.model.licence}")
        else:
            print("    for: not known, it was imported\n    licence: not known")
        if entry.record is None:
            print(f"    file: {entry.model.address}\n    get it: babe2 weights pull {entry.name}")
        else:
            origin = entry.record.get("origin") or {}
            print(f"    at: {weights_path(entry.name)}\n    from: "
                  f"{origin.get('address') or origin.get('file') or 'not on record'}")
    print("\nWhere `pull` has no network: download the file in another way, then `babe2 weights import FILE`.")


def run_weights_pull(args: argparse.Namespace) -> int:
    """`babe2 weights pull`: a progress bar on stderr, then what can be done with it."""
    from tqdm import tqdm

    from .weights import pull

    say = (lambda line: None) if args.quiet else (lambda line: print(line, file=sys.stderr))
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
    except KeyboardInterrupt:
        done = None
    finally:
        if bar is not None:
            bar.close()  # before anything else is said
    if done is None:
        return _fail("Stopped; the same command goes on with the download from here.", INTERRUPTED)
    say(_installed(args.name) if done else f"{args.name} is installed already; --force downloads it again.")
    return OK


def run_weights_import(args: argparse.Namespace) -> None:
    """`babe2 weights import`."""
    from .weights import import_file
    print(_installed(import_file(args.file, args.name, args.force)), file=sys.stderr)


def run_weights_verify(args: argparse.Namespace) -> int:
    """`babe2 weights verify`: a line for each; exit code 1 if any is not as it was."""
    from .weights import list_weights, verify
    names = [args.name]
    if args.name is None:
        names = [entry.name for entry in list_weights() if entry.record is not None]
    if not names:
        print("No weights are installed.")
    code = OK
    for name in names:
        problem = verify(name)
        if problem:
            code = _fail(problem, FAILED)
        else:
            print(f"{name}: as it was installed.")
    return code


def run_weights_remove(args: argparse.Namespace) -> None:
    """`babe2 weights remove`."""
    from .weights import remove
    remove(args.name)
    print(f"Removed {args.name}.", file=sys.stderr)


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


# ----------------------------------------------------------------------------------------------------- pieces

def parse_overrides(pairs: list[str], seed: int | None = None) -> dict[str, str | int | float]:
    """`["steps=20", ...]` as settings' names and values; `seed` is one more. Raises UsageError."""
    known = {item.name: item for item in fields(Settings)}
    overrides = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name or not text:
            raise UsageError(f"--set needs NAME=VALUE, as in --set steps=20, not {pair!r}.")
        if name not in known:
            raise UsageError(f"There is no setting called {name!r}; `babe2 settings` lists them.")
        overrides[name] = text if known[name].metadata["choices"] else _number(text)
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


def _settings(preset, quality: str, method: str | None, overrides: dict) -> Settings:
    """The preset's settings, changed by a baseline, changed by what the user set: the more explicit wins."""
    settings = preset.settings(quality)
    if method:
        settings = baseline(method, settings)
    return _checked(lambda: settings.replace(**overrides))


def _checked(make):
    try:
        return make()
    except ValueError as error:
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


def _render(restorer, recording, quiet: bool):
    """Runs the restoration to its end under a progress bar on stderr; returns its result."""
    from contextlib import closing

    from tqdm import tqdm
    # In a log each update is a line of its own, so there they are few.
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    with closing(restorer.run(recording.audio, recording.sample_rate)) as run, \
            tqdm(total=1.0, disable=quiet, file=sys.stderr, mininterval=interval_s, smoothing=0.1,
                 bar_format="{percentage:3.0f}%|{bar:24}| {desc}{elapsed} elapsed, {remaining} left") as bar:
        while True:
            try:
                now = next(run)
            except StopIteration as end:
                bar.update(1 - bar.n)
                return end.value
            bar.set_description_str(f"block {now.block}/{now.blocks}, step {now.step}/{now.steps}, "
                                    f"sigma {now.sigma:.2g}, ", refresh=False)
            bar.update(now.share_done - bar.n)


def version(distribution: str) -> str:
    """The installed version of a distribution, or a sentence's worth of why there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """What a result may depend on, for the record of a run."""
    return {name: version(name) for name in ("babe2-fx", "torch", "torchaudio", "numpy", "scipy")} | {
        "python": platform.python_version(), "platform": platform.platform()}


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


def _exit_code(error: Exception) -> int | None:
    """The exit code for errors that a sentence can answer; None for those that are faults of this program."""
    from .audio_files import AudioFileError
    if isinstance(error, (UsageError, AudioFileError, PresetError)):
        return MISTAKE
    if isinstance(error, OSError):
        return MISTAKE if error.errno in USER_ERRNOS else FAILED
    # Only what has been imported can have raised; importing torch to find out would take seconds.
    for module, name, code in (("babe2_fx.spectra", "TargetError", MISTAKE), ("babe2_fx.priors", "PriorError", MISTAKE),
                               ("babe2_host.eq_export", "EqExportError", MISTAKE),
                               ("babe2_host.weights", "DownloadError", FAILED),
                               ("babe2_host.weights", "WeightsError", MISTAKE)):
        kind = getattr(sys.modules.get(module), name, None)
        if kind and isinstance(error, kind):
            return code
    return FAILED if _is_out_of_memory(error) else None


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(error, RuntimeError) and torch is not None and (
        isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error))


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}."
    if _is_out_of_memory(error):
        return "There is not enough memory for this recording (on the GPU: try --device cpu)."
    return str(error)


def _fail(sentence: str, code: int) -> int:
    print(f"babe2: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
