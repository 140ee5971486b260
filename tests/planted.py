"""A collection in which certain prompt words help, read by a small random model.

The model is a real Llama whose attention pools random word directions (`decoder_from_bag`). Each
query's answer holds the query's words and all planted words; decoys hold the same words and all
planted words but one. A prompt that says a planted word moves every query towards what holds it,
so each of them brings a part of the gain and all of them nearly all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tuning.search.budget import Cost
from tuning.search.space import Around, Space
from tuning.search.types import Failure, Proposal, Scores

PLANTED = ("amber", "basalt", "cobalt")
FILLERS = tuple(
    "delta ember fjord garnet harbour indigo jasper kelp lagoon marble nectar onyx pebble quartz "
    "reef sable tundra umber violet willow xenon yarrow zephyr".split()
)
SIGNS = ("<s>", "</s>", "<pad>", "<unk>", ":", "|")
ENDING = " :"


def model_and_tokenizer(seed: int, width: int = 68) -> Backbone:
    """Return a random decoder that pools, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    from embedder.train.pretrain.bag import RESERVED, Bag
    from embedder.train.pretrain.decoder import decoder_from_bag

    words = [*SIGNS, *PLANTED, *FILLERS]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(len(words), width - RESERVED, generator=generator)
    silent = torch.arange(len(words)) < len(SIGNS)
    zeros = torch.zeros(len(words))
    bag = Bag(directions, zeros, torch.zeros_like(directions), zeros, silent)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=width, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=128,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    return Backbone(decoder_from_bag(bag, config, seed), tokenizer)


def plain_prompt(before: str = "") -> Prompt:
    """Return a prompt that says nothing but, perhaps, some words before a query."""
    form = PromptVariant(
        "", (Template(f"{before}{{text}}{ENDING}"),), (Template(f"{{text}}{ENDING}"),)
    )
    return Prompt("plain", (form,), ReadoutRules(sparse=None))


class PlantedObjective:
    """Reciprocal rank of each query's answer under a query prompt; documents never change.

    Attributes:
        relevant: query id -> its answer.
        asked: (prompt hash, query id) of everything that was scored.
        texts: query id -> text.
    """

    def __init__(self, seed: int = 0, queries: int = 120) -> None:
        rng = np.random.default_rng(seed)
        self.backbone = model_and_tokenizer(seed)
        self.texts = {
            f"q{at}": " ".join(rng.choice(FILLERS, 3, replace=False)) for at in range(queries)
        }
        self.relevant = {query: frozenset([f"d-{query}"]) for query in self.texts}
        self.documents: list[str] = []
        for text in self.texts.values():
            self.documents.append(f"{text} {' '.join(PLANTED)}")
            for left_out in PLANTED:
                kept = [word for word in PLANTED if word != left_out]
                self.documents += [
                    f"{text} {' '.join(kept)} {word}" for word in rng.choice(FILLERS, 2)
                ]
        encoder = LLMEncoder(self.backbone, plain_prompt(), LLMOptions())
        self.vectors = self._dense(encoder, self.documents, Role.DOCUMENT)
        self.asked: list[tuple[str, str]] = []
        self.space = Space(plain_prompt(), most_words=8)

    def encoder(self, prompt: Prompt) -> LLMEncoder | AdaptedEncoder:
        """Return the encoder of a prompt."""
        return encoder_of(self.backbone, prompt, LLMOptions())

    def positives(self, query_id: str) -> NDArray[np.float32]:
        """Return the answer's row."""
        at = 7 * list(self.texts).index(query_id)
        return self.vectors[at : at + 1]

    def negatives(self, query_id: str) -> NDArray[np.float32]:
        """Return the decoys' rows."""
        at = 7 * list(self.texts).index(query_id)
        return self.vectors[at + 1 : at + 7]

    def text(self, query_id: str) -> str:
        """Return a query."""
        return self.texts[query_id]

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return reciprocal ranks."""
        rows = []
        for prompt in prompts:
            self.asked += [(prompt.hash, one) for one in query_ids]
            texts = [self.texts[one] for one in query_ids]
            found = self._dense(self.encoder(prompt), texts, Role.QUERY) @ self.vectors.T
            answers = np.array([7 * list(self.texts).index(one) for one in query_ids])
            own = found[np.arange(len(answers)), answers]
            rows.append(1 / (1 + (found > own[:, None] + 1e-6).sum(axis=1)))
        return np.array(rows, dtype=np.float64)

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of the queries in their prompt."""
        encoder = self.encoder(prompt)
        fed = encoder.reader.feed([self.texts[one] for one in query_ids], Role.QUERY, 64)
        return Cost(tokens=sum(one.tokens for one in fed), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return the queries whose answer is not first, the worst first."""
        ranks = 1 / self([prompt], query_ids)[0]
        order = np.argsort(-ranks, kind="stable")
        return [
            Failure(
                self.texts[query_ids[at]],
                self.documents[7 * list(self.texts).index(query_ids[at])],
                self.documents[7 * list(self.texts).index(query_ids[at]) + 1],
                int(ranks[at]),
            )
            for at in order
            if ranks[at] > 1
        ]

    def pool(self) -> tuple[Proposal, ...]:
        """Return what is always tried: the default."""
        return (Proposal(plain_prompt(), "pool", "default"),)

    def best(self) -> Prompt:
        """Return the planted prompt."""
        words = Around(f"{' '.join(PLANTED)} ", ENDING)
        return self.space.reworded(plain_prompt(), {Role.QUERY: words})

    @staticmethod
    def _dense(
        encoder: LLMEncoder | AdaptedEncoder, texts: Sequence[str], role: Role
    ) -> NDArray[np.float32]:
        dense = encoder.encode(texts, role).dense
        assert dense is not None
        return dense
