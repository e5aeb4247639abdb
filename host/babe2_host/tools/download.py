"""Downloads of weights, which resume where they broke off."""

from __future__ import annotations

import http
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from babe2_fx import documents
from babe2_fx.catalogue.weights import KnownModel, cache_folder
from babe2_fx.errors import UserError
from babe2_fx.files import FileError, write_whole

TIMEOUT_S = (10, 30)  # to connect; between two pieces of the file
ATTEMPTS, PAUSE_S = 4, 2.0  # a connection that breaks off is taken up again, this often without progress
LARGEST_BYTES = 4 << 30  # the published files, with the state of their optimizer, are below a fifth of this
CHUNK_BYTES = 1 << 16  # what is lost where a connection breaks off
Report = Callable[[int, "int | None"], None]  # called with the bytes that are here, and those there are if known


class WeightsError(UserError):
    """What was asked for cannot be done; the message is a sentence for the user."""


class DownloadError(WeightsError):
    """A download that failed; the message says why, and how to install the file without it."""

    exit_code = 1  # not the user's mistake


class _BrokenOff(Exception):
    """The connection ended before the file did."""


def downloads_folder() -> Path:
    return cache_folder() / "downloads"


def part_path(model: KnownModel) -> Path:
    return downloads_folder() / f"{model.file}.part"


def _notes_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _notes_path(part).unlink(missing_ok=True)


def download(model: KnownModel, part: Path, report: Report) -> None:
    """Fetches a model's file whole into `part`, going on from what an earlier attempt left there."""
    # requests, and not pooch, which cannot resume a download: from a university's server
    # hundreds of megabytes can take an hour. requests brings proxies, certificates, time limits and redirects.
    import requests

    part.parent.mkdir(parents=True, exist_ok=True)
    if not re.match("https?://", model.address):
        raise WeightsError(f"BABE2_WEIGHTS_URL must begin with http:// or https://, not {model.address!r}.")
    reasons = (  # the most specific first
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
                raise failed(model, why + _goes_on(part)) from error
    raise failed(model, "the connection broke off" + _goes_on(part))


def _goes_on(part: Path) -> str:
    return f" (the same command goes on after the {_size(part) / 1e6:.1f} MB that are here)" if _size(part) else ""


def _fetch(session, model: KnownModel, part: Path, report: Report) -> None:
    """One request. Raises _BrokenOff if `part` is not whole after it, what requests raises, and DownloadError."""
    import requests

    notes = read_json(_notes_path(part))
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
            discard(part)  # what is here is not the beginning of what is there
            raise _BrokenOff
        if response.status_code != (206 if start else 200) and response.status_code != 200:
            raise failed(model, f"the server answers {_status(response.status_code)}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise failed(model, "the server sends a web page in place of the file")
        if response.status_code == 200:
            start, length = 0, _number(response.headers.get("Content-Length"))
        if (length or 0) > LARGEST_BYTES:
            raise failed(model, f"the server announces {length / 1e9:.1f} GB, which is more than any model has")
        try:
            with open(part, "ab" if start else "wb") as file:
                if not start:
                    write_json(_notes_path(part), {"address": model.address, "length": length,
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
        discard(part)
        raise failed(model, f"the server sends more than {LARGEST_BYTES / 1e9:.1f} GB, which is more than any model "
                             "has")
    if length is not None and start != length:
        raise _BrokenOff


def failed(model: KnownModel, why: str) -> DownloadError:
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
    """What identifies a version of a file at the server, as far as a resumed download may trust it."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def read_json(path: Path) -> dict:
    try:
        content = documents.read_json(path)
    except FileError:
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: dict) -> None:
    write_whole(path, lambda part: part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8"))
