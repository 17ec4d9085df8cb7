"""The table of commands, and the one place where an error becomes a line and an exit status."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import click
import typer

from worker.cli import demo, doctor, erase, parts, process, receipts, show, status, sweep
from worker.cli.terminal import DONE, REFUSED, WRONG_USAGE, Terminal
from worker.errors import MayflyError, Unavailable, UsageRefused

app = typer.Typer(
    name="mayfly",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Upload moderation and media-lifecycle worker. `--json` prints one JSON document on standard output.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("process")(process.process)
app.command("show")(show.show)
app.command("up")(parts.up)
app.command("worker")(parts.worker)
app.command("relay")(parts.relay)
app.command("api")(parts.api)
app.command("status")(status.status)
app.command("sweep")(sweep.sweep)
app.command("erase")(erase.erase)
app.command("verify")(receipts.verify)
app.command("doctor")(doctor.doctor)
dead = typer.Typer(no_args_is_help=True, help="Dead letters: what failed for good, and trying it again.")
dead.command("list")(status.dead_list)
dead.command("requeue")(status.dead_requeue)
app.add_typer(dead, name="dead")


def run(argv: Sequence[str]) -> int:
    """Run one command. `--json` is global: it may stand anywhere before a lone `--`."""
    words, as_json = _global_json(list(argv))
    terminal = Terminal.standard(as_json=as_json)
    try:
        outcome = app(words, prog_name="mayfly", standalone_mode=False, obj=terminal)
        return outcome if isinstance(outcome, int) else DONE
    except click.ClickException as error:
        terminal.error(UsageRefused(f"{error.format_message()} (see mayfly --help)"))
        return WRONG_USAGE
    except UsageRefused as error:
        terminal.error(error)
        return WRONG_USAGE
    except MayflyError as error:
        terminal.error(error)
        return REFUSED
    except (click.Abort, KeyboardInterrupt):
        terminal.error(Unavailable("stopped; what was begun goes on at the next start", code="interrupted"))
        return 130
    except OSError as error:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "system_error"
        terminal.error(
            Unavailable(f"the system refused: {errno.errorcode.get(error.errno or 0, 'unknown')}", code=code)
        )
        return REFUSED


def _global_json(words: list[str]) -> tuple[list[str], bool]:
    end = words.index("--") if "--" in words else len(words)
    return [word for i, word in enumerate(words) if word != "--json" or i > end], "--json" in words[:end]
