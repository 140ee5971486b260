"""The documentation strings of this machine's Python standard library, as documents.

Modules in Python are parsed, not imported, so nothing of theirs runs; modules in C have no source
to parse, so they are imported and looked at.
"""

import ast
import importlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

from index.documents import Document

SHORTEST = 20  # characters; less is a remark such as "See above."
_PASSED_OVER = frozenset(
    {
        "__main__",
        "distutils",
        "idlelib",
        "lib2to3",
        "ntpath",
        "nturl2path",
        "test",
        "tests",
        "turtledemo",
    }
)
_KNOWN_AS = {"posix": "os", "posixpath": "os.path", "pathlib._local": "pathlib"}
"""Modules that people know by another name."""

NamedDoc = tuple[str, str]  # qualified name and documentation string


def stdlib_documents() -> list[Document]:
    """Collect one document per documented public module, class, function and method.

    Returns:
        Documents in order of their ids, which are qualified names such as
        "collections.OrderedDict.move_to_end". Texts that are equal count once, under the first
        of their ids.
    """
    texts: dict[str, str] = {}
    for name, text in (*_written_in_python(), *_written_in_c()):
        cleaned = inspect.cleandoc(text)
        if len(cleaned) >= SHORTEST:
            texts.setdefault(name, cleaned)
    seen: set[str] = set()
    documents = []
    for name in sorted(texts):
        if texts[name] not in seen:
            seen.add(texts[name])
            documents.append(Document(name, _spelled(name), texts[name]))
    return documents


def _spelled(name: str) -> str:
    """Write a qualified name as words, since people ask in words."""
    return name.replace(".", " ").replace("_", " ")


def _written_in_python() -> Iterator[NamedDoc]:
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        module = _module_name(path.relative_to(library))
        if module:
            yield from _documented(_parsed(path), module)


def _module_name(path: Path) -> str | None:
    """Name the module of a source file, None if it is private, a test or not the library's."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    name = ".".join(parts)
    if name in _KNOWN_AS:
        return _KNOWN_AS[name]
    if not parts or parts[0] not in sys.stdlib_module_names or _PASSED_OVER & set(parts):
        return None
    return None if any(part.startswith("_") for part in parts) else name


def _parsed(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes in other people's strings
        return ast.parse(path.read_bytes(), str(path))


def _documented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[NamedDoc]:
    text = ast.get_docstring(node, clean=False)
    if text:
        yield name, text
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not child.name.startswith("_"):
                yield from _documented(child, f"{name}.{child.name}")


def _written_in_c() -> Iterator[NamedDoc]:
    for module in _c_modules():
        public = _KNOWN_AS.get(module.__name__, module.__name__.lstrip("_"))
        if public not in sys.stdlib_module_names:
            continue
        if module.__doc__ and module.__name__ == public:
            yield public, module.__doc__
        for name, member in sorted(vars(module).items()):
            if not name.startswith("_") and not isinstance(member, ModuleType):
                yield from _member(member, "" if public == "builtins" else f"{public}.", name)


def _c_modules() -> Iterator[ModuleType]:
    folder = Path(sysconfig.get_config_var("DESTSHARED") or "")
    shared = [path.name.split(".")[0] for path in folder.glob(f"*{EXTENSION_SUFFIXES[0]}")]
    for name in sorted({*sys.builtin_module_names, *shared}):
        if name.startswith(("_test", "_xx", "xx")):
            continue
        try:
            yield importlib.import_module(name)
        except ImportError:  # built without a library that it needs, e.g. Tk
            continue


def _member(member: object, prefix: str, name: str) -> Iterator[NamedDoc]:
    if not (inspect.isclass(member) or inspect.isroutine(member)):
        return
    if isinstance(member.__doc__, str):
        yield prefix + name, member.__doc__
    if not inspect.isclass(member):
        return
    for inner, value in sorted(vars(member).items()):
        text = getattr(value, "__doc__", None)
        if not inner.startswith("_") and inspect.isroutine(value) and isinstance(text, str):
            yield f"{prefix}{name}.{inner}", text
