"""`babe2 eq`: takes a learned equalizer to other programs."""

from __future__ import annotations

import argparse

from ..console import answer, check_option


def add(commands) -> None:
    eq = commands.add_parser("eq", allow_abbrev=False, help="take a learned equalizer elsewhere")
    export = eq.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "export", allow_abbrev=False, help="write the correction in another program's format",
        description="Writes the correction, the inverse of a learned response, for other programs.")
    export.add_argument("source", metavar="EQ.json", help="what --eq-out wrote")
    export.add_argument("--as", dest="kind", required=True, choices=("csv", "fir", "graphic-eq", "parametric"),
                        help="a table, an impulse response, or text for Equalizer APO: a curve or a few bands")
    export.add_argument("-o", "--output", metavar="OUT", required=True, help="the file to write; replaced if there")
    export.add_argument("--limit-db", type=float, default=20.0, metavar="DB",
                        help="the most that is lifted (default: 20)")
    export.add_argument("--sample-rate", type=int, default=44100, metavar="HZ", help="of the impulse response")
    export.add_argument("--phase", choices=("minimum", "linear"), default="minimum", help="of the impulse response")
    export.add_argument("--bands", type=int, default=6, metavar="N", help="how many parametric bands (default: 6)")
    export.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """`babe2 eq export`."""
    from ..tools.eq_export import BANDS, HIGHEST_RATE, LIMIT_DB, LOWEST_RATE, export_eq
    check_option(args, "limit_db", *LIMIT_DB, " dB")
    check_option(args, "sample_rate", LOWEST_RATE, HIGHEST_RATE, " Hz")
    check_option(args, "bands", *BANDS)
    done = export_eq(args.source, args.kind, args.output, limit_db=args.limit_db, sample_rate=args.sample_rate,
                     phase=args.phase, bands=args.bands)
    for note in done.notes:
        answer(note)
    answer(f"Wrote {done.path}.")
