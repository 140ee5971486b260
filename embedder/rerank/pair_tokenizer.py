"""A query and a document in one wording of a relevance prompt, as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedder.inputs.chat_template import render_turns
from embedder.inputs.render import leading_specials
from embedder.inputs.text_tokens import TextTokenizer
from embedder.inputs.tokenized import common_start
from embedder.prompts.template import TextRun
from embedder.rerank.relevance_prompt import SLOT, RelevanceForm, RelevancePrompt
from embedder.rerank.reranker import Pair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class PairTokens:
    """A pair as it is fed: head, then tail.

    Attributes:
        head: ids up to the second text, the same for all pairs with that first text.
        tail: ids of the second text and of what follows it; at least one.
        truncated: texts of the pair that were longer than the limit.
    """

    head: tuple[int, ...]
    tail: tuple[int, ...]
    truncated: tuple[str, ...] = ()


class PairTokenizer:
    """A relevance prompt for one tokenizer.

    Texts are cut apart from the wording, so that no text changes the tokens of what it stands
    next to, and none can spell a control token.

    Attributes:
        query_first: whether the query stands before the document.
        prefix: ids that every pair begins with.
        yes: id of the first token in which the answer yes differs from no.
        no: likewise of no.
    """

    def __init__(
        self,
        prompt: RelevancePrompt,
        tokenizer: "PreTrainedTokenizerBase",
        context: int,
        limit: int,
    ) -> None:
        """Fit a prompt to a tokenizer.

        Args:
            prompt: its first form that suits is used.
            tokenizer: of the model.
            context: most tokens that the model reads; 0 where it sets no limit.
            limit: most tokens of a query, and of a document.

        Raises:
            ValueError: no form suits, the answers cannot be told apart, or nothing fits.
        """
        form = _choose_form(prompt, tokenizer)
        self._cutter = TextTokenizer(tokenizer)
        before, first, between, second, after = _parts(prompt, form, tokenizer)
        self.query_first = first == "query"
        assert {first, second} == {"query", "document"}
        lead = list(leading_specials(tokenizer))
        start = self._wording(before)
        self.prefix = (*([] if start[: len(lead)] == lead else lead), *start)
        self._between = tuple(self._wording(between))
        yes, no = (self._wording(after + answer) for answer in (form.yes, form.no))
        ending = common_start([yes, no])
        if len(ending) == min(len(yes), len(no)):
            raise ValueError(
                f"relevance prompt {prompt.name!r}: {form.yes!r} and {form.no!r} cannot be told "
                "apart by their tokens; choose other answers"
            )
        self._ending = tuple(ending)
        self.yes, self.no = yes[len(ending)], no[len(ending)]
        self.limits = self._limits(prompt, context, limit)

    @property
    def content(self) -> list[object]:
        """Everything that decides which ids a pair becomes, but for the tokenizer."""
        ids = [self.prefix, self._between, self._ending, self.yes, self.no, self.limits]
        return [self.query_first, *ids]

    def tokenize(self, pairs: Sequence[Pair]) -> list[PairTokens]:
        """Tokenise pairs, in order; each text is cut once."""
        queries = self._texts([query for query, _ in pairs])
        documents = self._texts([text for _, text in pairs])
        rows = []
        for query, text in pairs:
            cut = tuple(
                name
                for name, ids, most in zip(
                    (query, text), (queries[query], documents[text]), self.limits, strict=True
                )
                if len(ids) > most
            )
            ids = (queries[query][: self.limits[0]], documents[text][: self.limits[1]])
            first, second = ids if self.query_first else ids[::-1]
            head, tail = (*self.prefix, *first, *self._between), (*second, *self._ending)
            if not tail:  # an empty text at the end of the wording
                head, tail = head[:-1], head[-1:]
            rows.append(PairTokens(head, tail, cut))
        return rows

    def _texts(self, texts: Sequence[str]) -> dict[str, list[int]]:
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self._cutter.ids(distinct), strict=True))

    def _wording(self, text: str) -> list[int]:
        return self._cutter.encode([[TextRun("wording", text)]])[0].ids if text else []

    def _limits(self, prompt: RelevancePrompt, context: int, limit: int) -> tuple[int, int]:
        """Return the most tokens of a query, and of a document: a query leaves it two thirds."""
        if not context:
            return limit, limit
        room = context - len(self.prefix) - len(self._between) - len(self._ending)
        if room < 3:
            raise ValueError(
                f"relevance prompt {prompt.name!r} takes all of the model's context of {context} "
                "tokens; use a shorter one, or another model"
            )
        query = min(limit, room // 3)
        return query, min(limit, room - query)


def _choose_form(prompt: RelevancePrompt, tokenizer: "PreTrainedTokenizerBase") -> RelevanceForm:
    for form in prompt.form:
        if form.template or tokenizer.chat_template:
            return form
    raise ValueError(
        f"relevance prompt {prompt.name!r} has forms for a chat only, and "
        f"{tokenizer.name_or_path} has no chat template; give a form with template = ..."
    )


def _parts(
    prompt: RelevancePrompt, form: RelevanceForm, tokenizer: "PreTrainedTokenizerBase"
) -> list[str]:
    """Return wording and names of slots in turn, five strings."""
    text = form.template
    if form.user:
        turns = [("system", form.system)] if form.system else []
        turns.append(("user", form.user))
        turns += [("assistant", form.prefill)] if form.prefill else []
        text = render_turns(tokenizer, turns, " ", continues=bool(form.prefill))
    parts = SLOT.split(text)
    if len(parts) != 5 or parts[1] == parts[3]:
        raise ValueError(
            f"the chat template does not show {{query}} and {{document}} of relevance prompt "
            f"{prompt.name!r} once each; write a plain form (template = ...) for this model"
        )
    return parts
