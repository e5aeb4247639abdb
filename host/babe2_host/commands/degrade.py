"""`babe2 degrade`: the options; the work is in `tools/degrade.py`."""

from __future__ import annotations

import argparse


def add(commands) -> None:
    parser = commands.add_parser(
        "degrade", allow_abbrev=False, help="make an old recording of a clean one, for tests",
        description="Puts a clean recording through a known zero-phase response and adds noise. What was done is "
                    "recorded exactly in a JSON file next to the result, which `babe2 evaluate` reads.")
    parser.add_argument("input", metavar="IN", help="the clean recording")
    parser.add_argument("-o", "--output", metavar="OUT", required=True,
                        help="the degraded one; OUT.json next to it is the record. Both replaced if there")
    medium = parser.add_mutually_exclusive_group()
    medium.add_argument("--response", metavar="CURVE", help="a curve: Hz and dB in two columns, or JSON as --eq-out "
                                                            "writes it")
    medium.add_argument("--random", type=int, metavar="N", help="a response of an old medium, drawn with this number")
    parser.add_argument("--kind", choices=("breakpoints", "horn"), default="breakpoints",
                        help="of --random: a breakpoint EQ, or the smooth curve of a horn (default: breakpoints)")
    parser.add_argument("--noise", metavar="FILE", help="a recording of noise, such as a groove without music "
                                                        "(default with --snr: white noise)")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--snr", type=float, metavar="DB", help="how far the noise lies below the degraded music")
    level.add_argument("--gain", type=float, metavar="G", help="what the noise file is multiplied by instead")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise: where its file begins")
    parser.add_argument("--depth", choices=("16", "24", "float"), help="samples of the output (default: as the input)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """`babe2 degrade`."""
    from ..tools.degrade import degrade
    degrade(args)
