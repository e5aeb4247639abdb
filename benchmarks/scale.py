"""What a million sides take: the record and the shipping, measured here, and the scheduler, simulated.

    python benchmarks/scale.py manifest [--files 1000 10000 100000]
    python benchmarks/scale.py ray [--workers 2]
    python benchmarks/scale.py simulate [--sides 1000000] [--workers 10000] [--block-s 2.5] [--mtbf-h 1000] ...

`manifest` writes the record of that many files in the system's folder for temporary files (TMPDIR moves it). `ray`
measures messages and bytes per second between a batch and the workers of a local Ray. `simulate` runs the batch
scheduler (`babe2_host.batch.schedule`) on a simulated clock, with workers that differ in speed and get lost; a seed
makes it repeatable.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import os
import random
import resource
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from babe2_host.batch.schedule import Schedule

# ------------------------------------------------------------------------------------------------------ the record

def manifest(count: int) -> dict[str, float]:
    """Seconds and bytes of the record of a batch of `count` files, saved when each begins and when it finishes."""
    from babe2_host.batch.job_list import Job, check_jobs
    from babe2_host.batch.manifest import NAME, Manifest
    from babe2_host.rendering.recipe import Recipe
    facts = {"preset": "piano-maestro", "effects": [{"settings": dict.fromkeys(map(str, range(40)), 0.123)}]}
    notes = ["Worked at 22050 Hz; what lies above 11025 Hz stays as it was.",
             "Music stands out from the recording's noise from 90 to 4200 Hz.",
             "Long-term spectrum: 9.8 dB from the target before, 2.1 dB after (Eq. 14 of the paper)."]

    def described(path: str) -> dict:
        return {"path": path, "bytes": 42336044, "sha256": f"{hash(path) & (1 << 256) - 1:064x}"}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "board.toml").write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "Gain"\n')
        recipe = Recipe(board=str(folder / "board.toml"))
        jobs = [Job(f"shelf {n // 1000}/{n}.flac", folder / "in" / f"{n}.flac", recipe) for n in range(count)]
        started = time.perf_counter()
        check_jobs(jobs, folder / "out")
        check_s = time.perf_counter() - started
        started, cpu = time.perf_counter(), time.process_time()
        (folder / "out").mkdir()
        with Manifest(folder / "out") as record:
            record.start({})
            for job in jobs:
                record.begin(job.name, described(str(job.source)), facts)
                record.save()
                record.finish(job.name, described(job.name), duration_s=240.0, time_taken_s=80.0, resumed_blocks=0,
                              level_lowered_db=0.0, notes=notes)
                record.save()
        written_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        size = (folder / "out" / NAME).stat().st_size
        started = time.perf_counter()
        Manifest(folder / "out")
        read_s = time.perf_counter() - started
    return {"files": count, "check_s": check_s, "ms_a_file": 1e3 * written_s / count,
            "cpu_ms_a_file": 1e3 * cpu_s / count, "bytes_a_file": size / count,
            "read_s": read_s, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20}


# ------------------------------------------------------------------------------------------------------------- Ray

def ray(workers: int, seconds: float = 5.0) -> dict[str, float]:
    """Round trips per second of all workers together, with nothing to do; bytes per second to a worker and back."""
    import ray

    from babe2_host.batch.ray_pool import RayPool
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "lock")
        lock.touch()
        ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        pool = RayPool("local", "cpu", cores=1)
        pool.start(Path(folder), lock, lock)
        while len(pool.free) < workers:
            pool.wait()
        started, trips = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            for worker in list(pool.free):
                pool.assign(worker, [])
            trips += len(pool.wait())
        trips_per_s = trips / (time.perf_counter() - started)
        pool.close()
        content, rates = os.urandom(42 << 20), []

        @ray.remote
        class Mirror:
            def send_back(self, data: bytes) -> bytes:
                return data
        mirror = Mirror.remote()
        for _ in range(6):
            started = time.perf_counter()
            assert len(ray.get(mirror.send_back.remote(content))) == len(content)
            rates.append(2 * len(content) / 1e6 / (time.perf_counter() - started))
        ray.shutdown()
    return {"workers": workers, "round_trips_per_s": trips_per_s, "mb_per_s_there_and_back": sorted(rates[1:])[2]}


# ------------------------------------------------------------------------------------------------------ simulation

@dataclass
class Case:
    """What is simulated. Times in seconds of the simulated clock.

    sides, workers · side_s: mean length of a side, with a tenth of that as standard deviation · block_s: work for one
    block of `step_s` seconds of audio · mtbf_h: hours a worker lasts on average; 0: for ever · back_s: until a lost
    worker is noticed and replaced · load_s: to load the prior · read_s: to read and check a recording that was not
    read ahead · message_s: the leader's time for each message of a worker · spread: of the workers' speeds · kept:
    whether finished blocks survive a loss · longest_first, ahead: as the batch orders its jobs · poison: one in this
    many sides kills its worker; 0: none.
    """

    sides: int = 1_000_000
    workers: int = 10_000
    side_s: float = 240.0
    step_s: float = 7.517  # 8.353 s less a tenth of overlap
    block_s: float = 2.5
    mtbf_h: float = 1000.0
    back_s: float = 300.0
    load_s: float = 30.0
    read_s: float = 1.0
    message_s: float = 1e-3
    reports_per_s: float = 100.0
    spread: float = 0.05
    kept: bool = True
    longest_first: bool = True
    ahead: int = 1
    poison: int = 0
    seed: int = 0


def simulate(case: Case) -> dict[str, float]:
    """One batch on a simulated clock.

    A worker reports when it has read a recording and when it has made a file, and waits for the leader, who takes one
    message after the other, to answer. Every workers / reports_per_s seconds it reports how far its render is; that
    slows down the leader, and the worker waits for the answer. Work is counted in whole blocks.
    """
    rng = random.Random(case.seed)
    blocks = [max(1, math.ceil(rng.gauss(case.side_s, case.side_s / 10) / case.step_s)) for _ in range(case.sides)]
    poisonous = set(range(0, case.sides, case.poison)) if case.poison else set()
    order = sorted(range(case.sides), key=lambda side: -blocks[side]) if case.longest_first else range(case.sides)
    schedule = Schedule(order, case.ahead)
    interval_s = max(0.5, case.workers / case.reports_per_s)
    reports = min(case.workers / interval_s * case.message_s, 0.99)  # share of the leader's time
    message_s = case.message_s / (1 - reports)
    slower = 1 + message_s / interval_s
    leader = {"free": 0.0, "busy": 0.0}
    clock, happens, names = 0.0, [], itertools.count(case.workers)
    order_of = itertools.count()  # of events at the same time
    speed, dies, at_work, begun, read, made = {}, {}, {}, {}, {}, [0] * case.sides
    done_blocks: dict[int, int] = {}
    waste_s = idle_from = 0.0
    losses, given_up, idle = 0, [], []

    def later(when: float, what: str, worker: int) -> None:
        heapq.heappush(happens, (when, next(order_of), what, worker))

    def answered(when: float) -> float:
        leader["free"] = max(when, leader["free"]) + message_s
        leader["busy"] += message_s
        return leader["free"]

    def arrive(worker: int, when: float) -> None:
        speed[worker] = rng.lognormvariate(0.0, case.spread)
        dies[worker] = when + rng.expovariate(1 / (3600 * case.mtbf_h)) if case.mtbf_h else math.inf
        at_work[worker], read[worker] = [], when
        schedule.add(worker)
        later(when + case.load_s, "free", worker)

    def begin(worker: int, when: float) -> None:
        """Begins a worker's next job. Its recording has been read if it was given before the last file was made."""
        nonlocal idle_from
        given = schedule.give(worker)
        at_work[worker] += given
        if not at_work[worker]:
            idle_from = idle_from or when
            idle.append(worker)
            return
        side = at_work[worker][0]
        later(when + case.read_s if side in given else max(when, read[worker]), "read", worker)

    def start(worker: int, when: float) -> None:
        side, begun[worker] = at_work[worker][0], when
        read[worker] = when + case.read_s  # the next one
        end = when + (blocks[side] - done_blocks.get(side, 0)) * case.block_s * speed[worker] * slower
        if side in poisonous:
            dies[worker] = min(dies[worker], when + case.block_s / 2)
        if dies[worker] <= end:
            later(max(dies[worker], when), "lost", worker)
        else:
            later(end, "made", worker)

    for worker in range(case.workers):
        arrive(worker, 0.0)
    while not schedule.finished:
        clock, _, what, worker = heapq.heappop(happens)
        if what == "free":
            begin(worker, clock)
        elif what == "read":
            start(worker, answered(clock))
        elif what == "made":
            side = at_work[worker].pop(0)
            made[side] += 1
            schedule.done(worker, side)
            begin(worker, answered(clock))
        else:
            losses += 1
            side, block_s = at_work[worker][0], case.block_s * speed[worker] * slower
            blocks_made = (clock - begun[worker]) / block_s
            schedule.went_on(side, (done_blocks.get(side, 0) + blocks_made) / blocks[side])
            whole = int(blocks_made) if case.kept else 0
            done_blocks[side] = done_blocks.get(side, 0) + whole
            waste_s += clock - begun[worker] - whole * block_s
            given_up += schedule.lost(worker)
            del at_work[worker]
            for other in [idle.pop() for _ in list(idle)]:  # they may take what comes back
                begin(other, clock)
            arrive(next(names), clock + case.back_s)
    assert all(count == 1 for side, count in enumerate(made) if side not in given_up)
    ideal_s = sum(blocks) * case.block_s / case.workers
    return {"hours": clock / 3600, "ideal_hours": ideal_s / 3600, "device_hours": sum(blocks) * case.block_s / 3600,
            "efficiency": ideal_s / clock, "losses": losses, "given_up": len(given_up),
            "lost_work_device_hours": waste_s / 3600, "last_minutes": (clock - (idle_from or clock)) / 60,
            "leader_busy": leader["busy"] * (1 - reports) / clock + reports, "files_per_s": case.sides / clock,
            "interval_s": interval_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("manifest")
    one.add_argument("--files", type=int, nargs="+", default=[1000, 10000, 100000])
    one = commands.add_parser("ray")
    one.add_argument("--workers", type=int, default=2)
    one = commands.add_parser("simulate")
    for item in fields(Case):
        if isinstance(item.default, bool):
            one.add_argument(f"--{item.name.replace('_', '-')}", action=argparse.BooleanOptionalAction,
                             default=item.default)
        else:
            one.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    args = parser.parse_args()
    if args.command == "manifest":
        measured = map(manifest, args.files)
    elif args.command == "ray":
        measured = [ray(args.workers)]
    else:
        case = Case(**{item.name: getattr(args, item.name) for item in fields(Case)})
        measured = [asdict(case) | simulate(case)]
    rows = []
    for row in measured:
        rows.append(row)
        print("  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                        for name, value in row.items()), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
