"""How fast a model reads on this machine: a few seconds on a fixed set of texts."""

from dataclasses import dataclass
from time import perf_counter

from embedder.encoders.load import SBERT, load_encoder
from embedder.encoders.prompted import language_model_of
from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.sbert_prompt import token_counts
from embedder.models.loading import LLMOptions
from embedder.text_encoder import TextEncoder
from embedder.types import Role

SECONDS = 2.0  # that are spent reading, if one text does not take longer
SENTENCES = (
    "The city council voted on Tuesday to turn the old brewery by the river into a library.",
    "Magma rises through cracks in the crust, and lava that reaches the sea cools into black rock.",
    "A key that signs requests should be changed every month, and the old one kept for a day.",
    "The committee found no evidence that the new drug lowers blood pressure in older patients.",
    "Heat transfer to a flat plate in supersonic flow depends on the state of the boundary layer.",
    "Green tea is steeped for three minutes in water that has cooled a little after boiling.",
    "Farmers in the valley have stored grain in stone towers since the twelfth century.",
    "An index keeps for every word the list of documents that hold it, and how often they do.",
)
TEXTS = tuple(" ".join(SENTENCES[at:] + SENTENCES[:at]) for at in range(len(SENTENCES)))
"""Eight documents of about 140 words each, different from their first word on."""


@dataclass(frozen=True, slots=True)
class ReadingSpeed:
    """What was measured, and in which circumstances.

    Attributes:
        tokens_per_second: of the texts, by the model's own tokens; those of a prompt, which are
            read too, do not count.
        texts_per_second: texts of about 140 words.
        dtype: of the weights as they were run, e.g. "float32".
        device: cpu, cuda, ...
        threads: of torch.
    """

    tokens_per_second: float
    texts_per_second: float
    dtype: str
    device: str
    threads: int


def measure_model(name: str) -> ReadingSpeed:
    """Load a model as `load_encoder` does by default, and measure how fast it reads documents.

    Raises:
        ValueError, OSError, MemoryError: as of `load_encoder`.
    """
    sentence_model = name.startswith(SBERT)
    return measure_encoder(load_encoder(name, None, None if sentence_model else LLMOptions()))


def measure_encoder(encoder: TextEncoder) -> ReadingSpeed:
    """Measure how fast a language model or a sentence-transformers model reads documents."""
    import torch

    encoder.encode(SENTENCES[:1], Role.DOCUMENT)  # the first call loads and compiles
    first = _time_reading(encoder, 1)
    count = max(1, min(len(TEXTS), int(SECONDS / first)))
    rounds, seconds = (0, 0.0) if count > 1 else (1, first)
    while seconds < SECONDS:
        rounds, seconds = rounds + 1, seconds + _time_reading(encoder, count)
    model = language_model_of(encoder)
    if model is not None:
        tokenizer, weights = model.backbone.tokenizer, next(model.backbone.model.parameters())
    else:
        assert isinstance(encoder, SbertEncoder), encoder
        tokenizer, weights = encoder.model.tokenizer, next(encoder.model.parameters())
    tokens = sum(token_counts(TEXTS[:count], tokenizer))
    return ReadingSpeed(
        tokens_per_second=rounds * tokens / seconds,
        texts_per_second=rounds * count / seconds,
        dtype=str(weights.dtype).removeprefix("torch."),
        device=str(weights.device),
        threads=torch.get_num_threads(),
    )


def _time_reading(encoder: TextEncoder, count: int) -> float:
    start = perf_counter()
    encoder.encode(TEXTS[:count], Role.DOCUMENT)
    return perf_counter() - start
