"""The house: which package may import which, how large its folders are, and what is light."""

import ast
import subprocess
import sys
from collections import Counter
from importlib.metadata import packages_distributions

import pytest

from tests.folders import ROOT
from tests.imports import PACKAGES, graph, imported, modules, sources, tree

HEAVY = {
    *("torch", "transformers", "sentence_transformers", "faiss", "numba"),
    *("ir_datasets", "ir_measures", "mteb", "pandas", "sklearn", "datasets"),
}
NOT_FOR_HELP = {*HEAVY, "numpy", "scipy", "safetensors"}
LONGEST = 300  # lines of a file
MOST = 16  # modules of a folder


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


@pytest.mark.parametrize(
    ("importer", "allowed"),
    [
        # An index knows only what vectors and files are.
        ("index", ("embedder.types", "embedder.files")),
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


@pytest.mark.parametrize("folder", ["embedder/text", "embedder/prompts", "eval/data"])
def test_rules_and_texts_are_read_without_torch(folder: str) -> None:
    assert sources(folder)
    for path in sources(folder):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"torch", "transformers"}, f"{path.relative_to(ROOT)}"


def test_no_folder_is_crowded() -> None:
    folders = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    crowded = {str(folder.relative_to(ROOT)): n for folder, n in folders.items() if n > MOST}
    assert not crowded


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
