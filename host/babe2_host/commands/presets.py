"""`babe2 presets` and `babe2 settings`: what there is to choose from."""

from __future__ import annotations

import argparse

from babe2_fx.catalogue.presets import QUALITIES, PresetError, list_presets, load_preset
from babe2_fx.catalogue.weights import config_folder, prior_info
from babe2_fx.files import FileError
from babe2_fx.settings import BASELINES, NAMES, Settings, baseline

from ..console import answer, checked, complain, parse_overrides


def add(commands) -> None:
    settings = commands.add_parser(
        "settings", allow_abbrev=False, help="list the expert settings",
        description="Lists every setting with its value, its range and what it does.")
    add_preset_options(settings, required=False)
    settings.set_defaults(run=run_settings)

    presets = commands.add_parser(
        "presets", allow_abbrev=False, help="list the presets", usage="babe2 presets [-h] [show NAME]",
        description="Lists the presets: those that come with this program, and your own, which are files NAME.toml or "
                    f"NAME/preset.toml in {config_folder() / 'presets'}.")
    presets.set_defaults(run=run_presets)
    show = presets.add_subparsers(metavar="show NAME", prog="babe2 presets").add_parser(
        "show", allow_abbrev=False, help="print one in full", description="Prints a preset in full.")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=run_presets_show)


def add_preset_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
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


def run_settings(args: argparse.Namespace) -> None:
    """`babe2 settings`: the values in effect for a preset and a quality, or the defaults."""
    overrides = parse_overrides(args.overrides, args.seed)
    if args.preset:
        settings = _settings(load_preset(args.preset), args.quality, args.baseline, overrides)
        print(f"Values of preset {args.preset}, quality {args.quality}:\n")
    else:
        settings = checked(lambda: Settings.of(**overrides))
        print("Default values; with --preset (and --quality) those of a preset:\n")
    values = settings.flat()
    for name, value in values.items():
        print(f"{name} = {value}\n    {NAMES[name].help} ({NAMES[name].extent})")
    print("\nWithout an effect here:\n")
    for name in (name for name in NAMES if name not in values):
        print(f"{name}: {settings.idle(name)}\n    {NAMES[name].help} ({NAMES[name].extent})")


def run_presets(args: argparse.Namespace) -> None:
    """`babe2 presets`: names, titles, and whether each can be used. One that is broken does not hide the others."""
    broken = []
    for name in list_presets():
        try:
            preset = load_preset(name)
            answer(f"{name:16} {preset.state:22} {preset.title}")
        except PresetError as error:
            answer(f"{name:16} cannot be used")
            broken.append(str(error))
    for sentence in broken:
        complain(sentence)


def run_presets_show(args: argparse.Namespace) -> None:
    """`babe2 presets show`: all there is to say of one."""
    preset = load_preset(args.name)
    answer(f"{preset.name}: {preset.title}")
    print(f"{preset.description}\n")
    answer(f"file: {preset.file}")
    try:
        path = preset.prior_path
        answer(f"prior: {path} ({preset.state})")
        answer(f"origin: {_origin(path)}")
    except PresetError as error:
        answer(f"prior: {error}")
    print("\nsettings other than the defaults (`babe2 settings` explains them):")
    for quality in QUALITIES:
        settings = preset.settings(quality)
        changed = [f"{name} = {value}" for name, value in settings.flat().items() if value != NAMES[name].default]
        print(f"  {quality}: {', '.join(changed) or 'none'}")
    if preset.card:
        print(f"\n{preset.card.rstrip()}")


def _origin(path) -> str:
    """What a prior file says of where it came from."""
    try:
        info = prior_info(path)
    except (FileError, ValueError) as error:
        return f"unknown; the file cannot be read ({error})"
    source = info.get("installed_from")
    if isinstance(source, dict):
        return f"{source.get('address') or source.get('file')}, SHA-256 {source.get('sha256')}"
    facts = [f"{info[key]} {words}" for key, words in (("steps", "training steps"), ("material_hours", "h of material"))
             if key in info]
    return "trained with this program" + (f": {', '.join(facts)}" if facts else "")


def _settings(preset, quality: str, method: str | None, overrides: dict) -> Settings:
    """The preset's settings, changed by a baseline, changed by what the user set: the more explicit wins."""
    settings = preset.settings(quality)
    if method:
        settings = baseline(method, settings)
    return checked(lambda: settings.replace(**overrides))
