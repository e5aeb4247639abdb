"""Installs and checks the weights of published models, and those that users bring themselves.

Installed weights are prior files, `weights/NAME.safetensors` in the cache folder, each with a record next to it,
`NAME.json`: its checksum, and the file that it was made from. What was downloaded is deleted once it is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from babe2_fx.catalogue.weights import KNOWN, NAME, KnownModel, weights_folder, weights_path
from babe2_fx.files import reason
from babe2_fx.texts import mistaken_file

from ..rendering.recipe import sha256 as sha256_of
from .download import (
    DownloadError,
    Report,
    WeightsError,
    discard,
    download,
    downloads_folder,
    failed,
    part_path,
    read_json,
    write_json,
)


@dataclass(frozen=True)
class Weights:
    """One line of the list. `model` is None for what a user brought; `record` for what is not installed."""

    name: str
    model: KnownModel | None
    record: dict | None


# --------------------------------------------------------------------------------------------------- the list

def list_weights() -> list[Weights]:
    """The published models in their order, then the user's own by name."""
    own = sorted(path.stem for path in weights_folder().glob("*.safetensors") if path.stem not in KNOWN)
    return [Weights(name, KNOWN.get(name), _record(name) if is_installed(name) else None) for name in [*KNOWN, *own]]


def is_installed(name: str) -> bool:
    return NAME.fullmatch(name) is not None and weights_path(name).is_file()


def _record_path(name: str) -> Path:
    return weights_path(name).with_suffix(".json")


def _record(name: str) -> dict:
    """What is on record of weights; empty where there is no record that can be read."""
    return read_json(_record_path(name))


# ---------------------------------------------------------------------------------------- installing, removing

def pull(name: str, force: bool = False, report: Report | None = None) -> bool:
    """Downloads and installs a published model. Returns whether there was anything to do.

    Args:
        name: one of `KNOWN`.
        force: also where it is installed already, or where the file has another checksum than the first time.
        report: is called with the progress.

    Raises:
        WeightsError: there is no published model of this name.
        DownloadError: the file could not be fetched, or is not a model. What was downloaded is kept if it can be
            resumed.
    """
    model = KNOWN.get(name)
    if model is None:
        raise WeightsError(f"There is no published model called {name!r}; there are: {', '.join(KNOWN)}.")
    with _alone(name):
        if is_installed(name) and not force:
            return False
        part = part_path(model)
        download(model, part, report or (lambda done, total: None))
        if mistaken := mistaken_file(part):
            discard(part)
            raise failed(model, f"what the server sent is {mistaken.partition(':')[0]}")
        sha256, known = sha256_of(part), _record(name).get("pulled_sha256")
        if known and sha256 != known and not force:
            discard(part)
            raise DownloadError(f"{model.address} is not the file that was downloaded the first time: its SHA-256 is "
                                f"{sha256}, then it was {known}. If its authors have replaced it, accept that with "
                                f"`babe2 weights pull {name} --force`.")
        # A mirror may serve a prior file under the published name; `load_prior` goes by the suffix.
        whole = (downloads_folder() / model.file).with_suffix(".safetensors" if _is_prior_file(part) else ".pt")
        os.replace(part, whole)
        from babe2_fx.priors import PriorError
        try:
            _install(whole, name, sha256, model.address)
        except PriorError as error:
            raise failed(model, "what the server sent cannot be read as a model") from error
        finally:
            discard(part)
            whole.unlink(missing_ok=True)
    return True


def import_file(path: str | os.PathLike, name: str | None = None, force: bool = False) -> str:
    """Installs weights from a file: a published checkpoint, or a prior file of this program. Returns their name.

    Args:
        path: the file; it is left as it is and not needed any more.
        name: what to call them. None: the name of the published model whose file has this name, with whatever
            suffix; else the file's own name.
        force: also over other weights of this name.

    Raises:
        WeightsError: no such file, no proper name, or a name that is taken.
        PriorError: the file is not one that can be read.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} is a folder, not a file." if path.is_dir() else f"There is no file {path}.")
    if mistaken := mistaken_file(path):
        raise WeightsError(f"{path} is {mistaken}.")
    published = next((model.name for model in KNOWN.values() if Path(model.file).stem == path.stem), None)
    name = name or published or re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    if not NAME.fullmatch(name):
        raise WeightsError(f"{name!r} cannot be the name of weights: it may have lower-case letters a to z, digits and "
                           "hyphens. Give one with --name.")
    if published and name in KNOWN and name != published and not force:
        raise WeightsError(f"{path.name} is the file of {published}, not of {name}; --force installs it as {name} "
                           "nevertheless.")
    with _alone(name):
        sha256 = sha256_of(path)
        if is_installed(name) and not force:
            origin = _record(name).get("origin") or {}
            if sha256 not in (origin.get("sha256"), _record(name).get("sha256")):
                raise WeightsError(f"Other weights are installed as {name}; choose another name with --name, or "
                                   "replace them with --force.")
        _install(path, name, sha256, None)
    return name


def verify(name: str) -> str | None:
    """What is wrong with installed weights, in a sentence; None if they are as they were installed.

    Raises WeightsError if they are not installed.
    """
    _check_installed(name)
    record, again = _record(name), _again(name)
    if not isinstance(record.get("sha256"), str):
        return f"{weights_path(name)} has no record of its checksum; {again}."
    sha256 = sha256_of(weights_path(name))
    if sha256 != record["sha256"]:
        return (f"{weights_path(name)} is damaged or was changed: its SHA-256 is {sha256}, and was {record['sha256']} "
                f"when it was installed; {again}.")
    return None


def remove(name: str) -> None:
    """Deletes installed weights, and any partial download of them.

    The checksum of a download stays on record, so that the next one is checked against it.
    Raises WeightsError if there is nothing of that name.
    """
    begun = name in KNOWN and part_path(KNOWN[name]).exists()
    if not begun:
        _check_installed(name)
    with _alone(name):
        if begun:
            discard(part_path(KNOWN[name]))
        weights_path(name).unlink(missing_ok=True)
        pulled = _record(name).get("pulled_sha256")
        _record_path(name).unlink(missing_ok=True)
        if pulled:
            write_json(_record_path(name), {"pulled_sha256": pulled})


def _check_installed(name: str) -> None:
    if not is_installed(name):
        known = [item.name for item in list_weights() if item.record is not None]
        there = f"installed: {', '.join(known)}" if known else "none are"
        raise WeightsError(f"No weights are installed as {name!r}; {there}.")


def _again(name: str) -> str:
    return (f"install it again with `babe2 weights pull {name} --force`" if name in KNOWN else
            f"install it again with `babe2 weights import FILE --name {name} --force`")


def _install(path: Path, name: str, sha256: str, address: str | None) -> None:
    """Converts a file into installed weights and writes their record. Raises PriorError."""
    import torch

    from babe2_fx.priors import load_prior, save_prior

    prior = load_prior(path)
    origin = {"file": KNOWN[name].file if address else path.name, "address": address, "sha256": sha256,
              "bytes": path.stat().st_size}
    emphasis_db = prior.emphasis.gain_db if prior.emphasis else None
    try:  # float32: the published weights are kept as they are, so that results agree with the published ones
        save_prior(weights_path(name), prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level,
                   prior.ltas, emphasis_db, prior.info | {"installed_from": origin}, dtype=torch.float32,
                   ltas_spread_db=prior.ltas_spread_db, **prior.companions)
    except OSError as error:
        raise WeightsError(f"{weights_path(name)} could not be written: {reason(error)}.") from error
    pulled = sha256 if address else _record(name).get("pulled_sha256")
    write_json(_record_path(name), {
        "sha256": sha256_of(weights_path(name)), "bytes": weights_path(name).stat().st_size, "origin": origin,
        "pulled_sha256": pulled})


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keeps other runs of this program from changing the same weights meanwhile. Raises WeightsError."""
    from filelock import FileLock, Timeout
    weights_folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(weights_folder() / f".{name}.lock")  # the system opens it again if a run is killed
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DownloadError(f"Another run of this program is busy with the weights {name}; let it finish.") from error
    try:
        yield
    finally:
        lock.release()


def _is_prior_file(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"  # the length of the header, then the header


