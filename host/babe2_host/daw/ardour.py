"""The action for Ardour: puts its script where Ardour looks for it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from babe2_fx.errors import UserError

from .scripts import filled, write_script

OLDEST = 7  # of Ardour's versions: what the script calls is not in older ones
SCRIPT = "generative_eq.lua"


class ArdourError(UserError):
    """There is no Ardour to install into; the message says what to do."""


def install() -> list[str]:
    """Writes the script for every Ardour of this user, and says what is left to do.

    Raises ArdourError if there is none, FileError if the script cannot be written.
    """
    folders = config_folders()
    if not folders:
        raise ArdourError(f"No settings of Ardour {OLDEST} or newer are in {_parent()}. Start Ardour once, end "
                          "it, and do this again.")
    text = filled("ardour.lua")
    said, again = [], False
    for folder in folders:
        path = folder / "scripts" / SCRIPT
        again = again or path.exists()
        path.parent.mkdir(exist_ok=True)
        write_script(text, path)
        said.append(f"The script is in {path}.")
    if again:
        said.append("Ardour goes on with its own copy of the earlier one until you remove that (Edit > Lua "
                    "Scripts > Script Manager, Generative EQ, Remove) and add it again:")
    said.append("In Ardour choose Edit > Lua Scripts > Script Manager, an action that is unset, Add/Set, "
                "Generative EQ, Add. From then on it is in Edit > Lua Scripts.")
    return said


def config_folders() -> list[Path]:
    """The folders of settings of this user's Ardours that the script can run in, the oldest first."""
    found = []
    for path in _parent().glob("[Aa]rdour*"):
        version = re.fullmatch("ardour([0-9]+)", path.name.lower())
        if version and int(version[1]) >= OLDEST and path.is_dir():
            found.append((int(version[1]), path))
    return [path for _, path in sorted(found)]


def _parent() -> Path:
    # As Ardour finds it, which is not as other programs do on macOS.
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Preferences"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
