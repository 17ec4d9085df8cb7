"""A proxy before a server that spoils chosen calls: answers an error, stays silent, cuts the line, or lies."""

from __future__ import annotations

import contextlib
import http.client
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as it arrived."""

    verb: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_delete(self) -> bool:
        return self.verb == "POST" and self.path.split("?", 1)[-1].startswith("delete")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer in place of the server's; `cut`: the line is cut after half of the body."""

    status: int = 200
    body: bytes = b""
    cut: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asks may leave before the answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


Fault = Callable[[Call], Reply | None]
Change = Callable[[Call, bytes], bytes]


@dataclass(kw_only=True)
class FaultyS3:
    """`fault` may answer a call itself; `change` may alter the call's body on its way; `calls` are all that came."""

    url: str = ""
    fault: Fault = lambda _call: None
    change: Change = lambda call, _ignored: call.body
    calls: list[Call] = field(default_factory=list)

    def heal(self) -> None:
        self.fault = lambda _call: None
        self.change = lambda call, _ignored: call.body


def refusal(status: int, code: str) -> Reply:
    """An error as S3 writes it."""
    return Reply(status=status, body=f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


@contextlib.contextmanager
def faulty(endpoint: str) -> Iterator[FaultyS3]:
    """A proxy on a free loopback port before `endpoint`."""
    state = FaultyS3()
    target = urlsplit(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(verb=self.command, path=self.path, body=body, headers=dict(self.headers.items()))
            state.calls.append(call)
            reply = state.fault(call)
            if reply is not None:
                self._send(reply.status, [("Content-Type", "application/xml")], reply.body, cut=reply.cut)
                return
            line = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=60)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
                line.request(self.command, self.path, state.change(call, body), headers)
                answer = line.getresponse()
                kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
                self._send(answer.status, kept, answer.read(), head=self.command == "HEAD", length=answer.length)
            finally:
                line.close()

        def _send(
            self,
            status: int,
            headers: list[tuple[str, str]],
            body: bytes,
            *,
            cut: bool = False,
            head: bool = False,
            length: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(length if head and length is not None else len(body)))
            self.end_headers()
            if not head:
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PURGE = _serve

    with _Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
