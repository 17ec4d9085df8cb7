"""Health of this process and of what it needs, for load balancers and operators."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from worker.api.metrics import exposition
from worker.errors import MayflyError, Unavailable
from worker.ledger import artifacts
from worker.wiring import House


def make_app(house: House) -> FastAPI:
    """`/healthz`: this process answers. `/readyz`: the ledger answers and may be served, and how late erasures are.
    `/metrics`: the same for Prometheus, with brakes, queues, dead letters and strangers."""
    app = FastAPI(title="Mayfly", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        try:
            house.permit()
            with house.ledger.read() as tx:
                overdue = artifacts.oldest_overdue_seconds(tx)
        except MayflyError as error:
            return _unavailable(error)
        state = "ok" if house.settings.jail == "required" else "degraded"
        return JSONResponse({"status": state, "oldest_overdue_seconds": overdue, "jail": house.settings.jail})

    @app.get("/metrics")
    def metrics() -> Response:
        try:
            return Response(exposition(house.ledger), media_type=CONTENT_TYPE_LATEST)
        except MayflyError as error:
            return _unavailable(error)

    return app


def _unavailable(error: MayflyError) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "code": error.code}, status_code=503)


def _not_bound(error: OSError, port: int) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        return Unavailable(f"port {port} is taken; choose another with --port", code="port_in_use")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unavailable(f"port {port} needs more rights; choose one above 1023", code="port_forbidden")
    return Unavailable("MAYFLY_API_HOST is no address of this host", code="address_unavailable")


@contextlib.contextmanager
def serve(house: House, *, host: str, port: int) -> Iterator[str]:
    """Serve in a thread until the block ends; yields `host:port` as bound (port 0: any free one).

    Raises `Unavailable` (`port_in_use`, `port_forbidden`, `address_unavailable`).
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise _not_bound(error, port) from None
    config = uvicorn.Config(make_app(house), log_level="warning", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="api", daemon=True)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
