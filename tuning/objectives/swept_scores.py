"""Scores of queries, under every fusion that is tuned, from one search of the channels."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from embedder.prompts.prompt import Prompt
from embedder.types import Float64Array
from eval.fusion.sweep import Setting, is_swept, sweep
from retrieval.run import Run
from tuning.objectives.judged_queries import JudgedQueries
from tuning.search.types import Scores


class SweptScores:
    """Judges a query under all settings of fusion at once, and remembers the scores.

    A search costs a forward pass and fusing costs arithmetic: words that have been read under one
    fusion are known under all.
    """

    def __init__(
        self,
        settings: Mapping[str, Setting],
        data: JudgedQueries,
        fuse: Callable[[Prompt, Mapping[str, Run]], Run],
    ) -> None:
        """Take the settings by the text that prompts name them by.

        A measure that a sweep cannot judge leaves none of them. A prompt that names none is judged
        by what `fuse` makes of its channels.
        """
        self._settings = dict(settings) if is_swept(data.measure) else {}
        self._places = {text: at for at, text in enumerate(self._settings)}
        self._data, self._fuse = data, fuse
        self._known: dict[str, dict[str, Float64Array]] = {}

    def __contains__(self, prompt: Prompt) -> bool:
        return prompt.fusion in self._places

    def scores(
        self,
        prompt: Prompt,
        query_ids: Sequence[str],
        search: Callable[[Sequence[str]], Mapping[str, Run]],
    ) -> Scores:
        """Return the score of each query.

        Args:
            prompt: whose queries they are.
            query_ids: of the queries.
            search: query ids -> the run of each channel under the prompt, in order.
        """
        if prompt not in self:
            return self._data.judge(self._fuse(prompt, search(query_ids)), query_ids)
        known = self._known.setdefault(prompt.hash, {})
        missing = [query for query in query_ids if query not in known]
        if missing:
            qrels = {query: self._data.qrels[query] for query in missing}
            settings = list(self._settings.values())
            values = sweep(search(missing), qrels, self._data.measure, settings)
            known.update(zip(missing, values.T, strict=True))
        place = self._places[prompt.fusion]
        return np.array([known[query][place] for query in query_ids])
