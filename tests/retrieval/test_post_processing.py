"""An index whose rows are post-processed: fitted once, kept, and used by every search."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import PostRules
from embedder.types import Encoder, Float32Array, Representation, Role, fingerprint_of
from index.channels.post_fit import PostFit
from index.documents import Document
from index.folder import Index, check
from index.manifest import Passages
from index.manifest_file import MANIFEST
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index, refit_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.passages.cutting import passage_text, spans
from retrieval.post_fitting import RowSample, fit_post
from retrieval.pseudo_queries import TextSample
from retrieval.retriever import Retriever
from tests.synthetic import SignEncoder, documents, queries

RULES = PostRules(count=40)
SMALL = BuildOptions(segment_documents=60, window=7)


class PromptedSigns(SignEncoder):
    """Signs that are read by a prompt with [post]; queries are shifted, as other words do."""

    def __init__(self, rules: PostRules | None = RULES) -> None:
        super().__init__()
        self.prompt = replace(load_prompt("prompteol"), post=rules)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(kind="prompted signs", post=str(self.prompt.post))

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        rows = super().encode(texts, role)
        assert rows.dense is not None
        moved = rows.dense + np.float32(0.5 if role is Role.QUERY else 0.3)
        return replace(rows, dense=moved / np.linalg.norm(moved, axis=1, keepdims=True))


def built(path: Path, rules: PostRules | None = RULES, n: int = 150) -> dict[str, Encoder]:
    encoders: dict[str, Encoder] = {"dense": PromptedSigns(rules), "bm25": BM25Encoder()}
    build_index(documents(n), encoders, path, SMALL)
    return encoders


def fit_in(path: Path) -> PostFit:
    with Index.open(path) as index:
        fit = index.channels["dense"].post
    assert fit is not None
    return fit


def raw(docs: Sequence[Document], role: Role = Role.DOCUMENT) -> Float32Array:
    dense = PromptedSigns().encode([document.content for document in docs], role).dense
    assert dense is not None
    return dense


def scores(path: Path, encoders: dict[str, Encoder]) -> Float32Array:
    """Return the score of every document for every query, by a search."""
    with Index.open(path) as index:
        ids = index.ids()
        run = Retriever(index, {"dense": encoders["dense"]}).search(queries(), len(ids))
    return np.array([[run[query][name] for name in ids] for query in run], np.float32)


@pytest.mark.parametrize("rules", [RULES, PostRules(remove=3, dim=20, count=64), None])
def test_a_search_is_that_of_changed_rows(tmp_path: Path, rules: PostRules | None) -> None:
    encoders = built(tmp_path / "i", rules)
    asked = PromptedSigns().encode(list(queries().values()), Role.QUERY).dense
    assert asked is not None
    rows = raw(list(documents(150)))
    if rules is not None:
        fit = fit_in(tmp_path / "i")
        assert fit.width == (rules.dim or 64)
        rows, asked = fit.change(rows, Role.DOCUMENT), fit.change(asked, Role.QUERY)
    np.testing.assert_allclose(scores(tmp_path / "i", encoders), asked @ rows.T, atol=1e-5)
    with Index.open(tmp_path / "i") as index:
        explained = Retriever(index, {"dense": encoders["dense"]}).explain(queries()["q3"], "d140")
    assert explained.score == pytest.approx(float(asked[3] @ rows[140]), abs=1e-5)
    assert check(tmp_path / "i") == []


def test_the_fit_is_of_a_sample_of_the_first_segment(tmp_path: Path) -> None:
    built(tmp_path / "i")
    first, sample = list(documents(60)), TextSample(RULES)
    sample.add(document.content for document in first)
    drawn = [first[number] for number in sample.numbers]
    asked = PromptedSigns().encode(sample.queries(), Role.QUERY).dense
    assert asked is not None
    expected = fit_post(RowSample(raw(drawn), asked), RULES)
    assert fit_in(tmp_path / "i").digest == expected.digest


def test_added_documents_and_a_merge_keep_the_fit(tmp_path: Path) -> None:
    encoders = built(tmp_path / "i", n=100)
    before = fit_in(tmp_path / "i").digest
    add_documents(documents(50, start=100), encoders, tmp_path / "i", SMALL)
    later = scores(tmp_path / "i", encoders)
    with IndexWriter(tmp_path / "i") as writer:
        writer.merge()
        writer.commit()
    assert fit_in(tmp_path / "i").digest == before
    np.testing.assert_array_equal(scores(tmp_path / "i", encoders), later)
    whole = built(tmp_path / "whole")  # whose first segment is the same
    np.testing.assert_allclose(scores(tmp_path / "whole", whole), later, atol=1e-6)


def test_an_interrupted_build_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def broken() -> list[Document]:
        return [*documents(100), Document("bad", "", "")]

    built(tmp_path / "whole")
    encoders: dict[str, Encoder] = {"dense": PromptedSigns(), "bm25": BM25Encoder()}
    with pytest.raises(ValueError, match="'bad'"):
        build_index(broken(), encoders, tmp_path / "i", SMALL)
    other: dict[str, Encoder] = {**encoders, "dense": PromptedSigns(PostRules(remove=1))}
    with pytest.raises(ValueError, match="made by another encoder than the one given:\n  post: "):
        build_index(documents(150), other, tmp_path / "i", SMALL)
    built(tmp_path / "i")
    same = [(tmp_path / name / "segments").rglob("*") for name in ("i", "whole")]
    for one, two in zip(*map(sorted, same), strict=True):
        assert one.is_dir() or one.read_bytes() == two.read_bytes()
    assert fit_in(tmp_path / "i").digest == fit_in(tmp_path / "whole").digest


@pytest.mark.parametrize("rules", [RULES, PostRules(dim=20)])
def test_too_few_documents_stay_as_read_until_a_refit(tmp_path: Path, rules: PostRules) -> None:
    """A prompt whose default is [post] could not index a handful of notes."""
    encoders: dict[str, Encoder] = {"dense": PromptedSigns(rules)}
    report = build_index(documents(15), encoders, tmp_path / "i")
    assert report.counts["dense"]["unfitted"] == 15
    more = add_documents(documents(30, start=15), encoders, tmp_path / "i")
    assert more.counts["dense"]["unfitted"] == 30
    asked = raw([Document("q", "", text) for text in queries().values()], Role.QUERY)
    expected = asked @ raw(list(documents(45))).T
    np.testing.assert_allclose(scores(tmp_path / "i", encoders), expected, atol=1e-5)
    assert "unfitted" not in refit_index(tmp_path / "i", encoders).counts["dense"]
    assert fit_in(tmp_path / "i").width == (rules.dim or 64) and check(tmp_path / "i") == []


def test_rows_that_nothing_is_left_of_are_counted(tmp_path: Path) -> None:
    """Thirty equal texts are their own mean: the channel scored them 0, and nobody was told."""
    encoders: dict[str, Encoder] = {"dense": PromptedSigns(), "bm25": BM25Encoder()}
    same = [Document(f"s{at}", "", "the same text") for at in range(33)]
    report = build_index(same[:30], encoders, tmp_path / "i")
    assert (
        report.counts["dense"]["nothing_left"] == 30 and "nothing_left" not in report.counts["bm25"]
    )
    more = [*same[30:], Document("other", "", "other words")]
    assert add_documents(more, encoders, tmp_path / "i").counts["dense"]["nothing_left"] == 3
    assert not scores(tmp_path / "i", encoders)[:, :33].any()
    unlike = build_index(documents(30), encoders, tmp_path / "unlike")
    assert "nothing_left" not in unlike.counts["dense"]


@pytest.mark.parametrize("rules", [PostRules(dim=65), PostRules(count=16, dim=40)])
def test_a_refused_build_leaves_no_folder(tmp_path: Path, rules: PostRules) -> None:
    """Encoded rows, which a run that is continued reads, stayed in a folder without an index."""
    encoders: dict[str, Encoder] = {"dense": PromptedSigns(rules)}
    with pytest.raises(ValueError, match=r"^\[post\] "):
        build_index(documents(40), encoders, tmp_path / "i", BuildOptions(cache=True))
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "SQ8"])
def test_passages_and_replaced_documents_are_changed_too(tmp_path: Path, factory: str) -> None:
    encoders: dict[str, Encoder] = {"dense": PromptedSigns()}
    options = BuildOptions(
        {"dense": ChannelOptions("dense", factory)}, window=7, passages=Passages(3, 1)
    )
    build_index(documents(60), encoders, tmp_path / "i", options)
    with Index.open(tmp_path / "i") as index:
        fit, total = index.channels["dense"].post, index.rows("dense")
        assert fit is not None and total > 60
    changed = [Document("d3", "", "umber violet"), Document("new", "", "")]
    settings = replace(options, on_known="replace", on_empty="keep")
    add_documents(changed, encoders, tmp_path / "i", settings)
    with Index.open(tmp_path / "i") as index:
        held = [index.vectors("dense", document.id) for document in changed]
        sixth = index.vectors("dense", "d6")
    expected = fit.change(raw(changed), Role.DOCUMENT)
    np.testing.assert_allclose(np.concatenate(held), expected, atol=1e-6)
    sixth_document = next(documents(1, start=6))
    texts = [
        passage_text(sixth_document, span) for span in spans(sixth_document.text, Passages(3, 1))
    ]
    rows = PromptedSigns().encode(texts, Role.DOCUMENT).dense
    assert rows is not None
    np.testing.assert_allclose(sixth, fit.change(rows, Role.DOCUMENT), atol=1e-6)


def test_a_fit_is_decoded_once_when_an_index_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was decoded to be checked, and again to be used, and at every copy of its spec."""
    encoders = built(tmp_path / "i")
    decode, calls = PostFit.from_text, []

    def spied(text: str) -> PostFit:
        calls.append(text)
        return decode(text)

    monkeypatch.setattr(PostFit, "from_text", staticmethod(spied))
    with Index.open(tmp_path / "i") as index:
        Retriever(index, {"dense": encoders["dense"]}).search(queries(), 3)
    assert len(calls) == 1


def test_a_manifest_without_post_processing_is_as_it_was(tmp_path: Path) -> None:
    built(tmp_path / "i", rules=None)
    content = json.loads((tmp_path / "i" / MANIFEST).read_text())["content"]
    assert all("post" not in channel for channel in content["channels"])
    assert "post" not in json.dumps(content["ingest"])


def test_a_changed_fit_is_damage(tmp_path: Path) -> None:
    built(tmp_path / "i")
    path = tmp_path / "i" / MANIFEST
    text = path.read_text()
    at = text.index('"post"') + 200
    path.write_text(text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :])
    assert "checksum does not fit" in check(tmp_path / "i")[0]
