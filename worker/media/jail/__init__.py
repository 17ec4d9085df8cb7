"""The jail (P6): untrusted bytes are decoded in a locked child that is forked for one file and dies with it.

jail = Jail()                                  one per worker process, made after the fork
jail.call(verb, fd, args, limits) -> Answer    a verb of ours on one picture
jail.run(argv, ...) -> Finished                ffmpeg or ffprobe on one video
"""

from worker.media.jail.client import Jail
from worker.media.jail.limits import IMAGE_LIMITS, Limits
from worker.media.jail.outcome import Answer, Cancelled, Finished, JailDeath, Level, ProbeResult

__all__ = ["IMAGE_LIMITS", "Answer", "Cancelled", "Finished", "Jail", "JailDeath", "Level", "Limits", "ProbeResult"]
