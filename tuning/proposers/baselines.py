"""What needs no prompt: changes of rows that are computed, and tried before any words.

If none of the words that are found is surely better than these, there is no use in the words.
Maps of queries leave the index as it is. Post-processing, the [post] of a prompt, changes documents
as well, whose rows are in the index: none is read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.method_rules import PostRules
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Float32Array, Role
from tuning.proposers.answer_pool import AnswerPool
from tuning.proposers.query_maps import choose_strength, map_kinds
from tuning.search.budget import Cost
from tuning.search.types import Proposal, ProposerContext, Scored

SKIPPED = "baselines that were skipped:"
LEAST = 8  # queries whose answers may be learned from
POST = (
    ("whitened", PostRules()),
    ("strongly whitened", PostRules(shrinkage=0.03)),
    ("centred", PostRules(whiten=False)),
)


class DocumentRows(Protocol):
    """Dense rows of documents, and which queries they answer."""

    def within(self, answers: Mapping[str, frozenset[str]]) -> "DocumentRows":
        """Look at these queries and answers only."""
        ...

    def sample(self, seed: int) -> dict[str, Float32Array]:
        """Return rows of documents drawn at random, by id."""
        ...

    def pool(
        self, query_ids: Sequence[str], rows: tuple[Float32Array, NDArray[np.int64]], seed: int
    ) -> AnswerPool:
        """Return queries with their answers among other documents."""
        ...


class QuerySource(Protocol):
    """Reads queries under the default prompt."""

    @property
    def documents(self) -> DocumentRows:
        """Rows of documents."""
        ...

    def tokens(self, query_ids: Sequence[str]) -> int:
        """Count what reading queries takes."""
        ...

    def read(self, query_ids: Sequence[str]) -> tuple[Float32Array, NDArray[np.int64]]:
        """Return (rows, dim) unit rows, and the place of the query of each."""
        ...

    def adapting(self, adapter: QueryAdapter) -> QueryAdapter:
        """Return a map with whatever else the default prompt adapts."""
        ...


@dataclass(slots=True)
class Baselines:
    """Proposes once.

    Attributes:
        context: what it works with.
        source: reads queries; None where no dense rows are searched.
        folder: where files of vectors go.
        name: "baselines".
        remarks: what was not proposed, and why.
        untried: what else is not proposed in this search, and why, for the remarks.
    """

    context: ProposerContext
    source: QuerySource | None
    folder: Path
    name: str = "baselines"
    remarks: list[str] = field(default_factory=list)
    untried: tuple[str, ...] = ()
    _done: bool = False

    def ask(self, n: int) -> list[Proposal]:
        """Read the queries of SEARCH once, and propose a map of each kind, and post-processing."""
        if self._done:
            return []
        self._done = True
        self.remarks += self.untried
        if self.source is None:
            self.remarks.append(f"{SKIPPED} no dense rows are searched")
            return []
        return [*self._post(), *self._maps(self.source)]

    def tell(self, results: Sequence[Scored]) -> None:
        """Nothing is learned from scores."""

    def _post(self) -> Iterator[Proposal]:
        default = self.context.space.default
        reason = ""
        if default.post is not None:
            reason = "rows of the index are post-processed already"
        elif Role.DOCUMENT in self.context.space.roles:
            reason = "documents are read anew; put [post] into the prompt that is tuned"
        if reason:
            self.remarks.append(f"{SKIPPED} post-processing: {reason}")
            return
        for title, rules in POST:
            try:
                prompt = replace(default, post=rules)
            except ValueError as error:
                self.remarks.append(f"{SKIPPED} post-processing: {' '.join(str(error).split())}")
                return
            how = f"documents and queries {title}"
            yield Proposal(prompt, self.name, how, prompted=False)

    def _maps(self, source: QuerySource) -> Iterator[Proposal]:
        answers = learnable(self.context)
        if len(answers) < LEAST:
            self.remarks.append(f"{SKIPPED} maps of queries: {too_few(len(answers))}")
            return
        ids, default = list(answers), self.context.space.default
        cost = Cost(tokens=source.tokens(ids))
        self.context.once("baselines", ids, cost, lambda: None)
        documents = source.documents.within(answers)
        pool = documents.pool(ids, source.read(ids), self.context.seed)
        sample = np.concatenate(list(documents.sample(self.context.seed).values()))
        for kind in map_kinds(sample):
            chosen = choose_strength(kind, pool, self.context.seed)
            if chosen.adapter is None:
                self.remarks.append(
                    f"baselines, {kind.name}: not surely better than none on held-out queries"
                )
                continue
            adapt = source.adapting(chosen.adapter).save(self.folder)
            how = f"{chosen.title}"
            yield Proposal(replace(default, adapt=adapt), self.name, how, prompted=False)


def learnable(context: ProposerContext) -> dict[str, frozenset[str]]:
    """Return the queries of SEARCH with answers that may be learned from."""
    return {query: context.answers[query] for query in context.search if context.answers.get(query)}


def too_few(count: int) -> str:
    """Say why nothing is learned."""
    return (
        f"learning needs {LEAST} queries of SEARCH with an answer that no query outside shares; "
        f"got {count}"
    )
