"""Thousands of damaged and made-up files for every door through which files from strangers come in.

    python benchmarks/fuzz.py [--door NAME ...] [--inputs 2000] [--seed 0] [--faults FOLDER]
    python benchmarks/fuzz.py --door NAME --file FILE        # one file again, with the whole traceback

The doors, what each promises and how files are damaged are those of the property tests (`tests/doors.py`). Each door is
tried in a process of its own, which may take 4 GB more than it has at its beginning, and 20 s for a file. What was
neither read nor refused with a sentence is a fault, whose file is kept in FOLDER. Prints a table in Markdown; exits
with 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in (".", "host", "gui", "presets", "tests")]
MOST_MEMORY = 4 << 30  # bytes besides those at the beginning
MOST_S = 20
KEPT = 5  # faults of one kind whose files are kept


def child(name: str, inputs: int, seed: int, folder: Path, pipe) -> None:
    """Tries one door; sends (outcome, seconds, bytes, file's name, what went wrong) for each file."""
    import hypothesis
    import torch

    from attempts import attempt, furnish
    from doors import DOORS
    said = os.open(folder / "SAID", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 2)  # decoders talk
    logging.disable()
    torch.set_num_threads(1)
    os.environ |= furnish(folder)
    door = DOORS[name]
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, used + MOST_MEMORY))
    signal.signal(signal.SIGALRM, _too_long)

    @hypothesis.seed(zlib.crc32(f"{name} {seed}".encode()))  # doors of the same kind of file try different ones
    @hypothesis.settings(max_examples=inputs, database=None, deadline=None, phases=[hypothesis.Phase.generate],
                         suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(door.files())
    def one(file: tuple[str, bytes]) -> None:
        faulthandler.dump_traceback_later(3 * MOST_S, exit=True)  # where the alarm is not heard
        signal.alarm(MOST_S)
        began, memory, wrong = time.perf_counter(), 0, ""
        (folder / "CURRENT").write_text(file[0])
        try:
            trial = attempt(door, folder, *file)
            outcome, memory = "read" if trial.read else "refused", trial.memory
        except Exception as error:
            outcome, wrong = "fault", "".join(traceback.format_exception(error))
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
        pipe.send((outcome, time.perf_counter() - began, memory, file[0], wrong))
        if outcome == "fault":
            pipe.recv()  # until its file is kept
    faulthandler.enable()
    one()
    pipe.send(None)


class TooLongError(Exception):
    """A file that takes too long."""


def _too_long(number, frame):
    raise TooLongError(f"not done after {MOST_S} s")


def try_door(name: str, inputs: int, seed: int, faults: Path) -> list[str]:
    """The row of a door in the table."""
    counts, kinds, most_memory, longest_s = Counter(), Counter(), 0, 0.0
    began = time.monotonic()

    def keep(folder: Path, file: str, wrong: str) -> None:
        kind = wrong.strip().splitlines()[-1][:60]
        kinds[kind] += 1
        if kinds[kind] <= KEPT:
            kept = faults / f"{name}-{sum(kinds.values())}"
            kept.mkdir(parents=True)
            shutil.copy(folder / file, kept / file)
            (kept / "error.txt").write_text(wrong, errors="backslashreplace")
            print(f"{name}: {kind} ({kept / file})", file=sys.stderr, flush=True)

    while (done := counts.total()) < inputs:
        here, there = multiprocessing.Pipe()
        with tempfile.TemporaryDirectory() as folder:
            process = multiprocessing.get_context("spawn").Process(
                target=child, args=(name, inputs - done, seed + done, Path(folder), there))
            process.start()
            there.close()
            ended = False
            with contextlib.suppress(EOFError):
                while not (ended := (heard := here.recv()) is None):
                    outcome, seconds, memory, file, wrong = heard
                    counts[outcome] += 1
                    most_memory, longest_s = max(most_memory, memory), max(longest_s, seconds)
                    if outcome == "fault":
                        keep(Path(folder), file, wrong)
                        here.send(None)
            process.join()
            said = Path(folder, "SAID").read_text(errors="replace")[-5000:]
            if ended and counts.total() == done:
                break  # there are no more different ones
            if not ended and process.exitcode == 1 and "Timeout (" not in said:
                sys.exit(f"{said}\n{name} cannot be tried.")
            if not ended:  # it hung, or fell over the file that was tried
                counts["fault"] += 1
                keep(Path(folder), Path(folder, "CURRENT").read_text(), f"{said}\nIt ended with {process.exitcode}.")
    took_s = time.monotonic() - began
    return [name, *(str(counts[outcome]) for outcome in ("read", "refused", "fault")),
            f"{most_memory / 2 ** 20:.0f} MB", f"{longest_s:.2f} s", f"{took_s:.0f} s"]


def main() -> int:
    from attempts import attempt, furnish
    from doors import DOORS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--door", nargs="+", choices=DOORS, default=list(DOORS))
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=Path, default=Path("faults"))
    parser.add_argument("--file", type=Path)
    args = parser.parse_args()
    if args.file:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= furnish(Path(folder))
            print(attempt(DOORS[args.door[0]], Path(folder), args.file.name, args.file.read_bytes()))
        return 0
    rows = []
    print(f"| door | read | refused | faults | most memory | longest | took |\n{'|---' * 7}|", flush=True)
    for name in args.door:
        rows.append(try_door(name, args.inputs, args.seed, args.faults))
        print(f"| {' | '.join(rows[-1])} |", flush=True)
    return int(any(row[3] != "0" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
