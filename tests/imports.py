"""Who imports whom among our own modules, read from the files without running them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.folders import ROOT

PACKAGES = ("embedder", "index", "retrieval", "eval", "tuning", "lastword")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for package in PACKAGES for path in sources(package)}


def imported(path: Path) -> Iterator[str]:
    """Name every module that a file imports, wherever in the file, `TYPE_CHECKING` included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inner & modules().keys() or {node.module}


@cache
def graph() -> dict[str, set[str]]:
    """Map every module of ours to those of ours that it imports."""
    return {
        name: {other for other in imported(path) if other in modules()} - {name}
        for name, path in modules().items()
    }


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Find the strongly connected components of more than one node (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in sorted(edges[node]):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            circle = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(edges):
        if node not in number:
            visit(node)
    return found
