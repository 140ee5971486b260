"""PromptReranker: a causal LM is asked whether a document answers a query; yes over no."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from embedder.files.content_hash import content_hash
from embedder.locks import lock_of
from embedder.models.anatomy import context_length
from embedder.models.batching import AdaptiveBudget, plan
from embedder.models.digests import weights_digest
from embedder.models.loading import LLMOptions
from embedder.models.request import ReadRequest
from embedder.models.workers import RunBatch
from embedder.progress import tell_encoded
from embedder.rerank.pair_tokenizer import PairTokenizer, PairTokens
from embedder.rerank.relevance_prompt import RelevancePrompt
from embedder.rerank.reranker import Pair, PairReranker
from embedder.types import Float32Array, fingerprint_of

if TYPE_CHECKING:
    from torch import Tensor

    from embedder.models.backbone import Backbone
    from embedder.models.request import ForwardOutput

Places = NDArray[np.int64]
"""Places of the pairs that are read together."""

WINDOW = 1024  # pairs that are planned together
NEAR = 0.05  # of the larger logit: half precision rounds by a tenth of that


class PromptReranker(PairReranker):
    """Scores a pair by the log-odds of "yes" over "no" as the next token, ln p(yes) - ln p(no).

    The pointwise question of monoT5 (Nogueira et al., EMNLP Findings 2020), asked of a model that
    was not trained for it. What pairs begin with is read once for all of them: the document for
    all queries, or the query for all documents, as the wording has it.
    """

    def __init__(self, backbone: "Backbone", prompt: RelevancePrompt, options: LLMOptions) -> None:
        """Bind a prompt to a model.

        Args:
            backbone: a causal LM, which encoders may share.
            prompt: the question.
            options: max_text_tokens and token_budget count.

        Raises:
            ValueError: the model has no LM head or is not causal, or the prompt does not suit it.
        """
        super().__init__()
        backbone.check_causal()
        backbone.check_head()
        self.backbone, self.prompt = backbone, prompt
        self.name = f"prompt:{prompt.name}"
        context = context_length(backbone.model) or 0
        with lock_of(backbone.tokenizer):
            self.tokenizer = PairTokenizer(
                prompt, backbone.tokenizer, context, options.max_text_tokens
            )
        self.room = AdaptiveBudget(options.token_budget)
        self._fingerprint = fingerprint_of(
            kind="prompt",
            architecture=type(backbone.model).__name__,
            weights=weights_digest(backbone.model),
            tokenizer=backbone.tokenizer_digest,
            dtype=str(backbone.model.dtype).removeprefix("torch."),
            prompt=content_hash(self.tokenizer.content),
        )

    def _score_pairs(self, pairs: Sequence[Pair]) -> Float32Array:
        with lock_of(self.backbone.tokenizer):
            rows = self.tokenizer.tokenize(pairs)
        self._counts["truncated"] += len({text for row in rows for text in row.truncated})
        # Pairs that begin alike stand together; sorting is stable, so that it is all the same.
        first = {head: at for at, head in reversed([*enumerate(row.head for row in rows)])}
        order = sorted(range(len(rows)), key=lambda at: first[rows[at].head])
        scores = np.zeros(len(rows), np.float32)
        for start in range(0, len(order), WINDOW):
            window = order[start : start + WINDOW]
            scores[window] = self._score_window([rows[at] for at in window])
        return scores

    def _score_window(self, rows: Sequence[PairTokens]) -> Float32Array:
        """Read every head that several rows share once, then every row after its head."""
        times = Counter(row.head for row in rows)
        plain = self.tokenizer.prefix if self.backbone.shares_prefix else ()
        apart = {head for head, n in times.items() if n > 1 and self.backbone.shares_prefix}
        prefixes = [row.head if row.head in apart else plain for row in rows]
        ids = [
            (*row.head, *row.tail)[len(prefix) :]
            for row, prefix in zip(rows, prefixes, strict=True)
        ]
        lengths = [len(own) for own in ids]
        self._counts["tokens"] += sum(lengths) + sum(map(len, set(prefixes)))

        def choose(waiting: list[int]) -> Places:
            prefix = prefixes[waiting[0]]
            alike = np.array([at for at, row in enumerate(waiting) if prefixes[row] == prefix])
            waits = [lengths[waiting[at]] for at in alike]
            return alike[plan(waits, len(prefix), self.room.tokens)[0]]

        def read_batch(own: "Backbone", batch: Places) -> tuple[Places, Float32Array]:
            output = own.read(prefixes[batch[0]], [ids[at] for at in batch], ReadRequest())
            return batch, self._log_odds(output)

        def runs(count: int) -> list[RunBatch[tuple[Places, Float32Array]]]:
            return [partial(read_batch, own) for own in self.backbone.replicas(count)]

        scores = np.zeros(len(rows), np.float32)
        for batch, log_odds in self.room.run_batches(lengths, choose, runs, tell_encoded):
            scores[batch] = log_odds
        return scores

    def _log_odds(self, output: "ForwardOutput") -> Float32Array:
        """Return ln p(yes) - ln p(no), which is the difference of the logits, (n,)."""
        assert output.logits is not None and output.hidden is not None
        asked = [self.tokenizer.yes, self.tokenizer.no]
        logits = output.logits[:, asked].float()
        if output.logits.dtype != torch.float32:
            logits = self._precise(output.hidden, logits, asked)
        difference: Float32Array = (logits[:, 0] - logits[:, 1]).cpu().numpy()
        return difference

    def _precise(self, states: "Tensor", logits: "Tensor", asked: Sequence[int]) -> "Tensor":
        """Multiply by the rows of the LM head in float32 where that is all that a logit is.

        Half precision has eight bits for a logit, so that many documents would tie.
        """
        head = self.backbone.model.get_output_embeddings()
        if getattr(head, "weight", None) is None or head.weight.dtype != states.dtype:
            return logits
        exact = states.float() @ head.weight[asked].detach().float().T
        if getattr(head, "bias", None) is not None:
            exact = exact + head.bias[asked].detach().float()
        near = (exact - logits).abs() <= NEAR * logits.abs().clamp(min=1)
        return exact if bool(near.all()) else logits  # capped or scaled by the model
