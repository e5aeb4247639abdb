"""Renders training material: python -m babe2_fx.training.voice tenor OUT_DIR --hours 3 --cache CACHE_DIR"""

import argparse
import logging
from pathlib import Path

from .corpus import render_corpus
from .melodies import load_melodies
from .singer import RANGES


def main(arguments=None):
    """The command line of this package."""
    parser = argparse.ArgumentParser(
        prog="python -m babe2_fx.training.voice", description=__doc__.splitlines()[0]
    )
    parser.add_argument("voice", choices=list(RANGES))
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the parsed melodies")
    parser.add_argument(
        "--parse-budget-s", type=float, default=900.0, help="read no further melodies after this time"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    melodies = load_melodies(options.cache / "melodies", options.parse_budget_s)
    render_corpus(options.out_dir, options.voice, options.hours, options.seed, melodies)


if __name__ == "__main__":
    main()
