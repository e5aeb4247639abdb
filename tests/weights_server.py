"""A server of weights that can misbehave, and the command that pulls from it."""

import hashlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import torch

from babe2_fx.catalogue.weights import KNOWN, cache_folder
from babe2_fx.priors import save_prior
from babe2_host import cli
from standin import tiny_prior

NAME = "tenor-caruso"
FILE = KNOWN[NAME].file


@dataclass
class Server:
    """Files by path, how they are served, and what was asked for (method, path, headers)."""

    address: str
    files: dict[str, bytes]
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True  # answers Range, else sends the whole file
    answer: object = None  # a function of the handler that answers in place of the rest; returns whether it has
    requests: list = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        state = self.server.state
        state.requests.append((self.path, dict(self.headers)))
        self.close_connection = True
        if state.answer and state.answer(self):
            return
        content = state.files.get(self.path.removeprefix("/"))
        if content is None:
            return self.send_error(404)
        start = 0
        if state.ranges and "Range" in self.headers:
            current = state.etag or state.modified
            if self.headers.get("If-Range", current) == current:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(content) > 0:
            return self.send_error(416)
        self.send(content[start:], start=start, total=len(content))

    def send(self, body, start=0, total=None, status=None, length=None, **headers):
        """Answers with `body`; `length` is what the header says of it."""
        self.send_response(status or (206 if start else 200))
        self.send_header("Content-Length", len(body) if length is None else length)
        self.send_header("Connection", "close")
        for name, value in (("ETag", self.server.state.etag), ("Last-Modified", self.server.state.modified)):
            if value:
                self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # the other side has gone

    def log_message(self, *args):
        pass


def prior_file(path, seed=0, info=None):
    prior = tiny_prior(seed)
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas, None,
               info or {"made": "for tests"}, dtype=torch.float32)
    return path


def run(*args):
    return cli.main(["weights", *map(str, args)])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def part(name=NAME):
    return cache_folder() / "downloads" / f"{KNOWN[name].file}.part"


def breaks_off_after(count, times=1):
    """A server that ends the connection `count` bytes into its answer, as often as this."""
    left = [times]

    def answer(handler):
        if not left[0]:
            return False
        left[0] -= 1
        content = handler.server.state.files[handler.path[1:]]
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send(content[start:start + count], start=start, total=len(content), length=len(content) - start)
        return True
    return answer


def breaks_off_for_good(handler):
    """100 kB come, and after that never a byte more."""
    return breaks_off_after(0 if "Range" in handler.headers else 100_000)(handler)


def said(capsys):
    """The last sentence on stderr; the bar before it ends without one."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err.splitlines()[-1]


def nothing_installed():
    return not list((cache_folder() / "weights").glob("[!.]*"))
