"""Where the service listens: on a socket in a folder that only its owner may enter, else on a loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from .places import read_endpoint, service_folder

SOCKET = "socket"  # the file's name
LONGEST = 100  # bytes of its path: systems have room for 103 to 107
AT_ONCE = 16  # connections that are taken before what has come by the others is looked at


@contextlib.asynccontextmanager
async def listening(serve: Callable, limit: int) -> AsyncIterator[dict]:
    """Has `serve(reader, writer)` take connections, and gives how to make them: {"socket": path} or {"port": number}.

    Windows has no such sockets, some network disks have none, and some folders have paths too long for them and for
    the folders of temporary files; there it is a port.
    """
    _sweep()
    with contextlib.ExitStack() as stack:
        server, address = await _on_a_socket(serve, limit, stack)
        if server is None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=limit, backlog=AT_ONCE)
            address = {"port": server.sockets[0].getsockname()[1]}
        try:
            yield address
        finally:
            server.close()


async def _on_a_socket(serve: Callable, limit: int,
                       stack: contextlib.ExitStack) -> tuple[asyncio.Server | None, dict]:
    if not hasattr(socket, "AF_UNIX"):
        return None, {}
    of_its_own = contextlib.nullcontext(service_folder())
    temporary = (tempfile.TemporaryDirectory(prefix="babe2-", dir=parent)  # which is its owner's alone too
                 for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()) if parent)
    for folder in itertools.chain([of_its_own], temporary):
        with contextlib.ExitStack() as trial, contextlib.suppress(OSError):
            path = Path(trial.enter_context(folder), SOCKET)
            if len(os.fsencode(path)) <= LONGEST:
                trial.callback(path.unlink, missing_ok=True)
                server = await asyncio.start_unix_server(serve, path, limit=limit, backlog=AT_ONCE)
                path.chmod(0o600)
                stack.push(trial.pop_all())
                return server, {"socket": str(path)}
    return None, {}


def _sweep() -> None:
    """Deletes the socket of a service that was killed, and the temporary folder that it had made for it."""
    path = Path((read_endpoint() or {}).get("socket") or service_folder() / SOCKET)
    with contextlib.suppress(OSError):
        path.unlink()
    if path.parent != service_folder():
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def is_stranger(writer: asyncio.StreamWriter) -> bool:
    """Whether the system says that the other end is another user's; it says so of sockets on Linux."""
    connection = writer.get_extra_info("socket")
    if connection.family != getattr(socket, "AF_UNIX", None) or not hasattr(socket, "SO_PEERCRED"):
        return False
    user = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    return user not in (0, os.geteuid())
