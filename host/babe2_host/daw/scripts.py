"""The Lua scripts for DAWs: templates next to this file, filled in with the paths of this installation."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from importlib import resources
from pathlib import Path

from babe2_fx.catalogue.presets import PresetError, list_presets, load_preset
from babe2_fx.files import write_whole

from ..service.places import jobs_folder


def filled(template: str) -> str:
    """A script of this name, with the command, the folder of jobs, the presets and the client that it needs."""
    folder = resources.files(__package__)
    words = [sys.executable, "-P", "-m", "babe2_host.cli"]  # -P: no modules from the folder that a DAW works in
    command = subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
    presets = ", ".join(f"{{{lua_string(name)}, {lua_string(title)}}}" for name, title in usable_presets())
    text = (folder / template).read_text(encoding="utf-8")
    for placeholder, value in {"--[[@COMMAND@]] nil": lua_string(command),
                               "--[[@FOLDER@]] nil": lua_string(str(jobs_folder())),
                               "--[[@PRESETS@]] nil": f"{{{presets}}}",
                               "--[[@CLIENT@]]": (folder / "client.lua").read_text(encoding="utf-8")}.items():
        text = text.replace(placeholder, value)
    return text


def usable_presets() -> list[tuple[str, str]]:
    """Names and titles of the presets whose weights are installed."""
    found = []
    for name in list_presets():
        with contextlib.suppress(PresetError):
            preset = load_preset(name)
            if preset.prior_path:
                found.append((name, preset.title))
    return found


def write_script(text: str, path: Path) -> None:
    """Writes a script whole, in place of an earlier one. Raises FileError."""
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))


def lua_string(text: str) -> str:
    """A string as a Lua literal."""
    escaped = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03}"
                         for byte in escaped) + '"'
