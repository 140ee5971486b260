"""Soundness of the default fusion: the only hit, short lists, order within a channel."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import DEFAULT, fusion_by_name, min_max
from retrieval.run import Run

RUN = st.dictionaries(
    st.sampled_from(["q1", "q2"]),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(-1000, 1000).map(float), max_size=6),
)
RUNS = st.lists(RUN, min_size=1, max_size=4)
KINDS = st.lists(st.booleans(), min_size=4, max_size=4)
WEIGHTS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]), min_size=4, max_size=4)


@pytest.mark.parametrize("name", ["rrf", "minmax", "zscore", "dbsf"])
@pytest.mark.parametrize("hits", [{"rare": 9.5}, {"rare": 9.5, "other": 9.5}])
def test_the_only_hit_of_a_channel_is_worth_something(name: str, hits: dict[str, float]) -> None:
    """The only document with a rare word had 0 of BM25's .6, as if BM25 had not found it.

    A document of middling cosine was ranked 23rd so, behind documents without the word.
    """
    dense = {f"d{at}": 0.5 - at / 100 for at in range(40)} | {"rare": 0.31}
    text = f"{name}:dense=0.4,bm25=0.6"
    fused = fusion_by_name(text, ["dense", "bm25"])([{"q": dense}, {"q": hits}])["q"]
    assert max(fused, key=lambda doc: fused[doc]) == "rare"
    literal = fusion_by_name("promptreps:dense=0.4,bm25=0.6", ["dense", "bm25"])
    assert literal([{"q": dense}, {"q": hits}])["q"]["rare"] < 0.4 * 0.55


def test_several_documents_with_a_rare_word_come_before_those_without() -> None:
    """The last of them had 0 of BM25 as well, however near its score was to the first's."""
    dense = {f"d{at}": 0.5 - at / 100 for at in range(40)}
    words = {"d39": 9.5, "d38": 9.0, "d37": 8.8, "d36": 7.1, "d35": 6.9}
    fuse = fusion_by_name(f"{DEFAULT}:dense=0.4,bm25=0.6", ["dense", "bm25"])
    fused = fuse([{"q": dense}, {"q": words}])["q"]
    best = sorted(fused, key=lambda doc: -fused[doc])
    assert set(best[:5]) == set(words)


@given(runs=RUNS, kinds=KINDS, weights=WEIGHTS)
def test_who_is_first_in_a_channel_never_ranks_below_who_is_last_there(
    runs: list[Run], kinds: list[bool], weights: list[float]
) -> None:
    """Both unknown to all other channels; and to be found is worth more than not to be."""
    fused = min_max(runs, weights[: len(runs)], kinds[: len(runs)])
    for at, run in enumerate(runs):
        for query, scores in run.items():
            others = {doc for other in runs if other is not run for doc in other.get(query, {})}
            alone = [doc for doc in scores if doc not in others]
            first = max(scores.values(), default=0.0)
            for doc in alone if weights[at] else ():
                assert 0 < fused[query][doc] <= weights[at]
                if scores[doc] == first:
                    assert fused[query][doc] == weights[at]


@given(runs=RUNS, kinds=KINDS, data=st.data())
def test_a_higher_score_in_a_channel_never_ranks_a_document_lower(
    runs: list[Run], kinds: list[bool], data: st.DataObject
) -> None:
    """Whoever was not ahead of it before is not ahead of it afterwards."""
    found = [(at, query, doc) for at, run in enumerate(runs) for query in run for doc in run[query]]
    if not found:
        return
    at, query, doc = data.draw(st.sampled_from(found))
    raised = copy.deepcopy(runs)
    raised[at][query][doc] += data.draw(st.integers(1, 1500))
    kinds = kinds[: len(runs)]
    before, after = (min_max(held, lexical=kinds)[query] for held in (runs, raised))
    for other in before:
        if before[other] <= before[doc]:
            assert after[other] <= after[doc] + 1e-12, (other, doc)
