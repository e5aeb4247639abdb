"""What a guided evaluation, a filter fit and a block cost for each network, in one run on one machine.

    python benchmarks/engine.py [published-piano published-voice piano ...] [--device cpu] [--json OUT.json]

Networks: the published sizes with random weights, and the embedded presets by name. Each is measured in a process of
its own, to have its own peak memory. Times are medians; shares are of one step of the sampler. The rate of a large
matrix multiplication, measured before and after in the same run, shows how fast the machine was. The network's
floating-point operations (counted with plain convolutions) over that rate show what the hardware could do without
convolutions that need fewer.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from babe2_fx.beyond import BandFit
from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.equalizer import FilterFit, FilterStatistics
from babe2_fx.operators import BlindEqualizer
from babe2_fx.priors import CQTDiff, NetworkConfig, Prior, convolution, load_prior
from babe2_fx.settings import Settings

PUBLISHED = {
    "published-piano": (NetworkConfig(), 0.07),
    "published-voice": (NetworkConfig(sample_rate=44100, block_length=262144, octaves=8, bins_per_octave=32,
                                      channels=(32, 32, 64, 64, 128, 128, 256, 256),
                                      layers=(1, 3, 4, 5, 5, 6, 6, 7)), 1.0),
}


def seconds(function, repeats: int, device: str) -> float:
    """Median wall time of one call, after a warm-up call."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return sorted(times[1:])[repeats // 2]


def matmul_gflops(device: str) -> float:
    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device)
    return 2 * size ** 3 / 1e9 / seconds(lambda: a @ a, 9, device)


def make_prior(name: str, device: str) -> tuple[Prior, dict[str, Settings]]:
    if name in PUBLISHED:
        config, level = PUBLISHED[name]
        preset = load_preset("piano-maestro" if "piano" in name else "tenor-caruso")
        prior = Prior(CQTDiff(config), level).to(device)
    else:
        preset = load_preset(name)
        prior = load_prior(preset.prior_path, device)
    return prior, {quality: preset.settings(quality) for quality in QUALITIES}


def measure(name: str, device: str, repeats: int) -> dict:
    """All figures of one network."""
    prior, qualities = make_prior(name, device)
    generator = torch.Generator().manual_seed(0)
    x = prior.level * torch.randn(1, prior.block_length, generator=generator).to(device)
    y, sigma, rate = x.flip(-1), torch.tensor(prior.sigma_data), prior.sample_rate
    plain = patch.object(convolution, "CHANNELS", math.inf)
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        prior.denoise(x, sigma)
    statistics = FilterStatistics.from_signals(x, y)
    fits = {"adam": FilterFit(rate, tolerance=0.0), "global": BandFit(rate, prior.lowest_hz)}
    operator = BlindEqualizer(fits["global"], rate)
    operator.fitter.step(statistics)

    def guided():
        with torch.enable_grad():
            noisy = x.clone().requires_grad_()
            cost = (operator.apply(prior.denoise(noisy, sigma)) - y).square().sum()
            torch.autograd.grad(cost, noisy)

    transform = prior.network.transform(prior.block_length)
    parts = {"evaluation": lambda: prior.denoise(x, sigma), "transform": lambda: transform.inverse(transform(x)),
             "statistics": lambda: FilterStatistics.from_signals(x, y),
             "adam fit": lambda: fits["adam"].step(statistics), "global fit": lambda: fits["global"].step(statistics)}
    with torch.no_grad():
        result = {f"{part}_s": seconds(run, repeats, device) for part, run in parts.items()}
    result["guided evaluation_s"] = seconds(guided, max(1, repeats // 2), device)
    result["evaluation_gflop"] = counter.get_total_flops() / 1e9
    block_s = prior.block_length / rate
    for quality, settings in qualities.items():
        solver = settings.solver
        evaluations = solver.steps * solver.order - (solver.order == 2)  # the last step has no correction
        one = result["guided evaluation_s" if settings["guidance"] == "gradient" else "evaluation_s"]
        fit = result["statistics_s"] + result[f"{'global' if settings['filter_fit'] == 'global' else 'adam'} fit_s"]
        result[quality] = {"evaluations": evaluations, "block_s": evaluations * (one + fit),
                           "filter_share": fit / (one + fit),
                           "minute_s": evaluations * (one + fit) * 60 / (block_s * (1 - settings.blocks.overlap))}
    result["parameters"] = sum(p.numel() for p in prior.network.parameters())
    result["block_audio_s"] = block_s
    result["peak_gib"] = (torch.cuda.max_memory_allocated() / 2 ** 30 if device == "cuda" else
                          resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20)
    return result


def table(rates: list[float], rows: dict[str, dict]) -> str:
    lines = [f"Matrix multiplication, float32: {min(rates):.0f} to {max(rates):.0f} GFLOP/s.", "",
             "| network | evaluation, s | of the hardware's rate | guided, s | transform, s | statistics, ms "
             "| fit: Adam, global, ms | minute of audio at draft, standard, paper, s | peak GiB |", "|---" * 9 + "|"]
    for name, row in rows.items():
        share = row["evaluation_gflop"] / row["evaluation_s"] / (sum(rates) / len(rates))
        minutes = ", ".join(f"{row[quality]['minute_s']:.0f}" for quality in ("draft", "standard", "paper"))
        lines.append(f"| {name} | {row['evaluation_s']:.2f} | {share:.0%} | {row['guided evaluation_s']:.2f} "
                     f"| {row['transform_s']:.3f} | {1e3 * row['statistics_s']:.1f} | {1e3 * row['adam fit_s']:.1f}, "
                     f"{1e3 * row['global fit_s']:.1f} | {minutes} | {row['peak_gib']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*PUBLISHED, "piano"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # measures one network in this process
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.device, args.repeats)))
        return
    rates, rows = [matmul_gflops(args.device)], {}
    for name in args.networks:
        done = subprocess.run([sys.executable, __file__, "--one", name, "--device", args.device, "--repeats",
                               str(args.repeats)], check=True, stdout=subprocess.PIPE, text=True)
        rows[name] = json.loads(done.stdout.splitlines()[-1])
        rates.append(matmul_gflops(args.device))
    print(table(rates, rows))
    if args.json:
        args.json.write_text(json.dumps({"matmul_gflops": rates, "threads": torch.get_num_threads(),
                                         "device": args.device, "networks": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
