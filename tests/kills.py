"""Kills renders at random moments, also between any two steps of their writing, and takes them up again.

    python tests/kills.py 100        # so many kills of each command; prints what came of them

Every other kill comes by the clock, the others at a random one of the program's own file operations; SIGKILL and
SIGTERM in turns. After each, every result must be absent or whole; then the same command goes on, and must leave the
same bytes as one that nobody disturbed, and nothing else. Exits with 1, and says what was wrong, if it does not.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

COMMANDS = {
    "restore": (["restore", "in/a.wav", "-o", "out/a.wav", "--eq-out", "out/eq.json", "--resume"],
                ["out/a.wav", "out/eq.json"]),
    "batch": (["batch", "in", "-o", "out"], ["out/a.wav", "out/b.flac"]),
}
WRITES = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.truncate")


def prepare(folder: Path) -> None:
    """Two recordings, and a preset with the stand-in prior."""
    import numpy as np
    import soundfile

    from standin import save_tiny_preset
    (folder / "in").mkdir()
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 4), ("b.flac", 2)):
        time_s = np.arange(22050 * seconds) / 22050
        tones = sum(np.sin(2 * np.pi * 220 * k * time_s) / k for k in range(1, 9))
        soundfile.write(folder / "in" / name, 0.2 * tones + 1e-3 * rng.normal(size=len(time_s)), 22050)
    save_tiny_preset(folder, steps=3)


def start(command: list[str], at_write: int | None = None, how: int = signal.SIGKILL, report: int | None = None) -> int:
    """Runs a command in a process of its own, which kills itself at one of its writes; returns the process's number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        from babe2_host import cli
        count = 0

        def hook(event, args):
            nonlocal count
            if event in WRITES:
                count += 1
                if count == at_write:
                    os.kill(os.getpid(), how)
        sys.addaudithook(hook)
        os.dup2(os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        code = cli.main([*command, "--preset", "tiny", "-q"])
        if report is not None:
            os.write(report, str(count).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def parts(folder: Path) -> list[str]:
    """What no finished command leaves."""
    return sorted(str(path) for path in folder.rglob("*") if path.name.endswith((".part", ".unfinished")))


def check(right: bool, what: str) -> None:
    if not right:
        raise AssertionError(f"{what}; the command said: {Path('said.txt').read_text()!r}")


def try_kills(name: str, count: int, seed: int = 0) -> Counter:
    """Kills one command so many times, in the working folder. Raises AssertionError for what should not be."""
    command, outputs = COMMANDS[name]
    rng, counts, out = random.Random(seed), Counter(), Path("out")
    out.mkdir()
    reading, writing = os.pipe()
    began = time.monotonic()
    check(wait(start(command, report=writing)) == 0, f"{name} failed undisturbed")
    took_s, writes = time.monotonic() - began, int(os.read(reading, 20))
    whole = {path: Path(path).read_bytes() for path in outputs}
    check(not parts(out), "parts of an undisturbed run")
    for number in range(count):
        how = (signal.SIGKILL, signal.SIGTERM)[number // 2 % 2]
        shutil.rmtree(out)
        out.mkdir()
        if number % 2:
            code = wait(start(command, rng.randint(1, writes), how))
        else:
            pid = start(command)
            time.sleep(rng.uniform(0.02, took_s))
            os.kill(pid, how)
            code = wait(pid)
        where = f"kill {number} of {name} by {how.name}"
        check(code in (0, -how, 128 + how), f"{where} ended with {code}")
        for path in outputs:
            there = Path(path).exists()
            check(not there or Path(path).read_bytes() == whole[path], f"{where} left {path} half")
            counts["results that were there"] += there
        counts[f"ended by {how.name} by the {'write' if number % 2 else 'clock'}" if code else "done before"] += 1
        left = any(path.endswith(".part") for path in parts(out))
        check(how == signal.SIGKILL or not left, f"{where} left a part")
        counts["left a part"] += left
        counts["left finished blocks"] += any(path.endswith(".unfinished") for path in parts(out))
        check(wait(start(command)) == 0, f"{where}: what came after failed")
        check({path: Path(path).read_bytes() for path in outputs} == whole, f"{where}: other bytes after it went on")
        check(not parts(out), f"{where}: {parts(out)} stayed")
    shutil.rmtree(out)
    return counts


def main(count: int, seed: int) -> int:
    import torch

    from babe2_host import cli
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["BABE2_CONFIG"] = folder
        prepare(Path(folder))
        for command, _ in COMMANDS.values():  # all that is imported and read once, so that the others begin at once
            os.mkdir("out")
            cli.main([*command, "--preset", "tiny", "-q"])
            shutil.rmtree("out")
        for name in COMMANDS:
            try:
                counts = try_kills(name, count, seed)
            except AssertionError as error:
                print(error)
                return 1
            print(f"{name}: {count} kills; " + ", ".join(f"{value} {what}" for what, value in sorted(counts.items())))
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
