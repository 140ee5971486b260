"""A sparse sentence-transformers model from its rows to ranked documents, by brute force."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from embedder.encoders.sbert import SbertEncoder
from embedder.prompts.files import parse_prompt
from embedder.types import Role
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import build_index
from retrieval.retriever import Retriever

WORDS = "a man guitar plays the stock fell lava volcano hot query :".split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = [
    "a man plays the guitar",
    "the stock fell",
    "hot lava",
    "the volcano : hot hot lava",
    "guitar stock",
    "a man fell",
    "unknown words only",
]
QUERIES = {"q1": "hot volcano", "q2": "the man", "q3": "guitar : stock"}


@pytest.fixture(scope="module")
def splade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splade")
    (folder / "vocab.txt").write_text("\n".join([*SPECIALS, *WORDS]))
    bert = folder / "bert"
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(bert)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(SPECIALS) + len(WORDS), hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=16, initializer_range=0.5,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(bert)
    SparseEncoder(modules=[MLMTransformer(str(bert)), SpladePooling()]).save(str(folder / "model"))
    return folder / "model"


def rows(splade: Path, texts: list[str]) -> np.ndarray:
    """Pool ln(1 + relu(logit)) by its maximum over a text's tokens (Formal et al., SIGIR 2021)."""
    tokenizer = BertTokenizerFast.from_pretrained(splade)
    model = BertForMaskedLM.from_pretrained(splade).eval()
    pooled = []
    for text in texts:
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        pooled.append(torch.log1p(torch.relu(logits)).amax(0).numpy())
    return np.stack(pooled)


def test_sparse_rows_are_the_largest_saturated_logits(splade: Path) -> None:
    encoder = SbertEncoder.load(str(splade))
    got = encoder.encode(TEXTS, Role.DOCUMENT)
    assert got.dense is None and got.sparse is not None
    assert np.abs(got.sparse.toarray() - rows(splade, TEXTS)).max() < 1e-6
    assert encoder.term_names([6, 7], []) == {6: "man", 7: "guitar"}
    empty = encoder.encode([], Role.QUERY)
    assert empty.sparse is not None and empty.sparse.shape == (0, len(SPECIALS) + len(WORDS))


def test_a_prompt_is_read_with_the_text(splade: Path) -> None:
    prompt = parse_prompt(
        'name = "p"\n[query]\ntemplate = "query : {text}"\n[document]\ntemplate = "{text}"'
    )
    encoder = SbertEncoder.load(str(splade), prompt=prompt)
    got = encoder.encode(["hot lava"], Role.QUERY).sparse
    assert got is not None
    assert np.abs(got.toarray() - rows(splade, ["query : hot lava"])).max() < 1e-6
    assert encoder.fingerprint != SbertEncoder.load(str(splade)).fingerprint


def test_search_gives_the_dot_products(splade: Path, tmp_path: Path) -> None:
    documents = [Document(str(at), "", text) for at, text in enumerate(TEXTS)]
    encoder = SbertEncoder.load(str(splade))
    build_index(documents, {"sparse": encoder}, tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        run = Retriever(index, {"sparse": encoder}).search(QUERIES, len(TEXTS))
    scores = rows(splade, list(QUERIES.values())) @ rows(splade, TEXTS).T
    for at, query in enumerate(QUERIES):
        want = {str(doc): float(score) for doc, score in enumerate(scores[at])}
        assert run[query] == pytest.approx(want, rel=1e-4)
        assert list(run[query]) == sorted(want, key=lambda doc: -want[doc])


def test_the_command_line_indexes_and_searches(
    splade: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"_id": str(at), "text": text}) for at, text in enumerate(TEXTS)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    index = ["index", str(tmp_path / "texts.jsonl"), "-o", str(tmp_path / "i"), "--quiet"]
    assert main([*index, "--embedder", f"sbert:{splade}", "--channels", "sparse"]) == 0
    capsys.readouterr()
    assert main(["search", str(tmp_path / "i"), "hot volcano", "--json", "--quiet"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    scores = (rows(splade, ["hot volcano"]) @ rows(splade, TEXTS).T)[0]
    assert [hit["id"] for hit in hits] == [str(at) for at in np.argsort(-scores)]
