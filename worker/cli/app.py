"""The table of commands, and the one place where an error becomes a line and an exit status."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from worker.cli import (
    demo,
    doctor,
    erase,
    holds,
    parts,
    policy,
    process,
    receipts,
    reconcile,
    restore,
    show,
    status,
    sweep,
    usage,
)
from worker.cli.terminal import DONE, INTERRUPTED, REFUSED, WRONG_USAGE, Terminal
from worker.errors import Defect, MayflyError, Unavailable, UsageRefused

app = typer.Typer(
    name="mayfly",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Each with the line that stands for it in the list of commands; what it does in full is the function's own text.
COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "demo": (demo.demo, "A photo and a video, from upload to observed erasure."),
    "process": (process.process, "Files in, clean renditions out: the main job."),
    "show": (show.show, "One upload: state, copies, last days, events."),
    "up": (parts.up, "Everything in one process, without any server."),
    "worker": (parts.worker, "One class of workers, fed by the broker."),
    "relay": (parts.relay, "Rings for what waits, got lost, or was left."),
    "api": (parts.api, "The HTTP edge alone."),
    "status": (status.status, "Queues, leases, dead letters, what is overdue."),
    "erase": (erase.erase, "Erase a person or an upload, to the receipt."),
    "reconcile": (reconcile.reconcile, "Ledger against storage, both ways; tells, and erases with --apply."),
    "restore": (restore.restore, "After restoring a backup: erase again what was erased since."),
    "verify": (receipts.verify, "Check a receipt offline."),
    "doctor": (doctor.doctor, "Check every dependency; strip and erase live."),
}
for name, (command, line) in COMMANDS.items():
    app.command(name, short_help=line)(command)
due = typer.Typer(help="Erase what is due.")
due.callback(invoke_without_command=True, short_help="Erase what is due; let go what a brake holds back.")(sweep.sweep)
due.command("release", short_help="Let go what waits behind a brake.")(sweep.release)
app.add_typer(due, name="sweep")
dead = typer.Typer(no_args_is_help=True, help="Dead letters: what failed for good, and trying it again.")
dead.command("list")(status.dead_list)
dead.command("requeue")(status.dead_requeue)
app.add_typer(dead, name="dead")
hold = typer.Typer(no_args_is_help=True, help="Legal holds: while one is active, nothing erases the upload.")
hold.command("place")(holds.place)
hold.command("release")(holds.release)
hold.command("list")(holds.list_)
app.add_typer(hold, name="hold")
rules = typer.Typer(no_args_is_help=True, help="What is promised: retention, its change, and the net below it.")
rules.command("show")(policy.show)
rules.command("check")(policy.check)
rules.command("apply")(policy.apply)
rules.command("lifecycle")(policy.lifecycle)
app.add_typer(rules, name="policy")
receipt = typer.Typer(no_args_is_help=True, help="Receipts: their proofs, what past days had, the key that signs.")
receipt.command("show")(receipts.show)
receipt.command("recount")(receipts.recount)
receipt.command("rotate")(receipts.rotate)
app.add_typer(receipt, name="receipt")
restrict = typer.Typer(no_args_is_help=True, help="Restriction (GDPR Art. 18): kept, and not used, until it is lifted.")
restrict.command("place")(holds.restrict)
restrict.command("lift")(holds.lift)
app.add_typer(restrict, name="restrict")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mayfly {version('mayfly')}")
        raise typer.Exit(DONE)


@app.callback()
def _global(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, anywhere on the line.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Upload moderation and media-lifecycle worker: strips, proves, publishes, and erases on time with proof."""
    # `--json` is taken out of the line before it is parsed; here it only stands in the help.
    del as_json, show_version


def run(argv: Sequence[str]) -> int:
    """Run one command. `--json` is global: it may stand anywhere before a lone `--`."""
    words, as_json = _global_json(list(argv))
    terminal = Terminal.standard(as_json=as_json)
    try:
        outcome = app(words, prog_name="mayfly", standalone_mode=False, obj=terminal)
        if outcome == INTERRUPTED:
            raise KeyboardInterrupt
        return outcome if isinstance(outcome, int) else DONE
    except typer.TyperException as error:
        return _usage(terminal, error)
    except (UsageRefused, MayflyError) as error:
        terminal.error(error)
        return WRONG_USAGE if isinstance(error, UsageRefused) else REFUSED
    except (typer.Abort, KeyboardInterrupt):
        terminal.error(
            Unavailable("stopped; what was taken in is kept, and mayfly up goes on with it", code="interrupted")
        )
        return INTERRUPTED
    except OSError as error:
        terminal.error(_system_error(error))
        return REFUSED
    except Exception as error:  # noqa: BLE001  a traceback quotes values, and a value may be a person's (P7)
        terminal.error(Defect(f"a fault of Mayfly: {type(error).__name__} at {_place_of(error)}; please report it"))
        return REFUSED


def _usage(terminal: Terminal, error: typer.TyperException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError" and not terminal.json:
        terminal.err.print(getattr(error, "message", ""), markup=False, soft_wrap=True)
    else:
        terminal.error(usage.refusal(error))
    return WRONG_USAGE


def _system_error(error: OSError) -> MayflyError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("the disk is full; free some space", code="disk_full")
    said = errno.errorcode.get(error.errno or 0, "an unknown error")
    return Unavailable(f"the system refused with {said} at {_place_of(error)}", code="system_error")


def _place_of(error: BaseException) -> str:
    """File and line of our own code, nothing of the message."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"


def _global_json(words: list[str]) -> tuple[list[str], bool]:
    end = words.index("--") if "--" in words else len(words)
    return [word for i, word in enumerate(words) if word != "--json" or i > end], "--json" in words[:end]
