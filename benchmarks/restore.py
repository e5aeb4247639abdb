"""Time and memory of a restoration, in one run on one machine.

    python benchmarks/restore.py [IN] [--quality draft standard] [--json OUT.json]

Each quality runs in a process of its own, as the command would, over the first 20 s of IN (default: the bundled
example, repeated). The machine's float32 matrix-multiply rate, measured in the same run, is printed with the figures.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from babe2_fx.beyond import BandFit
from babe2_fx.equalizer import FilterFit, FilterStatistics

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "piano_78.flac"


def median_ms(function, repeats: int = 9) -> float:
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times))


def matmul_gflops() -> float:
    a = torch.randn(2048, 2048)
    return 2 * 2048 ** 3 / 1e6 / median_ms(lambda: a @ a)


def filter_fits() -> dict[str, float]:
    """Milliseconds for one fit on a block of 184184 samples at 22.05 kHz, and for gathering its statistics."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 1, 184184, generator=generator)
    statistics = FilterStatistics.from_signals(x, y)
    return {"statistics_ms": median_ms(lambda: FilterStatistics.from_signals(x, y)),
            "adam_100_iterations_ms": median_ms(lambda: FilterFit(22050, tolerance=0).step(statistics)),
            "global_ms": median_ms(lambda: BandFit(22050, 86).step(statistics))}


def restoration(path: Path, seconds: float, quality: str) -> dict[str, float]:
    """Wall seconds and peak memory of `babe2 restore` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        audio, rate = soundfile.read(path, always_2d=True)
        audio = np.tile(audio, (int(np.ceil(seconds * rate / len(audio))), 1))[:int(seconds * rate)]
        source = Path(folder) / "in.flac"
        soundfile.write(source, audio, rate)
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "babe2_host.cli", "restore", str(source), "-o",
                        str(Path(folder) / "out.flac"), "--preset", "piano", "--quality", quality, "--quiet"],
                       check=True)
        wall_s = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB; the largest child so far
    return {"audio_s": seconds, "wall_s": wall_s, "seconds_per_second": wall_s / seconds,
            "peak_memory_gib": peak / 2 ** 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--quality", nargs="+", default=["draft", "standard"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {"threads": torch.get_num_threads(), "matmul_float32_gflops": matmul_gflops(), "filter": filter_fits(),
              "restore": {quality: restoration(args.input, args.seconds, quality) for quality in args.quality}}
    print(f"matrix multiply, float32: {result['matmul_float32_gflops']:.0f} GFLOP/s on {result['threads']} threads")
    for name, value in result["filter"].items():
        print(f"filter, {name.removesuffix('_ms').replace('_', ' ')}: {value:.1f} ms")
    for quality, row in result["restore"].items():
        print(f"{quality}: {row['audio_s']:.0f} s of audio in {row['wall_s']:.0f} s, "
              f"at most {row['peak_memory_gib']:.2f} GiB")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
