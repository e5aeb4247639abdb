"""Short files per hour: `babe2 batch` against `babe2 restore` one by one, in one run on one machine.

    python benchmarks/batch.py RECORDING [--files 1 4 16] [--quality draft] [--device cpu] [--json OUT.json]

The files are 4 s each, cut from RECORDING one after the other. Each command runs as a user runs it, in a process of its
own, start-up included. The machine's float32 matrix-multiply rate, before and after, is printed with the figures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
import torch


def matmul_gflops(device: str) -> float:
    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device)

    def multiply() -> float:
        started = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the result
        return time.perf_counter() - started
    return 2 * size ** 3 / 1e9 / sorted(multiply() for _ in range(9))[4]


def cut(recording: Path, folder: Path, count: int, seconds: float) -> list[Path]:
    """Cuts `count` files from a recording, starting over at its end."""
    audio, rate = soundfile.read(recording, always_2d=True)
    length = round(seconds * rate)
    if len(audio) < length:
        sys.exit(f"{recording} is shorter than {seconds:g} s.")
    folder.mkdir()
    files = [folder / f"{number:02}.wav" for number in range(count)]
    for number, file in enumerate(files):
        start = number * length % (len(audio) - length + 1)
        soundfile.write(file, audio[start:start + length], rate)
    return files


def seconds_of(*command: object) -> float:
    """Wall time of a `babe2` command."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "babe2_host.cli", *map(str, command), "--quiet"], check=True)
    return time.perf_counter() - started


def measure(recording: Path, count: int, seconds: float, options: list[str]) -> dict[str, float]:
    """Wall seconds for `count` files one at a time and as a batch, and how many results are identical."""
    with tempfile.TemporaryDirectory() as work:
        files = cut(recording, Path(work, "in"), count, seconds)
        Path(work, "single").mkdir()
        single_s = sum(seconds_of("restore", file, "-o", Path(work, "single", file.name), *options) for file in files)
        batch_s = seconds_of("batch", Path(work, "in"), "-o", Path(work, "batch"), *options)
        same = sum(Path(work, "single", file.name).read_bytes() == Path(work, "batch", file.name).read_bytes()
                   for file in files)
    return {"files": count, "single_s": single_s, "batch_s": batch_s, "single_per_hour": 3600 * count / single_s,
            "batch_per_hour": 3600 * count / batch_s, "same_files": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--files", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    options = ["--preset", args.preset, "--quality", args.quality, "--device", args.device]
    options += [part for pair in args.set for part in ("--set", pair)]
    rates = [matmul_gflops(args.device)]
    rows = [measure(args.recording, count, args.seconds, options) for count in args.files]
    rates.append(matmul_gflops(args.device))
    print(f"{args.seconds:g} s a file, {' '.join(options)}; matrix multiplication, float32: {min(rates):.0f} to "
          f"{max(rates):.0f} GFLOP/s, {torch.get_num_threads()} threads.\n")
    print("| files | one at a time, s | batch, s | one at a time, files/h | batch, files/h | times | same bytes |")
    print("|---" * 7 + "|")
    for row in rows:
        print(f"| {row['files']} | {row['single_s']:.1f} | {row['batch_s']:.1f} | {row['single_per_hour']:.0f} "
              f"| {row['batch_per_hour']:.0f} | {row['single_s'] / row['batch_s']:.2f} "
              f"| {row['same_files']} of {row['files']} |")
    if args.json:
        args.json.write_text(json.dumps({"seconds": args.seconds, "options": options, "matmul_gflops": rates,
                                         "threads": torch.get_num_threads(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
