"""Quality against seconds: restorations of degraded recordings for each solver, number of steps and precision.

    python benchmarks/solvers.py CLEAN.flac ... [--preset piano] [--seconds 8.3] [--json OUT.json] [--picture OUT.png]

Each recording is cut, degraded with a response drawn from a seed (breakpoints and horns in turn) and noise 60 dB below
it, and restored with every configuration in turn from the same signal, so the seconds of one run compare. Euler and
Heun are the engine's. "multistep" is DPM-Solver++(2M) (Lu et al. 2022); it is here because it was tried: it uses the
estimates of two steps at the price of one evaluation. bfloat16 is the precision of the network's layers.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.evaluation.degradations import add_noise, apply_response, random_response
from babe2_fx.evaluation.embeddings import resampled
from babe2_fx.evaluation.scores import filter_error_db, full_reference_scores
from babe2_fx.priors import load_prior
from babe2_fx.restoration import Restorer, restorer
from babe2_fx.sampling import SamplerStep, churn, noise_levels, solve

SCORED_HZ = 22050
LEAST_RANGE_DB = 1.0  # on the picture's axes


@dataclass(frozen=True)
class Configuration:
    solver: str  # euler, heun, multistep
    steps: int
    s_churn: float = 0.0
    precision: str = "float32"

    @property
    def name(self) -> str:
        return self.solver + (" with fresh noise" if self.s_churn else "")

    @property
    def evaluations(self) -> int:
        return 2 * self.steps - 1 if self.solver == "heun" else self.steps


CONFIGURATIONS = [*(Configuration("euler", steps) for steps in (2, 3, 5, 8, 14)),
                  *(Configuration("multistep", steps) for steps in (3, 5, 8)),
                  *(Configuration("heun", steps) for steps in (3, 5, 8)), Configuration("heun", 14, 7.0),
                  Configuration("euler", 8, precision="bfloat16")]


@torch.no_grad()
def multistep(guidance, initial, solver, draw) -> Generator:
    """`solve` with the second-order multistep solver."""
    levels = noise_levels(solver.sigma_start, solver.sigma_min, solver.rho, solver.steps).tolist()
    gamma, earlier = churn(solver.s_churn, solver.steps), None
    x = initial + levels[0] * draw(initial)
    for i, (sigma, following) in enumerate(zip(levels, levels[1:])):
        raised = sigma * (1 + gamma)
        if gamma:
            x = x + (raised ** 2 - sigma ** 2) ** 0.5 * draw(x)
        denoised = guidance(x, raised).denoised
        if following:
            width, ahead = math.log(raised / following), denoised
            if earlier:  # extrapolated over half the step
                ahead = denoised + (denoised - earlier[0]) * width / (2 * earlier[1])
            x = following / raised * x - math.expm1(-width) * ahead
            earlier = denoised, width
        else:
            x = denoised
        yield SamplerStep(i + 1, sigma, denoised)
    return x


def restore(prior, settings, configuration: Configuration, audio: np.ndarray, rate: int):
    """The restoration (`RestorationResult`) and the seconds it took."""
    settings = settings.replace(steps=configuration.steps, s_churn=configuration.s_churn,
                                order=2 if configuration.solver == "heun" else 1)
    restorer.solve = multistep if configuration.solver == "multistep" else solve
    prior.network.compute_dtype = getattr(torch, configuration.precision)
    started = time.perf_counter()
    result = Restorer(prior, settings).restore(audio, rate)
    return result, time.perf_counter() - started


def degraded(path: Path, seconds: float, number: int):
    """An excerpt clean (samples,) and degraded (1, samples), its rate and the response."""
    clean, rate = soundfile.read(path, dtype="float32", always_2d=True)
    clean = clean.mean(axis=1)
    begin = max(0, min(rate * 4, len(clean) - round(seconds * rate)))
    clean = clean[begin:begin + round(seconds * rate)]
    response = random_response(100 + number, ("breakpoints", "horn")[number % 2])
    noisy, _ = add_noise(apply_response(clean[None], rate, response), None, snr_db=60, seed=number)
    return clean, noisy.astype(np.float32), rate, response.record()


def picture(rows: list[dict], path: Path) -> None:
    """The curves: three scores against seconds, a line for each solver and precision."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 4.1), layout="constrained", sharex=True)
    for axis, (score, title) in zip(axes, {"ltas_error_db": "LTAS error", "lsd_db": "log-spectral distance",
                                           "filter_error_db": "filter error"}.items()):
        for name, precision in dict.fromkeys((row["name"], row["precision"]) for row in rows):
            line = [row for row in rows if (row["name"], row["precision"]) == (name, precision)]
            axis.plot([row["seconds_for_10_s"] for row in line], [row[score] for row in line], "o-",
                      label=name if precision == "float32" else f"{name}, {precision}")
            for row in line:
                axis.annotate(row["steps"], (row["seconds_for_10_s"], row[score]), xytext=(3, 4),
                              textcoords="offset points", fontsize=8)
        axis.set(xscale="log", xlabel="seconds for 10 s of audio", ylabel="dB", title=title)
        axis.set_xticks([2, 5, 10, 20, 40], labels=["2", "5", "10", "20", "40"])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        room = max(0.0, LEAST_RANGE_DB - (high - low)) / 2  # inaudible differences should not look large
        axis.set_ylim(low - room, high + room)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8,
                  title="solver; numbers are steps", title_fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--seconds", type=float, default=8.3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, metavar="PNG")
    args = parser.parse_args()
    preset = load_preset(args.preset)
    prior, settings = load_prior(preset.prior_path, args.device), preset.settings("draft")
    signals = [degraded(path, args.seconds, number) for number, path in enumerate(args.recordings)]
    restore(prior, settings, Configuration("euler", 2), signals[0][1], signals[0][2])  # warms up
    rows = []
    print("| solver | steps | evaluations | precision | s for 10 s | LTAS error, dB | mean LSD, dB "
          "| filter error, dB |")
    print("|---|---:|---:|---|---:|---:|---:|---:|")
    for configuration in CONFIGURATIONS:
        taken, scores = 0.0, []
        for clean, noisy, rate, true in signals:
            result, seconds = restore(prior, settings, configuration, noisy, rate)
            taken += seconds
            found = full_reference_scores(resampled(clean, rate, SCORED_HZ),
                                          resampled(result.audio[0], rate, SCORED_HZ))
            scores.append((found["ltas_error_db"], np.mean(list(found["lsd_db"].values())),
                           filter_error_db(true, result.eq_export())))
        ltas, lsd, response = np.mean(scores, axis=0)
        pace = 10 * taken / sum(len(clean) / rate for clean, _, rate, _ in signals)
        rows.append(asdict(configuration) | {"name": configuration.name, "evaluations": configuration.evaluations,
                                             "seconds_for_10_s": pace, "ltas_error_db": ltas, "lsd_db": lsd,
                                             "filter_error_db": response})
        print(f"| {configuration.name} | {configuration.steps} | {configuration.evaluations} "
              f"| {configuration.precision} | {pace:.1f} | {ltas:.2f} | {lsd:.2f} | {response:.2f} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    if args.picture:
        picture(rows, args.picture)


if __name__ == "__main__":
    main()
