"""What a jailed child can be asked to do: name -> "module:function". The zygote imports the modules before any file.

A verb is `fn(input: BinaryIO | None, args: dict) -> tuple[dict, list[bytes]]`; it may raise
`worker.errors.Unprocessable(code=...)`. Whatever it needs later must be imported and warm when its module is.
"""

from __future__ import annotations

VERBS: dict[str, str] = {
    "jail.probe": "worker.media.jail.probes:attempt",
    "jail.decode": "worker.media.jail.probes:decode",
    "image.render": "worker.media.image.render:render",
    "video.look": "worker.media.video.prewalk:look",
    "proof.read": "worker.media.proof:read",
    "proof.libraries": "worker.media.proof:libraries",
}
