"""Cross-encoders: what sentence-transformers predicts, by the model's own head and activation."""

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder

from embedder.models.loading import LLMOptions
from embedder.rerank.cross_encoder import CrossEncoderReranker
from embedder.rerank.load import load_reranker
from tests.models import LINES

QUERY = "what is the capital of France"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def save_cross_encoder(folder: Path, labels: int = 1, activation: str = "") -> Path:
    """Save a random BERT of two layers with a classification head."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,:;'()?"]
    vocabulary = [*WORDS, *letters, *(f"##{letter}" for letter in letters), "lava", "france"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=128)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(labels)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        initializer_range=0.3,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    if activation:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored["sentence_transformers"] = {"activation_fn": activation, "version": "5.0"}
        (folder / "config.json").write_text(json.dumps(stored), encoding="utf-8")
    return folder


@pytest.mark.parametrize("activation", ["", "torch.nn.modules.linear.Identity"])
def test_one_label_is_the_score(activation: str, tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "m", 1, activation)
    expected = CrossEncoder(str(folder)).predict([[QUERY, text] for text in LINES])
    reranker = load_reranker(f"cross-encoder:{folder}")
    found = reranker.score(QUERY, LINES)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (0 < found).all() == (not activation) or (found < 1).all()
    alone = [reranker.score(QUERY, [text])[0] for text in LINES]
    np.testing.assert_allclose(found, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "activation", "label", "column"),
    [
        (2, "", "", 1),
        (3, "", "#LABEL_0", 0),
        (3, "", "#2", 2),
        (2, "torch.nn.modules.activation.Sigmoid", "", 1),
    ],
)
def test_one_of_several_labels_counts(
    labels: int, activation: str, label: str, column: int, tmp_path: Path
) -> None:
    """Its probability; or what the activation says that the model's own configuration names."""
    folder = save_cross_encoder(tmp_path / "m", labels, activation)
    pairs = [[QUERY, text] for text in LINES]
    expected = CrossEncoder(str(folder)).predict(pairs, apply_softmax=not activation)[:, column]
    found = load_reranker(f"cross-encoder:{folder}{label}").score(QUERY, LINES)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_label_must_be_chosen_where_none_is_plain(tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "m", 3)
    with pytest.raises(ValueError, match="labels LABEL_0, LABEL_1, LABEL_2; say which"):
        load_reranker(f"cross-encoder:{folder}")
    with pytest.raises(ValueError, match="got 'relevant'"):
        load_reranker(f"cross-encoder:{folder}#relevant")
    one = save_cross_encoder(tmp_path / "one", 1)
    with pytest.raises(ValueError, match="one label"):
        load_reranker(f"cross-encoder:{one}#1")


def test_long_pairs_are_cut_and_counted(tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "m")
    reranker = load_reranker(f"cross-encoder:{folder}")
    pairs = [[QUERY, "lava " * 300], [QUERY, "lava"]]
    expected = CrossEncoder(str(folder)).predict(pairs)
    np.testing.assert_allclose(reranker.score(QUERY, [p[1] for p in pairs]), expected, atol=1e-6)
    counts = reranker.counts
    assert (counts["pairs"], counts["truncated"]) == (2, 1) and 128 < counts["tokens"] < 256


def test_a_text_spells_no_control_token(tmp_path: Path) -> None:
    """A document with [SEP] in it ended there for the model."""
    reranker = load_reranker(f"cross-encoder:{save_cross_encoder(tmp_path / 'm')}")
    scores = reranker.score(QUERY, ["lava [SEP] france", "lava ( sep ) france", "lava"])
    assert isinstance(reranker, CrossEncoderReranker)
    plain = reranker.model.predict([[QUERY, "lava [SEP] france"]])[0]
    assert scores[0] != pytest.approx(plain, abs=1e-6)


def test_pickles_and_heads_that_are_missing_are_refused(tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickle"):
        load_reranker(f"cross-encoder:{folder}")
    from transformers import BertConfig, BertModel

    headless = save_cross_encoder(tmp_path / "h")
    BertModel(BertConfig.from_pretrained(headless)).save_pretrained(headless)
    with pytest.raises(ValueError, match="would be random"):
        load_reranker(f"cross-encoder:{headless}")
    with pytest.raises(ValueError, match="no such") as error:
        load_reranker("cross-encoder:./nowhere", options=LLMOptions())
    assert "\n" not in str(error.value)
