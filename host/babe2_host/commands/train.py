"""`babe2 train`, `babe2 finetune` and `babe2 sample`: priors from one's own recordings."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from babe2_fx.documents import parse_toml
from babe2_fx.texts import printable

from ..console import INTERRUPTED, OK, UsageError, checked, choose_device, fail, parse_overrides, speaker

M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1  # of glibc's mallopt


def add(commands) -> None:
    train = commands.add_parser(
        "train", allow_abbrev=False, help="train a prior on your own recordings",
        usage="babe2 train [options] DATA_DIR -o PRIOR.safetensors",
        description="Trains a prior on a folder of recordings, of any format and rate, with all its subfolders. "
                    "A run that was stopped or killed goes on where it last saved when the command is given again.",
        epilog="Beside PRIOR.safetensors come a preset (.toml) and a card (.md): `babe2 restore --preset "
               "PRIOR.safetensors` uses them there, --preset NAME in the presets folder that `babe2 presets -h` "
               "names. On several GPUs: torchrun --nproc-per-node N --no-python babe2 train ...")
    _add_run_options(train, "the recipes paper-piano, paper-voice")
    train.add_argument("--task", choices=("prior", "levels", "response"), default="prior",
                       help="prior: the denoiser (default). For a prior that there is, on a CPU, where an hour is "
                            "enough: levels, the model that says how loud music is where a recording lacks it; "
                            "response, the model that tells from music what its medium did")
    train.add_argument("--base", metavar="PRIOR", help="with --task levels or response: the prior file, or the preset "
                                                       "whose prior it is, that PRIOR.safetensors is to be with the "
                                                       "new model")
    train.set_defaults(run=run_train)

    finetune = commands.add_parser(
        "finetune", allow_abbrev=False, help="train a prior further on your own recordings",
        usage="babe2 finetune [options] BASE DATA_DIR -o PRIOR.safetensors",
        description="Trains a prior further on a folder of recordings, for a singer or an instrument. The sizes, the "
                    "level and the domain are those of the prior it starts from. It goes on where it was stopped.")
    finetune.add_argument("base", metavar="BASE", nargs="?", help="a prior file, a published checkpoint (.pt), or a "
                                                                  "preset whose prior it is")
    _add_run_options(finetune, "the recipes finetune (the default), paper-finetune")
    finetune.set_defaults(run=run_finetune)

    sample = commands.add_parser(
        "sample", allow_abbrev=False, help="hear what a prior makes of nothing",
        description="Draws examples from a prior alone, without a recording: what it takes for music.")
    sample.add_argument("prior", metavar="PRIOR", help="a preset, a prior file, or a published checkpoint (.pt)")
    sample.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for the examples, FLAC files")
    sample.add_argument("--count", type=int, default=1, metavar="N", help="how many (default: 1)")
    sample.add_argument("--seed", type=int, metavar="N", help="of the first; each has its own (default: 0)")
    sample.add_argument("--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[],
                        help="change a setting of the sampler: steps, sigma_start, sigma_min, rho, s_churn, order")
    _add_common(sample)
    sample.set_defaults(run=run_sample)


def _add_run_options(parser: argparse.ArgumentParser, recipes: str) -> None:
    parser.add_argument("data", metavar="DATA_DIR", nargs="?", help="folder of recordings")
    parser.add_argument("-o", "--output", metavar="PRIOR.safetensors", help="the prior to make")
    parser.add_argument("--config", metavar="CONFIG", help=f"a TOML file of training settings, or one of {recipes}")
    parser.add_argument("--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[],
                        help="change a training setting, as in --set minutes=600; may be repeated")
    parser.add_argument("--list-settings", action="store_true", help="print the training settings in effect, as a "
                                                                     "file for --config, and do nothing")
    parser.add_argument("--cache", metavar="DIR", help="where decoded recordings are kept (default: PRIOR.run/audio); "
                                                       "several runs may share it")
    parser.add_argument("--restart", action="store_true", help="start over, and replace what is there")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                        help="where to compute (default: auto, the GPU if there is one)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def run_train(args: argparse.Namespace) -> int:
    """`babe2 train`."""
    if args.task != "prior":
        return _run_small(args)
    if args.base:
        raise UsageError("--base goes with --task levels or response; to train a prior further, use `babe2 finetune`.")
    return _run(args, ())


def _run_small(args: argparse.Namespace) -> int:
    """`babe2 train --task levels` and `--task response`."""
    from babe2_fx.training.cell_config import LevelTraining, ResponseTraining
    from babe2_fx.training.cell_models import train_levels, train_response
    from babe2_fx.training.config import settings_toml
    settings, train = {"levels": (LevelTraining, train_levels),
                       "response": (ResponseTraining, train_response)}[args.task]
    if args.config:
        raise UsageError(f"--config is for the training of priors; use --set with --task {args.task}.")
    if args.device == "cuda":
        raise UsageError(f"A {settings.what} is trained on the CPU, where it takes an hour; leave --device out.")
    config = settings().replace(**parse_training_overrides(args.overrides, settings))
    if args.list_settings:
        print(settings_toml(config), end="")
        return OK
    for what, given in {"DATA_DIR, the folder of recordings,": args.data, "-o PRIOR.safetensors": args.output,
                        "--base PRIOR, the prior that gets the model,": args.base}.items():
        if not given:
            raise UsageError(f"{what} is missing; `babe2 train -h` shows how the command is used.")
    run = train(Path(args.data), Path(args.output), _prior_file(args.base), config,
                Path(args.cache) if args.cache else None, args.restart)
    return _watch(run, args, args.quiet)


def run_finetune(args: argparse.Namespace) -> int:
    """`babe2 finetune`."""
    from babe2_fx.training.config import NETWORK
    args.config = args.config or "finetune"
    return _run(args, (*NETWORK, "sigma_data", "flattening"))


def _run(args: argparse.Namespace, bases_own: tuple[str, ...]) -> int:
    """Trains; `bases_own` are the settings that come from the prior that is trained further."""
    from babe2_fx.training.config import TrainingConfig, read_config
    changes = (read_config(args.config) if args.config else {}) | parse_training_overrides(args.overrides)
    for name in bases_own:
        if name in changes:
            raise UsageError(f"{name} cannot be set here: it is that of the prior that is trained further.")
    config = TrainingConfig().replace(**changes)
    if args.list_settings:
        print(config.to_toml(), end="")
        return OK
    needed = {"DATA_DIR, the folder of recordings,": args.data, "-o PRIOR.safetensors": args.output}
    if bases_own:
        needed = {"BASE, the prior to train further,": args.base} | needed
    for what, given in needed.items():
        if not given:
            raise UsageError(f"{what} is missing; `babe2 train -h` shows how the command is used.")
    device = choose_device(args.device)
    if device == "cpu":
        _keep_freed_memory()
    from babe2_fx.training.train import train
    base = _prior_file(args.base) if args.base else None
    if not args.quiet:
        logging.basicConfig(level=logging.WARNING, format="babe2: %(message)s", stream=sys.stderr)
        logging.getLogger("babe2_fx.training").setLevel(logging.INFO)
    leads = int(os.environ.get("RANK", 0)) == 0
    return _watch(train(Path(args.data), Path(args.output), config, base, device,
                        Path(args.cache) if args.cache else None, args.restart), args, quiet=args.quiet or not leads)


def _watch(run, args: argparse.Namespace, quiet: bool) -> int:
    """Runs a training to its end under a progress bar on stderr."""
    from tqdm import tqdm
    interval_s = 0.5 if sys.stderr.isatty() else 60.0
    step = 0
    try:
        with closing(run), tqdm(total=1.0, disable=quiet, file=sys.stderr, mininterval=interval_s, smoothing=0,
                                bar_format="{percentage:3.0f}%|{bar:24}| {desc}{elapsed} elapsed") as bar:
            for now in run:
                step = now.step or step
                if now.message:
                    bar.write(printable(now.message), file=sys.stderr) if not quiet else None
                loss = f", loss {now.loss:.3f}" if now.loss == now.loss else ""
                done = f" {100 * now.share_done:.0f} %" if now.stage in ("reading", "drawing") else ""
                bar.set_description_str(f"{now.stage}{done}, step {step}{loss}, ", refresh=False)
                bar.update(now.share_done - bar.n if now.stage == "training" else 0)
    except KeyboardInterrupt as stop:
        return fail(f"Stopped at step {step}; the same command goes on from there.",
                    getattr(stop, "exit_code", INTERRUPTED))
    card = Path(args.output).with_suffix(".md")
    speaker(quiet)(f"Wrote {args.output}. Use it with --preset {args.output}"
                   f"{f'; its card is {card}' if card.exists() else ''}.")
    return OK


def run_sample(args: argparse.Namespace) -> None:
    """`babe2 sample`: one example after the other, so that the first can be heard while the others are drawn."""
    from tqdm import tqdm
    overrides = parse_overrides(args.overrides, args.seed)
    if args.count < 1:
        raise UsageError(f"--count must be at least 1, not {args.count}.")
    path = _prior_file(args.prior)
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    device = choose_device(args.device)

    import soundfile
    import torch

    from babe2_fx.files import write_whole
    from babe2_fx.priors import load_prior
    from babe2_fx.sampling import free_solver, sample_prior
    from babe2_fx.settings import NAMES
    from babe2_fx.training.results import for_listening
    prior = load_prior(path, device)
    first = overrides.pop("seed", 0)
    guided = [name for name in overrides if NAMES[name].part != "solver"]
    if guided:
        raise UsageError(f"{guided[0]} does nothing here: nothing guides these draws, so only the sampler's settings "
                         "count.")
    solver = checked(lambda: free_solver(prior, **overrides))
    for number in range(args.count):
        seed = first + number
        run = sample_prior(prior, solver, [torch.Generator().manual_seed(seed)])
        with tqdm(total=solver.steps, disable=args.quiet, file=sys.stderr, desc=f"example {number + 1}/{args.count}",
                  mininterval=0.2 if sys.stderr.isatty() else 10.0) as bar:
            for now in run:
                bar.update(now.step - bar.n)
        audio = run.value[0]
        target = folder / f"{path.stem}-{seed}.flac"
        heard = for_listening(audio.cpu()).numpy()
        write_whole(target, lambda part, heard=heard: soundfile.write(os.fsencode(part), heard, prior.sample_rate,
                                                                      format="FLAC"))
        speaker(args.quiet)(f"Wrote {target}.")


# ----------------------------------------------------------------------------------------------------- pieces

def parse_training_overrides(pairs: list[str], config: type | None = None) -> dict:
    """`["minutes=60", "channels=[16, 32]", ...]` as names and values of `config`, `TrainingConfig` if None.

    Raises UsageError.
    """
    from babe2_fx.training.config import TrainingConfig
    known = {item.name: item for item in fields(config or TrainingConfig)}
    overrides = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise UsageError(f"--set needs NAME=VALUE, as in --set minutes=60, not {pair!r}.")
        if name not in known:
            raise UsageError(f"There is no training setting called {name!r}; `babe2 train --list-settings` lists them.")
        overrides[name] = text if known[name].type == "str" else _value(text)
    return overrides


def _value(text: str):
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text  # the settings say best what they expected


def _prior_file(name: str) -> Path:
    """The prior file of a preset, or of a path. Raises UserError where there is none."""
    from babe2_fx.catalogue.presets import load_preset
    path = Path(name)
    return path if path.suffix and path.suffix.lower() != ".toml" else load_preset(name).prior_path


def _keep_freed_memory() -> None:
    """Makes the C library keep freed memory, so that the next step reuses it in place of new pages."""
    if sys.platform.startswith("linux"):
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except (AttributeError, OSError):  # another C library
            return
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
