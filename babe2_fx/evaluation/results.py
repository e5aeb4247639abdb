"""From scores of single recordings to a table of methods, with confidence intervals over the recordings."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.stats import t as student
from torch import Tensor

from .frechet import FEWEST, Moments, frechet_distance, frechet_distance_at_infinity
from .scores import BANDS, reference_distance_db

CONFIDENCE = 0.95
FAD, FAD_INFINITY, REFERENCE_LTAS = "fad_", "fad_infinity_", "ltas_distance_db"
PAPER_ORDER = ("babe2", "babe", "ltas-eq", "original")  # by FAD in Table 1, best first
HEADINGS = {REFERENCE_LTAS: "LTAS distance, dB", "filter_error_db": "filter error, dB",
            "clean_ltas_error_db": "LTAS error, dB", "clean_ltas_distance_db": "LTAS distance to clean, dB",
            **{f"lsd_{low}-{high}_db": f"LSD {low}-{high} Hz, dB" for low, high in BANDS}}


@dataclass(frozen=True)
class Scored:
    """One recording as one method left it.

    ltas: its spectrum (bins,) as `recording_ltas` gives it · frames: by embedding, (frames, dims) · scores: against
    the clean original, by name; empty where there is none.
    """

    recording: str
    method: str
    ltas: Tensor
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A figure over recordings: its value, half the width of its 95 % interval (None for a single recording, or where
    there is no interval), and how many recordings it is of."""

    value: float
    half_width: float | None
    recordings: int

    def __str__(self) -> str:
        return f"{self.value:.2f}" + (f" ± {self.half_width:.2f}" if self.half_width is not None else "")


def jackknife(items: Sequence, figure: Callable[[Sequence], float]) -> Estimate:
    """A figure of all items, with the interval that leaving out one after the other tells.

    For a mean that is the interval of Student's t; it holds as well for distances of whole sets, where resampling
    with replacement would add the bias of sets that hold less.
    """
    value, count = figure(items), len(items)
    if count < 2:
        return Estimate(value, None, count)
    without = np.array([figure([*items[:i], *items[i + 1:]]) for i in range(count)])
    error = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    return Estimate(value, float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * error), count)


def flat_scores(scores: dict) -> dict[str, float]:
    """What `full_reference_scores` gives, under the names of the table."""
    return {"clean_ltas_error_db": scores["ltas_error_db"], "clean_ltas_distance_db": scores["ltas_distance_db"],
            **{f"lsd_{band}_db": value for band, value in scores["lsd_db"].items()}}


def summarise(scored: list[Scored], reference: Tensor, reference_moments: dict[str, Moments], sample_rate: float,
              infinity: bool = False) -> dict[str, dict[str, Estimate]]:
    """By method, in the order they come, each figure's estimate.

    Args:
        reference: LTAS (bins,) of the reference set.
        reference_moments: by embedding, of the reference set.
        sample_rate: Hz, of the spectra.
        infinity: also the extrapolated Fréchet distance, where there are frames enough.
    """
    table = {}
    for method in dict.fromkeys(item.method for item in scored):
        items = [item for item in scored if item.method == method]
        row = {}
        for name, moments in reference_moments.items():
            statistics, own = moments.statistics(), [Moments.of(item.frames[name]) for item in items]
            row[FAD + name] = jackknife(own, partial(_distance, statistics))
            frames = np.concatenate([item.frames[name] for item in items])
            if infinity and len(frames) > FEWEST:
                row[FAD_INFINITY + name] = Estimate(frechet_distance_at_infinity(*statistics, frames), None, len(items))
        distances = [reference_distance_db(item.ltas, reference, sample_rate) for item in items]
        row[REFERENCE_LTAS] = jackknife(distances, np.mean)
        for name in dict.fromkeys(name for item in items for name in item.scores):
            row[name] = jackknife([item.scores[name] for item in items if name in item.scores], np.mean)
        table[method] = {name: Estimate(float(e.value), e.half_width, e.recordings) for name, e in row.items()}
    return table


def _distance(reference: tuple[np.ndarray, np.ndarray], recordings: Sequence[Moments]) -> float:
    return frechet_distance(*reference, *sum(recordings[1:], recordings[0]).statistics())


def heading(figure: str) -> str:
    """A figure's name for a reader."""
    if figure.startswith(FAD_INFINITY):
        return f"FAD∞ {figure.removeprefix(FAD_INFINITY)}"
    return f"FAD {figure.removeprefix(FAD)}" if figure.startswith(FAD) else HEADINGS.get(figure, figure)


def order_by_fad(table: dict[str, dict[str, Estimate]]) -> list[str]:
    """For each embedding, a sentence on how the methods come out beside the order of the paper's Table 1."""
    sentences, methods = [], [name for name in PAPER_ORDER if name in table]
    if len(methods) < 2:
        return []
    for figure in (name for name in table[methods[0]] if name.startswith(FAD) and not name.startswith(FAD_INFINITY)):
        found = sorted(methods, key=lambda name: table[name][figure].value)
        verdict = "as in the paper" if found == methods else f"where the paper has {', '.join(methods)}"
        sentences.append(f"By {heading(figure)} the order is {', '.join(found)}, best first, {verdict}.")
    return sentences


def markdown(table: dict[str, dict[str, Estimate]]) -> str:
    """The table with the best value of each column in bold; lower is better in all."""
    figures = list(dict.fromkeys(name for row in table.values() for name in row))
    best = {name: min(row[name].value for row in table.values() if name in row) for name in figures}
    lines = ["| method | " + " | ".join(heading(name) for name in figures) + " |",
             "|---|" + "---:|" * len(figures)]
    for method, row in table.items():
        cells = [str(row[name]) if name in row else "" for name in figures]
        cells = [f"**{cell}**" if name in row and row[name].value == best[name] and len(table) > 1 else cell
                 for name, cell in zip(figures, cells)]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def csv_text(table: dict[str, dict[str, Estimate]]) -> str:
    """One line for each figure of each method."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "figure", "value", "low", "high", "recordings"])
    for method, row in table.items():
        for name, e in row.items():
            ends = ["", ""] if e.half_width is None else [e.value - e.half_width, e.value + e.half_width]
            writer.writerow([method, name, e.value, *ends, e.recordings])
    return text.getvalue()


def json_table(table: dict[str, dict[str, Estimate]]) -> dict:
    """As plain values for JSON."""
    return {method: {name: {"value": e.value, "half_width": e.half_width, "recordings": e.recordings}
                     for name, e in row.items()} for method, row in table.items()}
