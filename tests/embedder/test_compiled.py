"""Machine code that is kept goes with the text of every file that it may have been made of."""

from pathlib import Path

from embedder.compiled import digest_sources
from tests.folders import ROOT
from tests.imports import graph


def test_code_is_kept_by_the_text_of_its_folder() -> None:
    """A function that had changed in one file went on running inside callers in another."""
    from index.channels.pruning.search import search_range

    place = Path(search_range.stats.cache_path)  # type: ignore[attr-defined]
    assert f"compiled-{digest_sources(ROOT / 'index' / 'channels')}" in place.parts


def test_every_file_of_a_folder_counts(tmp_path: Path) -> None:
    def digest() -> str:
        digest_sources.cache_clear()
        return digest_sources(tmp_path)

    (tmp_path / "deep").mkdir()
    seen = {digest()}
    for name, text in (("a.py", "1"), ("deep/b.py", "1"), ("deep/b.py", "2"), ("a.txt", "1")):
        (tmp_path / name).write_text(text)
        seen.add(digest())
    assert len(seen) == 4, "all but the text file"


def test_compiled_code_calls_that_of_its_own_folder_alone() -> None:
    imports = graph()
    compiling = {name for name, others in imports.items() if "embedder.compiled" in others}
    assert compiling
    for name in compiling:
        for other in imports[name] & compiling:
            assert name.split(".")[:2] == other.split(".")[:2], f"{name} imports {other}"
