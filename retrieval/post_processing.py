"""Post-processing while an index is made: the first segment is the sample, all rows are changed.

Rows that are held as they were read can be changed where they lie: no document is read again.
"""

from collections import Counter

import numpy as np

from embedder.encoders.specs import post_rules_of
from embedder.prompts.method_rules import MIN_SAMPLE, PostRules
from embedder.types import Encoder, Float32Array, Representation, Role, before_map
from index.folder import Index
from index.segment_builder import SegmentBuilder
from index.writer import IndexWriter
from retrieval.named_texts import encode_named
from retrieval.passages.held import held_texts
from retrieval.post_fitting import RowSample, check_components, check_count, fit_post
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

    Attributes:
        counts: "nothing_left", rows that are the mean of all, of which zeros remain; "unfitted",
            rows that stay as they were read, since there were too few texts to fit to.
    """

    def __init__(
        self, writer: IndexWriter, channel: str, encoder: Encoder, rules: PostRules | None
    ) -> None:
        self._encoder, self.channel = encoder, channel
        self._fit = writer.staged.channels[channel].post
        self._wanted = rules is not None
        fitting = self._fit is None and not writer.staged.segments
        self._sample = TextSample(rules) if rules is not None and fitting else None
        self.counts: Counter[str] = Counter()

    def change(self, rows: Representation, texts: list[str]) -> Representation:
        """Return document rows as they are added, and draw from their texts for the fit.

        Raises:
            UnfitSampleError: the rows are too narrow for the rules.
        """
        if self._wanted and self._fit is None:
            self.counts["unfitted"] += len(texts)
        if self._sample is not None:
            if rows.dense is not None:  # said now, not when a segment has been read
                rules = self._sample.rules
                check_components(rules, min(rows.dense.shape[1], 2 * (rules.count - 1)))
            self._sample.add(texts)
        if self._fit is None:
            return rows
        changed = self._fit.change_rows(rows, Role.DOCUMENT)
        self._count(rows.dense, changed.dense)
        return changed

    def finish(self, builder: SegmentBuilder) -> None:
        """Fit to the rows of the first segment, and change them, unless it is too small.

        Raises:
            ValueError: a text has several rows.
            UnfitSampleError: the sample has too few components for the rules.
        """
        if self._sample is None:
            return
        rows, numbers = builder.dense_rows(self.channel), self._sample.numbers
        if len(numbers) < MIN_SAMPLE:
            self._sample = None
            return
        if len(rows) != self._sample.seen:
            raise ValueError(
                f"[post] of the prompt needs one row per text; channel {self.channel!r} has "
                f"{len(rows)} of {self._sample.seen}"
            )
        queries = self._sample.queries()
        names = [f"a pseudo-query of text {number + 1}" for number in numbers]
        read = encode_named(self._encoder, queries, Role.QUERY, names).dense
        assert read is not None, self.channel  # its documents had dense rows
        self._fit = fit_post(RowSample(np.array(rows[numbers]), read), self._sample.rules)
        builder.post_process(self.channel, self._fit, queries)
        self._count(rows, builder.dense_rows(self.channel))
        self._sample, self.counts["unfitted"] = None, 0

    def _count(self, before: Float32Array | None, after: Float32Array | None) -> None:
        if before is not None and after is not None:  # else the builder refuses the rows
            self.counts["nothing_left"] += int(before.any(axis=1).sum() - after.any(axis=1).sum())


class HeldSample:
    """Texts drawn from an index, with pseudo-queries cut from them.

    Args:
        index: opened.
        channel: a dense one.
        rules: how many texts, and which.

    Attributes:
        queries: pseudo-queries.

    Raises:
        ValueError: rows are post-processed already, a text has several rows, or there are too few.
    """

    def __init__(self, index: Index, channel: str, rules: PostRules) -> None:
        if index.channels[channel].post is not None:
            raise ValueError(
                f"rows of channel {channel!r} are post-processed, so that what was read is not "
                "known; `lastword merge --refit` reads the documents again"
            )
        sample = TextSample(rules)
        sample.add(held_texts(index))
        rows = index.channel_rows(channel).live_rows()
        if len(rows) != sample.seen:
            raise ValueError(
                f"post-processing needs one row per text; channel {channel!r} has {len(rows)} of "
                f"{sample.seen}"
            )
        check_count(len(sample.numbers))
        read = index.channel_rows(channel).read(rows[sample.numbers]).dense
        assert read is not None, channel
        self._documents, self.queries = read, sample.queries()

    def read(self, encoder: Encoder) -> RowSample:
        """Encode the pseudo-queries; rules of the same sample can be fitted to what is returned."""
        names = [f"pseudo-query {number}" for number in range(1, len(self.queries) + 1)]
        queries = encode_named(before_map(encoder), self.queries, Role.QUERY, names).dense
        assert queries is not None, "documents have dense rows"
        return RowSample(self._documents, queries)


def change_held_rows(writer: IndexWriter, channel: str, encoder: Encoder) -> None:
    """Stage an index of one segment, its dense rows changed as the [post] of a prompt says.

    They are changed as they lie there: no document is read again. The index then is what its
    documents would give with that prompt; of more than one segment, the fit is to all of them.

    Args:
        writer: holds the index, whose last commit is changed.
        channel: a dense one.
        encoder: of the prompt, which words queries as they will be searched by.

    Raises:
        ValueError: rows are post-processed already, or the prompt has no [post].
    """
    rules = post_rules_of(encoder)
    if rules is None:
        raise ValueError("the prompt has no [post]: there is nothing to change rows by")
    with Index.open(writer.path) as index:
        sample = HeldSample(index, channel, rules)
    writer.merge({channel: (fit_post(sample.read(encoder), rules), sample.queries)})
