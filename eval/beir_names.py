"""The table of BEIR collections: sizes, splits, and which hold their own queries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BeirSet:
    """One collection of BEIR (Thakur et al., NeurIPS 2021).

    Attributes:
        name: as in BEIR; also the folder name of a local copy.
        documents: number of documents.
        splits: those with judgements.
        reported: the split whose figures are published.
        holds_queries: its queries are documents too, so that a query finds itself, which BEIR
            does not count: `retrieval.run.drop_self`.
        hub_name: name in ir_datasets, if another.
    """

    name: str
    documents: int
    splits: tuple[str, ...] = ("test",)
    reported: str = "test"
    holds_queries: bool = False
    hub_name: str = ""

    def ir_dataset(self, split: str) -> str:
        """Return the id of a split in ir_datasets, which names splits only where there are many."""
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; there is {_listed(self.splits)}")
        name = f"beir/{self.hub_name or self.name}"
        return f"{name}/{split}" if len(self.splits) > 1 else name


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


_THREE = ("train", "dev", "test")

# Numbers of documents are those of ir_datasets 0.6.3, counted after download.
_SETS = (
    BeirSet("msmarco", 8_841_823, _THREE, reported="dev"),
    BeirSet("trec-covid", 171_332),
    BeirSet("nfcorpus", 3_633, _THREE),
    BeirSet("nq", 2_681_468),
    BeirSet("hotpotqa", 5_233_329, _THREE),
    BeirSet("fiqa", 57_638, _THREE),
    BeirSet("arguana", 8_674, holds_queries=True),
    BeirSet("webis-touche2020", 382_545, hub_name="webis-touche2020/v2"),
    BeirSet("quora", 522_931, ("dev", "test"), holds_queries=True),
    BeirSet("dbpedia-entity", 4_635_922, ("dev", "test")),
    BeirSet("scidocs", 25_657),
    BeirSet("fever", 5_416_568, _THREE),
    BeirSet("climate-fever", 5_416_593),
    BeirSet("scifact", 5_183, ("train", "test")),
    BeirSet("cqadupstack/android", 22_998),
    BeirSet("cqadupstack/english", 40_221),
    BeirSet("cqadupstack/gaming", 45_301),
    BeirSet("cqadupstack/gis", 37_637),
    BeirSet("cqadupstack/mathematica", 16_705),
    BeirSet("cqadupstack/physics", 38_316),
    BeirSet("cqadupstack/programmers", 32_176),
    BeirSet("cqadupstack/stats", 42_269),
    BeirSet("cqadupstack/tex", 68_184),
    BeirSet("cqadupstack/unix", 47_382),
    BeirSet("cqadupstack/webmasters", 17_405),
    BeirSet("cqadupstack/wordpress", 48_605),
)

BEIR = {held.name: held for held in _SETS}

# The sets whose mean PromptReps and most zero-shot papers report: without MS MARCO, which many
# models are trained on, and CQADupStack.
BEIR13 = tuple(name for name in BEIR if name != "msmarco" and not name.startswith("cqadupstack"))


def reported_split(name: str) -> str:
    """Return the split that a collection is judged on by default."""
    return BEIR[name].reported if name in BEIR else "test"


def split_name(name: str, split: str) -> str:
    """Return what results of a split are filed under: "scifact", but "scifact/train"."""
    return name if split == reported_split(name) else f"{name}/{split}"


def holds_queries(name: str) -> bool:
    """Tell whether self matches are dropped for results of this name; False if it is unknown."""
    held = BEIR.get(name) or BEIR.get(name.rpartition("/")[0])
    return held is not None and held.holds_queries
