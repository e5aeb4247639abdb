"""`babe2 weights`, against a real HTTP server that does what servers do, and some of what they should not."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.catalogue.weights import KNOWN, PUBLISHED_AT, weights_path
from babe2_fx.priors import PriorError, load_prior, save_prior
from babe2_host import cli
from babe2_host.tools import weights
from standin import tiny_prior

NAME = "tenor-caruso"
FILE = KNOWN[NAME].file


# -------------------------------------------------------------------------------------------------- the server

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


@pytest.fixture(scope="session")
def prior_bytes(tmp_path_factory):
    """A whole prior file, the stand-in's; the commands take it under a published file's name as well."""
    return prior_file(tmp_path_factory.mktemp("prior") / "tiny.safetensors").read_bytes()


def prior_file(path, seed=0, info=None):
    prior = tiny_prior(seed)
    save_prior(path, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas, None,
               info or {"made": "for tests"}, dtype=torch.float32)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder with cache and configuration in it, and no waiting."""
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(weights, "PAUSE_S", 0.0)
    monkeypatch.setattr(weights, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(weights, "TIMEOUT_S", (5, 5))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def server(prior_bytes, monkeypatch):
    """A server that has the prior under every published file's name, and the commands pointed to it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.state = Server(f"http://127.0.0.1:{http.server_port}/",
                            {model.file: prior_bytes for model in KNOWN.values()})
        monkeypatch.setenv("BABE2_WEIGHTS_URL", http.state.address)
        thread = threading.Thread(target=partial(http.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        yield http.state
        http.shutdown()
        thread.join()


def run(*args):
    return cli.main(["weights", *map(str, args)])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def part(name=NAME):
    return weights.cache_folder() / "downloads" / f"{KNOWN[name].file}.part"


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
    return not list((weights.cache_folder() / "weights").glob("[!.]*"))


# ------------------------------------------------------------------------------------------------------ pull

def test_a_model_is_pulled_converted_and_used(server, prior_bytes, capsys):
    assert run("pull", NAME) == cli.OK
    err = capsys.readouterr().err
    assert f"{NAME}: 100%" in err and f"Installed {NAME} at {weights_path(NAME)}; use it with --preset {NAME}." in err
    assert load_preset(NAME).prior_path == weights_path(NAME)
    prior, original = load_prior(NAME), tiny_prior()
    assert torch.equal(prior.ltas, original.ltas) and prior.sigma_data == original.sigma_data
    for key, value in original.network.state_dict().items():
        assert torch.equal(prior.network.state_dict()[key], value), key  # float32: nothing is lost
    assert prior.info == {"made": "for tests", "installed_from": {
        "file": FILE, "address": server.address + FILE, "sha256": sha256(prior_bytes), "bytes": len(prior_bytes)}}
    assert not list((weights.cache_folder() / "downloads").iterdir())  # the original is not needed any more

    assert run("verify", NAME) == cli.OK
    assert capsys.readouterr().out == f"{NAME}: as it was installed.\n"
    assert run("pull", NAME) == cli.OK
    assert "installed already" in said(capsys) and len(server.requests) == 1


def test_quiet_says_nothing(server, capfd):
    assert run("pull", NAME, "-q") == cli.OK
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_from_what_is_here_to_the_whole(server, prior_bytes):
    told = []
    server.answer = breaks_off_after(100_000)
    weights.pull(NAME, report=lambda done, total: told.append((done, total)))
    assert told[0] == (0, len(prior_bytes)) and told[-1] == (len(prior_bytes), len(prior_bytes))
    assert (100_000, len(prior_bytes)) in told and told == sorted(told)


@pytest.mark.parametrize("etag, modified", [('"1"', None), (None, "Sat, 01 Jun 2024 00:00:00 GMT"), (None, None),
                                            ('W/"1"', None)])
def test_a_connection_that_breaks_off_is_taken_up_again(server, prior_bytes, etag, modified):
    server.etag, server.modified = etag, modified
    server.answer = breaks_off_after(100_000)
    assert run("pull", NAME) == cli.OK
    ranges = [(headers.get("Range"), headers.get("If-Range")) for _, headers in server.requests]
    strong = etag if etag == '"1"' else modified  # a weak ETag does not promise the same bytes
    assert ranges == [(None, None), ("bytes=100000-", strong)]
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(prior_bytes)


def test_a_pull_that_failed_half_way_goes_on_at_the_next(server, prior_bytes, capsys):
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED
    sentence = said(capsys)
    assert "the connection broke off (the same command goes on after the 0.1 MB that are here)" in sentence
    assert sentence.endswith(f"download {server.address}{FILE} in another way and run `babe2 weights import {FILE}`.")
    assert len(server.requests) == 1 + weights.ATTEMPTS
    assert part().stat().st_size == 100_000 and nothing_installed()

    server.answer = None
    assert run("pull", NAME) == cli.OK
    assert server.requests[-1][1]["Range"] == "bytes=100000-"
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(prior_bytes)


def test_a_slow_connection_that_keeps_breaking_off_comes_to_its_end(server, prior_bytes):
    pieces = -(-len(prior_bytes) // 20_000)
    assert pieces > weights.ATTEMPTS
    server.answer = breaks_off_after(20_000, times=pieces)
    assert run("pull", NAME) == cli.OK


def test_a_server_that_ignores_ranges_sends_all_of_it_again(server, prior_bytes):
    server.ranges = False
    server.answer = breaks_off_after(100_000)
    assert run("pull", NAME) == cli.OK
    assert server.requests[-1][1]["Range"] == "bytes=100000-"
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(prior_bytes)


@pytest.mark.parametrize("etag", ['"2"', None])
def test_a_file_that_changed_meanwhile_is_not_put_together_from_two(server, tmp_path, capsys, etag):
    server.etag = '"1"' if etag else None
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED
    server.answer, server.etag = None, etag
    # Where there is no ETag, the length has to tell.
    longer = prior_file(tmp_path / "other.safetensors", seed=1, info={"made": "for tests, and longer than the other"})
    server.files[FILE] = longer.read_bytes()
    assert run("pull", NAME) == cli.OK
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(server.files[FILE])


def test_a_server_that_sends_another_part_than_was_asked_for_is_given_up(server, prior_bytes, capsys):
    def answer(handler):
        if "Range" in handler.headers:
            handler.send(prior_bytes[5:], start=5, total=len(prior_bytes))
            return True
        return breaks_off_after(100_000)(handler)
    server.answer = answer
    assert run("pull", NAME) == cli.FAILED
    assert "the connection broke off" in said(capsys) and len(server.requests) <= 2 * weights.ATTEMPTS
    assert nothing_installed()


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, prior_bytes):
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED
    server.answer = None
    part().write_bytes(bytes(len(prior_bytes) + 5))
    assert run("pull", NAME) == cli.OK


def test_a_stopped_pull_keeps_what_is_here(server, monkeypatch, capsys):
    real = weights._fetch

    def stops(session, model, part, report):
        def stop(done, total):
            report(done, total)
            if done >= 50_000:
                raise KeyboardInterrupt
        real(session, model, part, stop)
    monkeypatch.setattr(weights, "_fetch", stops)
    assert run("pull", NAME) == cli.INTERRUPTED
    assert "the same command goes on" in said(capsys)
    assert part().stat().st_size == 50_000 and nothing_installed()
    monkeypatch.setattr(weights, "_fetch", real)
    assert run("pull", NAME) == cli.OK
    assert server.requests[-1][1]["Range"] == "bytes=50000-"


@pytest.mark.parametrize("status, phrase", [(404, "Not Found"), (403, "Forbidden"), (500, "Internal Server Error"),
                                            (503, "Service Unavailable"), (204, "No Content")])
def test_a_status_that_is_no_file_is_said(server, capsys, status, phrase):
    server.answer = lambda handler: handler.send(b"", status=status) or True
    assert run("pull", NAME) == cli.FAILED
    assert said(capsys) == (f"babe2: {NAME} could not be downloaded: the server answers {status} {phrase}; download "
                            f"{server.address}{FILE} in another way and run `babe2 weights import {FILE}`.")
    assert nothing_installed() and not part().exists()


def test_a_web_page_in_place_of_the_file_is_said(server, capsys):
    server.answer = lambda handler: handler.send(b"<html>Please log in</html>", Content_Type="text/html") or True
    assert run("pull", NAME) == cli.FAILED
    assert "the server sends a web page in place of the file" in said(capsys)
    assert nothing_installed() and not part().exists()


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", b"", b"PK\3\4 half a zip", bytes(5000)])
def test_what_is_no_model_is_not_installed_nor_kept(server, capsys, content):
    server.files[FILE] = content
    assert run("pull", NAME) == cli.FAILED
    assert "what the server sent cannot be read as a model (" in said(capsys)
    assert nothing_installed() and not list((weights.cache_folder() / "downloads").iterdir())
    assert not weights._record_path(NAME).exists()


@pytest.mark.parametrize("wrong", [-1000, 1000])
def test_a_wrong_length_is_not_taken_for_the_whole(server, prior_bytes, capsys, wrong):
    def lies(handler):
        handler.send(prior_bytes, length=len(prior_bytes) + wrong)
        return True
    server.answer = lies
    assert run("pull", NAME) == cli.FAILED
    assert ("cannot be read as a model" if wrong < 0 else "the connection broke off") in said(capsys)
    assert nothing_installed()
    server.answer = None
    assert run("pull", NAME) == cli.OK  # and what is left of it does no harm


def test_a_file_of_unknown_length_is_taken(server, prior_bytes):
    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(prior_bytes), 70_000):
            piece = prior_bytes[start:start + 70_000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
        return True
    server.answer = chunked
    assert run("pull", NAME) == cli.OK


def test_more_than_any_model_has_is_refused(server, prior_bytes, monkeypatch, capsys):
    monkeypatch.setattr(weights, "LARGEST_BYTES", 60_000)
    assert run("pull", NAME) == cli.FAILED
    assert "the server announces 0.0 GB, which is more than any model has" in said(capsys)

    def endless(handler):  # without saying how much
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(bytes(10_000))
        except OSError:
            pass
        return True
    server.answer = endless
    assert run("pull", NAME) == cli.FAILED
    assert "the server sends more than 0.0 GB" in said(capsys)
    assert nothing_installed() and not part().exists()


def test_redirects_are_followed_also_with_the_rest_of_a_file(server, prior_bytes):
    server.files["elsewhere/weights"] = prior_bytes
    broken = breaks_off_after(100_000)

    def answer(handler):
        if handler.path == f"/{FILE}":
            handler.send(b"", status=302, Location="/elsewhere/weights")
            return True
        return broken(handler)
    server.answer = answer
    assert run("pull", NAME) == cli.OK
    assert [path for path, _ in server.requests] == [f"/{FILE}", "/elsewhere/weights"] * 2
    assert server.requests[-1][1]["Range"] == "bytes=100000-"
    assert load_prior(NAME).info["installed_from"]["address"] == server.address + FILE


@pytest.mark.parametrize("target, why", [
    (f"/{FILE}", "the server redirects without end"),
    ("file:///etc/passwd", "the server redirects to an address that is neither http nor https"),
    ("ftp://127.0.0.1/x", "the server redirects to an address that is neither http nor https"),
    ("http://127.0.0.1:1/x", "there is no connection to the server"),
    ("http://[/x", "its address, or what the server redirects to, is no address"),
    ("http://a..b/x", "its address, or what the server redirects to, is no address"),
    ("http://127.0.0.1:x/", "its address, or what the server redirects to, is no address")])
def test_redirects_that_lead_nowhere_are_said(server, capsys, target, why):
    server.answer = lambda handler: handler.send(b"", status=301, Location=target) or True
    assert run("pull", NAME) == cli.FAILED
    assert f"could not be downloaded: {why}; download {server.address}{FILE} in another" in said(capsys)
    assert len(server.requests) <= 6 and nothing_installed()


def test_without_a_network_the_sentence_says_what_to_download_and_what_to_run_then(monkeypatch, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/mirror"
        monkeypatch.setenv("BABE2_WEIGHTS_URL", address)
        assert run("pull", NAME) == cli.FAILED
    assert said(capsys) == (f"babe2: {NAME} could not be downloaded: there is no connection to the server; download "
                            f"{address}/{FILE} in another way and run `babe2 weights import {FILE}`.")


def test_a_server_that_does_not_answer_is_said(monkeypatch, capsys):
    monkeypatch.setattr(weights, "TIMEOUT_S", (5, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("BABE2_WEIGHTS_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert run("pull", NAME) == cli.FAILED
    assert "the server does not answer; download" in said(capsys)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/", "here", "file:///tmp"])
def test_an_address_that_is_no_web_address_is_a_mistake(monkeypatch, capsys, address):
    monkeypatch.setenv("BABE2_WEIGHTS_URL", address)
    assert run("pull", NAME) == cli.MISTAKE
    assert "BABE2_WEIGHTS_URL must begin with http:// or https://" in said(capsys)


def test_the_published_address():
    assert KNOWN["piano-maestro"].address == PUBLISHED_AT + "MAESTRO_22kHz_8s-850kits.pt"


def test_a_checksum_is_kept_from_the_first_download_on(server, tmp_path, capsys):
    assert run("pull", NAME) == cli.OK
    first = sha256(server.files[FILE])
    assert run("remove", NAME) == cli.OK
    server.files[FILE] = prior_file(tmp_path / "other.safetensors", seed=1).read_bytes()
    server.etag = '"2"'
    assert run("pull", NAME) == cli.FAILED
    sentence = said(capsys)
    assert f"its SHA-256 is {sha256(server.files[FILE])}, then it was {first}." in sentence
    assert f"`babe2 weights pull {NAME} --force`" in sentence and not weights_path(NAME).exists()
    assert run("pull", NAME, "--force") == cli.OK
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(server.files[FILE])
    assert run("remove", NAME) == cli.OK
    assert run("pull", NAME) == cli.OK  # what was accepted is what is expected now


def test_two_pulls_at_once_do_not_meet(server, capsys):
    first_is_in, second_is_done = threading.Event(), threading.Event()

    def waits(handler):
        first_is_in.set()
        second_is_done.wait(10)
        return False
    server.answer = waits
    done = []
    first = threading.Thread(target=lambda: done.append(weights.pull(NAME)))
    first.start()
    assert first_is_in.wait(10)
    server.answer = None
    assert run("pull", NAME) == cli.FAILED
    assert f"Another run of this program is busy with the weights {NAME}" in said(capsys)
    assert run("pull", "tenor-gigli") == cli.OK  # others are not held up
    second_is_done.set()
    first.join(30)
    assert done == [True] and run("verify") == cli.OK


def test_a_disk_that_cannot_be_written_is_said(server, folder, capsys):
    (folder / "cache").write_text("a file where the folder should be")
    assert run("pull", NAME) in (cli.MISTAKE, cli.FAILED)
    assert str(folder / "cache") in said(capsys)


# ---------------------------------------------------------------------------------------------------- import

def test_a_published_file_is_imported_by_its_name(folder, prior_bytes, capsys):
    path = (folder / FILE).with_suffix(".safetensors")
    path.write_bytes(prior_bytes)
    assert run("import", path) == cli.OK
    assert f"Installed {NAME} at {weights_path(NAME)}; use it with --preset {NAME}." in said(capsys)
    path.unlink()
    assert load_prior(NAME).info["installed_from"] == {
        "file": path.name, "address": None, "sha256": sha256(prior_bytes), "bytes": len(prior_bytes)}
    assert run("verify", NAME) == cli.OK


def test_ones_own_prior_is_imported_by_the_name_of_its_file_or_another(prior_bytes, capsys):
    with open("My Organ_2.safetensors", "wb") as file:
        file.write(prior_bytes)
    assert run("import", "My Organ_2.safetensors") == cli.OK
    assert 'write a preset with weights = "my-organ-2" in ' in said(capsys)
    assert run("import", "My Organ_2.safetensors", "--name", "organ") == cli.OK
    assert weights_path("my-organ-2").is_file() and weights_path("organ").is_file()
    assert run("import", "My Organ_2.safetensors", "--name", "organ") == cli.OK  # the same again


def test_other_weights_are_replaced_by_force_alone(tmp_path, capsys):
    first, second = prior_file(tmp_path / "organ.safetensors"), prior_file(tmp_path / "new.safetensors", seed=1)
    assert run("import", first) == cli.OK
    before = weights_path("organ").read_bytes()
    assert run("import", second, "--name", "organ") == cli.MISTAKE
    assert "Other weights are installed as organ; choose another name with --name, or replace" in said(capsys)
    assert weights_path("organ").read_bytes() == before
    assert run("import", second, "--name", "organ", "--force") == cli.OK
    assert load_prior(weights_path("organ")).info["installed_from"]["file"] == "new.safetensors"
    assert run("verify") == cli.OK


def test_a_published_file_does_not_take_another_models_name(folder, prior_bytes, capsys):
    path = (folder / FILE).with_suffix(".safetensors")
    path.write_bytes(prior_bytes)
    assert run("import", path, "--name", "tenor-gigli") == cli.MISTAKE
    assert f"{path.name} is the file of tenor-caruso, not of tenor-gigli" in said(capsys)
    assert run("import", path, "--name", "tenor-gigli", "--force") == cli.OK


@pytest.mark.parametrize("args, sentence", [
    (["missing.pt"], "There is no file missing.pt."),
    (["."], ". is a folder, not a file."),
    (["tiny.safetensors", "--name", "../x"], "'../x' cannot be the name of weights"),
    (["tiny.safetensors", "--name", "Organ"], "'Organ' cannot be the name of weights"),
    (["ö.safetensors"], "'' cannot be the name of weights"),
    (["text.pt"], "text.pt"), (["empty.pt"], "empty.pt"), (["cut.safetensors"], "cut.safetensors"),
    (["pull", "kazoo"], "unrecognized arguments: kazoo")])
def test_what_cannot_be_imported_is_said(prior_bytes, capsys, args, sentence):
    for name, content in (("tiny.safetensors", prior_bytes), ("ö.safetensors", prior_bytes), ("text.pt", b"text" * 99),
                          ("empty.pt", b""), ("cut.safetensors", prior_bytes[:5000])):
        with open(name, "wb") as file:
            file.write(content)
    assert run("import", *args) == cli.MISTAKE
    assert sentence in said(capsys)
    assert nothing_installed()


def test_the_official_layout_is_imported(reference, capsys):
    """Needs the reader of the official layout."""
    assert run("import", reference / "cqtdiff_22k_small.pt", "--name", "small") == cli.OK
    installed, original = load_prior(weights_path("small")), load_prior(reference / "cqtdiff_22k_small.pt")
    assert installed.network.config == original.network.config and installed.sigma_data == original.sigma_data
    assert installed.level == original.level and torch.equal(installed.ltas, original.ltas)
    for key, value in original.network.state_dict().items():
        assert torch.equal(installed.network.state_dict()[key], value), key


def test_what_a_file_says_of_itself_is_not_trusted(tmp_path, capsys):
    path = prior_file(tmp_path / "odd.safetensors", info=["no", "table"])
    (tmp_path / "config" / "presets").mkdir(parents=True)
    (tmp_path / "config" / "presets" / "odd.toml").write_text(
        f'title = "x"\ndescription = "y"\nprior = "{path.as_posix()}"\n')
    assert cli.main(["presets", "show", "odd"]) == cli.OK
    assert "origin: unknown; the file cannot be read (what it says of its origin is no" in capsys.readouterr().out
    assert run("import", path) == cli.OK
    assert load_prior(weights_path("odd")).info["installed_from"]["file"] == "odd.safetensors"
    prior_file(path, info={"installed_from": "elsewhere", "steps": 3})
    assert cli.main(["presets", "show", "odd"]) == cli.OK
    assert "origin: trained with this program: 3 training steps" in capsys.readouterr().out


def test_weights_without_a_spectrum_are_imported(tmp_path, monkeypatch):
    """The base model has no LTAS: it is for fine-tuning."""
    prior = tiny_prior()
    prior.ltas = None
    monkeypatch.setattr("babe2_fx.priors.load_prior", lambda path: prior)
    (tmp_path / "base.pt").write_bytes(b"a checkpoint")
    assert run("import", tmp_path / "base.pt") == cli.OK
    monkeypatch.undo()
    assert load_prior(tmp_path / "cache" / "weights" / "base.safetensors").ltas is None


# --------------------------------------------------------------------------------------- list, verify, remove

def test_the_list_has_every_published_model_and_ones_own(server, tmp_path, capsys):
    assert run("list") == cli.OK
    listed = capsys.readouterr().out
    for model in KNOWN.values():
        assert f"{model.name}: not installed\n    for: {model.purpose}\n    licence: not stated" in listed
        assert f"    file: {server.address}{model.file}\n    get it: babe2 weights pull {model.name}\n" in listed
    assert run("pull", NAME, "-q") == cli.OK
    assert run("import", prior_file(tmp_path / "organ.safetensors")) == cli.OK
    capsys.readouterr()
    assert run("list") == cli.OK
    listed = capsys.readouterr().out
    assert f"{NAME}: installed\n" in listed
    assert f"    at: {weights_path(NAME)}\n    from: {server.address}{FILE}\n" in listed
    assert "organ: installed\n    for: not known, it was imported\n" in listed and "from: organ.safetensors" in listed


def test_damage_is_found_and_said(server, tmp_path, capsys):
    assert run("verify") == cli.OK
    assert capsys.readouterr().out == "No weights are installed.\n"
    assert run("pull", NAME, "-q") == run("import", prior_file(tmp_path / "organ.safetensors")) == cli.OK
    content = bytearray(weights_path(NAME).read_bytes())
    content[-1] ^= 1
    weights_path(NAME).write_bytes(content)
    capsys.readouterr()
    assert run("verify") == cli.FAILED
    out, err = capsys.readouterr()
    assert out == "organ: as it was installed.\n"
    assert f"{weights_path(NAME)} is damaged or was changed: its SHA-256 is {sha256(content)}, and was " in err
    assert f"install it again with `babe2 weights pull {NAME} --force`." in err
    assert run("pull", NAME, "--force") == run("verify") == cli.OK


@pytest.mark.parametrize("record", [None, b"", b"[]", b'{"sha256": 3}', b"\xff"])
def test_weights_without_a_record_are_said_and_listed(server, capsys, record):
    assert run("pull", NAME, "-q") == cli.OK
    path = weights_path(NAME).with_suffix(".json")
    path.unlink() if record is None else path.write_bytes(record)
    assert run("verify", NAME) == cli.FAILED
    assert "has no record of its checksum; install it again with" in said(capsys)
    assert run("list") == cli.OK
    assert f"{NAME}: installed\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "remove"])
@pytest.mark.parametrize("name", [NAME, "kazoo", "../weights/x", "..", ""])
def test_what_is_not_installed_cannot_be_verified_or_removed(folder, capsys, command, name):
    (folder / "cache").mkdir()
    (folder / "cache" / "x.safetensors").write_bytes(b"not ours")
    assert run(command, name) == cli.MISTAKE
    assert said(capsys) == f"babe2: No weights are installed as {name!r}; none are."
    assert (folder / "cache" / "x.safetensors").exists()


def test_an_unknown_model_cannot_be_pulled(capsys):
    assert run("pull", "kazoo") == cli.MISTAKE
    assert "There is no published model called 'kazoo'; there are: piano-maestro, " in said(capsys)


def test_what_is_removed_is_gone_also_a_download_that_was_begun(server, capsys):
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED and part().exists()
    assert run("remove", NAME) == cli.OK
    assert said(capsys) == f"babe2: Removed {NAME}.".removeprefix("babe2: ")
    assert not list((weights.cache_folder() / "downloads").iterdir())
    server.answer = None
    assert run("pull", NAME) == run("remove", NAME) == cli.OK
    assert not weights_path(NAME).exists() and run("remove", NAME) == cli.MISTAKE


# ----------------------------------------------------------------------------------- with the other commands

def test_restoring_with_weights_that_are_not_there_says_how_to_get_them(capsys):
    import numpy as np
    import soundfile
    soundfile.write("in.wav", np.zeros(22050), 22050)
    assert cli.main(["restore", "in.wav", "-o", "out.wav", "--preset", "piano-maestro"]) == cli.MISTAKE
    sentence = said(capsys)
    assert "`babe2 weights pull piano-maestro`" in sentence and "Meanwhile preset piano can be used" in sentence
    assert os.listdir(".") == ["in.wav"]


def test_presets_are_listed_with_their_state_and_broken_ones_do_not_hide_the_others(server, folder, capsys):
    (folder / "config" / "presets").mkdir(parents=True)
    (folder / "config" / "presets" / "mine.toml").write_text("title = 3")
    (folder / "config" / "presets" / "piano.toml").write_text("")
    assert run("pull", NAME, "-q") == cli.OK
    assert cli.main(["presets"]) == cli.OK
    out, err = capsys.readouterr()
    states = {line.split()[0]: line for line in out.splitlines()}
    assert "installed " in states[NAME] and load_preset(NAME).title in states[NAME]
    assert "weights not installed" in states["piano-maestro"]
    assert "cannot be used" in states["mine"] and "cannot be used" in states["piano"]
    assert "mine.toml: title must be a text, not 3." in err and "piano.toml has the name of a preset that ships" in err


def test_a_preset_is_shown_in_full(server, folder, prior_bytes, capsys):
    assert cli.main(["presets", "show", NAME]) == cli.OK
    shown = capsys.readouterr().out
    preset = load_preset(NAME)
    assert preset.title in shown and preset.description in shown and preset.card.rstrip() in shown
    assert "  paper: sigma_start = 10.0, sigma_min = 0.001, xi = 0.5, noise_regularization = 1.0\n" in shown
    assert "`babe2 weights pull tenor-caruso`" in shown
    assert run("pull", NAME, "-q") == cli.OK
    assert cli.main(["presets", "show", NAME]) == cli.OK
    shown = capsys.readouterr().out
    assert f"prior: {weights_path(NAME)} (installed)\n" in shown
    assert f"origin: {server.address}{FILE}, SHA-256 {sha256(prior_bytes)}\n" in shown
    weights_path(NAME).write_bytes(b"damaged")
    assert cli.main(["presets", "show", NAME]) == cli.OK
    assert "origin: unknown; the file cannot be read (" in capsys.readouterr().out
    assert cli.main(["presets", "show", "kazoo"]) == cli.MISTAKE


def test_the_list_and_the_presets_do_not_wait_for_torch():
    script = ("import sys\nfrom babe2_host.cli import main\n"
              "for line in ('--help', 'weights --help', 'weights list', 'weights verify', 'presets',\n"
              "             'presets show piano'):\n"
              "    assert main(line.split()) == 0, line\n"
              "assert 'torch' not in sys.modules and 'requests' not in sys.modules")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


def test_records_are_readable(server, prior_bytes):
    assert run("pull", NAME, "-q") == cli.OK
    record = json.loads(weights_path(NAME).with_suffix(".json").read_text())
    assert record["sha256"] == sha256(weights_path(NAME).read_bytes())
    assert record["origin"]["sha256"] == record["pulled_sha256"] == sha256(prior_bytes)


def test_a_file_that_is_no_model_raises_what_the_reader_raises(tmp_path):
    (tmp_path / "text.pt").write_text("text")
    with pytest.raises(PriorError):
        weights.import_file(tmp_path / "text.pt")
