"""The system calls that the filters name, with their numbers and what becomes of each.

One row a call: name, x86-64, aarch64 (None where it has no such call), for pictures, for tools. For pictures what is
not named is refused; for tools what is not named is allowed. `clone`, `kill` and the like are judged by argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ALLOW = "allow"  # pictures need it
THREADS = "threads"  # only the threads that libheif, libde265 and libaom start need it
KILL = "kill"  # no decoder has an innocent reason: the child dies at once, and its SIGSYS rings an alarm
DENY = "deny"  # files and TCP are Landlock's; this is what Landlock does not see: UDP, processes, owners, stat's kin
OTHER = ""


class Call(NamedTuple):
    name: str
    x86_64: int
    aarch64: int | None
    image: str
    tool: str


CALLS = (
    Call("accept", 43, 202, OTHER, DENY),
    Call("accept4", 288, 242, OTHER, DENY),
    Call("acct", 163, 89, OTHER, DENY),
    Call("add_key", 248, 217, OTHER, DENY),
    Call("adjtimex", 159, 171, OTHER, DENY),
    Call("bind", 49, 200, OTHER, DENY),
    Call("bpf", 321, 280, OTHER, DENY),
    Call("brk", 12, 214, ALLOW, OTHER),
    Call("capset", 126, 91, OTHER, DENY),
    Call("chmod", 90, None, OTHER, DENY),
    Call("chown", 92, None, OTHER, DENY),
    Call("chroot", 161, 51, OTHER, DENY),
    Call("clock_adjtime", 305, 266, OTHER, DENY),
    Call("clock_gettime", 228, 113, ALLOW, OTHER),
    Call("clock_settime", 227, 112, OTHER, DENY),
    Call("clone", 56, 220, OTHER, OTHER),
    Call("clone3", 435, 435, OTHER, OTHER),
    Call("close", 3, 57, ALLOW, OTHER),
    Call("connect", 42, 203, OTHER, DENY),
    Call("delete_module", 176, 106, OTHER, DENY),
    Call("execve", 59, 221, KILL, OTHER),
    Call("execveat", 322, 281, KILL, OTHER),
    Call("exit", 60, 93, ALLOW, OTHER),
    Call("exit_group", 231, 94, ALLOW, OTHER),
    Call("fanotify_init", 300, 262, OTHER, DENY),
    Call("fchmod", 91, 52, OTHER, DENY),
    Call("fchmodat", 268, 53, OTHER, DENY),
    Call("fchmodat2", 452, 452, OTHER, DENY),
    Call("fchown", 93, 55, OTHER, DENY),
    Call("fchownat", 260, 54, OTHER, DENY),
    Call("finit_module", 313, 273, OTHER, DENY),
    Call("fork", 57, None, KILL, DENY),
    Call("fremovexattr", 199, 16, OTHER, DENY),
    Call("fsconfig", 431, 431, OTHER, DENY),
    Call("fsetxattr", 190, 7, OTHER, DENY),
    Call("fsmount", 432, 432, OTHER, DENY),
    Call("fsopen", 430, 430, OTHER, DENY),
    Call("fspick", 433, 433, OTHER, DENY),
    Call("fstat", 5, 80, ALLOW, OTHER),
    Call("futex", 202, 98, ALLOW, OTHER),
    Call("futimesat", 261, None, OTHER, DENY),
    Call("getpid", 39, 172, ALLOW, OTHER),
    Call("getrandom", 318, 278, ALLOW, OTHER),
    Call("getrusage", 98, 165, ALLOW, OTHER),
    Call("gettid", 186, 178, ALLOW, OTHER),
    Call("gettimeofday", 96, 169, ALLOW, OTHER),
    Call("init_module", 175, 105, OTHER, DENY),
    Call("inotify_add_watch", 254, 27, OTHER, DENY),
    Call("io_uring_enter", 426, 426, OTHER, DENY),
    Call("io_uring_register", 427, 427, OTHER, DENY),
    Call("io_uring_setup", 425, 425, KILL, DENY),
    Call("ioperm", 173, None, OTHER, DENY),
    Call("iopl", 172, None, OTHER, DENY),
    Call("ioprio_set", 251, 30, OTHER, DENY),
    Call("kcmp", 312, 272, OTHER, DENY),
    Call("kexec_file_load", 320, 294, OTHER, DENY),
    Call("kexec_load", 246, 104, OTHER, DENY),
    Call("keyctl", 250, 219, OTHER, DENY),
    Call("kill", 62, 129, OTHER, OTHER),
    Call("landlock_add_rule", 445, 445, OTHER, DENY),
    Call("landlock_create_ruleset", 444, 444, OTHER, DENY),
    Call("landlock_restrict_self", 446, 446, OTHER, DENY),
    Call("lchown", 94, None, OTHER, DENY),
    Call("link", 86, None, OTHER, DENY),
    Call("linkat", 265, 37, OTHER, DENY),
    Call("listen", 50, 201, OTHER, DENY),
    Call("lookup_dcookie", 212, 18, OTHER, DENY),
    Call("lremovexattr", 198, 15, OTHER, DENY),
    Call("lseek", 8, 62, ALLOW, OTHER),
    Call("lsetxattr", 189, 6, OTHER, DENY),
    Call("madvise", 28, 233, ALLOW, OTHER),
    Call("mbind", 237, 235, OTHER, DENY),
    Call("membarrier", 324, 283, THREADS, OTHER),
    Call("memfd_create", 319, 279, OTHER, DENY),
    Call("memfd_secret", 447, 447, OTHER, DENY),
    Call("migrate_pages", 256, 238, OTHER, DENY),
    Call("mknod", 133, None, OTHER, DENY),
    Call("mknodat", 259, 33, OTHER, DENY),
    Call("mmap", 9, 222, ALLOW, OTHER),
    Call("modify_ldt", 154, None, OTHER, DENY),
    Call("mount", 165, 40, KILL, DENY),
    Call("mount_setattr", 442, 442, OTHER, DENY),
    Call("move_mount", 429, 429, OTHER, DENY),
    Call("move_pages", 279, 239, OTHER, DENY),
    Call("mprotect", 10, 226, THREADS, OTHER),
    Call("mq_open", 240, 180, OTHER, DENY),
    Call("mq_unlink", 241, 181, OTHER, DENY),
    Call("mremap", 25, 216, ALLOW, OTHER),
    Call("msgctl", 71, 187, OTHER, DENY),
    Call("msgget", 68, 186, OTHER, DENY),
    Call("msgrcv", 70, 188, OTHER, DENY),
    Call("msgsnd", 69, 189, OTHER, DENY),
    Call("munmap", 11, 215, ALLOW, OTHER),
    Call("name_to_handle_at", 303, 264, OTHER, DENY),
    Call("nfsservctl", 180, 42, OTHER, DENY),
    Call("open_by_handle_at", 304, 265, OTHER, DENY),
    Call("open_tree", 428, 428, OTHER, DENY),
    Call("perf_event_open", 298, 241, OTHER, DENY),
    Call("personality", 135, 92, OTHER, DENY),
    Call("pidfd_getfd", 438, 438, OTHER, DENY),
    Call("pidfd_open", 434, 434, OTHER, DENY),
    Call("pidfd_send_signal", 424, 424, OTHER, DENY),
    Call("pivot_root", 155, 41, OTHER, DENY),
    Call("poll", 7, None, ALLOW, OTHER),
    Call("ppoll", 271, 73, ALLOW, OTHER),
    Call("prctl", 157, 167, OTHER, OTHER),
    Call("pread64", 17, 67, ALLOW, OTHER),
    Call("prlimit64", 302, 261, OTHER, OTHER),
    Call("process_madvise", 440, 440, OTHER, DENY),
    Call("process_mrelease", 448, 448, OTHER, DENY),
    Call("process_vm_readv", 310, 270, KILL, DENY),
    Call("process_vm_writev", 311, 271, KILL, DENY),
    Call("ptrace", 101, 117, KILL, DENY),
    Call("quotactl", 179, 60, OTHER, DENY),
    Call("quotactl_fd", 443, 443, OTHER, DENY),
    Call("read", 0, 63, ALLOW, OTHER),
    Call("readv", 19, 65, ALLOW, OTHER),
    Call("reboot", 169, 142, OTHER, DENY),
    Call("recvmmsg", 299, 243, OTHER, DENY),
    Call("removexattr", 197, 14, OTHER, DENY),
    Call("request_key", 249, 218, OTHER, DENY),
    Call("rseq", 334, 293, THREADS, OTHER),
    Call("rt_sigaction", 13, 134, THREADS, OTHER),
    Call("rt_sigprocmask", 14, 135, THREADS, OTHER),
    Call("rt_sigqueueinfo", 129, 138, OTHER, DENY),
    Call("rt_sigreturn", 15, 139, ALLOW, OTHER),
    Call("rt_tgsigqueueinfo", 297, 240, OTHER, DENY),
    Call("sched_getaffinity", 204, 123, THREADS, OTHER),
    Call("sched_setaffinity", 203, 122, OTHER, DENY),
    Call("sched_setattr", 314, 274, OTHER, DENY),
    Call("sched_setparam", 142, 118, OTHER, DENY),
    Call("sched_setscheduler", 144, 119, OTHER, DENY),
    Call("sched_yield", 24, 124, ALLOW, OTHER),
    Call("seccomp", 317, 277, OTHER, DENY),
    Call("semctl", 66, 191, OTHER, DENY),
    Call("semget", 64, 190, OTHER, DENY),
    Call("semop", 65, 193, OTHER, DENY),
    Call("semtimedop", 220, 192, OTHER, DENY),
    Call("sendmmsg", 307, 269, OTHER, DENY),
    Call("sendmsg", 46, 211, OTHER, DENY),
    Call("sendto", 44, 206, OTHER, DENY),
    Call("set_mempolicy", 238, 237, OTHER, DENY),
    Call("set_robust_list", 273, 99, THREADS, OTHER),
    Call("setdomainname", 171, 162, OTHER, DENY),
    Call("setfsgid", 123, 152, OTHER, DENY),
    Call("setfsuid", 122, 151, OTHER, DENY),
    Call("setgid", 106, 144, OTHER, DENY),
    Call("setgroups", 116, 159, OTHER, DENY),
    Call("sethostname", 170, 161, OTHER, DENY),
    Call("setns", 308, 268, KILL, DENY),
    Call("setpriority", 141, 140, OTHER, DENY),
    Call("setregid", 114, 143, OTHER, DENY),
    Call("setresgid", 119, 149, OTHER, DENY),
    Call("setresuid", 117, 147, OTHER, DENY),
    Call("setreuid", 113, 145, OTHER, DENY),
    Call("settimeofday", 164, 170, OTHER, DENY),
    Call("setuid", 105, 146, OTHER, DENY),
    Call("setxattr", 188, 5, OTHER, DENY),
    Call("shmat", 30, 196, OTHER, DENY),
    Call("shmctl", 31, 195, OTHER, DENY),
    Call("shmdt", 67, 197, OTHER, DENY),
    Call("shmget", 29, 194, OTHER, DENY),
    Call("sigaltstack", 131, 132, THREADS, OTHER),
    Call("socket", 41, 198, KILL, DENY),
    Call("socketpair", 53, 199, KILL, DENY),
    Call("swapoff", 168, 225, OTHER, DENY),
    Call("swapon", 167, 224, OTHER, DENY),
    Call("symlink", 88, None, OTHER, DENY),
    Call("symlinkat", 266, 36, OTHER, DENY),
    Call("syslog", 103, 116, OTHER, DENY),
    Call("tgkill", 234, 131, OTHER, OTHER),
    Call("tkill", 200, 130, OTHER, DENY),
    Call("truncate", 76, 45, OTHER, DENY),
    Call("umount2", 166, 39, KILL, DENY),
    Call("unshare", 272, 97, KILL, DENY),
    Call("uselib", 134, None, OTHER, DENY),
    Call("userfaultfd", 323, 282, OTHER, DENY),
    Call("utime", 132, None, OTHER, DENY),
    Call("utimensat", 280, 88, OTHER, DENY),
    Call("utimes", 235, None, OTHER, DENY),
    Call("vfork", 58, None, KILL, DENY),
    Call("vhangup", 153, 58, OTHER, DENY),
    Call("write", 1, 64, ALLOW, OTHER),
    Call("writev", 20, 66, ALLOW, OTHER),
)

# Calls newer than this table was read for (Linux 6.6) do not exist for a tool.
NEWEST = 452


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`audit` is the kernel's name of the architecture (AUDIT_ARCH_*); `x32` that its calls have a second numbering."""

    name: str
    audit: int
    x32: bool

    def number(self, call: str) -> int | None:
        """The call's number here; KeyError for a call that is not in the table."""
        return self._numbers()[call]

    def _numbers(self) -> dict[str, int | None]:
        return {call.name: call.x86_64 if self.name == "x86_64" else call.aarch64 for call in CALLS}

    def images(self, verdict: str) -> list[int]:
        return self._some(call.name for call in CALLS if call.image == verdict)

    def tools(self, verdict: str) -> list[int]:
        return self._some(call.name for call in CALLS if call.tool == verdict)

    def _some(self, names: Iterable[str]) -> list[int]:
        numbers = self._numbers()
        return [number for name in names if (number := numbers[name]) is not None]


MACHINES = {
    "x86_64": Machine(name="x86_64", audit=0xC000003E, x32=True),
    "aarch64": Machine(name="aarch64", audit=0xC00000B7, x32=False),
}
