"""Entry point of the desktop app."""

import sys


def main() -> int:
    """Says that there is no desktop app yet. Returns the exit code."""
    print("The desktop app is not in this version yet; `babe2 restore` does the work from the command line.",
          file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
