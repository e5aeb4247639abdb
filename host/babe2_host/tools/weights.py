"""Fetches, keeps and checks the weights of published models, and those that users bring themselves.

Installed weights are prior files, `weights/NAME.safetensors` in the cache folder, each with a record beside it,
`NAME.json`: its checksum, and the file that it was made from. What was downloaded is deleted once it is installed.
"""

from __future__ import annotations

import hashlib
import http
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from babe2_fx.catalogue.weights import KNOWN, NAME, KnownModel, cache_folder, weights_folder, weights_path
from babe2_fx.errors import UserError
from babe2_fx.files import write_whole

TIMEOUT_S = (10, 30)  # to connect; between two pieces of the file
ATTEMPTS, PAUSE_S = 4, 2.0  # a connection that breaks off is taken up again, this often without progress
LARGEST_BYTES = 4 << 30  # the published files, with the state of their optimizer, are below a fifth of this
CHUNK_BYTES = 1 << 16  # what is lost where a connection breaks off

Report = Callable[[int, "int | None"], None]  # called with the bytes that are here, and those there are if known


class WeightsError(UserError):
    """What was asked for cannot be done; the message is a sentence for the user."""


class DownloadError(WeightsError):
    """A download that failed; the message says why, and how to install the file without it."""

    exit_code = 1  # no mistake of the user's


class _BrokenOff(Exception):
    """The connection ended before the file did."""


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
    return _read_json(_record_path(name))


# ---------------------------------------------------------------------------------------- installing, removing

def pull(name: str, force: bool = False, report: Report | None = None) -> bool:
    """Downloads and installs a published model. Returns whether there was anything to do.

    Args:
        name: one of `KNOWN`.
        force: also where it is installed already, or where the file has another checksum than the first time.
        report: is told of progress.

    Raises:
        WeightsError: there is no published model of this name.
        DownloadError: the file could not be had, or is no model. What has come of it is kept if it can be
            continued.
    """
    model = KNOWN.get(name)
    if model is None:
        raise WeightsError(f"There is no published model called {name!r}; there are: {', '.join(KNOWN)}.")
    with _alone(name):
        if is_installed(name) and not force:
            return False
        part = _part_path(model)
        _download(model, part, report or (lambda done, total: None))
        sha256, known = _sha256(part), _record(name).get("pulled_sha256")
        if known and sha256 != known and not force:
            _discard(part)
            raise DownloadError(f"{model.address} is not the file that was downloaded the first time: its SHA-256 is "
                                f"{sha256}, then it was {known}. If its authors have replaced it, accept that with "
                                f"`babe2 weights pull {name} --force`.")
        # A mirror may serve a prior file under the published name; `load_prior` goes by the suffix.
        whole = (_downloads() / model.file).with_suffix(".safetensors" if _is_prior_file(part) else ".pt")
        os.replace(part, whole)
        from babe2_fx.priors import PriorError
        try:
            _install(whole, name, sha256, model.address)
        except PriorError as error:
            why = f"what the server sent cannot be read as a model ({str(error).rstrip('.')})"
            raise _failed(model, why) from error
        finally:
            _discard(part)
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
    published = next((model.name for model in KNOWN.values() if Path(model.file).stem == path.stem), None)
    name = name or published or re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    if not NAME.fullmatch(name):
        raise WeightsError(f"{name!r} cannot be the name of weights: it may have lower-case letters a to z, digits and "
                           "hyphens. Give one with --name.")
    if published and name in KNOWN and name != published and not force:
        raise WeightsError(f"{path.name} is the file of {published}, not of {name}; --force installs it as {name} "
                           "nevertheless.")
    with _alone(name):
        sha256 = _sha256(path)
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
    sha256 = _sha256(weights_path(name))
    if sha256 != record["sha256"]:
        return (f"{weights_path(name)} is damaged or was changed: its SHA-256 is {sha256}, and was {record['sha256']} "
                f"when it was installed; {again}.")
    return None


def remove(name: str) -> None:
    """Deletes installed weights, and what there is of a download of them.

    The checksum of a download stays on record, so that the next one is checked against it.
    Raises WeightsError if there is nothing of that name.
    """
    begun = name in KNOWN and _part_path(KNOWN[name]).exists()
    if not begun:
        _check_installed(name)
    with _alone(name):
        if begun:
            _discard(_part_path(KNOWN[name]))
        weights_path(name).unlink(missing_ok=True)
        pulled = _record(name).get("pulled_sha256")
        _record_path(name).unlink(missing_ok=True)
        if pulled:
            _write_json(_record_path(name), {"pulled_sha256": pulled})


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
    from safetensors import SafetensorError

    from babe2_fx.priors import load_prior, save_prior

    prior = load_prior(path)
    origin = {"file": KNOWN[name].file if address else path.name, "address": address, "sha256": sha256,
              "bytes": path.stat().st_size}
    info = prior.info if isinstance(prior.info, dict) else {}
    emphasis_db = prior.emphasis.gain_db if prior.emphasis else None
    try:  # float32: the published weights are kept as they are, so that results agree with the published ones
        save_prior(weights_path(name), prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level,
                   prior.ltas, emphasis_db, info | {"installed_from": origin}, dtype=torch.float32,
                   ltas_spread_db=prior.ltas_spread_db)
    except SafetensorError as error:  # that is how it reports a full disk
        raise WeightsError(f"{weights_path(name)} could not be written: {error}.") from error
    pulled = sha256 if address else _record(name).get("pulled_sha256")
    _write_json(_record_path(name), {
        "sha256": _sha256(weights_path(name)), "bytes": weights_path(name).stat().st_size, "origin": origin,
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


# ------------------------------------------------------------------------------------------------- downloading

def _downloads() -> Path:
    return cache_folder() / "downloads"


def _part_path(model: KnownModel) -> Path:
    return _downloads() / f"{model.file}.part"


def _notes_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _notes_path(part).unlink(missing_ok=True)


def _download(model: KnownModel, part: Path, report: Report) -> None:
    """Fetches a model's file whole into `part`, going on from what an earlier attempt left there."""
    # requests, and not pooch, which cannot go on with a download that broke off: from a university's server
    # hundreds of megabytes can take an hour. requests brings proxies, certificates, time limits and redirects.
    import requests

    part.parent.mkdir(parents=True, exist_ok=True)
    if not re.match("https?://", model.address):
        raise WeightsError(f"BABE2_WEIGHTS_URL must begin with http:// or https://, not {model.address!r}.")
    reasons = (  # the more special first
        (requests.TooManyRedirects, "the server redirects without end"),
        (requests.exceptions.InvalidSchema, "the server redirects to an address that is neither http nor https"),
        (requests.exceptions.SSLError, "a secure connection could not be made"),
        (requests.Timeout, "the server does not answer"),
        (requests.ConnectionError, "there is no connection to the server"),
        (ValueError, "its address, or what the server redirects to, is no address"),
        (requests.RequestException, "the request failed"))
    with requests.Session() as session:
        session.max_redirects = 5
        session.headers["User-Agent"] = "babe2-fx"
        tries, furthest = ATTEMPTS, _size(part)
        while tries:
            try:
                return _fetch(session, model, part, report)
            except _BrokenOff:
                tries = ATTEMPTS if _size(part) > furthest else tries - 1
                furthest = max(furthest, _size(part))
                time.sleep(PAUSE_S if tries else 0)
            except WeightsError:
                raise
            except (requests.RequestException, ValueError) as error:
                why = next(why for kind, why in reasons if isinstance(error, kind))
                raise _failed(model, why + _goes_on(part)) from error
    raise _failed(model, "the connection broke off" + _goes_on(part))


def _goes_on(part: Path) -> str:
    return f" (the same command goes on after the {_size(part) / 1e6:.1f} MB that are here)" if _size(part) else ""


def _fetch(session, model: KnownModel, part: Path, report: Report) -> None:
    """One request. Raises _BrokenOff if `part` is not whole after it, what requests raises, and DownloadError."""
    import requests

    notes = _read_json(_notes_path(part))
    length = notes.get("length")
    start = _size(part) if length and notes.get("address") == model.address else 0
    if start and start == length:  # stopped between the last piece and what comes after it
        return
    headers = {"Accept-Encoding": "identity"}  # lengths are those of the file
    if start:
        headers["Range"] = f"bytes={start}-"
        if notes.get("version"):
            headers["If-Range"] = notes["version"]  # a file that has changed meanwhile comes whole
    with session.get(model.address, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if start and (response.status_code == 416 or response.status_code == 206
                      and response.headers.get("Content-Range") != f"bytes {start}-{length - 1}/{length}"):
            _discard(part)  # what is here is not the beginning of what is there
            raise _BrokenOff
        if response.status_code != (206 if start else 200) and response.status_code != 200:
            raise _failed(model, f"the server answers {_status(response.status_code)}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _failed(model, "the server sends a web page in place of the file")
        if response.status_code == 200:
            start, length = 0, _number(response.headers.get("Content-Length"))
        if (length or 0) > LARGEST_BYTES:
            raise _failed(model, f"the server announces {length / 1e9:.1f} GB, which is more than any model has")
        try:
            with open(part, "ab" if start else "wb") as file:
                if not start:
                    _write_json(_notes_path(part), {"address": model.address, "length": length,
                                                    "version": _version(response.headers)})
                report(start, length)
                for chunk in response.iter_content(CHUNK_BYTES):
                    start += len(chunk)
                    if start > LARGEST_BYTES:
                        break
                    file.write(chunk)
                    report(start, length)
        except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError) as error:
            raise _BrokenOff from error
        except OSError as error:
            raise WeightsError(f"{part} could not be written: {error.strerror}.") from error
    if start > LARGEST_BYTES:
        _discard(part)
        raise _failed(model, f"the server sends more than {LARGEST_BYTES / 1e9:.1f} GB, which is more than any model "
                             "has")
    if length is not None and start != length:
        raise _BrokenOff


def _failed(model: KnownModel, why: str) -> DownloadError:
    """The error for a download, with what to do instead, in one sentence."""
    return DownloadError(f"{model.name} could not be downloaded: {why}; download {model.address} in another way "
                         f"and run `babe2 weights import {model.file}`.")


def _status(code: int) -> str:
    """The code and its meaning; the server's own words are not for a terminal."""
    try:
        return f"{code} {http.HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _version(headers) -> str | None:
    """What tells one version of a file at the server from another, as far as a continued download may trust it."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


# ------------------------------------------------------------------------------------------------------ pieces

def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_prior_file(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"  # the length of the header, then the header


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict) -> None:
    write_whole(path, lambda part: part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8"))
