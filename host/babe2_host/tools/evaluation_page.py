"""The page of an evaluation: the command that made it, notes, figures, and the spectra in a picture."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import numpy as np

from babe2_fx.files import write_whole

ALL_FIGURES = 3  # recordings in the figure, unless the user names some
COLOURS = {"original": "#8a8a8a", "ltas-eq": "#d9822b", "babe": "#2aa5a0", "babe2": "#0b5fa5",
           "babe2-ltas-init": "#7a5fb5", "babe2-ltas-obj": "#a3195b", "babe2-no-noise-reg": "#5a8f29"}


def command_line(args: argparse.Namespace) -> str:
    words = ["babe2", "evaluate"]
    for name in ("recordings", "reference", "clean", "output", "preset", "quality", "methods", "embeddings", "table",
                 "seed"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    words += ["--fad-infinity"] * args.fad_infinity
    for option, values in (("--figure", args.figure or []), ("--set", args.overrides)):
        for value in values:
            words += [option, value]
    return shlex.join(words)


def reading_notes(methods: dict, settings, embeddings: list, count: int, infinity: bool) -> list[str]:
    """What a reader must know to read the table right."""
    notes = []
    seen: dict = {}
    for name, values in methods.items():
        if values in seen.values() and values is not None:
            first = next(other for other, same in seen.items() if same == values)
            notes.append(f"{name} is {first} here: the preset's settings are alike" + (
                ", for its direct guidance adds no noise that could be left out."
                if name == "babe2-no-noise-reg" and "noise_regularization" not in settings.flat() else "."))
        seen[name] = values
    notes += [f"{e.name} hears {e.hears}." for e in embeddings]
    if infinity:
        notes.append("FAD∞ is given where there are more than 500 frames, and has no interval.")
    if count < 2:
        notes.append("One recording has no confidence interval.")
    return notes


def markdown_page(facts: dict, table: str, gains: list[dict], picture: str) -> str:
    """The Markdown page."""
    text = [f"# Evaluation: {facts['preset']}, quality {facts['quality']}\n",
            f"    {facts['command']}\n",
            f"{len(facts['recordings'])} recordings, {len(facts['reference'])} of reference, compared at "
            f"{facts['sample_rate']} Hz. Lower is better in every column, the best is bold; ± is half of a 95 % "
            "interval over recordings (left out one by one). `docs/evaluation.md` says what each figure is.\n", table]
    text += [f"- {note}" for note in facts["notes"]]
    text.append(f"\n![Long-term spectra against the reference]({picture})\n")
    if gains:
        text += ["## Denoising\n", "Noise taken from clean blocks, in dB, by the prior and by a Wiener filter that "
                 "knows the recording's own long-term spectrum; by noise level. Higher is better.\n",
                 "| recording | | " + " | ".join(f"{level['sigma']:g}" for level in gains[0]["levels"]) + " |",
                 "|---|---|" + "---:|" * len(gains[0]["levels"])]
        for item in gains:
            for who in ("prior", "wiener"):
                values = " | ".join(f"{level[f'{who}_db']:.1f}" for level in item["levels"])
                text.append(f"| {item['recording']} | {who} | {values} |")
    versions = facts["versions"]
    text.append(f"\nbabe2-fx {versions['babe2-fx']}, torch {versions['torch']}; prior {facts['prior'][:12]}.")
    return "\n".join(text) + "\n"


def spectra_figure(path: Path, scored: list, reference, rate: float, names: list[str] | None) -> None:
    """The paper's Fig. 2: each method's long-term spectrum against the reference set's, for some recordings."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .lettering import lettering
    from .report import STYLE
    names = names or list(dict.fromkeys(item.recording for item in scored))[:ALL_FIGURES]
    hz = np.linspace(0, rate / 2, len(reference))
    band = (hz >= 50) & (hz <= 0.95 * rate / 2)
    with matplotlib.rc_context(STYLE), lettering(*names) as titles:
        figure = Figure(figsize=(9, 0.6 + 2.6 * len(names)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name, title in zip(panels, names, titles):
            axes.axhline(0, color="#9a9a9a", linewidth=0.8)
            items = [item for item in scored if item.recording == name]
            ratios_db = [10 * np.log10((item.ltas / reference).numpy()[band].clip(1e-9)) for item in items]
            for item, ratio_db in zip(items, ratios_db):
                axes.plot(hz[band], ratio_db, color=COLOURS[item.method], label=item.method,
                          linewidth=1.4 if item.method == "original" else 1.8)
            axes.set_ylim(max(np.min(ratios_db) - 3, -45), max(np.max(ratios_db) + 3, 6))
            axes.set_ylabel("against reference, dB")
            axes.set_title(title, loc="left")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        panels[-1].set_xscale("log")
        panels[-1].set_xlim(50, rate / 2)
        ticks = [f for f in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if f <= rate / 2]
        panels[-1].set_xticks(ticks, [f"{f // 1000}k" if f >= 1000 else str(f) for f in ticks])
        panels[-1].set_xticks([], minor=True)
        panels[-1].set_xlabel("frequency, Hz")
        write_whole(path, lambda part: figure.savefig(part, dpi=130, format="png"))
