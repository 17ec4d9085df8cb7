"""The image and the compose file say what they must: parsed here, because no engine runs where the tests run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.classes import CLASSES
from tests import servers
from tests.e2e.compose import DOCKER, OURS, Service, compose, health_check, instructions, last, services
from tests.e2e.fleet import ROOT, Fleet, Part
from worker.model import WorkClass
from worker.settings import Settings

LEAST_GRACE_S = 60
ROOT_USERS = {"", "0", "root"}


@pytest.fixture(params=sorted(services()))
def service(request: pytest.FixtureRequest) -> Service:
    return services()[request.param]


@pytest.fixture(params=sorted(OURS))
def our_service(request: pytest.FixtureRequest) -> Service:
    return services()[request.param]


# --- compose ----------------------------------------------------------------------------------------------------------


def test_every_part_of_mayfly_has_a_service_and_nothing_else_runs() -> None:
    # When the services are listed, Then there is one per class, relay, edge, broker and ledger
    assert set(services()) == OURS | {"redis", "postgres"}


def test_a_service_can_gain_no_rights(service: Service) -> None:
    # When a service is read, Then it runs without root, capabilities, writable root or engine socket
    assert str(service["user"]).split(":")[0] not in ROOT_USERS
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert not any("unconfined" in option for option in service["security_opt"])
    assert not {"pid", "ipc", "network_mode", "devices", "userns_mode"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])
    assert all({"noexec", "nosuid", "nodev"} <= set(re.split("[:,]", tmpfs)) for tmpfs in service.get("tmpfs", []))


def test_a_service_has_limits_and_time_to_end(service: Service) -> None:
    # When a service is read, Then memory (without swap), processor and processes are limited, and it may end in peace
    assert bytes_of(service["mem_limit"]) == bytes_of(service["memswap_limit"]) >= 512 << 20
    assert 0 < float(service["cpus"]) <= 8
    assert 0 < service["pids_limit"] <= 512
    assert seconds_of(service["stop_grace_period"]) >= LEAST_GRACE_S
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("work_class", list(WorkClass))
def test_a_worker_service_serves_its_class_and_outlives_its_drain(work_class: WorkClass) -> None:
    # Given the service of one class
    service = services()[f"worker-{work_class}"]
    # When its command is read, Then it serves that class, and its grace covers what a job may still take after SIGTERM
    assert service["command"][:4] == ["mayfly", "worker", "--class", str(work_class)]
    assert seconds_of(service["stop_grace_period"]) >= CLASSES[work_class].drain_s + 30


def test_the_other_parts_run_their_verbs() -> None:
    # When the commands of relay and edge are read, Then each is a verb of the same command
    assert services()["relay"]["command"] == ["mayfly", "relay"]
    assert services()["api"]["command"][:2] == ["mayfly", "api"]


def test_the_environment_is_understood_and_secrets_come_by_file(our_service: Service, tmp_path: Path) -> None:
    # Given the service's environment, its secrets lying as files elsewhere
    environment = {name: str(value) for name, value in our_service["environment"].items()}
    for name, value in environment.items():
        if value.startswith("/run/secrets/"):
            assert Path(value).name in our_service["secrets"]
            (tmp_path / Path(value).name).write_text(content_of(name))
            environment[name] = str(tmp_path / Path(value).name)
    # When the settings are loaded from it, Then every name is known, and the secrets are what the files hold
    settings = Settings.load(environment)
    for secret in ("database_url", "broker_url", "subject_secret", "receipt_key"):
        assert f"MAYFLY_{secret.upper()}" not in environment
        assert getattr(settings, secret).get_secret_value() == content_of(f"MAYFLY_{secret.upper()}_FILE")
    # And whatever is written lies on a volume, never on the read-only root
    places = {volume.split(":")[1] for volume in our_service["volumes"]}
    assert {str(settings.home), str(settings.media_root()), str(settings.scratch_root())} <= places
    assert str(settings.intake_root()) in places
    assert str(settings.journal_path().parent) in places
    assert str(settings.alive_path("relay")) == "/tmp/alive"
    # And the health check of the image looks at the same file
    assert f"MAYFLY_ALIVE_FILE={settings.alive_path('relay')}" in shlex.split(last("ENV"))


def test_redis_loses_nothing_by_policy() -> None:
    # When Redis' options are read, Then it keeps a log, syncs it, and refuses when full instead of dropping
    command = services()["redis"]["command"]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"
    # And rewriting the log, which may double its memory, does not get it killed
    assert bytes_of(options["--maxmemory"]) * 2 <= bytes_of(services()["redis"]["mem_limit"])


def test_no_secret_and_no_password_stands_in_the_files() -> None:
    # When all that is committed for operators is read
    told = "\n".join(path.read_text(encoding="utf-8") for path in (DOCKER / "compose.yaml", DOCKER / ".env.example"))
    # Then secrets are named as files, and no URL carries a password
    assert all(set(secret) == {"file"} for secret in compose()["secrets"].values())
    assert not [url for url in re.findall(r"\w+://[^@\s/]*:([^@\s/]+)@", told) if url != "%s"]
    # And each secret that is declared is made by the recipe of the example, and used by a service
    used = {secret for service in services().values() for secret in service["secrets"]}
    assert used == set(compose()["secrets"])
    assert all(re.search(rf"(> |-out ){secret}\b", told) for secret in used)


def test_only_the_edge_and_the_partner_worker_reach_the_outside() -> None:
    # When the networks are read
    outside = {name for name, service in services().items() if "outside" in service["networks"]}
    # Then the rest lives in a network without a way out, and the edge is published on loopback only
    assert compose()["networks"]["inside"]["internal"] is True
    assert outside == {"api", "worker-partner"}
    assert {name for name, service in services().items() if "ports" in service} == {"api"}
    assert all(port.startswith("127.0.0.1:") for port in services()["api"]["ports"])


def test_every_volume_is_named() -> None:
    # When the volumes are read, Then each is one of the named ones: no directory of the host is mounted
    names = {volume.split(":")[0] for service in services().values() for volume in service["volumes"]}
    assert names == set(compose()["volumes"])


def test_every_variable_has_a_default_and_is_in_the_example() -> None:
    # When the variables of the compose file are read
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)", text))
    # Then each has a default, and the example names exactly these
    assert variables == set(re.findall(r"\$\{(\w+):-", text))
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^([A-Z_]+)=", example, flags=re.MULTILINE)) == variables


# --- image ------------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_special() -> None:
    # When the last stage is read, Then it ends as user 10001, the one that the services name
    assert last("USER") == "10001:10001"
    assert {services()[name]["user"] for name in OURS} == {"10001:10001"}
    names = [word for word, _ in instructions(-1)]
    assert "RUN" not in names[names.index("USER") :]


def test_the_image_has_ffmpeg_and_no_tool_to_build_or_install() -> None:
    # When the last stage is read
    ran = " ".join(rest for word, rest in instructions(-1) if word == "RUN")
    packages = re.findall(r"apt-get install (?:--\S+ )*(.*?) &&", re.sub(r"\s+", " ", ran))
    # Then ffmpeg and the second reader's decoders are all that is added, pip is out, and nothing keeps a set-uid bit
    assert packages == ["ffmpeg libwebp7 libturbojpeg0"]
    assert "pip uninstall --yes pip" in ran
    assert "-perm /6000" in ran
    assert not any(word == "COPY" and "--from=build /opt/mayfly" not in rest for word, rest in instructions(-1))
    # And the first stage installs wheels by hash only, into a place without pip
    built = " ".join(rest for word, rest in instructions(0) if word == "RUN")
    assert "--require-hashes --only-binary :all: -r docker/requirements.lock" in re.sub(r"\s+", " ", built)
    assert "venv --without-pip" in built


def test_nothing_but_the_project_gets_into_the_build() -> None:
    # When the ignore file is read, Then everything is left out but what is copied
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        word
        for name, rest in instructions(0)
        if name == "COPY"
        for word in rest.split()[:-1]
        if not word.startswith("--")
    }
    assert let_in == copied
    assert all((ROOT / path).exists() for path in copied)


@pytest.fixture
def probe(tmp_path: Path) -> tuple[list[str], Path]:
    """The image's health check as it stands, and the alive file that it is pointed at."""
    return [sys.executable, *health_check()], tmp_path / "alive"


@pytest.mark.parametrize(("age_s", "healthy"), [(0, True), (50, True), (70, False), (None, False)])
def test_the_health_check_reads_a_local_file(probe: tuple[list[str], Path], age_s: float | None, healthy: bool) -> None:
    # Given an alive file of some age, or none
    command, alive = probe
    if age_s is not None:
        alive.touch()
        os.utime(alive, (time.time() - age_s,) * 2)
    # When the health check runs, Then it is healthy only where the file is young
    done = subprocess.run(command, env={"MAYFLY_ALIVE_FILE": str(alive)}, capture_output=True, check=False, timeout=30)
    assert (done.returncode == 0) is healthy


# --- the commands at work, outside a container ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_runs_by_its_own_command_and_is_healthy(fleet: Fleet, name: str) -> None:
    # Given the service, started by its command and environment against a real Redis and PostgreSQL
    part = fleet.checked(fleet.parts[name])
    # When the image's health check looks at it, Then it is healthy
    fleet.until(lambda: healthy(part), what=f"{name} healthy", within=10)


@pytest.mark.slow
def test_the_edge_says_that_all_is_ready(fleet: Fleet) -> None:
    # When the edge is asked where it says that it listens
    told = re.search(r"http://[\d.]+:\d+", fleet.said(fleet.parts["api"]))
    assert told is not None
    with urllib.request.urlopen(f"{told[0]}/readyz") as answer:
        # Then it and the ledger are well, and the jail holds
        assert answer.status == 200
        said = json.load(answer)
        assert (said["status"], said["jail"]) == ("ok", "required")


@pytest.mark.slow
def test_the_services_share_one_key_and_write_only_where_volumes_are(fleet: Fleet) -> None:
    # Given services at work, When the places are looked at, Then no key was made beside the ones given as secrets
    home = fleet.folder / "home"
    assert not {"receipt_key.pem", "subject_secret", "ledger.db"} & {path.name for path in home.iterdir()}
    places = {Path(volume.split(":")[1]).name for volume in services()["relay"]["volumes"]} - {"mayfly"}
    # The folder of receipts and public keys is the home's own, which is a volume itself.
    assert {path.name for path in home.iterdir()} <= places | {"receipts"}


@pytest.mark.slow
def test_redis_understands_its_command(tmp_path: Path) -> None:
    # Given the command of the broker, its configuration lying elsewhere, on loopback
    program, _, *options = services()["redis"]["command"]
    if shutil.which(program) is None:
        pytest.skip("redis-server is not installed")
    configuration = tmp_path / "redis.conf"
    configuration.write_text("requirepass secret\n")
    port = servers.free_port()
    argv = [program, str(configuration), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        servers.until(lambda: servers.listens(port), what="redis-server")
        # When it is asked without and with the password, Then it refuses the first and keeps what it must
        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=port, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.llen("mayfly:image")
        with redis.Redis(port=port, password="secret") as ours:
            assert ours.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            assert ours.config_get("appendonly")["appendonly"] == "yes"
    finally:
        process.terminate()
        process.wait()


def healthy(part: Part) -> bool:
    environment = {"MAYFLY_ALIVE_FILE": str(part.alive)}
    return subprocess.run([sys.executable, *health_check()], env=environment, capture_output=True).returncode == 0


# --- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["docker/requirements.lock", "tests/requirements.lock"])
def test_a_lock_pins_every_package_by_hash_and_names_no_host(lock: str) -> None:
    # When a lock is read
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = [entry for entry in re.sub(r" \\\n\s+", " ", text).splitlines() if entry]
    # Then each line is one package in one version with its hashes, and nothing tells where it was resolved
    assert len(entries) > 50
    assert all(re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text
    assert not re.search(r"^\s*(#|-)(?!-hash)", text, flags=re.MULTILINE)


def test_the_tests_run_with_the_versions_that_are_shipped() -> None:
    # When both locks are read
    shipped, tested = (
        set(re.findall(r"^([^\s;]+==[^\s;]+)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))
        for lock in ("docker/requirements.lock", "tests/requirements.lock")
    )
    # Then what is shipped is what is tested
    assert shipped < tested


def content_of(name: str) -> str:
    """What lies in a secret's file: something that can be told apart, and a URL where one is asked for."""
    return "redis://:word@redis:6379/0" if "BROKER" in name else f"content of {name}"


def bytes_of(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(mb?|gb?)", size).groups()  # type: ignore[union-attr]
    return int(number) << {"m": 20, "g": 30}[unit[0]]


def seconds_of(span: str) -> int:
    return int(re.fullmatch(r"(\d+)s", span)[1])  # type: ignore[index]
