"""Counts behind figures: how many of the first documents were judged, tied, shared or missing."""

from dataclasses import asdict, dataclass
from typing import Any

from eval.measures.ranking import DEPTH
from eval.runs.systems import Evidence


@dataclass(frozen=True, slots=True)
class JudgedPool:
    """The first ten documents of a system's answers on one data set.

    Attributes:
        dataset: name of it.
        system: name of the system.
        queries: that were judged.
        unanswered: queries without a document; they count as 0.
        documents: among the first ten of all queries.
        judged: those of them with a judgement, relevant or not; the others count as not relevant,
            which is unfair to a system that finds what nobody looked at.
        tied: queries whose tenth and eleventh document have the same score, so that ids decide
            which is among the ten.
    """

    dataset: str
    system: str
    queries: int
    unanswered: int
    documents: int
    judged: int
    tied: int

    @property
    def judged_share(self) -> float | None:
        """Share of the documents that is judged; None without documents."""
        return self.judged / self.documents if self.documents else None

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the share."""
        return {**asdict(self), "depth": DEPTH, "judged_share": self.judged_share}


@dataclass(frozen=True, slots=True)
class SystemOverlap:
    """How much two systems find alike on one data set.

    Attributes:
        dataset: name of it.
        systems: the names of both.
        share: of the places among the first ten, those with a document that both have there;
            None where both found nothing.
    """

    dataset: str
    systems: tuple[str, str]
    share: float | None


def pool(dataset: str, system: str, evidence: Evidence) -> JudgedPool:
    """Count what is judged, tied and missing among the first ten documents of each query."""
    tops = {query_id: evidence.top(query_id) for query_id in evidence.run}
    return JudgedPool(
        dataset=dataset,
        system=system,
        queries=len(tops),
        unanswered=sum(not top for top in tops.values()),
        documents=sum(len(top) for top in tops.values()),
        judged=sum(
            document in evidence.qrels.get(query_id, {})
            for query_id, top in tops.items()
            for document in top
        ),
        tied=sum(_tied(list(scores.values())) for scores in evidence.run.values()),
    )


def overlap(
    dataset: str, first: tuple[str, Evidence], second: tuple[str, Evidence]
) -> SystemOverlap:
    """Count the documents that two systems, each with its name, both have among the first ten."""
    places = shared = 0
    for query_id in first[1].run.keys() & second[1].run.keys():
        tops = [set(evidence.top(query_id)) for _, evidence in (first, second)]
        places += max(map(len, tops))
        shared += len(tops[0] & tops[1])
    return SystemOverlap(dataset, (first[0], second[0]), shared / places if places else None)


def _tied(scores: list[float]) -> bool:
    return len(scores) > DEPTH and scores[DEPTH - 1] == scores[DEPTH]
