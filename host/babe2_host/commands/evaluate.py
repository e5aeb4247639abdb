"""`babe2 evaluate`: the options; the work is in `tools/evaluate.py`."""

from __future__ import annotations

import argparse

from babe2_fx.catalogue.presets import QUALITIES

DEFAULT_METHODS = "original,ltas-eq,babe,babe2"


def add(commands) -> None:
    parser = commands.add_parser(
        "evaluate", allow_abbrev=False, help="compare methods on recordings, by figures",
        description="Restores recordings with several methods and scores the results: the Fréchet audio distance and "
                    "the distance of the long-term spectrum (Eq. 14) to a set of reference recordings and, with "
                    "--clean, scores against the clean originals. With --clean and no --recordings, the clean ones "
                    "are degraded here with known responses, and the prior's denoising is measured as well. Finished "
                    "results are kept in the output folder and used again.")
    parser.add_argument("--recordings", metavar="DIR", help="the recordings to restore")
    parser.add_argument("--reference", metavar="DIR", help="good recordings of that kind of music "
                                                           "(default: those of --clean)")
    parser.add_argument("--clean", metavar="DIR", help="clean originals of the recordings, under the same names (or "
                        "NAME_clean for NAME_degraded); NAME.json or NAME_filter.json next to a recording is its known "
                        "response")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder for results.md, .csv, .json, "
                        "ltas.png, and a folder of restored recordings for each method")
    parser.add_argument("--preset", metavar="NAME", required=True, help="a preset, or a prior's file")
    parser.add_argument("--quality", choices=QUALITIES, default="standard", help="of the preset (default: standard)")
    parser.add_argument("--methods", metavar="A,B,...", default=DEFAULT_METHODS,
                        help=f"of original, ltas-eq, babe, babe2, babe2-ltas-init, babe2-ltas-obj, babe2-no-noise-reg "
                             f"(default: {DEFAULT_METHODS})")
    parser.add_argument("--embeddings", metavar="A,B,...", default="vibenet",
                        help="what listens for the Fréchet audio distance: vibenet, vggish, clap, encodec (the latter "
                             "through the package fadtk), or none (default: vibenet)")
    parser.add_argument("--fad-infinity", action="store_true", help="also the distance extrapolated to infinitely many "
                                                                    "frames")
    parser.add_argument("--figure", metavar="NAME", action="append", help="a recording to draw in ltas.png; may be "
                                                                          "repeated (default: the first three)")
    parser.add_argument("--table", metavar="FILE.md", help="write the Markdown here too, with its picture as FILE.png")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the random numbers")
    parser.add_argument("--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[],
                        help="change an expert setting of all methods; may be repeated")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`babe2 evaluate`."""
    from ..tools.evaluate import evaluate
    return evaluate(args)
