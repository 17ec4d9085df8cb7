"""What can go wrong with a place for bytes. The queue reads only `retryable`; no message names a key or a path.

StorageError
  BadKey               the key is not of our alphabet or shape
  ObjectNotFound       nothing lies under that key
  TooLarge             the stream went past its limit
  NoSpace              the place is full
  ReadOnly             we may not write there
  Denied               the place refused what we asked of it
  StorageUnavailable   the place did not answer
"""

from __future__ import annotations


class StorageError(Exception):
    code = "storage_error"
    retryable = False


class BadKey(StorageError, ValueError):
    code = "bad_key"


class ObjectNotFound(StorageError):
    code = "object_not_found"


class TooLarge(StorageError):
    code = "too_large"


class NoSpace(StorageError):
    code = "disk_full"
    retryable = True


class ReadOnly(StorageError):
    code = "storage_read_only"


class Denied(StorageError):
    # A right that lacks is granted by an operator: what waits for it goes on then.
    code = "storage_denied"
    retryable = True


class StorageUnavailable(StorageError):
    code = "storage_unavailable"
    retryable = True
