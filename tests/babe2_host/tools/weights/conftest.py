"""Fixtures for the tests of weights."""

import threading
from functools import partial
from http.server import ThreadingHTTPServer

import pytest

from babe2_fx.catalogue.weights import KNOWN
from babe2_host.tools import download
from weights_server import Handler, Server, prior_file


@pytest.fixture(scope="session")
def prior_bytes(tmp_path_factory):
    """A whole prior file, the stand-in's; the commands take it under a published file's name as well."""
    return prior_file(tmp_path_factory.mktemp("prior") / "tiny.safetensors").read_bytes()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder with cache and configuration in it, and no waiting."""
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    monkeypatch.setattr(download, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(download, "TIMEOUT_S", (5, 5))
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
