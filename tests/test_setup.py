"""Setting up: the Makefile installs once, and what the README promises is there."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.folders import GOLDEN, ROOT
from tests.imports import PACKAGES, imported, modules

SETUP_FILES = ("Makefile", "pyproject.toml", "constraints.txt", "models.txt")
PLAIN = {"PATH": os.environ.get("PATH", "")}  # no VENV, PYTHON or MAKEFLAGS of a make around us


def made(folder: Path, *arguments: str) -> str:
    """Say what make would run in a folder, without running it."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    done = subprocess.run(
        ["make", "-n", *arguments],
        cwd=folder,
        env=PLAIN,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A checkout whose environment was set up after its files were written."""
    for name in SETUP_FILES:
        shutil.copy(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (1, 1))
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for number, name in enumerate(
        ("installed-cpu-dev", "installed-models", "installed-lucene"), start=2
    ):
        (tmp_path / ".venv" / name).touch()
        os.utime(tmp_path / ".venv" / name, (number, number))
    return tmp_path


@pytest.mark.parametrize("target", ["test", "demo", "lint", "types", "check", "bench"])
def test_every_target_sets_up_first(tmp_path: Path, target: str) -> None:
    for name in SETUP_FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    plan = made(tmp_path, target)
    assert "-m venv" in plan
    assert "pip install" in plan


@pytest.mark.parametrize("target", ["test", "demo", "check"])
def test_the_second_run_installs_nothing(installed: Path, target: str) -> None:
    plan = made(installed, target)
    assert "pip install" not in plan
    assert "venv .venv" not in plan


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(installed: Path, changed: str) -> None:
    (installed / changed).touch()
    assert "pip install" in made(installed, "test")


def test_other_extras_are_installed_beside(installed: Path) -> None:
    assert '".[cpu,dev,train]"' in made(installed, "test", "EXTRAS=cpu,dev,train")


def test_a_python_that_does_not_fit_is_named_with_the_way_out(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    for name in SETUP_FILES[1:]:
        (tmp_path / name).touch()
    command = ["make", "setup", "PYTHON=/bin/false"]
    done = subprocess.run(command, cwd=tmp_path, env=PLAIN, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_check_runs_lint_types_and_tests(installed: Path) -> None:
    plan = made(installed, "check")
    for step in ("ruff check .", "ruff format --check .", "mypy", "pytest"):
        assert step in plan


def test_ci_runs_the_test_command_of_the_readme_and_the_checks() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in ("make demo", "make test"):
        assert re.search(rf"^{line}\b", readme, re.MULTILINE), f"README lacks {line}"
    assert re.findall(r"^make (\w+)$", text, re.MULTILINE) == ["lint", "types", "test"]


def test_the_torch_that_was_tested_is_pinned_apart_from_its_range() -> None:
    """A bare torch pulls gigabytes of CUDA packages; the range stays open for GPU machines."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(re.match(r"torch>=", need) for need in project["dependencies"])
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_wheel_lists_our_packages_and_their_data() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = wheel["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == list(PACKAGES)


def test_every_package_of_an_extra_is_used() -> None:
    """Extras named lucene, milvus, ray and serve once promised features that had no code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert {"cpu", "gpu", "mteb", "train", "dev"} <= extras.keys()
    used = {name.split(".")[0] for path in modules().values() for name in imported(path)}
    used.add("httptools")  # uvicorn parses requests by it
    for path in modules().values():  # packages of which files are read, and Java's
        used |= set(re.findall(r'find_spec\("(\w+)"\)', path.read_text(encoding="utf-8")))
    for extra in extras.keys() - {
        "cpu",
        "gpu",
        "dev",
        "adapters",
    }:  # for tests; faiss has other names
        for need in extras[extra]:
            package = re.split(r"[><=!;\[ ]", need)[0].replace("-", "_")
            package = {"pyjnius": "jnius"}.get(package, package)
            assert package in used, f"no code imports {package} of the extra {extra}"


def test_goldens_are_small_and_stay_out_of_packages() -> None:
    sizes = [path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()]
    assert 1_000_000 < sum(sizes) <= 2_000_000
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = project["tool"]["hatch"]["build"]["targets"]
    assert targets["sdist"]["exclude"] == ["tests/data"]
    assert "tests" not in targets["wheel"]["packages"]
