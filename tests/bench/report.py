"""How outcomes are told: by code, the dearest, and what must hold after all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.oracle import Verdict
from tests.bench.workshop import READY, Outcome

MIB = 1 << 20


def by_code(console: Console, title: str, outcomes: Sequence[Outcome]) -> None:
    """A row for each code: how many, and the worst of them."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        groups[each.code].append(each)
    table = _table(title, "code", "files", "CPU s, most", "wall s, most", "MB, most", "CPU s, all")
    for code, group in sorted(groups.items(), key=lambda each: (each[0] != READY, -len(each[1]))):
        table.add_row(code, str(len(group)), *_most(group), f"{sum(each.cpu_s for each in group):.1f}")
    table.add_section()
    table.add_row("all", str(len(outcomes)), *_most(outcomes), f"{sum(each.cpu_s for each in outcomes):.1f}")
    console.print(table)


def _most(group: Sequence[Outcome]) -> tuple[str, ...]:
    cpu, wall, peak = (max(getattr(each, name) for each in group) for name in ("cpu_s", "wall_s", "peak"))
    return (f"{cpu:.2f}", f"{wall:.2f}", f"{peak / MIB:.0f}")


def dearest(console: Console, title: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], float]) -> None:
    """The ten with the most of something."""
    table = _table(title, "file", "code", "CPU s", "wall s", "MB")
    for each in sorted(outcomes, key=key, reverse=True)[:10]:
        figures = (f"{each.cpu_s:.2f}", f"{each.wall_s:.2f}", f"{each.peak / MIB:.0f}")
        table.add_row(each.name, each.code, *figures)
    console.print(table)


def held(console: Console, outcomes: Sequence[Outcome], verdict: Verdict, health: Mapping[str, bool]) -> bool:
    """Whether everything that must hold does; each of it is said."""
    good = [each for each in outcomes if each.code == READY]
    clean = [each for each in good if verdict.state(list(each.files.values())) == "clean"]
    said = {f"the judge finds nothing in {len(clean)} of {len(good)} that are ready": clean == good, **health}
    for sentence, true in said.items():
        console.print(f"{'yes' if true else 'NO ':4} {sentence}", highlight=False)
    for each in outcomes:
        if not each.proper or each.left:
            console.print(f"     {each.name}: {each.code}, left behind {each.left}", markup=False, highlight=False)
    for path, findings in verdict.findings.items():
        for finding in findings:
            console.print(f"     LEAK {path.name}: {finding}", markup=False, highlight=False, soft_wrap=True)
    return all(said.values())


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, justify="left" if head in ("file", "code") else "right", overflow="fold")
    return table
