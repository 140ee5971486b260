"""Post-processing while an index is made: the first segment is the sample, all rows are changed."""

import numpy as np

from embedder.prompts.method_rules import PostRules
from embedder.types import Encoder, Representation, Role
from index.segment_builder import SegmentBuilder
from index.writer import IndexWriter
from retrieval.named_texts import encode_named
from retrieval.post_fitting import RowSample, fit_post
from retrieval.pseudo_queries import TextSample


class PostProcessing:
    """What is done to the rows of a dense channel before they are written.

    A fit that the index has is used. Else rows of the first segment are gathered as they are, the
    fit is taken from a sample of them and of pseudo-queries, and kept in the index.

    Args:
        writer: holds the index.
        channel: a dense one.
        encoder: of it; reads the pseudo-queries.
        rules: of its prompt; None where rows are changed by a fit that there is, or not at all.
    """

    def __init__(
        self, writer: IndexWriter, channel: str, encoder: Encoder, rules: PostRules | None
    ) -> None:
        self._encoder, self.channel = encoder, channel
        self._fit = writer.staged.channels[channel].post_fit()
        self._rules = rules if self._fit is None and not writer.staged.segments else None
        self._sample = TextSample(self._rules) if self._rules is not None else None
        self._texts = 0

    def change(self, rows: Representation, texts: list[str]) -> Representation:
        """Return document rows as they are added, and draw from their texts for the fit."""
        if self._sample is not None:
            for text in texts:
                self._sample.add(self._texts, text)
                self._texts += 1
        return rows if self._fit is None else self._fit.change_rows(rows, Role.DOCUMENT)

    def finish(self, builder: SegmentBuilder) -> None:
        """Fit to the rows of the first segment, and change them.

        Raises:
            ValueError: there are too few texts.
        """
        if self._sample is None or self._rules is None:
            return
        rows, numbers = builder.dense_rows(self.channel), self._sample.numbers
        if len(rows) != self._texts:
            raise ValueError(
                f"[post] of the prompt needs one row per text; channel {self.channel!r} has "
                f"{len(rows)} of {self._texts}"
            )
        queries = self._sample.queries()
        names = [f"a pseudo-query of text {number + 1}" for number in numbers]
        read = encode_named(self._encoder, queries, Role.QUERY, names).dense
        assert read is not None, self.channel  # its documents had dense rows
        fit = fit_post(RowSample(np.array(rows[numbers]), read), self._rules)
        builder.post_process(self.channel, fit)
        self._fit, self._sample = fit, None
