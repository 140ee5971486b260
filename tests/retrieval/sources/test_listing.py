"""Which files a source has: ignore files, patterns, hidden names, links, ids, and digests."""

import os
from pathlib import Path

import pytest

from retrieval.sources.items import Skipped
from retrieval.sources.listing import digest_files, list_files
from retrieval.sources.options import SourceOptions


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def ids(*sources: str | Path, **options: object) -> list[str]:
    return [file.id for file in list_files(sources, SourceOptions(**options)).files]  # type: ignore[arg-type]


def test_ignore_files_hold_below_their_folder_and_the_deeper_comes_first(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "keep.log", "sub/b.log", "sub/c.txt", "build/x.txt", "sub/build/y.txt")
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\n/build/\n")
    (tmp_path / "sub" / ".gitignore").write_text("!b.log\n")
    (tmp_path / "sub" / ".lastwordignore").write_text("c.txt\n")
    assert ids(tmp_path) == ["keep.log", "sub/b.log", "sub/build/y.txt"]
    assert len(ids(tmp_path, ignore_files=False)) == 6
    rules = [one for one in list_files([tmp_path]).skipped if one.kind == "rules"]
    assert [Path(one.name).name for one in rules] == ["a.log", "build", "c.txt"]


def test_include_and_exclude(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b.txt", "drafts/c.md", "x/d.md")
    assert ids(tmp_path, include=("*.md",), exclude=("drafts/",)) == ["a.md", "x/d.md"]
    assert ids(tmp_path, include=("/x/**", "b.*")) == ["b.txt", "x/d.md"]
    make(tmp_path, "z.zip", "z.tar.gz")
    assert ids(tmp_path, include=("*.txt",)) == ["b.txt", "z.tar.gz", "z.zip"]  # for their members
    assert ids(tmp_path / "b.txt", include=("*.md",)) == ["b.txt"]  # it was named


def test_hidden_files_and_links_by_option(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", ".b.txt", ".git/config", ".c/d.txt")
    (tmp_path / "link").symlink_to(tmp_path / ".c")
    assert ids(tmp_path) == ["a.txt", "link/d.txt"]
    assert ids(tmp_path, hidden=True) == [".b.txt", ".c/d.txt", "a.txt"]
    assert ids(tmp_path, links="skip") == ["a.txt"]
    kinds = {one.kind for one in list_files([tmp_path], SourceOptions(links="skip")).skipped}
    assert kinds == {"hidden", "links"}


def test_several_sources_and_patterns(tmp_path: Path) -> None:
    root = make(tmp_path, "one/a.txt", "one/sub/b.md", "two/a.txt", "two/c.md")
    second = (root / "two" / "a.txt").as_posix().lstrip("/")
    assert ids(root / "one", root / "two") == ["a.txt", "sub/b.md", second, "c.md"]
    assert ids(str(root / "**" / "*.md")) == ["one/sub/b.md", "two/c.md"]
    assert ids(root / "one", root / "one", root / "one" / "a.txt") == ["a.txt", "sub/b.md"]
    with pytest.raises(ValueError, match="matches no file"):
        ids(str(root / "*.pdf"))
    with pytest.raises(FileNotFoundError):
        ids(root / "gone")
    os.mkfifo(root / "pipe")
    with pytest.raises(ValueError, match="a device, a pipe or a socket"):
        ids(root / "pipe")


def test_a_file_whose_name_as_given_is_taken_is_called_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where docs/a.md was a.md already, the named ./a.md was left out."""
    make(tmp_path, "docs/a.md", "a.md")
    monkeypatch.chdir(tmp_path)
    full = (tmp_path / "a.md").as_posix().lstrip("/")
    assert ids("docs", "a.md") == ["a.md", full]


def test_a_folder_that_cannot_be_read_loses_no_other(tmp_path: Path) -> None:
    make(tmp_path, "a/x.txt", "b/y.txt")
    (tmp_path / "a").chmod(0)
    try:
        listed = list_files([tmp_path])
    finally:
        (tmp_path / "a").chmod(0o755)
    assert [file.id for file in listed.files][-1] == "b/y.txt"  # root reads a/x.txt, too
    assert all(isinstance(one, Skipped) and one.kind == "unreadable" for one in listed.skipped)


def test_digests_are_of_bytes_and_follow_a_move(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b.txt")
    before = digest_files(list_files([tmp_path]).files)
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    (tmp_path / "b.txt").write_text("changed")
    after = digest_files(list_files([tmp_path]).files)
    assert after["c.txt"] == before["a.txt"] and after["b.txt"] != before["b.txt"]
    files = list_files([tmp_path]).files
    (tmp_path / "c.txt").unlink()
    assert digest_files(files)["c.txt"] == ""
