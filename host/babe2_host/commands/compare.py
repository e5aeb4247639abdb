"""`babe2 compare`: a page to listen to versions of one recording in any browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..console import speaker


def add(commands) -> None:
    parser = commands.add_parser(
        "compare", allow_abbrev=False, help="make a page to compare versions of a recording by ear",
        description="Writes one HTML file that holds all versions: players that switch between them while they play, "
                    "at one loudness, with waveforms, spectrograms and long-term spectra. It opens in any browser and "
                    "needs nothing else.")
    parser.add_argument("recordings", metavar="RECORDING", nargs="+",
                        help="two to nine versions of one recording, equally long, such as original and restored")
    parser.add_argument("--html", metavar="OUT.html", required=True, help="the page to write; replaced if there")
    parser.add_argument("--title", metavar="TEXT", help="what stands above it (default: the recordings' names)")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """`babe2 compare`."""
    from babe2_fx.audio.reading import read_audio
    from babe2_fx.files import write_whole

    from ..audio.destinations import check_destination
    check_destination(args.html, *args.recordings)
    recordings = [read_audio(path) for path in args.recordings]
    for note in (note for recording in recordings for note in recording.notes):
        speaker(args.quiet)(note)

    from ..tools.compare_page import comparison_page, names
    title = args.title or " · ".join(names(recordings))
    page = comparison_page(recordings, title)
    write_whole(args.html, lambda part: part.write_text(page, encoding="utf-8"))
    size_mb = Path(args.html).stat().st_size / 1e6
    speaker(args.quiet)(f"Wrote {args.html} ({size_mb:.1f} MB).")
