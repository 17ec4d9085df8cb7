"""What the command line's parser complains of, in our words: a code, one line, and no word that the user typed.

The parser's own messages quote its input, and that may be a file name or a person's id (P7).
"""

from __future__ import annotations

import difflib
import re

import typer

from worker.errors import UsageRefused

# What looks like an option of ours may be quoted; a file name that begins with a dash does not look like one.
_OPTION = re.compile(r"^--?[a-z][a-z-]{0,30}$")
_HELP = "see mayfly --help"


def refusal(error: typer.TyperException) -> UsageRefused:
    """The error for what the parser found, by the kind of its exception."""
    kind = type(error).__name__
    param = getattr(error, "param", None)
    name = str((getattr(param, "opts", None) or [""])[0])
    if not name.startswith("-"):
        name = str(getattr(param, "metavar", None) or name).rstrip(".")
    if kind == "NoSuchOption":
        return UsageRefused(_no_such_option(error), code="unknown_option")
    if kind == "MissingParameter":
        return UsageRefused(f"{_argument(name)} is missing; {_HELP}", code="missing_argument")
    if kind == "BadParameter":
        return UsageRefused(f"{_argument(name)} takes {_wanted(param)}; {_HELP}", code="bad_argument")
    if kind == "BadOptionUsage":
        return UsageRefused(f"the option {_quoted(error)}needs a value, or takes none; {_HELP}", code="bad_argument")
    if kind == "NoArgsIsHelpError" or str(error).startswith("Missing command"):
        return UsageRefused(f"name a command; {_HELP}", code="missing_argument")
    if "No such command" in str(error):
        return UsageRefused(_no_such_command(error), code="unknown_command")
    return UsageRefused(f"there is a word too many; {_HELP}", code="bad_argument")


def _argument(name: str) -> str:
    return name if name.startswith("-") else name.upper() or "an argument"


def _wanted(param: object) -> str:
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    if least is not None:
        return f"a number from {least}" + (f" to {most}" if most is not None else "")
    return "another kind of value"


def _quoted(error: typer.TyperException) -> str:
    name = str(getattr(error, "option_name", ""))
    return f"{name} " if _OPTION.match(name) else ""


def _no_such_option(error: typer.TyperException) -> str:
    possible = sorted(str(option) for option in getattr(error, "possibilities", None) or ())
    hint = f"did you mean {' or '.join(possible)}?" if possible else f"{_HELP}; a file name goes after a lone --"
    return f"there is no option {_quoted(error)}here; {hint}"


def _no_such_command(error: typer.TyperException) -> str:
    known = getattr(getattr(getattr(error, "ctx", None), "command", None), "commands", {})
    typed = str(error).partition("'")[2].rpartition("'")[0]
    near = difflib.get_close_matches(typed, list(known), n=1)
    return f"there is no such command; did you mean {near[0]}?" if near else f"there is no such command; {_HELP}"
