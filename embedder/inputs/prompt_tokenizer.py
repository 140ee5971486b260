"""Frame: one template for one tokenizer; texts become rows of token ids with their marks."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from embedder.inputs.render import leading_specials, rendered
from embedder.inputs.text_tokens import TextTokenizer
from embedder.inputs.tokenized import TokenizedText, common_start
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import TEXT_SLOTS, Template, TemplatePart, TextRun, head_parts
from embedder.text import sts_rules as text_rules
from embedder.text.sentences import pack_sentences, split_sentences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNLIMITED = 1 << 30
# Texts that begin in as many ways as a tokenizer may tell apart.
_PROBES = ("a", "A", "1", ".", '"', "'", " a", "\n", "\u00e9", "\u6771", "<", "")


class PromptTokenizer:
    """What stands around a text, for one tokenizer.

    Attributes:
        lead: the tokenizer's own special tokens that are put before the wording.
        prefix: ids that every row begins with, whatever its text, before any placeholder.
        placeholder: the id that stands for a placeholder; it is no token of the model's.
    """

    def __init__(
        self, template: Template, prompt: Prompt, tokenizer: "PreTrainedTokenizerBase"
    ) -> None:
        self.template = template
        self.parts: tuple[TemplatePart, ...] = rendered(template, prompt, tokenizer)
        self._tokenizer = tokenizer
        self._cutter = TextTokenizer(tokenizer, acting=prompt.text_specials == "control")
        self.placeholder = self._cutter.placeholder
        self._rules = prompt.text_rules
        self._select = prompt.select
        own = prompt.specials == "model"
        self.lead = list(leading_specials(tokenizer)) if own else []
        self._literals = [
            self._cutter.encode([part.runs])[0].ids if part.kind == "literal" else []
            for part in self.parts
        ]
        if self._literals[0][: len(self.lead)] == self.lead:
            self.lead = []  # the wording spells it out
        self.prefix = self._find_prefix()

    def tokenize(self, texts: Sequence[str], limit: int = UNLIMITED) -> list[TokenizedText]:
        """Tokenise texts inside the frame, each cut to at most `limit` tokens of its own."""
        if not texts:
            return []
        ruled = [text_rules.sts(text) if self._rules == "sts" else text for text in texts]
        whole = self.template.tokens == "whole"
        return self._tokenize_whole(ruled, limit) if whole else self._tokenize_pieces(ruled, limit)

    def __len__(self) -> int:
        """Tokens around an empty text, and what a joint of it may add."""
        slack = 8 if self.template.tokens == "whole" else 0
        return len(self.tokenize([""])[0].ids) + slack

    @property
    def content(self) -> list[object]:
        """Everything that decides which ids a text becomes, but for the tokenizer."""
        pieces = [
            ids if part.kind == "literal" else part.kind
            for part, ids in zip(self.parts, self._literals, strict=True)
        ]
        return [self.template.tokens, self.lead, pieces]

    @property
    def ending(self) -> list[int]:
        """The ids that follow the last slot."""
        return self._literals[-1]

    @property
    def head(self) -> tuple[str, tuple[TemplatePart, ...]] | None:
        """What decides the ids up to the end of the text, where an ending alone follows it."""
        parts = head_parts(self.parts)
        return None if parts is None else (self.template.tokens, parts)

    def _find_prefix(self) -> tuple[int, ...]:
        if self.template.tokens == "pieces":
            return (*self.lead, *self._literals[0])
        shared = common_start([row.ids for row in self.tokenize(_PROBES)])
        if self.placeholder in shared:
            shared = shared[: shared.index(self.placeholder)]
        return tuple(shared)

    def _tokenize_pieces(self, texts: list[str], limit: int) -> list[TokenizedText]:
        kinds = {part.kind for part in self.parts}
        ids: dict[str, list[list[int]]] = {}
        if "text" in kinds:
            ids["text"] = self._cutter.ids(texts)
        if "reversed" in kinds:
            ids["reversed"] = self._cutter.ids([_reversed(text) for text in texts])
        return [
            self._assemble({kind: all_ids[at] for kind, all_ids in ids.items()}, text, limit)
            for at, text in enumerate(texts)
        ]

    def _assemble(self, of: dict[str, list[int]], text: str, limit: int) -> TokenizedText:
        row = TokenizedText(truncated=any(len(ids) > limit for ids in of.values()))
        row.add(self.lead)
        spoken = self._sentences(text, limit, row) if "sentences" in self.template.kinds else []
        placeholders: list[int] = []
        front: list[int] = []
        for part, literal in zip(self.parts, self._literals, strict=True):
            if part.kind == "literal":
                row.add(literal)
            elif part.kind == "eos":
                self._end(row)
            elif part.kind == "placeholder":
                placeholders += row.add([self.placeholder])
            elif part.kind == "front":
                front += row.add([self.placeholder] * len(spoken))
            elif part.kind == "sentences":
                row.text_spans.append([])
                for number, sentence in enumerate(spoken):
                    (target,) = row.add([self.placeholder])
                    row.text_spans[-1].append(row.add(sentence))
                    last = len(row.ids) - 1
                    row.state_copies += [(last, at) for at in (target, *front[number : number + 1])]
            else:
                row.text_spans.append([row.add(of[part.kind][:limit])])
        if self._select is not None:
            row.chunks = self._chunks(text, row.text_spans[-1][0], self._select.chunk_tokens)
        return self._finish(row, placeholders)

    def _chunks(self, text: str, slot: range, most: int) -> list[range]:
        """Cut the tokens of a text into chunks of whole sentences of at most `most` tokens."""
        if not self._tokenizer.is_fast:
            raise ValueError("[select] needs a tokenizer that tells where its tokens stand")
        ends = list(accumulate(map(len, split_sentences(text))))
        (tokenized,) = self._cutter.encode([[TextRun("text", text)]])
        offsets = (tokenized.offsets or ())[: len(slot)]
        sentences = [bisect_left(ends, stop) for _, stop in offsets]  # that of each token
        lengths = [sentences.count(number) for number in range(len(ends))]
        starts = list(accumulate(lengths, initial=slot.start))
        chunks = [range(starts[a], starts[b]) for a, b in pack_sentences(lengths, most)]
        return [chunk for chunk in chunks if len(chunk)]

    def _finish(self, row: TokenizedText, placeholders: Sequence[int]) -> TokenizedText:
        if not row.ids:  # an empty text in an empty wording: the model must be fed something
            some = (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, 0)
            row.add([next(int(token) for token in some if token is not None)])
        row.state_copies += [(len(row.ids) - 1, at) for at in placeholders]
        return row

    def _end(self, row: TokenizedText) -> None:
        """Append EOS; where it touches a text it is read with it."""
        spans = row.text_spans[-1] if row.text_spans else []
        touches = bool(spans) and spans[-1].stop == len(row.ids)
        span = row.add([self._eos()[0]])
        if touches:
            spans.append(span)

    def _eos(self) -> tuple[int, str]:
        if self._tokenizer.eos_token_id is None:
            place = self._tokenizer.name_or_path
            raise ValueError(
                f"{place}: the prompt ends in {{eos}}, and the tokenizer has no such token"
            )
        return int(self._tokenizer.eos_token_id), str(self._tokenizer.eos_token)

    def _sentences(self, text: str, limit: int, row: TokenizedText) -> list[list[int]]:
        """Tokenise each sentence apart; its placeholders count among the `limit` tokens."""
        overhead = 2 if "front" in self.template.kinds else 1
        rows: list[list[int]] = []
        room = limit
        for ids in self._cutter.ids(
            [stripped for s in split_sentences(text) if (stripped := s.strip())]
        ):
            if room < overhead + 1:
                row.truncated = True
                break
            row.truncated = row.truncated or len(ids) > room - overhead
            rows.append(ids[: room - overhead])
            room -= overhead + len(rows[-1])
        return rows

    def _tokenize_whole(self, texts: list[str], limit: int) -> list[TokenizedText]:
        shortened = self._shortened(texts, limit)
        strings = [self._fill(text) for text in shortened]
        rows = []
        for at, tokenized in enumerate(self._cutter.encode([runs for runs, _ in strings])):
            lead = [] if tokenized.ids[: len(self.lead)] == self.lead else self.lead
            row = TokenizedText([*lead, *tokenized.ids], truncated=shortened[at] != texts[at])
            for runs in strings[at][1] if tokenized.offsets is not None else []:
                inside = tokenized.stretch(runs)
                slot = range(len(lead) + inside.start, len(lead) + inside.stop)
                row.text_spans.append([slot] if inside else [])
            placeholders = [at for at, token in enumerate(row.ids) if token == self.placeholder]
            rows.append(self._finish(row, placeholders))
        return rows

    def _fill(self, text: str) -> tuple[list[TextRun], list[range]]:
        """Put a text into the slots; return all runs, and which of them each slot is."""
        runs: list[TextRun] = []
        slots: list[range] = []
        for part in self.parts:
            if part.kind in TEXT_SLOTS:
                slots.append(range(len(runs), len(runs) + 1))
                runs.append(TextRun("text", _reversed(text) if part.kind == "reversed" else text))
            elif part.kind == "eos":
                if slots and slots[-1].stop == len(runs):  # it is read with the text
                    slots[-1] = range(slots[-1].start, len(runs) + 1)
                runs.append(TextRun("wording", self._eos()[1]))
            elif part.kind == "placeholder":
                runs.append(TextRun("placeholder"))
            else:
                runs += part.runs
        if self._rules == "sts":  # their code strips the filled template
            runs = _stripped(runs)
        return runs, slots

    def _shortened(self, texts: list[str], limit: int) -> list[str]:
        """Cut texts of more than `limit` tokens after the last token that fits."""
        shortened = list(texts)
        for at, text in enumerate(texts):
            if len(text.encode()) + 8 <= limit:  # no tokenizer makes more tokens than bytes
                continue
            (tokenized,) = self._cutter.encode([[TextRun("text", text)]])
            if len(tokenized.ids) > limit and tokenized.offsets is not None:
                shortened[at] = text[: tokenized.offsets[limit - 1][1]]
            elif len(tokenized.ids) > limit:
                shortened[at] = str(self._tokenizer.decode(tokenized.ids[:limit]))
        return shortened


def _stripped(runs: list[TextRun]) -> list[TextRun]:
    texts = [run.text for run in runs]
    forward = range(len(runs))
    for order, strip in ((forward, str.lstrip), (reversed(forward), str.rstrip)):
        for at in order:
            texts[at] = strip(texts[at])
            if texts[at] or runs[at].kind == "placeholder":
                break
    return [TextRun(run.kind, text) for run, text in zip(runs, texts, strict=True)]


def _reversed(text: str) -> str:
    """Return the words of a text from last to first."""
    return " ".join(reversed(text.split()))
