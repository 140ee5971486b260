"""The rooms and the arrows between them, as the design has them."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.folders import ROOT

LAYERS = ("embedder", "index", "retrieval", "eval", "tuning", "lastword")
HEAVY = {
    *("torch", "transformers", "sentence_transformers", "faiss", "numba"),
    *("ir_datasets", "ir_measures", "mteb", "pandas", "sklearn", "datasets"),
}
NOT_FOR_HELP = {*HEAVY, "numpy", "scipy", "safetensors"}
LONGEST = 300  # lines


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> list[str]:
    """Name every module that a file imports, wherever in the file."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
    return names


def modules_after(code: str) -> set[str]:
    """Run code in a process of its own and name the top-level modules it has loaded."""
    program = (
        f"import sys\n{code}\nprint('\\n' + ' '.join({{m.split('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_left(layer: str) -> None:
    forbidden = {*LAYERS[LAYERS.index(layer) + 1 :], "tests", "benchmarks"}
    found = sources(layer)
    assert found
    for path in found:
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & forbidden, f"{path.relative_to(ROOT)} imports {roots & forbidden}"


def test_an_index_knows_only_what_vectors_and_files_are() -> None:
    for path in sources("index"):
        ours = {name for name in imported(path) if name.split(".")[0] == "embedder"}
        allowed = {"embedder.types", "embedder.files.durable", "embedder.files.config_file"}
        assert ours <= allowed, f"{path.name} imports {ours}"


def test_text_rules_and_models_are_reached_through_no_private_name() -> None:
    for layer in LAYERS:
        for path in sources(layer):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LAYERS):
                    private = [alias.name for alias in node.names if alias.name.startswith("_")]
                    assert not private, f"{path.relative_to(ROOT)} imports {private}"


@pytest.mark.parametrize("folder", [*LAYERS, "tests", "benchmarks"])
def test_every_file_is_short_and_says_its_job(folder: str) -> None:
    for path in sources(folder):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines; split it"
        if text:
            assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} says no job"


@pytest.mark.parametrize("layer", LAYERS)
def test_importing_a_package_is_light(layer: str) -> None:
    assert not modules_after(f"import {layer}") & HEAVY


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
    for layer in LAYERS:
        assert set(owners.get(layer, [])) <= {"lastword"}, f"{layer}: {owners[layer]}"
        assert layer not in sys.stdlib_module_names


def test_no_pickle_and_no_evaluation_of_data() -> None:
    for layer in LAYERS:
        for path in sources(layer):
            roots = {name.split(".")[0] for name in imported(path)}
            assert not roots & {"pickle", "marshal", "shelve", "dill", "joblib"}, path
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in {"eval", "exec"}, path
                if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                    assert isinstance(node.value, ast.Constant) and node.value.value is False, path
