"""Renders training material: python -m babe2_fx.training.piano OUT_DIR --hours 8 --cache CACHE_DIR"""

import logging
from pathlib import Path

from ...errors import UserError
from ..corpus_files import corpus_parser
from .corpus import PIANOS, makers, render_corpus
from .scores import is_held_out, load_scores

SOUNDFONT_FOLDERS = ["/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts"]  # of Linux systems


def main(arguments=None):
    """The command line of this package."""
    parser = corpus_parser(__package__, __doc__, 8.0, 300.0, "the downloaded samples and parsed scores")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--pianos", nargs="+", choices=list(PIANOS), default=list(PIANOS), metavar="NAME",
                        help=f"those that play (default: all of {', '.join(PIANOS)})")
    parser.add_argument("--heldout-piano", nargs="*", choices=list(PIANOS), default=["timgm-grand", "fluid-electric"],
                        metavar="NAME", help="those that play in unheard/ only, to measure how a prior does on pianos "
                        "that it never heard (default: timgm-grand fluid-electric)")
    parser.add_argument("--soundfonts", nargs="+", type=Path, default=SOUNDFONT_FOLDERS, metavar="FOLDER",
                        help="where SoundFont files lie")
    options = parser.parse_args(arguments)
    names = list(dict.fromkeys(options.pianos + options.heldout_piano))
    try:
        pianos = makers(names, options.cache, options.soundfonts)
    except UserError as error:
        parser.error(str(error))
    scores = load_scores(options.cache / "scores", options.parse_budget_s)
    log = logging.getLogger(__name__)
    log.info("%d scores, %d of them held out", len(scores), sum(is_held_out(s.name) for s in scores))
    render_corpus(options.out_dir, options.hours, options.seed, pianos, scores, options.heldout_piano)


if __name__ == "__main__":
    main()
