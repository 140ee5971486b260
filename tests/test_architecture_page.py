"""docs/architecture.md says what is: its files exist, and its arrows are imports."""

import re

from tests.folders import ROOT
from tests.imports import graph
from tests.test_architecture import ORDER

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DIAGRAM = PAGE.partition("```mermaid\n")[2].partition("```")[0]


def test_the_arrows_of_the_diagram_are_imports() -> None:
    modules = dict(re.findall(r'(\w+)\["([\w.]+)"\]', DIAGRAM))
    plain = re.sub(r'\["[\w.]+"\]', "", DIAGRAM)
    arrows = re.findall(r"(\w+) (-->|-\.->) (\w+)", plain)
    assert len(arrows) > 20 and len(arrows) == plain.count("->")
    assert not modules.values() - graph().keys(), "the diagram names modules that are not there"
    for start, arrow, end in arrows:
        imports = modules[end] in graph()[modules[start]]
        assert imports == (arrow == "-->"), f"{modules[start]} {arrow} {modules[end]}"


def test_files_and_folders_that_the_page_names_exist() -> None:
    paths = re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)
    assert len(paths) > 30
    own = {"index.py"}  # a user's
    assert [path for path in paths if path not in own and not (ROOT / path).exists()] == []


def test_the_folders_of_packages_stand_in_their_order() -> None:
    for package, parts in ORDER.items():
        row = re.search(rf"^\| `{package}` \|.*\|(.*)\|$", PAGE, re.MULTILINE)
        assert row, package
        named = re.findall(r"`(\w+)`", row[1])
        levels = [part if isinstance(part, set) else {part} for part in parts]
        heights = [next(n for n, level in enumerate(levels) if name in level) for name in named]
        assert heights == sorted(heights)
        folders = {
            path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()
        }
        assert set(named) == folders, package
