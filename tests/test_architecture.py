"""The house as a machine sees it: sizes, names, fences, and the things that must never be written."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.app import JOBS
from tasks.task import JobTask

ROOT = Path(__file__).parent.parent
PACKAGES = ("worker", "tasks", "storage_backends")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


@functools.cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path))


@functools.cache
def walked(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree(path)))


def nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    return ((path, node) for path in paths for node in walked(path))


def functions(module: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def last_name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_a_file_is_short_says_what_it_is_for_and_has_a_telling_name() -> None:
    for path in FILES:
        assert len(text(path).splitlines()) <= 400, name_of(path)
        assert ast.get_docstring(tree(path)), f"{name_of(path)} does not say what it is for"
        assert path.stem not in {"utils", "base", "common", "helpers", "manager", "misc"}, name_of(path)
        for function in functions(tree(path)):
            assert function.end_lineno is not None
            assert function.end_lineno - function.lineno < 60, f"{name_of(path)}: {function.name} is too long"


def test_files_are_small_on_the_whole() -> None:
    lengths = sorted(len(text(path).splitlines()) for path in FILES if path.stem != "__init__")
    assert lengths[len(lengths) // 2] <= 150


def test_no_timers_no_beat_no_result_and_no_canvas() -> None:
    """Later is a row, not a timer: an ETA lives in a worker's memory, a chord in the broker (P5)."""
    for path, node in nodes(FILES):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.keyword):
            assert node.arg not in {"eta", "countdown", "link", "link_error", "chord"}, where
        if isinstance(node, ast.Call) and last_name(node.func) in {
            "chain",
            "chord",
            "group",
            "AsyncResult",
            "revoke",
            "delay",
        }:
            assert ast.unparse(node.func).startswith("itertools."), where
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("celery.beat"), where


def test_no_error_is_swallowed_and_nothing_is_left_to_do() -> None:
    for path in FILES:
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text(path)), name_of(path)
    for path, node in nodes(FILES):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ExceptHandler):
            assert not (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)), where
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "NotImplementedError" not in ast.unparse(node.exc), where


def test_decoders_are_opened_in_the_jail_only() -> None:
    """`Image.open` and friends stand only in modules that the zygote runs (P6)."""
    inside = {"worker/media/image/render.py", "worker/media/image/gainmap", "worker/media/jail", "worker/media/proof"}
    inside |= {"worker/media/lossless"}
    for path in FILES:
        if re.search(r"Image\.open\(|open_heif\(|register_heif_opener", text(path)):
            assert any(name_of(path).startswith(room) for room in inside), name_of(path)


def test_processes_are_started_in_the_jail_only() -> None:
    for path in FILES:
        if re.search(r"^\s*(import subprocess|from subprocess)|os\.fork\(|os\.exec|posix_spawn", text(path), re.M):
            assert name_of(path).startswith("worker/media/jail/"), name_of(path)


def test_publishing_takes_a_proof_and_stands_in_one_place() -> None:
    """P2: the only call that writes a rendition is `Shelf.publish`, and its signature wants the proof."""
    shelf = tree(ROOT / "worker" / "shelf.py")
    publish = next(function for function in functions(shelf) if function.name == "publish")
    assert any(
        arg.arg == "proof" and ast.unparse(arg.annotation or ast.Name("")) == "Proof" for arg in publish.args.args
    )


def test_a_proof_is_made_in_one_place_only() -> None:
    """P2: elsewhere its name stands in annotations and imports; it is neither called, renamed, copied nor handed on."""
    makers = set()
    for path in FILES:
        module = tree(path)
        spoken = {id(node) for said in _annotations(module) for node in ast.walk(said)}
        for node in ast.walk(module):
            named = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if named == "Proof" and id(node) not in spoken:
                makers.add(name_of(path))
            if isinstance(node, ast.alias) and node.name == "Proof":
                assert node.asname is None, name_of(path)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("replace", "__new__", "__setattr__")):
                assert "proof" not in ast.unparse(node).lower(), f"{name_of(path)}:{node.lineno}"
    assert makers == {"worker/media/proving.py"}


def _annotations(module: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation


def test_bytes_reach_a_location_by_few_doors_and_the_public_one_wants_a_proof() -> None:
    """P1, P2: `Shelf._put` alone writes to a backend: for originals and evidence, which nobody is shown, and for
    `publish`."""
    puts = {
        (name_of(path), function.name)
        for path in FILES
        if not name_of(path).startswith("storage_backends/")
        for function in functions(tree(path))
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".put") and "outbox" not in ast.unparse(call)
    }
    assert puts == {("worker/shelf.py", "_put")}
    doors = {
        function.name: ast.unparse(call)
        for function in functions(tree(ROOT / "worker" / "shelf.py"))
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "self._put"
    }
    assert set(doors) == {"quarantine", "preserve", "publish"}
    assert "ArtifactKind.ORIGINAL" in doors["quarantine"]
    assert "ArtifactKind.EVIDENCE" in doors["preserve"]
    assert "sha256=proof.sha256" in doors["publish"]


def test_tests_and_code_name_no_machine() -> None:
    words = ["/" + "work/", "/" + "root/", "py" + "pi.org", "registry." + "npmjs"]
    assert not [(name_of(path), word) for path in (*FILES, *TESTS) for word in words if word in text(path)]


def test_tests_wait_on_conditions() -> None:
    for path, node in nodes(TESTS):
        if isinstance(node, ast.Call) and last_name(node.func) == "sleep":
            assert ast.unparse(node.func) != "time.sleep", f"{name_of(path)}:{node.lineno}"


def test_every_job_is_in_the_explicit_list_and_every_kind_that_is_asked_for_has_a_job() -> None:
    """Celery's discovery finds nothing in a package called `tasks`, and says nothing about it."""
    written = {
        value
        for path in sorted((ROOT / "tasks").glob("*.py"))
        if path.stem != "__main__"
        for value in vars(importlib.import_module(f"tasks.{path.stem}")).values()
        if isinstance(value, JobTask)
    }
    asked = {
        keyword.value.value
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("leases.create", "leases.hold", "Duty")
        for keyword in node.keywords
        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant)
    }
    assert written == set(JOBS)
    assert len({task.name for task in JOBS}) == len(JOBS)
    assert asked == {task.kind for task in JOBS}
