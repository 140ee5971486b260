"""The house: which package may import which, how large its folders are, and what is light."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.folders import ROOT
from tests.imports import PACKAGES, circles, graph, imported, modules, sources, tree

HEAVY = {
    *("torch", "transformers", "sentence_transformers", "faiss", "numba"),
    *("ir_datasets", "ir_measures", "mteb", "pandas", "sklearn", "datasets"),
}
NOT_FOR_HELP = {*HEAVY, "numpy", "scipy", "safetensors"}
LONGEST = 300  # lines of a file
MOST = 16  # modules of a folder
# Lowest first: a module may import its own part and lower ones; parts of one set are independent.
ORDER: dict[str, list[str | set[str]]] = {
    "embedder": [
        {
            "arguments",
            "compiled",
            "environment",
            "files",
            "locks",
            "module_path",
            "progress",
            "role",
        },
        "types",
        *("text", "prompts", "inputs", "checkpoints", "remote", "models", "methods", "lucene"),
        *("encoders", "cluster", "light", "rerank", "inspect", "train"),
    ],
    "index": ["storage", "filters", "base", "topk", "channels", "lucene", "merge"],
    "retrieval": [
        {"run", "sources"},
        "passages",
        "counting",
        "feedback",
        "outside",
        "milvus",
        "explain",
        "retriever",
        "rerank",
        "exchange",
        "planning",
        "sync",
    ],
    "eval": [
        *("data", "measures", "statistics", "runs", "tasks"),
        {"fusion", "synthesis", "overlap", "robustness"},
        *("matrix", "report"),
    ],
    "tuning": [
        *("search", "proposers", "objectives"),
        *({"options", "first_prompts"}, "choose_proposers", "setup", "report", "outcome", "run"),
        "unjudged",
    ],
    "lastword": ["engine", "adapters", "server", "agents", "cli", "commands", "app", "main"],
}


def modules_after(code: str) -> set[str]:
    """Run code in a process of its own and name the top-level modules it has loaded."""
    program = (
        f"import sys\n{code}\nprint('\\n' + ' '.join({{m.split('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_left(package: str) -> None:
    forbidden = {*PACKAGES[PACKAGES.index(package) + 1 :], "tests", "benchmarks"}
    assert sources(package)
    for path in sources(package):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & forbidden, f"{path.relative_to(ROOT)} imports {roots & forbidden}"


@pytest.mark.parametrize("package", ORDER)
def test_parts_of_a_package_import_downwards(package: str) -> None:
    level = {
        part: height
        for height, parts in enumerate(ORDER[package])
        for part in (parts if isinstance(parts, set) else {parts})
    }
    for name, others in graph().items():
        for other in others:
            (top, part), (there, lower) = name_and_part(name), name_and_part(other)
            if top == there == package and part in level and lower in level and part != lower:
                assert level[lower] < level[part], f"{name} imports {other}"


def name_and_part(module: str) -> tuple[str, str]:
    return module.split(".")[0], ".".join(module.split(".")[1:2])


def test_groups_of_commands_do_not_import_each_other() -> None:
    prefix = "lastword.commands."
    for name, others in graph().items():
        for other in others:
            if name.startswith(prefix) and other.startswith(prefix):
                assert name.split(".")[2] == other.split(".")[2], f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == [["a", "b", "c"]]
    assert circles(graph()) == []


@pytest.mark.parametrize(
    ("importer", "allowed"),
    [
        # An index knows only what vectors and files are, how code is compiled and Java is reached.
        ("index", ("embedder.types", "embedder.files", "embedder.compiled", "embedder.lucene.jvm")),
        # The search for prompts knows no retrieval.
        ("tuning.search", ("embedder", "eval.statistics", "tuning.search")),
        (
            "tuning.proposers",
            ("embedder", "eval.statistics", "tuning.search", "tuning.proposers"),
        ),
    ],
)
def test_what_may_be_known(importer: str, allowed: tuple[str, ...]) -> None:
    allowed = (*allowed, importer)
    importers = [name for name in graph() if f"{name}.".startswith(f"{importer}.")]
    assert importers
    for name in importers:
        for other in graph()[name]:
            assert f"{other}.".startswith(tuple(f"{one}." for one in allowed)), f"{name}: {other}"


@pytest.mark.parametrize(
    "folder",
    ["embedder/files", "embedder/text", "embedder/prompts", "eval/data", "retrieval/sources"],
)
def test_rules_and_texts_are_read_without_torch(folder: str) -> None:
    assert sources(folder)
    for path in sources(folder):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"torch", "transformers"}, f"{path.relative_to(ROOT)}"


def test_inputs_are_made_without_torch() -> None:
    """They are given a tokenizer of transformers, which type checkers alone may import."""
    for path in sources("embedder/inputs"):
        assert "torch" not in {name.split(".")[0] for name in imported(path)}, path.name
        for_types = {
            inner
            for node in ast.walk(tree(path))
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node not in for_types:
                # The worker is a process of its own, which renders as transformers does.
                ours = not (node.module or "").startswith("transformers")
                assert ours or path.name == "template_worker.py", path.name


def test_no_folder_is_crowded() -> None:
    folders = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    crowded = {str(folder.relative_to(ROOT)): n for folder, n in folders.items() if n > MOST}
    assert not crowded


def test_a_class_name_means_one_thing() -> None:
    """A class, or an alias of a type, is named once in all packages; "_" makes no other name."""
    places: dict[str, set[str]] = {}
    for module, path in modules().items():
        for name in class_names(path):
            places.setdefault(name.lstrip("_"), set()).add(module)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert twice == {}


def class_names(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if ast.unparse(node.value).startswith("TypeVar("):
                continue
            if name.lstrip("_")[:1].isupper() and not name.isupper():
                yield name


def test_text_rules_and_models_are_reached_through_no_private_name() -> None:
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGES):
                    private = [alias.name for alias in node.names if alias.name.startswith("_")]
                    assert not private, f"{path.relative_to(ROOT)} imports {private}"


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks"])
def test_every_file_is_short_and_says_its_job(folder: str) -> None:
    for path in sources(folder):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines; split it"
        if text:
            assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} says no job"


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_is_light(package: str) -> None:
    assert not modules_after(f"import {package}") & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        "embedder.types",
        "embedder.prompts.prompt",
        "index.folder",
        "retrieval.fusion",
        "eval.data.local",
    ],
)
def test_modules_that_need_no_model_are_light(module: str) -> None:
    assert not modules_after(f"import {module}") & (HEAVY - {"numba"})


@pytest.mark.parametrize("arguments", [["--help"], ["index", "--help"], ["search", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = modules_after(f"from lastword.main import main\nassert main({arguments}) == 0")
    assert not loaded & NOT_FOR_HELP


def test_nobody_else_owns_our_package_names() -> None:
    """A wheel that brings a top-level `eval` or `index` would shadow ours, or be shadowed."""
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"lastword"}, f"{package}: {owners[package]}"
        assert package not in sys.stdlib_module_names


def test_no_pickle_and_no_evaluation_of_data() -> None:
    for package in PACKAGES:
        for path in sources(package):
            roots = {name.split(".")[0] for name in imported(path)}
            assert not roots & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in {"eval", "exec"}, path
                if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                    assert isinstance(node.value, ast.Constant) and node.value.value is False, path
