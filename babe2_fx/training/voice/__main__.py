"""Renders training material: python -m babe2_fx.training.voice tenor OUT_DIR --hours 3 --cache CACHE_DIR"""

from pathlib import Path

from ..corpus_files import corpus_parser
from .corpus import render_corpus
from .melodies import load_melodies
from .singer import RANGES


def main(arguments=None):
    """The command line of this package."""
    parser = corpus_parser(__package__, __doc__, 3.0, 900.0, "the parsed melodies")
    parser.add_argument("voice", choices=list(RANGES))
    parser.add_argument("out_dir", type=Path)
    options = parser.parse_args(arguments)
    melodies = load_melodies(options.cache / "melodies", options.parse_budget_s)
    render_corpus(options.out_dir, options.voice, options.hours, options.seed, melodies)


if __name__ == "__main__":
    main()
