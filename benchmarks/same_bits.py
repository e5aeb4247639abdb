"""Whether restorations have changed: another commit and this checkout, on one machine, compared bit by bit.

    python benchmarks/same_bits.py COMMIT [--only NAME ...] [--keep FOLDER]

Floating-point results agree to the bit only on one machine, so no fixtures are stored: COMMIT is checked out into a
temporary folder and does the same restorations in a process of its own. --keep FOLDER keeps COMMIT's results there and
reuses them the next time. The exit code is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (".", "host", "gui", "presets")
PRESETS = ("piano", "tenor", "soprano")
# Seconds of the example, channels, preset, quality, further arguments of `GenerativeEQ`.
CASES = {f"{preset}-{quality}": (seconds, 1, preset, quality, {})
         for quality, seconds in (("draft", 10), ("standard", 10), ("paper", 2)) for preset in PRESETS} | {
    "two-blocks-gradient": (10, 1, "piano", "paper", {"steps": 3}),
    "two-channels": (10, 2, "piano", "draft", {}),
    "time-invariant": (10, 1, "piano", "draft", {"blocks": "time-invariant"}),
    "ltas-eq": (10, 1, "piano", "standard", {"ltas": "only"}),
    "ltas-off": (2, 1, "piano", "draft", {"ltas": "off"}),
    "babe": (2, 1, "piano", "paper", {
        "ltas": "off", "filter_fit": "sgd", "filter_shape": "lowpass", "collapse_weight": 0.0,
        "noise_regularization": 0.0, "sigma_start": 0.2, "sigma_min": 1e-4, "rho": 8.0, "s_churn": 20.0, "xi": 0.2,
        "steps": 6}),
    "no-filter": (2, 1, "piano", "draft", {"filter_fit": "none"}),
}


def make(folder: Path, names: list[str]) -> None:
    """Does the restorations that are not in the folder yet, with the packages that this process finds."""
    import soundfile
    import torch

    from babe2_fx import GenerativeEQ
    torch.set_num_threads(1)
    for name in names:
        path = folder / f"{name}.npy"
        if path.exists():
            continue
        seconds, channels, preset, quality, more = CASES[name]
        audio, rate = soundfile.read(ROOT / "examples" / "piano_78.flac", dtype="float32", frames=seconds * 22050)
        several = np.stack([np.roll(audio, 37 * i) for i in range(channels)]) if channels > 1 else audio[None]
        restored = GenerativeEQ(preset, quality=quality, seed=0, **more)(several, rate)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
            np.save(part, restored)
        os.replace(part.name, path)
        print(f"{name}: made", flush=True)


def made_by(checkout: Path, folder: Path, names: list[str]) -> None:
    """`make` in a process that imports the packages of a checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(str(checkout / package) for package in PACKAGES)
    subprocess.run([sys.executable, __file__, "--make", str(folder), "--only", *names], check=True,
                   env=os.environ | {"PYTHONPATH": path})


def difference_db(one: np.ndarray, other: np.ndarray) -> float:
    """The power of the difference relative to that of `one`, in dB."""
    return float(10 * np.log10(np.square(one - other).sum() / np.square(one).sum()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)  # this script's own process
    options = parser.parse_args()
    if options.make:
        make(options.make, options.only)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        old, new = options.keep or Path(temporary, "old"), Path(temporary, "new")
        checkout = Path(temporary, "checkout")
        if not all((old / f"{name}.npy").exists() for name in options.only):
            worktree = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*worktree, "add", "--detach", str(checkout), options.commit], check=True)
            try:
                made_by(checkout, old, options.only)
            finally:
                subprocess.run([*worktree, "remove", "--force", str(checkout)], check=True)
        made_by(ROOT, new, options.only)
        different = 0
        for name in options.only:
            one, other = (np.load(folder / f"{name}.npy") for folder in (old, new))
            same = one.shape == other.shape and one.tobytes() == other.tobytes()
            different += not same
            print(f"{name}: " + ("same bits" if same else f"differs by {difference_db(one, other):.1f} dB"))
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
