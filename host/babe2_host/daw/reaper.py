"""The script for REAPER: puts it where REAPER looks for scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from babe2_fx.errors import UserError

from .scripts import filled, write_script

SCRIPT = "Generative EQ.lua"


class ReaperError(UserError):
    """A folder that is not REAPER's; the message says what to do."""


def install(folder: Path | None = None) -> list[str]:
    """Puts the script into REAPER's resource folder, or another; returns what to do next, as sentences.

    Raises ReaperError if there is no such folder, FileError if it cannot be written.
    """
    folder = Path(folder or resource_folder())
    if not folder.is_dir():
        raise ReaperError(f"There is no folder {folder}. Start REAPER once, or name the folder that it shows by "
                          "Options > Show REAPER resource path.")
    path = folder / "Scripts" / SCRIPT
    path.parent.mkdir(exist_ok=True)
    write_script(filled("reaper.lua"), path)
    return [f"{path} is in place.",
            "In REAPER: Actions > Show action list > New action > Load ReaScript, choose it, and give it a shortcut "
            "or a place in a menu or toolbar if you like.",
            "Then select items and run it. This script has been tested against a stand-in of REAPER's functions, "
            "not in REAPER itself."]


def resource_folder() -> Path:
    """REAPER's resource folder, unless it is a portable installation."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData/Roaming")) / "REAPER"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/REAPER"
    return Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "REAPER"
