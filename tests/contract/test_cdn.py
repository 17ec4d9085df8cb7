"""What a CDN answers, and what is made of it: only a purge that was taken and a 404 or 410 after it are gone."""

from __future__ import annotations

import contextlib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from storage_backends.cdn import WHOLE, Cdn, Template
from storage_backends.errors import StorageUnavailable
from storage_backends.keys import Key
from storage_backends.storage import Method, Observation
from tests.faults import Call, FaultyS3, Reply, faulty
from tests.servers import free_port, listens, until

pytestmark = pytest.mark.slow

KEY = Key(retention_class="rendition", app="shop", upload_id="upl_1", artifact_id="art_1")
SECRET = "purge-canary-91c4"


@pytest.fixture
def edge() -> Iterator[FaultyS3]:
    """Answers as `fault` says; nothing is behind it."""
    with faulty(f"http://127.0.0.1:{free_port()}") as made:
        yield made


def cdn(url: str, **changes: object) -> Cdn:
    serves = Template.parse(f"{url}/media/{{key}}")
    values: dict[str, object] = {"serves": serves, "purges": serves, "method": "PURGE", "seconds": 5.0}
    return Cdn(**{"headers": {"X-Key": SECRET}, **values, **changes})  # type: ignore[arg-type]


def answers(purge: int, look: int, never: int = 404) -> object:
    """To a purge, to a look at `KEY`, and to a look at what never was."""

    def fault(call: Call) -> Reply:
        if call.verb == "PURGE":
            return Reply(status=purge)
        return Reply(status=look if call.path.endswith(str(KEY)) else never, body=b"x")

    return fault


@pytest.mark.parametrize(
    ("purge", "look", "removed"), [(200, 404, 1), (202, 410, 1), (404, 404, 0), (410, 404, 0), (412, 404, 0)]
)
def test_purged_and_not_found_is_gone(edge: FaultyS3, purge: int, look: int, removed: int) -> None:
    edge.fault = answers(purge, look)  # type: ignore[assignment]
    (erased,) = cdn(edge.url).erase([KEY])
    assert (erased.method, erased.observation, erased.removed) == (Method.PURGE, Observation.PROBE_404, removed)
    assert (erased.blocked, erased.unverifiable) == (None, None)


@pytest.mark.parametrize(
    ("purge", "look", "never", "blocked"),
    [
        (200, 200, 404, "still_there"),
        (200, 206, 404, "still_there"),
        (200, 503, 404, "storage_unavailable"),
        (200, 429, 404, "storage_unavailable"),
        (503, 404, 404, "storage_unavailable"),  # absent here, but nobody knows what other edges keep
        (429, 404, 404, "storage_unavailable"),
        (401, 404, 404, "purge_refused"),
        (405, 404, 404, "purge_refused"),
        (301, 404, 404, "purge_refused"),
        (200, 403, 404, "storage_denied"),
        (200, 403, 503, "storage_unavailable"),
        (200, 200, 200, "still_there"),
    ],
)
def test_anything_else_is_not_gone_and_has_a_name(
    edge: FaultyS3, purge: int, look: int, never: int, blocked: str
) -> None:
    edge.fault = answers(purge, look, never)  # type: ignore[assignment]
    (erased,) = cdn(edge.url).erase([KEY])
    assert (erased.observation, erased.blocked, erased.unverifiable) == (None, blocked, None)


@pytest.mark.parametrize("status", [401, 403, 301])
def test_who_answers_everything_alike_shows_nothing(edge: FaultyS3, status: int) -> None:
    edge.fault = answers(200, status, status)  # type: ignore[assignment]
    (erased,) = cdn(edge.url).erase([KEY])
    assert (erased.observation, erased.blocked) == (None, None)
    assert erased.unverifiable == f"cdn_answers_{status}_to_everything"


def test_all_are_purged_before_any_is_looked_at_and_each_has_its_own_outcome(edge: FaultyS3) -> None:
    # Given forty copies, one of which the CDN does not let go
    keys = [Key(retention_class="rendition", app="shop", upload_id="upl_1", artifact_id=f"art_{n}") for n in range(40)]

    def fault(call: Call) -> Reply:
        shows = call.verb == "GET" and call.path.endswith("/art_7")
        return Reply(status=200 if shows or call.verb == "PURGE" else 404)

    edge.fault = fault
    outcomes = list(cdn(edge.url).erase(keys))

    assert [outcome.key for outcome in outcomes] == keys
    assert [outcome.key.artifact_id for outcome in outcomes if outcome.observation is None] == ["art_7"]
    assert [call.verb for call in edge.calls] == ["PURGE"] * 40 + ["GET"] * 40


def test_one_that_is_silent_is_not_asked_a_thousand_times(edge: FaultyS3) -> None:
    keys = [Key(retention_class="rendition", app="shop", upload_id="upl_1", artifact_id=f"art_{n}") for n in range(500)]
    over = threading.Event()

    def fault(_call: Call) -> Reply:
        over.wait(30)
        return Reply(status=404)

    edge.fault = fault
    try:
        outcomes = list(cdn(edge.url, seconds=0.1).erase(keys))
    finally:
        over.set()
    assert {outcome.blocked for outcome in outcomes} == {"storage_unavailable"}
    assert len(edge.calls) <= 8


def test_nobody_there_is_no_absence() -> None:
    silent = cdn(f"http://127.0.0.1:{free_port()}")
    assert [outcome.blocked for outcome in silent.erase([KEY])] == ["storage_unavailable"]
    with pytest.raises(StorageUnavailable, match="did not answer"):
        silent.rehearse()


def test_the_purge_goes_where_and_as_the_operator_says_and_its_key_nowhere_else(
    edge: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an interface for purges, an environment with a proxy, and a CDN that sends people elsewhere
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    purges = Template.parse(f"{edge.url}/api/purge?token={SECRET}&url={{url}}", more=WHOLE)

    def fault(call: Call) -> Reply:
        return Reply(status=200 if call.path.startswith("/api/") else 404)

    edge.fault = fault
    asked = cdn(edge.url, purges=purges, method="POST")
    (erased,) = asked.erase([KEY])

    assert erased.observation is Observation.PROBE_404
    purge, look = edge.calls
    whole = f"{edge.url}/media/{KEY}".replace(":", "%3A").replace("/", "%2F")
    assert (purge.verb, purge.path) == ("POST", f"/api/purge?token={SECRET}&url={whole}")
    assert (look.verb, look.path) == ("GET", f"/media/{KEY}")
    sent = {name.lower(): value for name, value in purge.headers.items()}
    assert sent["x-key"] == SECRET
    assert SECRET not in str(look.headers) + look.path
    # Nothing tells the cache not to use what it has.
    assert not {"cache-control", "pragma", "if-none-match"} & {name.lower() for name in look.headers}
    assert SECRET not in repr(asked) + repr(erased) + asked.name


def test_a_certificate_that_nobody_vouches_for_is_no_answer(tmp_path: Path) -> None:
    with _https(tmp_path) as url:
        # Who trusts it gets a 404,
        trusting = ssl.create_default_context(cafile=tmp_path / "edge.pem")
        with pytest.raises(urllib.error.HTTPError, match="404") as answer:
            urllib.request.urlopen(url, context=trusting)
        answer.value.close()
        # and Mayfly does not ask.
        (erased,) = cdn(url).erase([KEY])
    assert erased.blocked == "storage_unavailable"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cdn.example/{key}",
        "ftp://cdn.example/{key}",
        "https:///{key}",
        "https://{app}.example/{key}",
        "https://me:secret@cdn.example/{key}",
        "https://cdn.example:port/{key}",
        "https://cdn.example/media",
        "https://cdn.example/{upload_id}",
        "https://cdn.example/{key}#x",
        "https://cdn.example/{key!r}",
        "https://cdn.example/{key:>9}",
        "https://cdn.example/{key",
        "https://cdn.example/{subject}/{key}",
        "https://cdn.example/{url}",
        "https://cdn.example/{0}{key}",
        "https://cdn.example/{key.app}",
        "https://cdn.example/ {key}",
        "https://cdn.example/\n{key}",
    ],
)
def test_what_is_no_address_of_a_copy(text: str) -> None:
    with pytest.raises(ValueError, match="it ") as refused:
        Template.parse(text)
    assert "secret" not in str(refused.value)


def test_another_cdn_is_another_place() -> None:
    assert cdn("https://one.example").name != cdn("https://two.example").name
    assert cdn("https://one.example").url(KEY) == f"https://one.example/media/{KEY}"


@contextlib.contextmanager
def _https(folder: Path) -> Iterator[str]:
    """A server with a certificate of its own making, which answers 404 to everything."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")])
    now, port = datetime.now(UTC), free_port()
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *private) + signed.public_bytes(serialization.Encoding.PEM)
    (folder / "edge.pem").write_bytes(pem)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self.send_error(404)

        do_PURGE = do_GET

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "edge.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            until(lambda: listens(port), what="the server")
            yield f"https://localhost:{port}"
        finally:
            server.shutdown()
            thread.join()
