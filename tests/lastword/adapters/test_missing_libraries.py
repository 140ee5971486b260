"""Without a library its adapter says what to install, and everything else works."""

import subprocess
import sys

import pytest

from tests.folders import ROOT
from tests.test_architecture import HEAVY, modules_after

LIBRARIES = {"langchain": "langchain_core", "llama_index": "llama_index", "haystack": "haystack"}


@pytest.mark.parametrize("adapter", LIBRARIES)
def test_a_missing_library_is_one_line_that_names_the_extra(adapter: str) -> None:
    code = f"""
import sys
sys.modules[{LIBRARIES[adapter]!r}] = None  # as if it were not installed
try:
    import lastword.adapters.{adapter}
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"lastword.adapters.{adapter} needs ")
    assert line.endswith(': pip install "lastword[adapters]"')


def test_adapters_are_imported_by_those_who_want_them() -> None:
    loaded = modules_after("import lastword, lastword.adapters")
    assert not loaded & {*LIBRARIES.values(), *HEAVY}
