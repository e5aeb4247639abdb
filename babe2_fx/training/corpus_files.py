"""The files of a corpus that is rendered from scores: parsed scores, audio, and a record of how each file was made."""

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from ..documents import read_json
from ..files import whole_file

log = logging.getLogger(__name__)


def corpus_parser(package, renders, hours, parse_budget_s, cached):
    """The options that the command of every corpus has; it logs from here on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=renders)
    parser.add_argument("--hours", type=float, default=hours)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, required=True, help=f"folder for {cached}")
    parser.add_argument("--parse-budget-s", type=float, default=parse_budget_s,
                        help="parse no more scores after this time")
    return parser


def write_json(path, data):
    """Writes `data` as JSON; dataclasses become objects, and arrays lists."""
    with whole_file(path) as part:
        part.write_text(json.dumps(data, default=lambda x: x.tolist() if isinstance(x, np.ndarray) else asdict(x)))


def write_flac(path, audio, sample_rate):
    """Writes audio (samples,) as 16-bit mono FLAC. Raises ValueError for values that are not finite."""
    if not np.isfinite(audio).all():
        raise ValueError(f"{path.name}: the audio has values that are not finite")
    with whole_file(path) as part:
        soundfile.write(part, audio, sample_rate, format="FLAC", subtype="PCM_16")


def works():
    """The works of music21's corpus, {"composer/opus/movement": path}."""
    from music21 import corpus
    found = {}
    for path in corpus.getCorePaths():
        name = "/".join(path.parts[path.parts.index("corpus") + 1:]).rsplit(".", 1)[0]
        # Some works are there twice, and MusicXML says the most; Roman-numeral analyses hold no notes.
        if path.suffix != ".rntxt" and (name not in found or path.suffix == ".mxl"):
            found[name] = path
    return found


def parsed(cache_dir, name, parse, deadline):
    """What `parse()` reads of a work, as plain values, kept as JSON in `cache_dir`.

    None if it cannot be read, or if it is not in the cache when the deadline (of the monotonic clock) has passed.
    """
    file = cache_dir / f"{name.replace('/', '__')}.json"
    if not file.exists():
        if time.monotonic() > deadline:
            log.warning("%s left out: the time for parsing is up", name)
            return None
        try:
            found = parse()
        except Exception as error:  # music21 raises anything at all on an odd score
            log.warning("%s left out: %s: %s", name, type(error).__name__, error)
            found = None
        write_json(file, found)
    return read_json(file)


def write_corpus(out_dir, names, render, sample_rate, **facts):
    """Renders the FLAC files of a corpus into `out_dir`; those that are there are kept, so that a run can be resumed.

    Args:
        names: of all files, each "SPLIT/NAME.flac".
        render: (number, name) -> (audio (samples,), a dict of how it was made).
        facts: what to record of the corpus as a whole.

    Returns what out_dir/index.json then holds: the facts, and under "files" how each file was made.
    """
    index_file, begin = Path(out_dir) / "index.json", time.monotonic()
    index = facts | {"sample_rate_hz": sample_rate, "files": {}}
    if index_file.exists():
        index["files"] = read_json(index_file)["files"]
    for number, name in enumerate(names):
        path = Path(out_dir) / name
        if path.exists() and name in index["files"]:
            continue
        audio, made = render(number, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flac(path, audio, sample_rate)
        index["files"][name] = made | {"duration_s": round(len(audio) / sample_rate, 2)}
        write_json(index_file, index)
        log.info("%s (%d of %d, %.0f s)", name, number + 1, len(names), time.monotonic() - begin)
    return index
