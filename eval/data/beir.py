"""The table of BEIR collections: sizes, splits, terms, BM25, and which hold their own queries."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

CQADUPSTACK = "cqadupstack"
"""The set whose figure is the mean of its twelve parts, each a collection of its own."""

UNSTATED = "not stated"


@dataclass(frozen=True, slots=True)
class BeirSet:
    """One collection of BEIR (Thakur et al., NeurIPS 2021).

    Attributes:
        name: as in BEIR; also the folder name of a local copy.
        documents: number of documents.
        queries: number of judged queries of the reported split.
        flat: nDCG@10 of Anserini's BM25 (k1 .9, b .4) where title and text are one field, as
            they are for channel bm25; None where it is not published.
        multifield: the same where they are two fields.
        megabytes: of the download; None where there is none and a local folder is needed.
        licence: as mteb 2.26 states it for its copy; for a set without download, whom to ask.
        splits: those with judgements.
        reported: the split whose figures are published.
        holds_queries: its queries are documents too, so that a query finds itself, which BEIR
            does not count: `retrieval.run.drop_self`.
        hub_name: name in ir_datasets, if another.
    """

    name: str
    documents: int
    queries: int
    flat: float | None
    multifield: float | None
    megabytes: int | None
    licence: str = UNSTATED
    splits: tuple[str, ...] = ("test",)
    reported: str = "test"
    holds_queries: bool = False
    hub_name: str = ""

    def ir_dataset(self, split: str) -> str:
        """Return the id of a split in ir_datasets, which names splits only where there are many."""
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise ValueError(f"{self.name} has no split {split!r}; there is {known}")
        name = f"beir/{self.hub_name or self.name}"
        return f"{name}/{split}" if len(self.splits) > 1 else name


def _part(
    name: str, documents: int, queries: int, flat: float | None, multifield: float | None
) -> BeirSet:
    # All parts come in one file.
    full_name = f"{CQADUPSTACK}/{name}"
    return BeirSet(full_name, documents, queries, flat, multifield, 5344, "Apache 2.0")


_SOME = ("train", "dev", "test")
_BY_SA = "CC BY-SA 4.0"

# Numbers of documents, queries and bytes are those of ir_datasets 0.6.3; of the four sets that
# it lacks, those of the paper's Table 1. BM25: the regressions of Anserini for BEIR v1.0.0
# ("flat" and "multifield"), which hold no figures for MS MARCO.
_SETS = (
    BeirSet("msmarco", 8_841_823, 6_980, None, None, 1082, "MSR-LA", _SOME, "dev"),
    BeirSet("trec-covid", 171_332, 50, 0.5947, 0.6559, 74),
    BeirSet("nfcorpus", 3_633, 323, 0.3218, 0.3254, 2, splits=_SOME),
    BeirSet("bioasq", 14_914_602, 500, 0.5225, 0.4646, None, "ask BioASQ"),
    BeirSet("nq", 2_681_468, 3_452, 0.3055, 0.3285, 498, "CC BY-NC-SA 3.0"),
    BeirSet("hotpotqa", 5_233_329, 7_405, 0.6330, 0.6027, 654, _BY_SA, _SOME),
    BeirSet("fiqa", 57_638, 648, 0.2361, 0.2361, 18, splits=_SOME),
    BeirSet("signal1m", 2_866_316, 97, 0.3304, 0.3304, None, "ask Signal AI"),
    BeirSet("trec-news", 594_977, 57, 0.3952, 0.3977, None, "ask NIST"),
    BeirSet("robust04", 528_155, 249, 0.4070, 0.4070, None, "ask NIST"),
    BeirSet("arguana", 8_674, 1_406, 0.3970, 0.4142, 4, _BY_SA, holds_queries=True),
    BeirSet(
        "webis-touche2020", 382_545, 49, 0.4422, 0.3673, 227, _BY_SA, hub_name="webis-touche2020/v2"
    ),
    BeirSet(
        "quora", 522_931, 10_000, 0.7886, 0.7886, 16, splits=("dev", "test"), holds_queries=True
    ),
    BeirSet("dbpedia-entity", 4_635_922, 400, 0.3180, 0.3128, 639, "MIT", ("dev", "test")),
    BeirSet("scidocs", 25_657, 1_000, 0.1490, 0.1581, 142, _BY_SA),
    BeirSet("fever", 5_416_568, 6_666, 0.6513, 0.7530, 1237, "CC BY-NC-SA 3.0", _SOME),
    BeirSet("climate-fever", 5_416_593, 1_535, 0.1651, 0.2129, 1229, _BY_SA),
    BeirSet("scifact", 5_183, 300, 0.6789, 0.6647, 3, "CC BY-NC 4.0", ("train", "test")),
    _part("android", 22_998, 699, 0.3801, 0.3709),
    _part("english", 40_221, 1_570, 0.3453, 0.3321),
    _part("gaming", 45_301, 1_595, 0.4822, 0.4418),
    _part("gis", 37_637, 885, 0.2901, 0.2904),
    _part("mathematica", 16_705, 804, 0.2015, 0.2046),
    _part("physics", 38_316, 1_039, 0.3214, 0.3248),
    _part("programmers", 32_176, 876, 0.2802, 0.2963),
    _part("stats", 42_269, 652, 0.2711, 0.2790),
    _part("tex", 68_184, 2_906, 0.2244, 0.2086),
    _part("unix", 47_382, 1_072, 0.2749, 0.2788),
    _part("webmasters", 17_405, 506, 0.3059, 0.3008),
    _part("wordpress", 48_605, 541, 0.2483, 0.2562),
)

BEIR = {beir_set.name: beir_set for beir_set in _SETS}

CQADUPSTACK_PARTS = tuple(name for name in BEIR if name.startswith(f"{CQADUPSTACK}/"))


def _whole_cqadupstack() -> BeirSet:
    parts = [BEIR[name] for name in CQADUPSTACK_PARTS]
    return replace(
        parts[0],
        name=CQADUPSTACK,
        documents=sum(part.documents for part in parts),
        queries=sum(part.queries for part in parts),
        flat=fmean(part.flat for part in parts if part.flat is not None),
        multifield=fmean(part.multifield for part in parts if part.multifield is not None),
    )


WHOLE = {name: beir_set for name, beir_set in BEIR.items() if name not in CQADUPSTACK_PARTS} | {
    CQADUPSTACK: _whole_cqadupstack()
}
"""The nineteen sets that papers report, CQADupStack as one: sums of sizes, means of figures."""

# The sets whose mean PromptReps and most zero-shot papers report: without MS MARCO, which many
# models are trained on, CQADupStack, and those that cannot be downloaded.
BEIR13 = tuple(
    name
    for name, beir_set in BEIR.items()
    if beir_set.megabytes is not None and name != "msmarco" and name not in CQADUPSTACK_PARTS
)


def reported_split(name: str) -> str:
    """Return the split that a collection is judged on by default."""
    return BEIR[name].reported if name in BEIR else "test"


def split_name(name: str, split: str) -> str:
    """Return the name that results of a split are filed under: "scifact", but "scifact/train"."""
    return name if split == reported_split(name) else f"{name}/{split}"


def holds_queries(name: str) -> bool:
    """Tell whether self matches are dropped for results of this name; False if it is unknown."""
    name = name.removeprefix("nano-beir/")  # which holds parts of the same sets
    beir_set = BEIR.get(name) or BEIR.get(name.rpartition("/")[0])
    return beir_set is not None and beir_set.holds_queries


def whole_sets(names: Iterable[str]) -> dict[str, list[str]]:
    """Map each set that figures are published of to the collections whose mean it is, in order.

    CQADupStack stands in place of its parts where all twelve are there; everything else, and
    some of the parts, is the mean of itself. So a mean over BEIR counts CQADupStack once.
    """
    collections = list(names)
    parts = [name for name in collections if name in CQADUPSTACK_PARTS]
    if len(parts) < len(CQADUPSTACK_PARTS):
        return {name: [name] for name in collections}
    return {
        (CQADUPSTACK if name in parts else name): (parts if name in parts else [name])
        for name in collections
    }
