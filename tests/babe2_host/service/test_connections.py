"""How the service is reached: by a socket of its owner's, or a port; and those who would keep its owner out."""

import asyncio
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from babe2_host.service import Client
from babe2_host.service.listening import LONGEST, is_stranger, listening
from babe2_host.service.places import service_folder

NOBODY = "0" * 16
has_sockets = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")


@pytest.fixture(scope="module", params=[pytest.param("socket", marks=has_sockets), "port"])
def kind(request):
    return request.param


def logged() -> str:
    return (service_folder() / "log.txt").read_text(encoding="utf-8")


def test_it_listens_on_a_socket_where_one_can_be_and_else_on_a_port(endpoint, kind):
    assert kind in endpoint and {"socket", "port"} - set(endpoint)
    for private in (service_folder(), *([Path(endpoint["socket"]).parent] if kind == "socket" else [])):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.mark.parametrize("said", [b"", b'{"token": "', b'{"token": "wrong"}'], ids=["nothing", "a half", "no end"])
def test_its_owner_is_answered_while_hundreds_hold_connections_open(connect, ask, said):
    """They could once keep everybody else out."""
    with ExitStack() as connections:
        for _ in range(200):
            connections.enter_context(connect()).sendall(said)
        assert "no such job" in ask(ask="cancel", id=NOBODY)["error"]
    assert "connections without a request" in logged()


def test_who_had_to_make_room_is_told_and_a_client_then_asks_again(connect, client, recording):
    """That nothing was looked at is said, so that a job is submitted, and once."""
    with ExitStack() as connections:
        first = connections.enter_context(connect())
        for _ in range(150):
            connections.enter_context(connect())
        assert json.loads(first.makefile("rb").readline())["again"] is True
    answers = [b'{"error": "The job service has too many connections.", "again": true}\n', b'{"job": {"id": "5"}}\n']
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.MonkeyPatch.context() as patch:
        def serve():
            for answer in answers:
                connection = busy.accept()[0]
                with connection:
                    connection.makefile("rb").readline()
                    connection.sendall(answer)
        patch.setattr(Client, "_endpoint", lambda self: {"port": busy.getsockname()[1], "token": ""})
        thread = threading.Thread(target=serve)
        thread.start()
        assert client.submit(recording, preset="piano")["id"] == "5"
        thread.join()


class Writer:
    """A connection of a user's, as far as the service asks for it."""

    family = getattr(socket, "AF_UNIX", None)

    def __init__(self, user):
        self.user = user

    def get_extra_info(self, name):
        return self

    def getsockopt(self, *_):
        return struct.pack("3i", 1, self.user, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
def test_another_user_cannot_come_in_or_does_not_know_the_token(endpoint, kind):
    address = endpoint["socket"] if kind == "socket" else ("127.0.0.1", endpoint["port"])
    script = ("import os, socket; os.setuid(65534);"
              f"connection = socket.socket(socket.{'AF_UNIX' if kind == 'socket' else 'AF_INET'});"
              f"connection.connect({address!r}); connection.sendall(b'{{}}\\n'); print(connection.recv(999))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ("PermissionError" in done.stderr) if kind == "socket" else ("The token is not" in done.stdout)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="this system does not say whose a connection is")
def test_the_system_is_asked_whose_a_connection_is():
    users = 0, os.geteuid(), os.geteuid() + 1
    assert [user for user in users if is_stranger(Writer(user))] == [os.geteuid() + 1]


@has_sockets
def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one_of_its_owners(tmp_path, monkeypatch):
    """And what a service left there that was killed is swept by the next."""
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / ("x" * LONGEST)))
    short = tempfile.mkdtemp(dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", short)

    async def listen():
        async with listening(lambda reader, writer: writer.close(), 1 << 10) as address:
            path = Path(address["socket"])
            return str(path), stat.S_IMODE(path.parent.stat().st_mode), os.listdir(short)
    path, mode, inside = asyncio.run(listen())
    assert mode == 0o700 and inside == [Path(path).parent.name] and not os.listdir(short)
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    (service_folder() / "endpoint.json").write_text(json.dumps({"socket": path, "token": "", "version": ""}))
    assert asyncio.run(listen())[0] != path and not os.listdir(short)
    os.rmdir(short)


def test_a_browser_gets_nothing_whatever_its_body_says(hear, endpoint, client):
    body = json.dumps({"token": endpoint["token"], "ask": "stop"})
    for method in ("GET", "POST", "OPTIONS"):
        heard = hear(f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{endpoint.get('port')}\r\nOrigin: https://example.org\r\n"
                     f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}\n".encode())
        assert not heard.startswith(b"HTTP") and b"job" not in heard and b"Access-Control" not in heard
    assert json.loads((service_folder() / "endpoint.json").read_text()) == endpoint


def test_clients_that_go_before_their_answer_do_no_harm(connect, endpoint):
    line = json.dumps({"token": endpoint["token"], "ask": "cancel", "id": NOBODY}).encode() + b"\n"
    for _ in range(50):
        with connect() as connection:
            connection.sendall(line)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # reset, not closed


def test_it_listens_on_the_loopback_alone(endpoint, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; says which address this machine has elsewhere
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no other address")
    if kind == "port":
        with pytest.raises(OSError):
            socket.create_connection((address, endpoint["port"]), timeout=2).close()


