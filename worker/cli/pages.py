"""The documents of `views` as text for people, readable at 40 columns as well as at 200."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from worker.cli.terminal import NARROW, field, human_bytes, place

_STYLES = {"ready": "green", "erased": "green", "gone": "green", "present": "", "review": "yellow"}
_BAD = "red"
AI = "made with AI, by the file's own word, which the copies no longer carry"


def upload(console: Console, heading: str, document: dict[str, Any], copies: list[dict[str, Any]]) -> None:
    """What became of one file: found and removed, each rendition with its last day, the original."""
    state = str(document["state"])
    headline(console, heading, state, str(document["upload_id"]))
    if document.get("code"):
        field(console, "code", str(document["code"]))
    field(console, "was", _was(document))
    if state == "ready":
        field(console, "removed", words(document["removed"]) or "nothing: none of it was there", style="yellow")
    if document.get("ai_generated"):
        field(console, "label it", AI)
    for entry in document["renditions"]:
        rendition(console, entry)
    for extra in document.get("left_out", []):
        console.print(f"  {extra['name']} left out: {extra['message']}", style="yellow", markup=False, soft_wrap=True)
    for original in copies:
        if original["kind"] == "original":
            field(console, "original", _fate(original))


def headline(console: Console, heading: str, state: str, upload_id: str) -> None:
    """Whose page this is: state first, the id whole."""
    line = Text.assemble((f"{heading}  ", "bold"), (state, f"bold {_STYLES.get(state, _BAD)}"), "  ")
    if console.width < NARROW:
        console.print(line)
        console.print(f"  {upload_id}", soft_wrap=True)
    else:
        console.print(line.append(upload_id), soft_wrap=True)


def rendition(console: Console, entry: dict[str, Any]) -> None:
    """Name, size, last day; below it the path."""
    size = f"{entry['width']}x{entry['height']}" if entry["width"] else ""
    line = f"  {entry['name']:<9} {size:>9}  {human_bytes(entry['bytes'] or 0):>8}"
    lives = f"until {entry['delete_at']}"
    if console.width < NARROW:
        console.print(line, markup=False)
        console.print(f"    {lives}", markup=False)
    else:
        console.print(f"{line}  {entry['media_type'] or '':<10}  {lives}", markup=False, soft_wrap=True)
    place(console, entry.get("path") or entry["url"])


def copy(console: Console, document: dict[str, Any], *, named: str = "") -> None:
    """One copy on a line: what it is, its state, and when it dies or was seen gone."""
    state = str(document["state"])
    what = f"{named}{copy_name(document)}"
    when = f"looked for at {document['gone_at']}" if state == "gone" else f"until {document['delete_at']}"
    head = Text.assemble("  ", (f"{state:<8}", _STYLES.get(state, _BAD)), " ")
    if console.width < NARROW:
        console.print(head.append(what))
        console.print(f"    {when}", markup=False)
    else:
        console.print(head.append(f"{what:<18}  {when}"), soft_wrap=True)
    if document["reason"]:
        console.print(f"    {document['reason']}", markup=False, soft_wrap=True)


def copy_name(document: dict[str, Any]) -> str:
    """`original`, `display`, `poster`, `working copy`."""
    return "working copy" if document["kind"] == "scratch" else str(document["name"])


def event(console: Console, document: dict[str, Any], names: dict[str, str]) -> None:
    """One link of the chain: when, what, of which copy, from which state to which."""
    what = str(document["event"])
    which = names.get(str(document["detail"].get("artifact_id")), "")
    move = " -> ".join(str(state) for state in (document["from"], document["to"]) if state)
    if console.width < NARROW:
        console.print(f"  {document['at'][11:]}  {what}", markup=False, soft_wrap=True)
        if which or move:
            console.print(f"    {which}{': ' if which and move else ''}{move}", markup=False, soft_wrap=True)
    else:
        console.print(f"  {document['at']}  {what:<22}  {which:<13}  {move}".rstrip(), markup=False, soft_wrap=True)


def words(kinds: list[str] | dict[str, int]) -> str:
    """`serial_number` is a name for scripts; people read words."""
    return ", ".join(kind.replace("_", " ") for kind in sorted(kinds))


def _fate(original: dict[str, Any]) -> str:
    if original["state"] == "gone":
        return f"destroyed, and looked for at {original['gone_at']}: gone"
    return f"{original['state']}, kept until {original['delete_at']} at the latest"


def _was(document: dict[str, Any]) -> str:
    parts = [str(document.get("media_type") or "nothing that is known here")]
    if document.get("width"):
        parts.append(f"{document['width']}x{document['height']}")
    if document.get("frames", 1) and document.get("frames", 1) > 1:
        parts.append(f"{document['frames']} frames")
    if document.get("duration_ms"):
        parts.append(f"{document['duration_ms'] / 1000:.1f} s")
    return ", ".join(parts)
