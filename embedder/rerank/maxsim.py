"""MaxSimReranker: every token of a query finds its likest token of the text; they are summed."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from embedder.inputs.render import leading_specials
from embedder.inputs.text_tokens import TextTokenizer
from embedder.locks import lock_of
from embedder.models.anatomy import context_length
from embedder.models.batching import AdaptiveBudget, plan
from embedder.models.digests import weights_digest
from embedder.models.loading import LLMOptions
from embedder.models.pooling import KeepStates
from embedder.models.request import ReadRequest
from embedder.models.workers import RunBatch
from embedder.progress import tell_encoded
from embedder.rerank.reranker import Pair, PairReranker
from embedder.types import Float32Array, fingerprint_of, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedder.models.backbone import Backbone

WINDOW = 64  # texts whose states are in memory together


class MaxSimReranker(PairReranker):
    """Scores a pair by late interaction over the states of its tokens at the top of a causal LM.

    Every token of the query takes the largest cosine with a token of the text, and these are
    summed: MaxSim of ColBERT (Khattab and Zaharia, SIGIR 2020), by a model that was not trained
    for it. Texts are read without a prompt, and what the tokenizer puts before them is read and
    not matched. A text without tokens gets -1 for every token of the query.
    """

    name = "maxsim"

    def __init__(self, backbone: "Backbone", options: LLMOptions) -> None:
        """Bind a model.

        Args:
            backbone: a causal LM, which encoders may share.
            options: max_text_tokens and token_budget count.

        Raises:
            ValueError: the model is not causal.
        """
        super().__init__()
        backbone.check_causal()
        self.backbone = backbone
        with lock_of(backbone.tokenizer):
            self._cutter = TextTokenizer(backbone.tokenizer)
            self._lead = list(leading_specials(backbone.tokenizer))
        context = context_length(backbone.model) or options.max_text_tokens + len(self._lead)
        self.limit = min(options.max_text_tokens, context - len(self._lead))
        self.room = AdaptiveBudget(options.token_budget)
        self._fingerprint = fingerprint_of(
            kind="maxsim",
            architecture=type(backbone.model).__name__,
            weights=weights_digest(backbone.model, backbone.missing_head),
            tokenizer=backbone.tokenizer_digest,
            dtype=str(backbone.model.dtype).removeprefix("torch."),
            max_text_tokens=self.limit,
        )

    def _score_pairs(self, pairs: Sequence[Pair]) -> Float32Array:
        """Read every query once, then every text once, and match it with all that ask for it."""
        asking: dict[str, list[int]] = {}
        for at, (_, text) in enumerate(pairs):
            asking.setdefault(text, []).append(at)
        queries, texts = list(dict.fromkeys(query for query, _ in pairs)), list(asking)
        query_states = dict(zip(queries, self.token_states(queries), strict=True))
        scores = np.zeros(len(pairs), np.float32)
        for start in range(0, len(texts), WINDOW):
            window = texts[start : start + WINDOW]
            for text, states in zip(window, self.token_states(window), strict=True):
                for at in asking[text]:
                    scores[at] = max_sim(query_states[pairs[at][0]], states)
                tell_encoded(len(asking[text]))
        return scores

    def token_states(self, texts: Sequence[str]) -> list[Float32Array]:
        """Return the states of each text's tokens, (tokens, dim) float32 rows of unit length."""
        with lock_of(self.backbone.tokenizer):
            ids = self._cutter.ids(texts)
        rows = [[*self._lead, *own[: self.limit]] for own in ids]
        self._counts["truncated"] += sum(len(own) > self.limit for own in ids)
        self._counts["tokens"] += sum(map(len, rows))
        lengths = [len(row) for row in rows]

        def choose(waiting: list[int]) -> "NDArray[np.int64]":
            return plan([lengths[at] for at in waiting], 0, self.room.tokens)[0]

        def read_batch(
            own: "Backbone", batch: "NDArray[np.int64]"
        ) -> list[tuple[int, Float32Array]]:
            keep = KeepStates()
            fed = [rows[at] or [0] for at in batch]  # a model must be fed something
            own.read((), fed, ReadRequest(logits=False, pooling=keep))
            assert keep.states is not None
            states = keep.states.float().cpu().numpy()
            return [
                (int(at), unit_rows(of_text[len(self._lead) : lengths[at]]))
                for at, of_text in zip(batch, states, strict=True)
            ]

        def runs(count: int) -> list[RunBatch[list[tuple[int, Float32Array]]]]:
            return [partial(read_batch, own) for own in self.backbone.replicas(count)]

        read = self.room.run_batches(lengths, choose, runs)
        by_place = dict(pair for of_batch in read for pair in of_batch)
        return [by_place[at] for at in range(len(texts))]


def max_sim(query: Float32Array, text: Float32Array) -> float:
    """Sum over the query's tokens, (q, dim), the largest product with one of the text, (t, dim)."""
    if not len(text):
        return -float(len(query))
    return float((query @ text.T).max(axis=1).sum())
