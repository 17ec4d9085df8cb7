"""The media room: bytes in, bytes out. Parsers of user bytes run only inside `worker.media.jail`; no I/O elsewhere."""
