"""An index as it would be under other rules of [post], made of the rows that it holds."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from embedder.prompts.method_rules import PostRules
from embedder.prompts.prompt import Prompt
from index.folder import Index
from retrieval.post_fitting import RowSample, fit_post
from retrieval.post_processing import HeldSample
from tuning.objectives.prompt_encoder import PromptEncoder

KEPT = 4  # indexes whose rows are in memory
MOST_BYTES = 2 << 30  # of rows in memory


class PostRows:
    """Changes the dense rows of an index in memory; no document is read for it.

    Pseudo-queries are, once for each wording of queries and each sample of documents.

    Args:
        index: opened.
        channel: a dense one; None where there is none that a prompt reads.
        own: the rules that its rows were made with.
        encoder_of: makes the encoder of a prompt.
    """

    def __init__(
        self,
        index: Index,
        channel: str | None,
        own: PostRules | None,
        encoder_of: Callable[[Prompt], PromptEncoder],
    ) -> None:
        self._index, self._channel, self._own, self._encoder_of = index, channel, own, encoder_of
        self._draw = lru_cache(maxsize=None)(self._drawn)
        self._read = lru_cache(maxsize=None)(self._reading)
        self._change = lru_cache(KEPT)(self._changed)

    def changes(self, prompt: Prompt) -> bool:
        """Tell whether a prompt has other rules than the rows were made with.

        Raises:
            ValueError: it has none, and the rows are post-processed.
        """
        if self._channel is None or prompt.post == self._own:
            return False
        if prompt.post is None:
            raise ValueError("rows of the index are post-processed, and the prompt has no [post]")
        return True

    def unchanged(self, prompt: Prompt) -> Prompt:
        """Return the prompt with the rules that the rows were made with.

        Raises:
            ValueError: they cannot be made by the prompt's own; says why.
        """
        if not self.changes(prompt):
            return prompt
        self.preparation(prompt)
        return replace(prompt, post=self._own)

    def preparation(self, prompt: Prompt) -> tuple[str, PromptEncoder, list[str]]:
        """Return a name of what must be read for a prompt, what reads it, and the texts.

        Raises:
            ValueError: the rows cannot be post-processed; says why.
        """
        assert prompt.post is not None
        reader, rules = self._encoder_of(replace(prompt, post=None)), prompt.post
        texts = self._draw(rules.count, rules.seed).queries
        return f"{reader.fingerprint} {rules.count} {rules.seed}", reader, texts

    def index(self, prompt: Prompt) -> Index:
        """Return the index as it would be under a prompt that changes its rows."""
        assert prompt.post is not None
        return self._change(self._encoder_of(replace(prompt, post=None)), prompt.post)

    def _drawn(self, count: int, seed: int) -> HeldSample:
        assert self._channel is not None
        rows = self._index.rows(self._channel) * (self._index.channels[self._channel].dim or 0)
        if rows * 4 > MOST_BYTES:
            raise ValueError(
                f"the rows take {rows * 4 / 2**30:.1f} GiB, and are changed in memory up to "
                f"{MOST_BYTES / 2**30:.0f} GiB"
            )
        return HeldSample(self._index, self._channel, PostRules(count=count, seed=seed))

    def _reading(self, reader: PromptEncoder, count: int, seed: int) -> RowSample:
        return self._draw(count, seed).read(reader)

    def _changed(self, reader: PromptEncoder, rules: PostRules) -> Index:
        assert self._channel is not None
        fit = fit_post(self._read(reader, rules.count, rules.seed), rules)
        rows = self._index.channel_rows(self._channel)
        queries = self._draw(rules.count, rules.seed).queries
        return self._index.with_channel(rows.post_processed(fit, queries))
