"""What a client may ask for: a job that is checked before anything of it is done. Requests are not trusted."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from reprlib import repr as shown

from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE
from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.errors import UserError
from babe2_fx.files import reason
from babe2_fx.settings import NAMES, check_values

from ..audio.writing import WRITABLE
from ..rendering.journal import ENDING
from .places import lies_in
from .records import ID, JobError, JobRecord

TEXTS = ("input", "output", "label", "preset", "board", "quality", "target", "depth", "device")
NUMBERS = ("target_match", "seed", "rate")
CHOICES = {"quality": QUALITIES, "depth": ("16", "24", "float"), "device": ("auto", "cpu", "cuda")}
LONGEST = 4096  # characters of any text


def job_of(request: dict, folder: Path, allowed: list[Path]) -> JobRecord:
    """The job that is asked for, with the real paths of its files.

    Args:
        request: `input`, and what there is of `output`, `label`, `settings` and the parts of a `Recipe`.
        folder: that of the jobs, which they may read.
        allowed: folders that jobs may read and write.

    Raises UserError: something in it is not valid, or not allowed.
    """
    values = _values(request)
    if not values.get("input"):
        raise JobError("It names no input.")
    job_id = secrets.token_hex(8)
    values["input"] = _real(values["input"], [folder, *allowed])
    if "target" in values:
        values["target"] = _real(values["target"], [folder, *allowed])
    if values.get("preset", "").lower().endswith(".safetensors"):
        values["preset"] = _real(values["preset"], [folder, *allowed])
    check_recipe(values)
    for path in target_files(values):
        _real(path, [folder, *allowed])
    if not stat.S_ISREG(os.stat(values["input"]).st_mode):
        raise JobError(f"{values['input']} is not a regular file.")
    if values.get("output"):
        values["output"] = _output(values["output"], folder, allowed)
    else:
        values["output"] = str(folder / job_id / "result.wav")
    seed = values.pop("seed", None)
    if seed is not None:
        values["settings"] = values.get("settings", {}) | {"seed": seed}
    return JobRecord(job_id, **values)


def _values(request: dict) -> dict:
    values = {name: value for name, value in request.items() if value is not None}
    unknown = sorted(set(values) - {*TEXTS, *NUMBERS, "settings"})
    if unknown:
        raise JobError(f"A job has no {shown(unknown[0])}.")
    for name, value in values.items():
        if name in TEXTS and not (isinstance(value, str) and len(value) <= LONGEST and _writable(value)):
            raise JobError(f"{name} must be text of at most {LONGEST} characters, not {shown(value)}.")
        if name in NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise JobError(f"{name} must be a number, not {shown(value)}.")
        if name in CHOICES and value not in CHOICES[name]:
            raise JobError(f"{name} must be one of {', '.join(CHOICES[name])}, not {shown(value)}.")
    rate = values.get("rate", LOWEST_RATE)
    if not isinstance(rate, int) or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise JobError(f"rate must be a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}, not {shown(rate)}.")
    if not 0 <= values.get("target_match", 0) <= 1:  # NaN too
        raise JobError(f"target_match must lie from 0 to 1, not {shown(values['target_match'])}.")
    return values


def _writable(text: str) -> bool:
    """Whether a record can hold it: JSON can name half a character, which UTF-8 cannot."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def check_recipe(values: dict) -> None:
    """Checks a job's recipe as far as possible without loading it, which takes seconds. Raises UserError."""
    values = _values(values)
    if ("preset" in values) == ("board" in values):
        raise JobError("It needs a preset or a board" + (", not both." if "preset" in values else "."))
    settings = values.get("settings", {})
    if not isinstance(settings, dict) or not set(settings) <= set(NAMES):
        raise JobError("settings must be names and values of settings; `babe2 settings` lists them.")
    overrides = settings | ({"seed": values["seed"]} if "seed" in values else {})
    try:
        if "board" in values:
            _check_board(values["board"])
            if set(overrides) - {"seed"}:
                raise JobError("Of a board, only the seed and the quality can be changed.")
            check_values(overrides)
        else:
            if values["preset"].lower().endswith(".toml"):  # it may name files elsewhere
                raise JobError("Here a preset is given by its name or its weights, not as a .toml file.")
            preset = load_preset(values["preset"])
            preset.settings(values.get("quality") or "standard", **overrides)
            preset.prior_path  # noqa: B018 - says how to get weights that are missing
    except UserError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise JobError(str(error)) from error


def target_files(values: dict) -> list[str]:
    """The files in a target folder; any of them may be a link."""
    folder = values.get("target")
    return [os.path.join(folder, name) for name in os.listdir(folder)] if folder and os.path.isdir(folder) else []


def _check_board(name: str) -> None:
    """Boards by their names only: those are the user's own or come with the program. A file's could name any other."""
    from ..boards.catalogue import find_board
    if os.path.dirname(name) or name.endswith(".toml"):
        raise JobError("Here a board is given by its name; `babe2 boards` lists them, and says where your own belong.")
    find_board(name)


def _output(path: str, folder: Path, allowed: list[Path]) -> str:
    real = _real(path, [folder, *allowed], there=False)
    if Path(real).suffix.lower() not in WRITABLE:
        raise JobError(f"{path} cannot be written: {Path(real).suffix or 'no ending'} is not a known format. These "
                       f"work: {', '.join(WRITABLE)}.")
    if lies_in(real, [folder]) and ID.fullmatch(Path(real).relative_to(os.path.realpath(folder)).parts[0]):
        raise JobError(f"{path} lies in the folder of another job.")
    if not Path(real).parent.is_dir():
        raise JobError(f"There is no folder {Path(real).parent}.")
    if os.path.lexists(real + ENDING):
        raise JobError(f"{real}{ENDING} has the blocks of another render; finish that, delete them, or give another "
                       "output.")
    if os.path.lexists(real):
        raise JobError(f"{path} is there already, and jobs write over nothing. Give another output.")
    return real


def _real(path: str, folders: list[Path], there: bool = True) -> str:
    """Where a path leads, if that is a place that jobs may use."""
    if not os.path.isabs(path):
        raise JobError(f"{path} must be a whole path, from the root on.")
    try:
        real = os.path.realpath(path)
        if not lies_in(real, folders):
            raise JobError(f"Jobs may not use {path}. To allow it, give the command `babe2 jobs allow FOLDER`, with "
                           "the folder that it lies in.")
        if there:
            os.stat(real)
    except FileNotFoundError as error:
        raise JobError(f"There is no file {path}.") from error
    except OSError as error:
        raise JobError(f"{path} cannot be used: {reason(error)}.") from error
    except ValueError as error:  # what no file can be called
        raise JobError(f"{shown(path)} is not the name of a file.") from error
    return real
