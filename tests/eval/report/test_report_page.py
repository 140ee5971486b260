"""The page alone: every link arrives, nothing is fetched, every text is escaped, equal bytes."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from embedder.text.printable import printable
from eval.data.qrels import Qrels
from eval.report.gather import ReportOptions
from eval.report.markdown import fenced, plain
from eval.report.write import write_report
from eval.runs.run_config import open_run
from eval.tasks.retrieval import JudgeOptions, judge
from index.documents import Document
from lastword.main import main
from tests.run_folders import ENCODERS, retrieval_folder, sts_folder

VOID = {"meta", "link", "br", "hr", "img", "input"}
FETCHING = {"src", "srcset", "poster", "data", "action", "xlink:href"}


class Page(HTMLParser):
    """What a browser would see: ids, links, references, headings, and whether tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        held = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if held.get("id"):
            self.ids.append(str(held["id"]))
        if tag == "link":
            self.fetched.append(str(held["href"]))
        elif "href" in held:
            self.links.append(str(held["href"]))
        self.fetched += [str(held[name]) for name in FETCHING & held.keys()]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


EVIL = "\x1b[2J\x85\u202e\n<b>"


class EvilCollection:
    """A collection whose every text steers terminals and is no legal HTML."""

    name = "tiny"

    def documents(self) -> Iterator[Document]:
        yield Document(f"d{EVIL}", f"Keys {EVIL}", f"Rotate the keys. {EVIL}\x00")
        yield Document("e", "", "A door, and nothing else.")

    def queries(self) -> dict[str, str]:
        return {f"q{EVIL}": f"rotate keys {EVIL}\x00", "r": "door"}

    def qrels(self) -> Qrels:
        return {f"q{EVIL}": {f"d{EVIL}": 1}, "r": {f"d{EVIL}": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_folder(tmp_path_factory.mktemp("page") / "run")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_folder(tmp_path_factory.mktemp("other") / "words", ("bm25",))


@pytest.fixture(scope="module")
def sts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sts_folder(tmp_path_factory.mktemp("sts") / "pairs")


@pytest.fixture(scope="module")
def more(sts: Path) -> Path:
    return sts_folder(sts.with_name("more"), 0.1)


@pytest.fixture(scope="module")
def most(sts: Path) -> Path:
    return sts_folder(sts.with_name("most"), 0.2)


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    options = ReportOptions(encoders={folder: ENCODERS})
    return write_report([folder], folder.with_name("page.html"), options)[0]


@pytest.mark.parametrize(
    ("names", "queries"),
    [
        (["folder"], 1),
        (["other", "folder"], 1000),
        (["sts"], 1000),
        (["sts", "more", "most", "other"], 0),
    ],
)
def test_every_link_arrives_and_nothing_is_fetched(
    names: list[str], queries: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folders = [request.getfixturevalue(name) for name in names]
    out, markdown = write_report(folders, tmp_path / "r.html", ReportOptions(queries))
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.fetched == ["data:,"]  # no icon is asked for
    assert "script" not in page.tags
    assert "_blank" not in text  # a point leads to its query, not to another page
    assert not re.search(r"url\((?!#)|@import", text)
    drawn = re.findall(r"\]\((r-files/[^)]+)\)", markdown.read_text(encoding="utf-8"))
    assert bool(drawn) == (names != ["sts"])  # one system of pairs is compared with nothing
    assert all((tmp_path / name).is_file() for name in drawn)
    assert page.tags.count("svg") == len(drawn)


def test_texts_are_escaped(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert "Keys</mark> &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script" not in text
    assert "rotating &lt;b&gt;keys&lt;/b&gt;" in text
    assert "{text} &lt;/pre&gt;&lt;script&gt;" in text  # the prompt, whole
    assert '<mark class="bs">keys</mark>' in text
    assert '<mark class="b">Rotate</mark>' in text
    markdown = written.with_suffix(".md").read_text(encoding="utf-8")
    assert r"lock \<b\>the\</b\> door" in markdown


def test_headings_do_not_skip_a_level(written: Path) -> None:
    tags = Page(written.read_text(encoding="utf-8")).tags
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_equal_folders_give_equal_bytes(written: Path, folder: Path, tmp_path: Path) -> None:
    options = ReportOptions(encoders={folder: ENCODERS})
    again, markdown = write_report([folder], tmp_path / "page.html", options)
    assert again.read_bytes() == written.read_bytes()
    assert markdown.read_bytes() == written.with_suffix(".md").read_bytes()
    for drawing in written.with_name("page-files").iterdir():
        assert (tmp_path / "page-files" / drawing.name).read_bytes() == drawing.read_bytes()


def test_the_command_writes_a_page(
    folder: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "r.html"
    assert main(["report", str(other), str(folder), "-o", str(out), "--json"]) == 0
    assert '"queries": 3' in capsys.readouterr().out
    assert out.is_file() and out.with_suffix(".md").is_file()
    assert main(["report", str(other), "-o", str(tmp_path / "r.pdf")]) == 2
    assert "a report is written to a .html file" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_a_page_stands_without_its_folder(written: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.html"
    shutil.copy(written, moved)
    page = Page(moved.read_text())
    assert page.fetched == ["data:,"]
    assert str(written.parent / "page-files") not in moved.read_text()


def test_markdown_takes_texts_as_they_are() -> None:
    assert plain("a|b *c* <d>\n`e` [f](g) #h") == r"a\|b \*c\* \<d\> \`e\` \[f\](g) \#h"
    assert fenced("a ``` b\n", "toml") == "````toml\na ``` b\n````"


def test_control_characters_of_a_collection_are_shown(tmp_path: Path) -> None:
    """A page held raw NUL and ESC, which HTML forbids; an id of two lines looked like one."""
    folders = [tmp_path / f"{name}\x1b\n" for name in ("one", "two")]
    for number, folder in enumerate(folders):
        open_run(folder, {"fusion": "minmax", "note": EVIL}, resume=False)
        options = JudgeOptions(out=folder)
        judge(EvilCollection(), {"bm25": ENCODERS["bm25"]}, tmp_path / f"{number}.index", options)
    page, markdown = write_report(folders, tmp_path / "r.html")
    drawings = sorted((tmp_path / "r-files").iterdir())
    assert drawings
    for path in (page, markdown, *drawings):
        text = path.read_text(encoding="utf-8")
        assert printable(text, keep="\n\t") == text, path
    shown = r"\x1b[2J\x85\u202e\n&lt;b&gt;"
    assert f"<code>d{shown}</code>" in page.read_text(encoding="utf-8")
