"""Examples run: of public names of `lastword`, methods of its classes, and what they return."""

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from embedder.text_encoder import TextEncoder
from eval.statistics.comparison import Comparison
from lastword.open_documents import OpenDocuments
from retrieval.explain import Explanation
from tests.eval.tasks.test_beir import write_collection
from tuning.search.result import TuningOutcome

CLASSES = (lw.SearchEngine, OpenDocuments, lw.SearchHits, lw.Hit, lw.Evaluation, TextEncoder)
RESULTS = (Comparison, Explanation, TuningOutcome)
TEXTS = ["green tea is steeped for three minutes", "rotate the key at night"]
PAIRS = "score\tsentence1\tsentence2\n5\ta cat\tthe cat\n1\ta cat\tthe sea\n3\ttea\thot tea\n"


def list_public() -> Iterator[tuple[str, Any]]:
    yield "lastword", lw
    for name in lw.__all__:
        yield name, getattr(lw, name)
    for result in RESULTS:
        yield result.__name__, result
    for owner in CLASSES:
        if owner is TextEncoder:
            yield owner.__name__, owner
        for name, value in vars(owner).items():
            if not name.startswith("_") and (inspect.isfunction(value) or type(value) is property):
                yield f"{owner.__name__}.{name}", value


PUBLIC = dict(list_public())


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return lw.load_encoder("bundled")


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(
    name: str, encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an example `index` is one of the two texts, and `encoder` the bundled model's."""
    monkeypatch.chdir(tmp_path)
    write_collection(tmp_path / "path" / "to" / "tiny")
    (tmp_path / "path" / "to" / "pairs.tsv").write_text(PAIRS)
    (tmp_path / "notes").mkdir()
    for file in ("keys.md", "tea.txt", "old.pdf"):
        (tmp_path / "notes" / file).write_text("rotate the key")
    names = {"lw": lw, "encoder": encoder, "index": lw.build(tmp_path / "i.index", TEXTS, encoder)}
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(PUBLIC[name], name, module=False, globs=names)
    assert example.examples, f"{name} has no example"
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
