"""What Audacity needs before it can be controlled: one module, which comes with it, enabled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from babe2_fx.files import write_whole

from .audacity_pipe import AudacityError

MODULE = "mod-script-pipe"
ENABLED = "1"  # among Audacity's states of a module; 4 is one that it found and has no instruction for


def install(enable: bool = False) -> list[str]:
    """How to set Audacity up, as sentences. Nothing is written, unless `enable` asks for it.

    Raises AudacityError: it is to be enabled, but Audacity is running, or has never been started with the module.
    """
    use = ["Then select audio in Audacity and, in a terminal, call `babe2 daw audacity --preset piano`. The restored "
           "tracks come below the others.",
           "Audacity's menus cannot start it: its plug-ins in Nyquist may not run other programs."]
    if enable:
        return [f"{enable_module()} now has {MODULE} enabled. Start Audacity.", *use]
    place = "Audacity > Preferences" if sys.platform == "darwin" else "Edit > Preferences"
    return [f"In Audacity: {place} > Modules, set {MODULE} to Enabled, press OK, and start Audacity again. Programs "
            "of this user can then control Audacity while it runs.", *use]


def enable_module(settings: Path | None = None) -> Path:
    """Enables the module in Audacity's settings file, which is returned. Raises AudacityError, and FileError if
    the file cannot be written."""
    settings = settings or settings_file()
    if is_running():
        raise AudacityError("Audacity is running, and would overwrite its settings when it ends. Close it first.")
    try:
        text = settings.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AudacityError(f"Audacity's settings, {settings}, cannot be read. Start Audacity once and close "
                            "it.") from error
    # A module that Audacity has not seen yet is set back to "new" when it is, whatever is written here.
    changed, count = re.subn(rf"(?m)^(\[Module\]\n(?:(?!\[).*\n)*?{MODULE})=\d+", rf"\g<1>={ENABLED}", text)
    if not count:
        raise AudacityError(f"{settings} does not know {MODULE}: this Audacity has not got it, or has not been started "
                            "yet. Start it once and close it, or enable the module in its Preferences.")
    write_whole(settings, lambda part: part.write_text(changed, encoding="utf-8"))
    return settings


def settings_file() -> Path:
    """Where Audacity keeps its settings."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", home / "AppData/Roaming")) / "audacity/audacity.cfg"
    if sys.platform == "darwin":
        return home / "Library/Application Support/audacity/audacity.cfg"
    old = home / ".audacity-data/audacity.cfg"  # where there is one, Audacity goes on with it
    new = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config")) / "audacity/audacity.cfg"
    return old if old.exists() else new


def is_running() -> bool:
    """Whether this user has an Audacity running. Raises AudacityError if that cannot be found out."""
    command = (["tasklist", "/fi", "imagename eq Audacity.exe"] if sys.platform == "win32"
               else ["pgrep", "-l", "-x", "-u", str(os.getuid()), "[Aa]udacity"])
    try:
        return "audacity" in subprocess.run(command, capture_output=True, text=True).stdout.lower()
    except OSError as error:
        raise AudacityError(f"It cannot be found out whether Audacity is running: {error}.") from error
