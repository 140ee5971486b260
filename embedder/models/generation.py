"""Generator: a causal LM that answers conversations, each with random numbers of its own."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.inputs import conversation
from embedder.inputs.conversation import Turn
from embedder.inputs.text_tokens import TextTokenizer
from embedder.locks import lock_of
from embedder.models.anatomy import context_length
from embedder.models.backbone import Backbone
from embedder.models.batching import AdaptiveBudget, left_pad, plan
from embedder.models.digests import weights_digest
from embedder.models.kv_cache import SharedPrefix
from embedder.models.loading import LLMOptions, load_backbone

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """An answer without surrounding white space, and how many tokens were generated for it."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How an answer is generated.

    Attributes:
        max_new_tokens: most tokens of an answer.
        temperature: what logits are divided by; 0 takes the likeliest token.
        top_p: the draw is among the fewest likeliest tokens that have this mass together
            (nucleus sampling, Holtzman et al., ICLR 2020).
        seed: of the draws.
        stop: strings that end an answer and are not part of it.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                "writing needs max_new_tokens >= 1, temperature >= 0 and 0 < top_p <= 1; got "
                f"{self.max_new_tokens}, {self.temperature}, {self.top_p}"
            )
        if "" in self.stop:
            raise ValueError("an empty stop string would end every answer before it begins")


class Generator:
    """A causal LM that answers conversations.

    A model with a chat template is asked through it. Others continue a transcript: the user's
    text, a new line, the assistant's, a blank line; there a blank line ends the answer. Penalties
    that a model's generation_config asks for are not applied: `GenerationOptions` alone counts.

    Every conversation has its own stream of random numbers, made of the seed and its own turns,
    so that an answer does not depend on the batch, up to the rounding of the model.
    """

    def __init__(self, backbone: Backbone, token_budget: int = 0) -> None:
        """Take a loaded model, which may be an encoder's.

        Args:
            backbone: model and tokenizer.
            token_budget: tokens per batch, padding and answers included; 0 chooses by device.
        """
        backbone.check_head()
        backbone.check_causal()
        self.backbone = backbone
        self.chat = bool(backbone.tokenizer.chat_template)
        self._budget = AdaptiveBudget(
            token_budget or (8192 if backbone.device.type == "cpu" else 65536),
            "writing after {} tokens does not fit in memory; use shorter texts or a smaller model",
        )
        self._ends = conversation.ends(backbone.model, backbone.tokenizer)

    @staticmethod
    def load(model: str | Path, options: LLMOptions | None = None) -> "Generator":
        """Load a model by hub name or folder."""
        options = options or LLMOptions()
        backbone, _ = load_backbone(model, options)
        return Generator(backbone, options.token_budget)

    @property
    def facts(self) -> dict[str, object]:
        """What changes an answer besides conversation and options, for a fingerprint."""
        return {
            "weights": weights_digest(self.backbone.model, self.backbone.missing_head),
            "tokenizer": self.backbone.tokenizer_digest,
            "dtype": str(self.backbone.model.dtype).removeprefix("torch."),
            "template": str(self.backbone.tokenizer.chat_template or ""),
            "special_tokens_in_texts": "text",
        }

    def generate(
        self, conversations: Sequence[Sequence[Turn]], options: GenerationOptions
    ) -> list[str]:
        """Answer conversations, in order.

        What all of them begin with, such as demonstrations, is read once.

        Returns:
            Answers without surrounding white space; "" where the model said nothing.

        Raises:
            ValueError: a conversation is not answered by the assistant next, or does not fit in
                the model's context together with its answer.
            MemoryError: one conversation alone is too much for the device.
        """
        return [answer.text for answer in self.answers(conversations, options)]

    def answers(
        self, conversations: Sequence[Sequence[Turn]], options: GenerationOptions
    ) -> list[GeneratedAnswer]:
        """Answer conversations as `generate` does, and count what was generated."""
        rows = self._ids(conversations)
        self._check_room(rows, options)
        seeds = [own_seed(turns, options.seed) for turns in conversations]
        start = SharedPrefix()
        if self.backbone.shares_prefix:
            start = self.backbone.prefixes.read_shared(rows, options.max_new_tokens)

        def choose(waiting: list[int]) -> NDArray[np.int64]:
            lengths = [len(rows[place]) for place in waiting]
            return plan(lengths, options.max_new_tokens, self._budget.tokens)[0]

        def run(batch: NDArray[np.int64]) -> dict[int, GeneratedAnswer]:
            written = self._generate(
                start, [rows[i] for i in batch], [seeds[i] for i in batch], options
            )
            return dict(zip(batch.tolist(), written, strict=True))

        batches = self._budget.run_batches([len(row) for row in rows], choose, lambda _: [run])
        answers = {place: answer for batch in batches for place, answer in batch.items()}
        return [answers[place] for place in range(len(rows))]

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """Count the tokens of a conversation that are read before it is answered."""
        return len(self._ids([turns])[0])

    def _ids(self, conversations: Sequence[Sequence[Turn]]) -> list[list[int]]:
        tokenizer = self.backbone.tokenizer
        with lock_of(tokenizer):
            return [conversation.prompt_ids(turns, tokenizer) for turns in conversations]

    def truncate(self, text: str, limit: int) -> str:
        """Return a text, or what its first `limit` tokens say where it has more."""
        with lock_of(self.backbone.tokenizer):
            (ids,) = TextTokenizer(self.backbone.tokenizer).ids([text])
        if len(ids) <= limit:
            return text
        return _decode(self.backbone.tokenizer, ids[:limit])

    def _generate(
        self,
        start: SharedPrefix,
        rows: list[list[int]],
        seeds: list[int],
        options: GenerationOptions,
    ) -> list[GeneratedAnswer]:
        ids, mask = left_pad(rows, start.length)
        device = self.backbone.device
        stop = (*options.stop, conversation.BLANK_LINE) if not self.chat else options.stop
        ending = _StopStrings(self.backbone.tokenizer, ids.shape[1], stop)
        drawing = [_Draws(seeds, options, ids.shape[1])] if options.temperature else []
        with lock_of(self.backbone.model), torch.inference_mode():
            out = self.backbone.model.generate(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                past_key_values=start.growing(len(rows)),
                logits_processor=drawing,
                stopping_criteria=[ending] if stop else [],
                max_new_tokens=options.max_new_tokens,
                eos_token_id=self._ends or None,
                pad_token_id=self._ends[0] if self._ends else 0,
                **_PLAIN,
            )
        return [self._answer(row, stop) for row in out[:, ids.shape[1] :].tolist()]

    def _answer(self, ids: list[int], stop: Sequence[str]) -> GeneratedAnswer:
        end = next((at for at, token in enumerate(ids) if token in self._ends), len(ids))
        text = _decode(self.backbone.tokenizer, ids[:end])
        for string in stop:
            text = text.split(string, 1)[0]
        return GeneratedAnswer(text.strip(), min(end + 1, len(ids)))  # with the one that ends it

    def _check_room(self, rows: list[list[int]], options: GenerationOptions) -> None:
        context = context_length(self.backbone.model)
        longest = max(map(len, rows), default=0) + options.max_new_tokens
        if context and longest > context:
            raise ValueError(
                f"a conversation and its answer take {longest} tokens, the model's context has "
                f"{context}; give shorter texts, fewer demonstrations or fewer new tokens"
            )


# Said outright, since what is left open is filled in from the model's own generation_config.
_PLAIN: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "temperature": None,
    "top_p": None,
    "top_k": None,
}


class _Draws:
    """A logits processor that leaves each row one token: the one its own numbers draw."""

    def __init__(self, seeds: list[int], options: GenerationOptions, prompt: int) -> None:
        streams = [np.random.default_rng(seed).random(options.max_new_tokens) for seed in seeds]
        self.numbers = np.stack(streams).astype(np.float32)  # (n, max_new_tokens)
        self.options = options
        self.prompt = prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = input_ids.shape[1] - self.prompt
        numbers = torch.from_numpy(self.numbers[:, step]).to(scores.device)
        probabilities = (scores.float() / self.options.temperature).softmax(dim=-1)
        ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
        sums = ordered.cumsum(dim=-1)  # (n, vocab)
        inside = sums - ordered < self.options.top_p  # the first token always is
        mass = (ordered * inside).sum(dim=-1)
        place = torch.searchsorted(sums, (numbers * mass)[:, None], right=True)
        place = place.minimum(inside.sum(dim=-1, keepdim=True) - 1)  # rounding at the far end
        only = torch.full_like(scores, float("-inf"))
        return only.scatter(1, tokens.gather(1, place), 0.0)


class _StopStrings:
    """A stopping criterion: the row's answer, as it will be read, holds a stop string."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", prompt: int, stop: Sequence[str]
    ) -> None:
        self.tokenizer = tokenizer
        self.prompt = prompt
        self.stop = stop

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        texts = [_decode(self.tokenizer, row) for row in input_ids[:, self.prompt :].tolist()]
        ended = [any(string in text for string in self.stop) for text in texts]
        return torch.tensor(ended, device=input_ids.device)


def _decode(tokenizer: "PreTrainedTokenizerBase", ids: list[int]) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).lstrip()


def own_seed(turns: Sequence[Turn], seed: int) -> int:
    """Return the seed of a conversation's own random numbers, 64 bits."""
    key = json.dumps([seed, [[turn.role, turn.text] for turn in turns]], ensure_ascii=True)
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
