"""The Dockerfile and the compose file as data, and a fleet that runs their commands without an engine."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.fleet import ROOT, Fleet
from worker.model import WorkClass
from worker.privacy.receipt import Signer

DOCKER = ROOT / "docker"
OURS = {*(f"worker-{work_class}" for work_class in WorkClass), "relay", "api"}
Service = dict[str, Any]


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of one stage of the Dockerfile (-1: the last), comments gone and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    parsed = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    starts = [number for number, (word, _) in enumerate(parsed) if word == "FROM"]
    begin = starts[stage]
    end = next((start for start in starts if start > begin), len(parsed))
    return parsed[begin:end]


def last(word: str) -> str:
    return [rest for name, rest in instructions(-1) if name == word][-1]


def health_check() -> list[str]:
    """The image's health check as arguments of Python."""
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    program, *arguments = json.loads(command)
    assert program == "python"
    return [str(argument) for argument in arguments]


def compose() -> dict[str, Any]:
    """The compose file with the defaults of its variables filled in."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))  # type: ignore[no-any-return]


def services() -> dict[str, Service]:
    return compose()["services"]  # type: ignore[no-any-return]


def fleet_of_compose(folder: Path, *, broker: str, database: str, **settings: str) -> Fleet:
    """The places and secret files of the compose file, moved below `folder`; `settings` replace what it says.

    One subject secret and one receipt key for all, as in production. No part is started yet.
    """
    hidden = folder / "secrets"
    hidden.mkdir(mode=0o700)
    contents = {
        "database_url": database,
        "broker_url": broker,
        "subject_secret": secrets.token_hex(32),
        "receipt_key": Signer.new_pem().decode(),
    }
    for name, content in contents.items():
        (hidden / name).write_text(content)
    environment = _moved(services()["relay"]["environment"], folder)
    environment.update({f"MAYFLY_{name.upper()}": value for name, value in settings.items()})
    return Fleet(folder=folder, environment=environment)


def start_service(fleet: Fleet, name: str, *, port: int | None = None) -> None:
    """Start one of our services by its own command and environment; `port` replaces the one of the edge."""
    service = services()[name]
    program, *arguments = service["command"]
    assert program == "mayfly"
    own = _moved(service["environment"], fleet.folder)
    changed = {key: value for key, value in own.items() if key not in fleet.environment}
    if port is not None:
        arguments[arguments.index("--port") + 1] = str(port)
        changed["MAYFLY_API_HOST"] = "127.0.0.1"  # the tests' servers listen on loopback only
    fleet.start(name, ["-m", "worker", *arguments], environment=changed)


def _moved(environment: dict[str, object], folder: Path) -> dict[str, str]:
    places = {"/run/secrets": folder / "secrets", "/var/lib/mayfly": folder / "home", "/tmp": folder}
    moved = {}
    for name, value in environment.items():
        text = str(value)
        for place, instead in places.items():
            if text == place or text.startswith(f"{place}/"):
                text = f"{instead}{text.removeprefix(place)}"
                break
        moved[name] = text
    # Each part has an alive file of its own here, as each container has a /tmp of its own.
    moved.pop("MAYFLY_ALIVE_FILE", None)
    return moved
