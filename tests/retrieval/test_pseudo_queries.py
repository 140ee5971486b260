"""Queries of another wording than an index was fitted with are centred by their own mean."""

import json
import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import PostRules
from embedder.types import Encoder, Float32Array, Representation, Role, fingerprint_of, unit_rows
from index.folder import Index
from index.manifest_file import MANIFEST, read_manifest, write_manifest
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index, refit_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.pseudo_queries import TextSample, cut_query, read_query_fit
from retrieval.retriever import Retriever
from tests.synthetic import SignEncoder, documents, queries, word_signs

FREE = BuildOptions({"dense": ChannelOptions("dense", "Flat", query_prompt_free=True)})


class WordedSigns(SignEncoder):
    """Signs that are read by a prompt with [post]; each wording shifts queries its own way."""

    def __init__(self, wording: str, rules: PostRules | None = None) -> None:
        super().__init__(query_prompt=wording)
        self.prompt = replace(load_prompt("prompteol"), post=rules or PostRules(count=40))

    @property
    def fingerprint(self) -> str:
        facts = {"query_prompt": self.query_prompt, "post": str(self.prompt.post)}
        return fingerprint_of(kind="worded signs", **facts)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        rows = super().encode(texts, role)
        assert rows.dense is not None
        shift = word_signs(self.query_prompt if role is Role.QUERY else "document") / 4
        return replace(rows, dense=unit_rows(rows.dense + shift.astype(np.float32)))


def built(path: Path, wording: str = "A", rules: PostRules | None = None, n: int = 100) -> Path:
    build_index(documents(n), {"dense": WordedSigns(wording, rules)}, path, FREE)
    return path


def dense(encoder: Encoder, texts: Sequence[str], role: Role) -> Float32Array:
    rows = encoder.encode(list(texts), role).dense
    assert rows is not None
    return rows


def scores(path: Path, encoder: Encoder) -> Float32Array:
    """Return the score of every document for every query, by a search."""
    with Index.open(path) as index:
        ids = index.ids()
        run = Retriever(index, {"dense": encoder}).search(queries(), len(ids))
    return np.array([[run[query][name] for name in ids] for query in run], np.float32)


def test_another_wording_is_centred_by_the_mean_of_its_own_pseudo_queries(tmp_path: Path) -> None:
    """It was centred by the index's wording, and judged too low."""
    spec = read_manifest(built(tmp_path / "a")).channels["dense"]
    assert spec.post is not None and len(spec.pseudo_queries) == 40
    other = WordedSigns("B")
    drawn = dense(other, spec.pseudo_queries, Role.QUERY)
    fit = replace(spec.post, means=np.stack([spec.post.means[0], drawn.mean(axis=0)]))
    asked = fit.change(dense(other, [*queries().values()], Role.QUERY), Role.QUERY)
    texts = [document.content for document in documents(100)]
    rows = fit.change(dense(other, texts, Role.DOCUMENT), Role.DOCUMENT)
    np.testing.assert_allclose(scores(tmp_path / "a", other), asked @ rows.T, atol=1e-5)
    with Index.open(tmp_path / "a") as index:
        explained = Retriever(index, {"dense": other}).explain(queries()["q3"], "d70")
    assert explained.score == pytest.approx(float(asked[3] @ rows[70]), abs=1e-5)
    anew = read_manifest(built(tmp_path / "b", "B")).channels["dense"]
    assert anew.post is not None and anew.pseudo_queries == spec.pseudo_queries
    read = read_query_fit(spec, other)
    assert read is not None
    np.testing.assert_array_equal(read.means, anew.post.means)


def test_its_pseudo_queries_are_read_once(tmp_path: Path) -> None:
    encoders = {wording: WordedSigns(wording) for wording in "AB"}
    with Index.open(built(tmp_path / "i")) as index:
        for _ in range(2):
            for encoder in encoders.values():
                retriever = Retriever(index, {"dense": encoder})
                retriever.fuse([{"q": {}}])  # reads nothing
                retriever.search(queries(), 5)
    read = {wording: len(encoder.texts) for wording, encoder in encoders.items()}
    assert read == {"A": 2 * 20, "B": 2 * 20 + 40}


def test_a_fit_that_does_not_centre_stays(tmp_path: Path) -> None:
    rules = PostRules(center=False, remove=1, count=40)
    spec = read_manifest(built(tmp_path / "i", rules=rules)).channels["dense"]
    other = WordedSigns("B", rules)
    assert read_query_fit(spec, other) is spec.post and other.texts == []


def test_an_index_without_pseudo_queries_opens_and_says_what_it_lacks(tmp_path: Path) -> None:
    """Indexes were post-processed before they kept their pseudo-queries."""
    manifest = read_manifest(built(tmp_path / "i"))
    old = {"dense": replace(manifest.channels["dense"], pseudo_queries=())}
    write_manifest(tmp_path / "i", replace(manifest, channels=old))
    assert "pseudo_queries" not in (tmp_path / "i" / MANIFEST).read_text()
    other = WordedSigns("B")
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, {"dense": other})
        with pytest.warns(UserWarning, match="keeps no pseudo-queries") as told:
            retriever.search(queries(), 5)
            Retriever(index, {"dense": other}).search(queries(), 5)
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Retriever(index, {"dense": WordedSigns("A")}).search(queries(), 5)
        assert len(other.texts) == 2 * 20
    refit_index(tmp_path / "i", {"dense": WordedSigns("A")})
    assert len(read_manifest(tmp_path / "i").channels["dense"].pseudo_queries) == 40


def test_a_wording_that_is_written_into_the_index_brings_its_mean(tmp_path: Path) -> None:
    other = WordedSigns("B")
    before = scores(built(tmp_path / "i"), other)
    with IndexWriter(tmp_path / "i") as writer:
        spec = writer.manifest.channels["dense"]
        post = read_query_fit(spec, other)
        writer.read_queries_by(replace(spec, fingerprint=other.fingerprint, post=post))
        writer.commit()
    encoder = WordedSigns("B")
    np.testing.assert_array_equal(scores(tmp_path / "i", encoder), before)
    assert len(encoder.texts) == 20
    add_documents(documents(5, start=100), {"dense": encoder}, tmp_path / "i")
    with IndexWriter(tmp_path / "i") as writer:
        writer.merge()
        writer.commit()
    np.testing.assert_array_equal(scores(tmp_path / "i", encoder)[:, :100], before)
    first = WordedSigns("A")
    np.testing.assert_allclose(  # and the first wording still has its own
        scores(tmp_path / "i", first)[:, :100], scores(built(tmp_path / "a"), first), atol=1e-6
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"post": "lwpost"}, "post.*not base64"),
        ({"post": {"means": []}}, "post must be a text"),
        ({"post": 3}, "post must be a text"),
        ({"pseudo_queries": "words"}, "pseudo_queries must be a list"),
        ({"pseudo_queries": ["a"] * 10_001}, "at most 10000 pseudo-queries"),
    ],
)
def test_a_manifest_is_not_believed(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    from index.manifest import Manifest

    content = read_manifest(built(tmp_path / "i")).to_json()
    content["channels"][0] |= changed
    with pytest.raises(ValueError, match=message) as caught:
        Manifest.from_json(json.loads(json.dumps(content)))
    assert "\n" not in str(caught.value)


def test_pseudo_queries_are_cut_from_texts() -> None:
    source = random.Random(1)
    text = " ".join(f"word{at}" for at in range(90))
    for _ in range(50):
        query = cut_query(text, source)
        assert query in text and 5 <= len(query.split()) <= 16
    assert cut_query("two words", source) == "two words"
    assert 15 <= len(cut_query("字" * 400, source)) <= 48


def test_a_pseudo_query_is_short_whatever_a_word_is() -> None:
    """An index keeps them: sixteen words of a megabyte each would be its manifest."""
    assert len(cut_query(" ".join(["x" * 100_000] * 20), random.Random(0))) == 1000


def test_blank_texts_are_not_drawn() -> None:
    sample = TextSample(PostRules(count=16))
    sample.add(["", " ", *("text here" for _ in range(100))])
    assert len(sample.numbers) == 16 and min(sample.numbers) > 1
    assert sample.queries() == ["text here"] * 16
