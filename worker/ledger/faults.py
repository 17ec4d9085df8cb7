"""What a driver's error means to us: away, full, read-only, or a broken rule of our own. No row is quoted."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator

from sqlalchemy import exc

from worker.errors import Defect, MayflyError, Unavailable

_SQLITE = {
    "SQLITE_FULL": ("the disk that holds the ledger is full; free some space", "disk_full"),
    "SQLITE_READONLY": ("the ledger cannot be written; make its file and folder writable", "ledger_read_only"),
    "SQLITE_CANTOPEN": ("the ledger's file cannot be opened; check that its folder is there and writable", ""),
    "SQLITE_BUSY": ("the ledger is busy; try again", ""),
    "SQLITE_LOCKED": ("the ledger is busy; try again", ""),
    "SQLITE_NOTADB": ("the ledger's file is not a ledger; restore it from a backup", ""),
    "SQLITE_CORRUPT": ("the ledger's file is damaged; restore it from a backup", ""),
}
_POSTGRES = {
    "53100": ("the disk that holds the ledger is full; free some space", "disk_full"),
    "25006": ("the ledger's database is read-only; connect to its primary", "ledger_read_only"),
    "42P01": ("the ledger has no tables yet; migrate it first", ""),
    "42501": ("the ledger's database user lacks a permission; grant it", ""),
    "40P01": ("two transactions of the ledger stood in each other's way; try again", ""),
    "40001": ("two transactions of the ledger stood in each other's way; try again", ""),
    "55P03": ("the ledger is busy; try again", ""),
    "57014": ("the ledger's database took too long; try again", ""),
    "28P01": ("the ledger's database refused the password; check the database URL", ""),
    "3D000": ("the ledger's database does not exist; create it or check the database URL", ""),
}
_AWAY = ("the ledger's database does not answer; check that it runs and the database URL is right", "")
_OURS = (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.InternalError, exc.NotSupportedError)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Run a block; what the driver raises becomes `Unavailable` or `Defect`, without its text."""
    try:
        yield
    except exc.DBAPIError as error:
        raise meaning(error) from None
    except sqlite3.Error as error:
        # Raised while a connection is being set up, before SQLAlchemy wraps anything.
        raise meaning(exc.DBAPIError("", None, error)) from None
    except exc.TimeoutError:
        raise _unavailable("all connections to the ledger are in use; try again", "") from None
    except OSError as error:
        raise _of_file(error) from None


def meaning(error: exc.DBAPIError) -> MayflyError:
    """The error in our words."""
    name = str(getattr(error.orig, "sqlite_errorname", "") or "")
    for prefix, said in _SQLITE.items():
        if name.startswith(prefix):
            return _unavailable(*said)
    state = str(getattr(error.orig, "sqlstate", "") or "")
    if state in _POSTGRES:
        return _unavailable(*_POSTGRES[state])
    if name == "SQLITE_ERROR" and "no such table" in str(error.orig):
        return _unavailable(*_POSTGRES["42P01"])
    if isinstance(error, _OURS) or name == "SQLITE_ERROR":
        return Defect(f"the ledger refused a row or a statement ({state or name})", code="ledger_constraint")
    return _unavailable(*_AWAY)


def _of_file(error: OSError) -> Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _unavailable(*_SQLITE["SQLITE_FULL"])
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _unavailable(*_SQLITE["SQLITE_READONLY"])
    return _unavailable(*_SQLITE["SQLITE_CANTOPEN"])


def _unavailable(message: str, code: str) -> Unavailable:
    return Unavailable(message, code=code or "ledger_unavailable")
