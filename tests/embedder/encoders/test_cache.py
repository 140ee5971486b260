"""A cached encoder gives the same bytes, and forgives files that were cut off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from embedder.encoders.cached import CachedEncoder
from embedder.models.loading import LLMOptions
from embedder.types import Encoder, Representation, Role, fingerprint_of
from tests.models import load_llm


class Lengths:
    """A real small encoder: a text's length in two dense and one sparse way; it counts calls."""

    def __init__(self, name: str = "lengths") -> None:
        self.calls = 0
        self.fingerprint = fingerprint_of(kind=name)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.calls += 1
        sizes = np.array([len(text) + 1 for text in texts], dtype=np.float32)
        dense = np.stack([np.cos(sizes), np.sin(sizes)], axis=1).reshape(-1, 2)
        sparse = csr_matrix(sizes.reshape(-1, 1))
        return Representation(dense, sparse, np.arange(len(texts)))


def same(one: Representation, other: Representation) -> bool:
    assert one.dense is not None and other.dense is not None
    assert one.sparse is not None and other.sparse is not None
    return (
        one.dense.tobytes() == other.dense.tobytes()
        and one.sparse.data.tobytes() == other.sparse.data.tobytes()
        and one.sparse.indices.tolist() == other.sparse.indices.tolist()
        and one.owner.tolist() == other.owner.tolist()
    )


def test_a_second_call_reads_what_the_first_wrote(tmp_path: Path) -> None:
    inner = Lengths()
    encoder: Encoder = CachedEncoder(inner, tmp_path)
    first = encoder.encode(["a", "bc", ""], Role.QUERY)
    assert same(first, encoder.encode(["a", "bc", ""], Role.QUERY))
    assert inner.calls == 1
    assert same(encoder.encode([], Role.QUERY), encoder.encode([], Role.QUERY))


def test_role_texts_order_and_encoder_are_the_key(tmp_path: Path) -> None:
    inner = Lengths()
    encoder = CachedEncoder(inner, tmp_path)
    encoder.encode(["a", "bc"], Role.QUERY)
    for texts, role in (
        (["a", "bc"], Role.DOCUMENT),
        (["bc", "a"], Role.QUERY),
        (["ab", "c"], Role.QUERY),
    ):
        encoder.encode(texts, role)
    assert inner.calls == 4
    other = Lengths("other")
    CachedEncoder(other, tmp_path).encode(["a", "bc"], Role.QUERY)
    assert other.calls == 1
    assert encoder.counts.get("reused", 0) == 0


def test_counts_are_those_of_encoding_everything(tmp_path: Path, llama: Path) -> None:
    """A resumed build once forgot the truncated texts of the windows it read back."""
    short = LLMOptions(max_text_tokens=2)
    texts = ["a longer text than two tokens", "a"]
    first = CachedEncoder(load_llm(llama, options=short), tmp_path)
    first.encode(texts, Role.DOCUMENT)
    again = CachedEncoder(load_llm(llama, options=short), tmp_path)
    again.encode(texts, Role.DOCUMENT)
    assert again.counts == {**first.counts, "reused": 2}
    assert again.counts["truncated"] == 1


def test_a_file_that_was_cut_off_is_encoded_again(tmp_path: Path) -> None:
    inner = Lengths()
    encoder = CachedEncoder(inner, tmp_path)
    want = encoder.encode(["a", "bc"], Role.QUERY)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert same(encoder.encode(["a", "bc"], Role.QUERY), want)
    assert inner.calls == 2 and not list(tmp_path.glob("*.part"))


def test_whatever_is_wrong_with_a_file_it_is_encoded_again(tmp_path: Path) -> None:
    """A flipped bit in a zip header once ended a resumed build in a traceback."""
    inner = Lengths()
    encoder = CachedEncoder(inner, tmp_path)
    want = encoder.encode(["a", "bc"], Role.QUERY)
    (file,) = tmp_path.glob("*.npz")
    whole = file.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole)
        at = int(random.integers(len(data)))
        data[at] ^= 1 << int(random.integers(8))
        file.write_bytes(data[: None if random.random() < 0.8 else at])
        before = inner.calls
        assert same(encoder.encode(["a", "bc"], Role.QUERY), want)
        assert inner.calls == before + 1
    assert file.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_what_is_no_file_of_the_cache_is_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("thesis")
    (tmp_path / "cache").mkdir()
    encoder = CachedEncoder(Lengths(), tmp_path / "cache")
    want = encoder.encode(["a"], Role.QUERY)
    (file,) = (tmp_path / "cache").iterdir()
    file.unlink()
    file.symlink_to(precious)
    assert same(encoder.encode(["a"], Role.QUERY), want)
    assert precious.read_text() == "thesis"
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    with pytest.raises(OSError, match="a link"):
        CachedEncoder(Lengths(), tmp_path / "link")
