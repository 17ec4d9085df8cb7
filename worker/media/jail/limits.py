"""What one jailed child may use. The kernel enforces these by rlimits, the zygote the wall clock."""

from __future__ import annotations

import math
import resource
import signal
from dataclasses import asdict, dataclass
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`address_space` and `file_size` in bytes, `cpu_s` and `wall_s` in seconds; `threads` opens the AVIF/HEIF list.

    `address_space` is virtual memory of the whole child, the warmed zygote's own libraries included: it is not
    resident memory, so an operator's cgroup limit stays necessary beside it. `mapped` hands the input over as an
    `mmap`, which costs no memory for what nobody looks at; one that is empty, or takes half of the address space,
    comes as a stream all the same.
    """

    address_space: int
    cpu_s: float
    wall_s: float
    file_size: int = 0
    open_files: int = 16
    threads: bool = False
    mapped: bool = False

    def as_wire(self) -> dict[str, Any]:
        return asdict(self)


# Room for 64 megapixels: a WebP costs 16 bytes a pixel in Pillow (1 GiB), and the frame it is scaled to lies beside it.
IMAGE_LIMITS = Limits(address_space=2 * GIB, cpu_s=30, wall_s=60)


def apply(limits: Limits) -> None:
    """Set the rlimits of this process, soft and hard; nothing can raise them again.

    CORE is 1, not 0: a kernel that pipes cores into a handler ignores 0, while 1 makes it give up (security.md S31).
    Processor time has three ends: a timer to the millisecond, which starts over neither at exec nor at the child's
    wish (the filter has no call that sets it); the rlimit, which counts whole seconds; and its hard limit one second
    above, so that a program deaf to both signals meets SIGKILL.
    """
    whole = math.ceil(limits.cpu_s)
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 1, 1),
        (resource.RLIMIT_AS, limits.address_space, limits.address_space),
        (resource.RLIMIT_CPU, whole, whole + 1),
        (resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
