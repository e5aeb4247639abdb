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
from dataclasses import fields
from importlib import metadata

from babe2_fx.presets import QUALITIES, PresetError, list_presets, load_preset
from babe2_fx.settings import BASELINES, Settings, baseline

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

    presets = commands.add_parser("presets", allow_abbrev=False, help="list the presets")
    presets.set_defaults(run=run_presets)
    return parser


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
    from .audio_files import check_audio_output, check_destination, read_audio, write_audio, write_whole

    overrides = parse_overrides(args.overrides, args.seed)
    # Never written to, whatever the outputs are called.
    sources = [args.input] + ([args.target] if args.target else [])
    outputs = {"--output": args.output, "--eq-out": args.eq_out, "--report": args.report}
    outputs = {option: path for option, path in outputs.items() if path}
    for (one, path), (other, same) in itertools.combinations(outputs.items(), 2):
        if os.path.realpath(path) == os.path.realpath(same):
            raise UsageError(f"{path} is given as {one} and as {other}; each needs a name of its own.")
    preset = load_preset(args.preset)
    settings = _settings(preset, args.quality, args.baseline, overrides)
    recording = read_audio(args.input)
    check_audio_output(args.output, recording, *sources)
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
    prior = load_prior(preset.prior_path, device)
    say(f"{args.input}: {recording.duration_s:.1f} s, {recording.sample_rate} Hz, "
        f"{_channels(recording.channels)}; preset {preset.name}, "
        f"{args.baseline or args.quality}, on {device}")
    started = time.monotonic()
    result = _render(Restorer(prior, settings, target=target), recording, args.quiet)
    taken_s = time.monotonic() - started

    notes = list(result.notes)
    lowered_db = write_audio(args.output, result.audio, recording.sample_rate, recording)
    if lowered_db:
        notes.append(f"The restored peaks did not fit the file's integer samples; the level of the whole "
                     f"recording was lowered by {lowered_db:.2f} dB.")
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
    """`babe2 presets`: names and titles."""
    for name in list_presets():
        print(f"{name:12} {load_preset(name).title}")


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
    for module, name in (("babe2_fx.spectra", "TargetError"), ("babe2_fx.priors", "PriorError")):
        kind = getattr(sys.modules.get(module), name, None)
        if kind and isinstance(error, kind):
            return MISTAKE
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
