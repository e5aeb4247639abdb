"""Weights are pulled from a server, whatever becomes of the connection."""

import socket
import threading

import pytest
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.catalogue.weights import KNOWN, PUBLISHED_AT, cache_folder, weights_path
from babe2_fx.priors import load_prior
from babe2_host import cli
from babe2_host.tools import download, weights
from standin import tiny_prior
from weights_server import (
    FILE,
    NAME,
    breaks_off_after,
    breaks_off_for_good,
    nothing_installed,
    part,
    prior_file,
    run,
    said,
    sha256,
)


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
    assert not list((cache_folder() / "downloads").iterdir())  # the original is not needed any more

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
    assert len(server.requests) == 1 + download.ATTEMPTS
    assert part().stat().st_size == 100_000 and nothing_installed()

    server.answer = None
    assert run("pull", NAME) == cli.OK
    assert server.requests[-1][1]["Range"] == "bytes=100000-"
    assert load_prior(NAME).info["installed_from"]["sha256"] == sha256(prior_bytes)


def test_a_slow_connection_that_keeps_breaking_off_comes_to_its_end(server, prior_bytes):
    pieces = -(-len(prior_bytes) // 20_000)
    assert pieces > download.ATTEMPTS
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
    assert "the connection broke off" in said(capsys) and len(server.requests) <= 2 * download.ATTEMPTS
    assert nothing_installed()


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, prior_bytes):
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED
    server.answer = None
    part().write_bytes(bytes(len(prior_bytes) + 5))
    assert run("pull", NAME) == cli.OK


def test_a_stopped_pull_keeps_what_is_here(server, monkeypatch, capsys):
    real = download._fetch

    def stops(session, model, part, report):
        def stop(done, total):
            report(done, total)
            if done >= 50_000:
                raise KeyboardInterrupt
        real(session, model, part, stop)
    monkeypatch.setattr(download, "_fetch", stops)
    assert run("pull", NAME) == cli.INTERRUPTED
    assert "the same command goes on" in said(capsys)
    assert part().stat().st_size == 50_000 and nothing_installed()
    monkeypatch.setattr(download, "_fetch", real)
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


@pytest.mark.parametrize("content, says", [
    (b"<html>Please log in</html>", "is a web page in place of the file, often one that asks to log in"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer in place of"),
    (b"", "is empty (0 bytes);"), (b"PK\3\4 half a zip", "cannot be read as a model;"),
    (bytes(5000), "is nothing but zeros, as a broken download leaves it;")])
def test_what_is_no_model_is_not_installed_nor_kept(server, capsys, content, says):
    server.files[FILE] = content
    assert run("pull", NAME) == cli.FAILED
    assert f"what the server sent {says}" in said(capsys)
    assert nothing_installed() and not list((cache_folder() / "downloads").iterdir())
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
    monkeypatch.setattr(download, "LARGEST_BYTES", 60_000)
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
    monkeypatch.setattr(download, "TIMEOUT_S", (5, 0.2))
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
