"""The HTTP side: threads, keep-alive, one write per answer, and the breakage of a bad line.

Nothing here knows a venue. The buffers are written at once and without Nagle's delay, so what a
benchmark measures is the client.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    418: "I'm a teapot",
    429: "Too Many Requests",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    520: "Unknown Error",
}


@dataclass(frozen=True)
class Request:
    """What was asked: the path, its parameters as strings, the headers in small letters, the body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str = ""
    line: str = ""

    def number(self, name: str) -> int | None:
        """A parameter as a whole number; None when it is not there."""
        found = self.query.get(name)
        return None if found in (None, "") else int(float(str(found)))


@dataclass
class Reply:
    """What goes over the wire. `sent` < 1 sends that share of the bytes and hangs up."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    sent: float = 1.0
    wait: float = 0.0


Answering = Callable[[Request], Reply]


class _Connection(socketserver.StreamRequestHandler):
    server: Wire
    disable_nagle_algorithm = True
    rbufsize = 65_536

    def handle(self) -> None:
        self.server.joined(self.connection)
        with contextlib.suppress(OSError):
            while self.one():
                pass

    def one(self) -> bool:
        """Answer one request; False when the connection is over."""
        request = self.read()
        if request is None:
            return False
        reply = self.server.answering(request)
        if reply.wait and self.server.stopping.wait(reply.wait):
            return False
        data = self.bytes_of(reply)
        if reply.sent < 1:
            head = data.index(b"\r\n\r\n") + 4 if reply.sent else 0
            self.connection.sendall(data[: int(head + (len(data) - head) * reply.sent)])
            self.connection.shutdown(socket.SHUT_RDWR)
            return False
        self.connection.sendall(data)
        return True

    def read(self) -> Request | None:
        line = self.rfile.readline(65_537).decode("latin-1").rstrip()
        if not line:
            return None
        method, target, _ = line.split(" ", 2)
        headers = {}
        while (header := self.rfile.readline(65_537)) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", 0))
        body = self.rfile.read(size).decode() if size else ""
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        return Request(method, path, asked, headers, body, target)

    def bytes_of(self, reply: Reply) -> bytes:
        body = reply.body.encode()
        lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}"]
        lines += [f"Content-Type: {reply.kind}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Wire(socketserver.ThreadingTCPServer):
    """A server on a free port of this machine; `start` and `stop` it."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, answering: Answering, port: int = 0):
        self.answering = answering
        self.stopping = threading.Event()
        self._open: list[socket.socket] = []
        super().__init__(("127.0.0.1", port), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def joined(self, connection: socket.socket) -> None:
        self._open.append(connection)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody and free the port."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
