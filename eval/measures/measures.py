"""Judgements and measures: a run and its qrels become values, one per measure and query."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from embedder.arguments import check_count, check_kind, check_names, check_text
from eval.data.qrels import LARGEST_GAIN, Qrels
from retrieval.run import Run

Values = dict[str, dict[str, float]]
"""Measure -> query id -> value."""

STANDARD = ("nDCG@10", "R@100", "R@1000", "RR@10", "AP")

_LARGEST = 2**31 - 1  # cutoff, and gain that counts as relevant


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = STANDARD) -> Values:
    """Score each judged query: measure -> {query id -> value}, in the order given.

    Computed by ir_measures, which asks trec_eval. A judged query absent from `run` scores 0: a
    system does not improve its mean by declining to answer. So does a judged query without a
    relevant document, as in trec_eval. Queries of the run that are not judged are ignored.
    Documents of equal score are judged as trec_eval orders them, the id that sorts LAST first,
    in every measure of trec_eval and in RR at a cutoff. It compares scores as float32.

    Raises:
        TypeError: an argument is of another type.
        ValueError: nothing is judged, a score is NaN, a gain is larger than LARGEST_GAIN, or a
            measure is unknown.

    >>> run = index.search_many({"q1": "rotate a key"}, k=2)
    >>> lw.evaluate_run(run, {"q1": {"0": 1}}, ["RR", "nDCG@10"])["RR"]
    {'q1': 0.5}
    """
    check_kind(run, Mapping, "run", "a dict of query -> document -> score")
    qrels = check_judged(qrels)
    check_names(measures, "measures")
    if not qrels:
        raise ValueError("there are no judgements to evaluate against")
    parsed = {name: _parse_measure(name) for name in measures}
    answers = {
        query_id: _check_scores(query_id, run[query_id]) for query_id in qrels if query_id in run
    }
    countable = {query_id: gains for query_id, gains in qrels.items() if _is_countable(gains)}
    values = _calculate(answers, countable, {_uncut(measure) for measure in parsed.values()})
    return {
        name: {
            query_id: _cut_off(values[_uncut(measure)].get(query_id, 0.0), measure)
            for query_id in qrels
        }
        for name, measure in parsed.items()
    }


def means(values: Values) -> dict[str, float]:
    """Average each measure over its queries, unrounded."""
    return {
        measure: math.fsum(by_query.values()) / len(by_query)
        for measure, by_query in values.items()
    }


def check_measure(name: str) -> None:
    """Refuse a measure that cannot be computed, without computing anything.

    Raises:
        ValueError: it is unknown, or a number in it is out of range.
    """
    _parse_measure(name)


def _parse_measure(name: str) -> Any:  # noqa: ANN401  (ir_measures carries no types)
    import ir_measures
    from ir_measures.measures import registry

    try:
        measure = ir_measures.parse_measure(name)
    except (NameError, ValueError, TypeError, AttributeError) as error:
        near = _near_names(name, sorted(registry))
        raise ValueError(
            f"no measure is called {name!r}; expected one of ir_measures, e.g. "
            f"{', '.join(near or STANDARD)}"
        ) from error
    for number in ("cutoff", "rel"):  # of others trec_eval ends the process, or counts wrongly
        if not 1 <= measure.params.get(number, 1) <= _LARGEST:
            value = measure.params[number]
            raise ValueError(f"measure {name!r} has {number} {value}; expected 1 to {_LARGEST:,}")
    try:
        if ir_measures.DefaultPipeline.supports(_uncut(measure)):
            return measure
    except AssertionError:  # what ir_measures raises for a cutoff that is missing
        pass
    raise ValueError(
        f"measure {name!r} needs a cutoff ({name}@10) or a package that is not installed"
    )


def _near_names(name: str, known: Sequence[str]) -> list[str]:
    """Return known measures that read alike, with the cutoff of the name."""
    stem, at, cutoff = name.partition("@")
    lowered = {measure.lower(): measure for measure in known}
    matches = difflib.get_close_matches(stem.lower(), list(lowered), n=3)
    return [lowered[match] + at + cutoff for match in matches]


def _uncut(measure: Any) -> Any:  # noqa: ANN401
    """Return RR without its cutoff: ir_measures gives RR@k to a provider with other ties."""
    import ir_measures

    if measure.NAME != "RR":
        return measure
    return ir_measures.RR(**{key: measure.params[key] for key in measure.params if key != "cutoff"})


def _cut_off(value: float, measure: Any) -> float:  # noqa: ANN401
    if measure.NAME != "RR" or "cutoff" not in measure.params or value == 0:
        return value
    return value if round(1 / value) <= measure["cutoff"] else 0.0


def check_judged(qrels: Qrels) -> Qrels:
    """Return judgements whose gains are ints; refuse what are none.

    Raises:
        TypeError: they are no dict of query -> document -> gain, which is a whole number.
        ValueError: a gain is larger than LARGEST_GAIN.
    """
    check_kind(qrels, Mapping, "qrels", "a dict of query -> document -> gain")
    for query_id, gains in qrels.items():
        check_text(query_id, "the id of a query")
        check_kind(gains, Mapping, f"gains of query {query_id!r}", "a dict of document -> gain")
    return {query_id: _check_gains(query_id, gains) for query_id, gains in qrels.items()}


def _check_scores(query_id: str, scores: Mapping[str, float]) -> dict[str, float]:
    title = f"scores of query {query_id!r}"
    check_kind(scores, Mapping, title, "a dict of document -> score")
    try:
        floats = {doc_id: float(score) for doc_id, score in scores.items()}
    except (TypeError, ValueError) as error:
        raise TypeError(f"{title} must be numbers: {error}") from None
    if any(score != score for score in floats.values()):
        raise ValueError(f"{title} hold NaN")
    return floats


def _check_gains(query_id: str, gains: Mapping[str, int]) -> dict[str, int]:
    counted = {}
    for doc_id, gain in gains.items():
        if type(doc_id) is not str:
            check_text(doc_id, f"a document of query {query_id!r}")
        title = f"the gain of document {doc_id!r} of query {query_id!r}"
        counted[doc_id] = gain if type(gain) is int else check_count(gain, title)
    large = next((doc_id for doc_id, gain in counted.items() if abs(gain) > LARGEST_GAIN), None)
    if large is not None:
        raise ValueError(
            f"expected gains of at most {LARGEST_GAIN:,}, since trec_eval makes a table as long as "
            f"the largest; document {large!r} of query {query_id!r} has {gains[large]}"
        )
    return counted


def _is_countable(gains: Mapping[str, int]) -> bool:
    """Tell whether trec_eval can judge a query: it has a gain that is not negative.

    trec_eval 9 sizes an array by the highest gain of a query and clears it, so that a query
    judged -2 throughout (spam, in the Web tracks) crashes the process, and one without judgements
    reads memory that is not its own. Nothing is relevant to either: every measure is 0.
    """
    return max(gains.values(), default=-1) >= 0


def _calculate(run: Run, qrels: Qrels, measures: set[Any]) -> dict[Any, dict[str, float]]:
    import ir_measures

    values: dict[Any, dict[str, float]] = {measure: {} for measure in measures}
    for metric in ir_measures.iter_calc(list(measures), qrels, run):
        values[metric.measure][metric.query_id] = float(metric.value)
    return values
