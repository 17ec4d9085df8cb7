"""A real nginx with its cache on loopback, and the tiny origin behind it: a directory, served by key."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests import servers

SECRET = "purge-canary-7f3a"


@dataclass(kw_only=True)
class Origin:
    """What nginx asks; `asked` counts the answers it gave."""

    url: str
    asked: list[int] = field(default_factory=list)


@contextlib.contextmanager
def origin(root: Path) -> Iterator[Origin]:
    """Serves the files below `root`, as an operator's own server would."""
    state = Origin(url="")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            state.asked.append(int(code))

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@dataclass(kw_only=True)
class Nginx:
    """`settings` are Mayfly's, for this server as its CDN."""

    url: str
    settings: dict[str, object]
    home: Path
    port: int
    _stop: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        argv = [
            program(),
            "-p",
            str(self.home),
            "-c",
            str(self.home / "nginx.conf"),
            "-e",
            str(self.home / "error.log"),
        ]
        process = self._stop.enter_context(servers.running(argv, stop=signal.SIGTERM))
        servers.until(lambda: servers.alive(process) and servers.listens(self.port), what="nginx")

    def stop(self) -> None:
        """Its cache stays on disk."""
        self._stop.close()


@contextlib.contextmanager
def nginx(home: Path, behind: Origin, *, way: str) -> Iterator[Nginx]:
    """With a cache that keeps for an hour. It has no purge of its own: for who knows the secret it asks the origin
    anew, and keeps that answer. `way`: by a `GET` with a header of ours, or by the method `PURGE`."""
    port = servers.free_port()
    (home / "nginx.conf").write_text(_config(behind, port))
    url = f"http://127.0.0.1:{port}"
    settings: dict[str, object] = {"cdn_url": f"{url}/media/{{key}}", "cdn_seconds": 5.0}
    if way == "get":
        settings["cdn_purge_method"] = "GET"
    settings["cdn_purge_headers"] = f'{{"X-Refresh": "{SECRET}"}}'
    server = Nginx(url=url, settings=settings, home=home, port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def program() -> str:
    return servers.installed("nginx", shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"))


def _config(behind: Origin, port: int) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
{user}
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_cache_path cache keys_zone=media:1m;
    map $http_x_refresh $refresh {{ default 0; {SECRET} 1; }}
    server {{
        listen 127.0.0.1:{port};
        location /media/ {{
            error_page 418 = @purge;
            if ($request_method = PURGE) {{ return 418; }}
            proxy_pass {behind.url}/;
            proxy_cache media;
            proxy_cache_key $uri;
            proxy_cache_bypass $refresh;
            proxy_cache_valid 200 1h;
            # Without this an answer of 404 is not kept, and what was kept before it stays.
            proxy_cache_valid 404 1m;
            add_header X-Cache $upstream_cache_status always;
        }}
        location @purge {{
            if ($refresh = 0) {{ return 403; }}
            proxy_method GET;
            proxy_pass http://127.0.0.1:{port};
        }}
    }}
}}
"""
