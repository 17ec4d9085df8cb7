"""The four messages that an app backend may send by name: parsed strictly, like the body of an HTTP request.

    mayfly.submit         {"upload_id", "app", "subject_key", "purposes", "context"?, "legal_basis"?, "keep_for_s"?,
                           "declared_type"?}
    mayfly.renew          {"app", "upload_id", "keep_for_s"}
    mayfly.erase_upload   {"app", "upload_id"}
    mayfly.erase_subject  {"app", "subject_key"}

Anything else is refused with a reason that names the field and never its value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from worker.errors import NotFound, Refused
from worker.flows.erase import Erase
from worker.flows.fulfil import Fulfil
from worker.flows.renew import Renew
from worker.flows.submit import Submit
from worker.ledger import leases, uploads
from worker.ledger.database import Ledger
from worker.model import APP, SUBJECT_KEY, Context, LegalBasis, NewUpload, Purpose, Trigger
from worker.retention.rules import KEEP_FOR_MOST, checked_keep_for

_App = Annotated[str, StringConstraints(pattern=APP.pattern)]
_Subject = Annotated[str, StringConstraints(pattern=SUBJECT_KEY.pattern)]
_Upload = Annotated[str, StringConstraints(pattern=r"^upl_[0-9a-f]{32}$")]
_Seconds = Annotated[int, Field(gt=0, le=int(KEEP_FOR_MOST.total_seconds()))]
_Type = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$")]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SubmitMessage(_Message):
    upload_id: _Upload
    app: _App
    subject_key: _Subject
    purposes: Annotated[frozenset[Purpose], Field(min_length=1)]
    context: Context = Context.PUBLIC
    legal_basis: LegalBasis = LegalBasis.CONSENT
    keep_for_s: _Seconds | None = None
    declared_type: _Type | None = None


class RenewMessage(_Message):
    app: _App
    upload_id: _Upload
    keep_for_s: _Seconds


class EraseUploadMessage(_Message):
    app: _App
    upload_id: _Upload


class EraseSubjectMessage(_Message):
    app: _App
    subject_key: _Subject


_M = TypeVar("_M", bound=_Message)


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """`keep_for` gives an app's default and longest time to keep."""

    ledger: Ledger
    keep_for: Callable[[str], tuple[timedelta, timedelta]]
    submitting: Submit
    renewing: Renew
    erasing: Erase
    fulfilling: Fulfil

    def submit(self, payload: dict[str, Any]) -> None:
        """Raises `Refused` (`bad_message` or what `Submit` refuses)."""
        message = _parsed(SubmitMessage, payload)
        default, most = self.keep_for(message.app)
        wish = timedelta(seconds=message.keep_for_s) if message.keep_for_s else None
        new = NewUpload(
            app=message.app,
            subject_key=message.subject_key,
            purposes=message.purposes,
            context=message.context,
            legal_basis=message.legal_basis,
            keep_for=wish,
            declared_type=message.declared_type,
            upload_id=message.upload_id,
        )
        self.submitting.run(new, keep_for=checked_keep_for(wish, default=default, most=most))

    def renew(self, payload: dict[str, Any]) -> None:
        message = _parsed(RenewMessage, payload)
        _default, most = self.keep_for(message.app)
        wish = timedelta(seconds=message.keep_for_s)
        self.renewing.run(message.app, message.upload_id, wish, most=most)

    def erase_upload(self, payload: dict[str, Any]) -> None:
        """An unknown upload, or another app's, is `upload_not_found` alike; one already erased is a success."""
        message = _parsed(EraseUploadMessage, payload)
        with self.ledger.read() as tx:
            upload = uploads.find(tx, message.upload_id)
        if upload is None or upload.app != message.app:
            raise NotFound("no such upload", code="upload_not_found")
        self.erasing.begin(message.upload_id, Trigger.USER)

    def erase_subject(self, payload: dict[str, Any]) -> None:
        message = _parsed(EraseSubjectMessage, payload)
        self.fulfilling.open(message.app, message.subject_key)

    def dead_letter(self, task: str, code: str, detail: str) -> None:
        """A row that an operator sees; `detail` names a field and what is wrong with it, never what was sent."""
        with self.ledger.begin() as tx:
            leases.dead_letter(tx, kind=task, code=code, detail=detail)


def _parsed(model: type[_M], payload: object) -> _M:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        # A field's name is ours; an unknown one is the sender's text and may hold anything.
        known = [str(part) for part in first["loc"] if str(part) in model.model_fields]
        where = known[0] if known else "an unknown field"
        raise Refused(f"{where}: {first['msg']}", code="bad_message") from None
