"""docs/adapters.md runs, block by block, and prints what the index finds."""

import re
from typing import Any

import pytest

from tests.folders import ROOT

PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
SETUP, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
LIBRARIES = ["langchain_core", "llama_index.core", "haystack", "sklearn"]
PRINTED = "1 rotate the key at night 1.0"


@pytest.mark.parametrize(("library", "block"), zip(LIBRARIES, BLOCKS, strict=True))
def test_a_block_of_the_page_runs(
    library: str, block: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library, reason="needs lastword[adapters]")
    names: dict[str, Any] = {}
    exec(SETUP + block, names)
    printed = capsys.readouterr().out.strip()
    assert printed == ("[0]" if library == "sklearn" else PRINTED)


def test_the_page_names_the_versions_that_were_tested_together() -> None:
    constraints = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    for name, checked in re.findall(r"([\w-]+) (\d[\d.]*\d)", PAGE.partition("## ")[0]):
        assert constraints[name] == checked
