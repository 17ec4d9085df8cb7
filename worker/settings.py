"""The only reader of the environment: every setting has the prefix `MAYFLY_`, a default and one meaning.

An unknown `MAYFLY_` name is refused, so that a misspelt limit never silently means the default. Secrets may come from
a file: `MAYFLY_DATABASE_URL_FILE` names a file that holds what `MAYFLY_DATABASE_URL` would.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from storage_backends.cdn import WHOLE, Template
from worker.errors import UsageRefused
from worker.media.renditions import extras
from worker.model import APP, WorkClass
from worker.retention.book import Book, parse
from worker.retention.rules import KEEP_FOR_DEFAULT, KEEP_FOR_LEAST, KEEP_FOR_MOST

PREFIX = "MAYFLY_"
_NAME = re.compile(r"^[A-Z0-9_]{1,64}$")
_SPAN = re.compile(r"^(\d+)(s|m|h|d)$")
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_span(text: str) -> timedelta:
    """A length of time such as `30d`, `12h`, `90m` or `45s`. Raises `UsageRefused`."""
    match = _SPAN.match(text)
    if not match:
        raise UsageRefused("a length of time is a number and one of s, m, h, d, such as 30d", code="bad_span")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise UsageRefused("that length of time is too long", code="bad_span") from None


def _span(value: object) -> object:
    try:
        return parse_span(value) if isinstance(value, str) else value
    except UsageRefused as error:
        raise ValueError(str(error)) from None


Span = Annotated[timedelta, BeforeValidator(_span)]


class AppSettings(BaseModel):
    """What one app may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    keep_for: Span = KEEP_FOR_DEFAULT
    keep_for_most: Span = Field(default=KEEP_FOR_MOST, validate_default=True)

    @field_validator("keep_for_most")
    @classmethod
    def _in_order(cls, most: timedelta, info: ValidationInfo) -> timedelta:
        keep = info.data.get("keep_for")
        if keep is not None and not KEEP_FOR_LEAST <= keep <= most <= KEEP_FOR_MOST:
            raise ValueError("it must not be less than keep_for (1m or more), nor more than 730d")
        return most


class Settings(AppSettings):
    """Values only; building anything from them is `worker.wiring`'s business. `keep_for` and `keep_for_most` are those
    of every app that has none of its own."""

    home: Path = Path(".mayfly")
    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    subject_secret: SecretStr | None = None
    receipt_key: SecretStr | None = None
    media: Path | None = None
    scratch: Path | None = None
    journal: Path | None = None
    intake: Path | None = None
    alive_file: Path | None = None
    s3_bucket: str | None = Field(default=None, min_length=3, max_length=63)
    s3_prefix: str = Field(default="", max_length=200)
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_encryption: Literal["AES256", "aws:kms"] | None = None
    s3_kms_key: SecretStr | None = None
    cdn_url: str | None = None
    cdn_purge_method: str = Field(default="PURGE", pattern=r"^[A-Z]{1,20}$")
    cdn_purge_url: SecretStr | None = None
    cdn_purge_headers: SecretStr | None = None
    cdn_seconds: float = Field(default=10.0, gt=0, le=60)
    jail: Literal["required", "degraded"] = "required"
    formats_on: tuple[Literal["tiff", "bmp"], ...] = ()
    wide_gamut: bool = False
    renditions_on: tuple[str, ...] = ()
    image_pixels: int = Field(default=64_000_000, gt=0, le=400_000_000)
    image_bytes: int = Field(default=50_000_000, gt=0)
    video_bytes: int = Field(default=2_000_000_000, gt=0)
    video_seconds: int = Field(default=600, gt=0, le=86_400)
    video_threads: int = Field(default=2, gt=0, le=64)
    reconcile_apply: bool = False
    policy: Path | None = None
    apps: dict[str, AppSettings] = {}
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lease_seconds: float = Field(default=30.0, gt=0)
    relay_seconds: float = Field(default=1.0, gt=0, le=1.0)
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8700, ge=0, le=65_535)

    @field_validator("broker_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        parts = None if url is None else _split(url.get_secret_value())
        if url is not None and (parts is None or parts.scheme not in ("redis", "rediss") or not parts.hostname):
            raise ValueError("a broker is redis://host:port/number, or rediss:// with TLS")
        return url

    @field_validator("renditions_on")
    @classmethod
    def _extras(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= extras():
            raise ValueError(f"the renditions that can be turned on are: {', '.join(sorted(extras())) or 'none'}")
        return names

    @field_validator("s3_endpoint")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        parts = None if url is None else _split(url)
        if url is not None and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("an endpoint is https://host, with a port where it needs one")
        return url

    @field_validator("cdn_url")
    @classmethod
    def _shown(cls, url: str | None) -> str | None:
        return None if url is None else Template.parse(url).text

    @field_validator("cdn_purge_url")
    @classmethod
    def _purged(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(Template.parse(url.get_secret_value(), more=WHOLE).text)

    @field_validator("cdn_purge_headers")
    @classmethod
    def _sent(cls, headers: SecretStr | None) -> SecretStr | None:
        if headers is not None:
            _headers(headers.get_secret_value())
        return headers

    @field_validator("apps")
    @classmethod
    def _names(cls, apps: dict[str, AppSettings]) -> dict[str, AppSettings]:
        if any(not APP.match(name) for name in apps):
            raise ValueError("app names are 1 to 32 lower-case letters, digits and hyphens")
        return apps

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `MAYFLY_*`; raises `UsageRefused` naming the setting, never its value."""
        given = {k: v for k, v in (os.environ if environ is None else environ).items() if k.startswith(PREFIX)}
        values: dict[str, Any] = {}
        for name, text in given.items():
            if not text:  # as compose files and shells leave a variable that was never set
                continue
            field, content = name.removeprefix(PREFIX).lower(), text
            if field not in cls.model_fields and field.endswith("_file"):
                field, content = field.removesuffix("_file"), _content(name, text)
            if field not in cls.model_fields:
                called = name if _NAME.match(name) else f"that begins with {PREFIX}"
                raise UsageRefused(f"unknown setting {called}; the README lists the settings", code="unknown_setting")
            if field in values:
                raise UsageRefused(f"{PREFIX}{field.upper()} is set twice, also as a file", code="bad_setting")
            values[field] = _listed(field, content)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = f"{PREFIX}{first['loc'][0]}".upper()
            said = first["msg"].removeprefix("Value error, ")
            raise UsageRefused(f"{where} is not right: {said[:1].lower()}{said[1:]}", code="bad_setting") from None

    def app(self, name: str) -> AppSettings:
        """The limits of one app; the general ones where it has none of its own."""
        own = self.apps.get(name)
        given = own.model_dump(include=own.model_fields_set) if own else {}
        return AppSettings.model_construct(**{"keep_for": self.keep_for, "keep_for_most": self.keep_for_most, **given})

    def book(self) -> Book:
        """The retention policy: that of the file, or the built-in one. Raises `UsageRefused` (`bad_policy`)."""
        return Book() if self.policy is None else parse(_content("MAYFLY_POLICY", str(self.policy)))

    @property
    def embedded(self) -> bool:
        """Without a broker everything runs in this process."""
        return self.broker_url is None

    def ledger_url(self) -> str:
        return self.database_url.get_secret_value() if self.database_url else f"sqlite:///{self.home / 'ledger.db'}"

    def cdn_headers(self) -> dict[str, str]:
        """What a purge carries."""
        return {} if self.cdn_purge_headers is None else _headers(self.cdn_purge_headers.get_secret_value())

    def receipts_root(self) -> Path:
        return self.home.absolute() / "receipts"

    def media_root(self) -> Path:
        return self.media or self.home / "media"

    def scratch_root(self) -> Path:
        return self.scratch or self.home / "scratch"

    def intake_root(self) -> Path:
        return self.intake or self.home / "intake"

    def journal_path(self) -> Path:
        return self.journal or self.home / "journal"

    def alive_path(self, part: WorkClass | str) -> Path:
        return self.alive_file or self.home / f"alive-{part}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    return parts


def _listed(field: str, text: str) -> object:
    if field in ("formats_on", "renditions_on"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if field == "apps":
        return _apps(text)
    return text


def _headers(text: str) -> dict[str, str]:
    """Header fields as RFC 9110, 5.1 and 5.5, has them. Raises `ValueError`, without the text in it."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(
        _FIELD_NAME.fullmatch(name) and isinstance(value, str) and value.isascii() and value.isprintable()
        for name, value in given.items()
    ):
        raise ValueError('it is a JSON object of header fields, such as {"X-Key": "..."}')
    return given


def _apps(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise UsageRefused("MAYFLY_APPS must be a JSON object of app names", code="bad_setting") from None


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UsageRefused(f"the file that {name} names cannot be read", code="bad_setting") from None
