"""The fetcher has to run where nothing is installed but an old Python: what that forbids in its sources."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
OLDEST = (3, 9)


def modules_behind(name: str) -> dict[str, ast.Module]:
    """All modules of this project that importing `name` brings in, parsed as the oldest Python would."""
    found: dict[str, ast.Module] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop()
        path = REPOSITORY / (module.replace(".", "/") + ".py")
        path = path if path.exists() else REPOSITORY / module.replace(".", "/") / "__init__.py"
        if module in found or not path.exists():
            continue
        found[module] = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST)
        for imported in imports(found[module]):
            waiting += [imported, imported.rpartition(".")[0]]
    return found


def imports(tree: ast.Module) -> set[str]:
    """Every name that a module imports, at any depth; `from a import b` gives a and a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_only_the_standard_library_is_imported():
    """No module that fetch.py leads to needs anything installed, nor a module younger than Python 3.9."""
    modules = modules_behind("images.fetch")
    assert {"images.mirrors.debian", "images.lock.lockfile", "images.download"} <= set(modules)
    for module, tree in modules.items():
        roots = {name.partition(".")[0] for name in imports(tree)}
        assert roots <= {"images", *sys.stdlib_module_names}, module
        assert "tomllib" not in roots, module


def test_annotations_are_never_evaluated():
    """`X | None` is fine on Python 3.9 only in annotations that stay text: in every module that has any."""
    for module, tree in modules_behind("images.fetch").items():
        annotated = any(isinstance(node, (ast.AnnAssign, ast.FunctionDef, ast.arg)) for node in ast.walk(tree))
        assert not annotated or "__future__" in imports(tree) or module == "images.errors", module


def test_an_old_python_would_refuse_young_syntax():
    """The check above can fail: a match statement is a syntax error for it."""
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n  case 1: pass\n", feature_version=OLDEST)
