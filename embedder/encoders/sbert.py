"""sentence-transformers models, dense and sparse, as Encoders; their own prompts or another."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from embedder.checkpoints.sentence_model import load_sentence_model
from embedder.encoders.sbert_prompt import SbertWording, own_wordings, sbert_wordings, token_counts
from embedder.encoders.sbert_texts import texts_as_text
from embedder.encoders.specs import SbertSpec, full_place, with_full_paths
from embedder.inputs.text_measure import TextMeasure
from embedder.locks import lock_of
from embedder.models.batching import plan
from embedder.models.digests import backend_digest, tokenizer_digest, weights_digest
from embedder.models.loading import LLMOptions
from embedder.progress import tell_encoded
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import MappingEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SparseEncoder

BATCH = 32


class SbertEncoder(MappingEncoder):
    """A SentenceTransformer (dense) or SparseEncoder (sparse) model by name or folder.

    Queries and documents go through the model's own `encode_query` and `encode_document`, with
    the prompts that its configuration names or those of a lastword prompt. Dense rows are scaled
    to unit length. Texts that are longer than the model's own limit, prompt included, are cut
    and counted; what a prompt appends to a text is kept.
    """

    def __init__(
        self,
        model: "SentenceTransformer | SparseEncoder",
        sparse: bool,
        prompt: Prompt | None = None,
        options: LLMOptions | None = None,
        digests: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.sparse = sparse
        self.prompt = prompt
        self.options = options or LLMOptions()
        self.spec: SbertSpec | None = None  # `load` knows the model's name
        variant = self.options.variant
        if prompt is None:
            self.wordings = own_wordings(model, variant)
        elif variant.prompt_names:
            raise ValueError("prompt_names and prompt are two wordings of a text; choose one")
        else:
            self.wordings = sbert_wordings(prompt, model)
        self._acting = prompt is not None and prompt.text_specials == "control"
        self._counts = Counter(texts=0, truncated=0)
        for role, wording in self.wordings.items():
            self._check_room(role, wording)
        self._digests = digests or _digests(model)
        self._fingerprint = fingerprint_of(
            kind="sbert",
            output="sparse" if sparse else "dense",
            **self._digests,
            wordings={role.value: asdict(wording) for role, wording in self.wordings.items()},
            max_text_tokens=[self.limit(role) for role in Role],
            text_specials="control" if self._acting else "text",
            **({"post": asdict(prompt.post)} if prompt and prompt.post else {}),
            **variant.changes,
            **self.map_facts,
        )

    @staticmethod
    def load(
        name: str, options: LLMOptions | None = None, prompt: Prompt | None = None
    ) -> "SbertEncoder":
        """Load by hub name or folder; the folder says whether the model is dense or sparse.

        Args:
            name: hub name or folder.
            options: how it runs; its dtype and max_text_tokens do not count.
            prompt: a plain wording for queries and documents; None is the model's own.

        Raises:
            ValueError: no model could be loaded, or it cannot follow the prompt.
        """
        options = options or LLMOptions()
        model, sparse = load_sentence_model(
            name, options.device, options.trust_remote_code, options.variant
        )
        encoder = SbertEncoder(model, sparse, prompt, options)
        place, own = full_place(name), prompt and with_full_paths(prompt)
        encoder.spec = SbertSpec(place, own, variant=options.variant)
        return encoder

    def with_prompt(self, prompt: Prompt) -> "SbertEncoder":
        """Return the encoder of another prompt on the same model, whose digests are known."""
        encoder = SbertEncoder(self.model, self.sparse, prompt, self.options, self._digests)
        encoder.spec = self.spec and replace(self.spec, prompt=prompt)
        return encoder

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        role, texts = Role(role), list_texts(texts)
        with lock_of(self.model):  # its tokenizer keeps how it was called last
            rows = self._encode(texts, role)
        return self.map_rows(rows) if role is Role.QUERY else rows

    def _encode(self, texts: list[str], role: Role) -> Representation:
        if self._acting:
            return self._encode_worded(texts, role, self.wordings[role])
        with texts_as_text(self.model, self.wordings[role], texts) as (wording, plain):
            return self._encode_worded(plain, role, wording)

    def _encode_worded(self, texts: list[str], role: Role, wording: SbertWording) -> Representation:
        shortened = self._shorten(texts, role, wording)
        bodies = [wording.body(text) for text in shortened]
        owner = np.arange(len(texts), dtype=np.int64)
        width = int(self.model.get_embedding_dimension())
        if self.sparse:
            options: dict[str, Any] = {"convert_to_sparse_tensor": True, "save_to_cpu": True}
            nothing = csr_matrix(np.zeros((0, width), np.float32))
            sparse = _csr(self._run(bodies, role, wording.prompt, options)) if texts else nothing
            return Representation(None, sparse, owner)
        options = {"normalize_embeddings": True, "convert_to_numpy": True}
        dense = self._run(bodies, role, wording.prompt, options)
        shaped = np.array(dense, dtype=np.float32).reshape(len(texts), width)
        # Where the prompt is not pooled, nothing is left of an empty text: then pool the prompt.
        blank = np.flatnonzero(~shaped.any(axis=1))
        if len(blank):
            strings = [wording.whole(shortened[row]) for row in blank]
            shaped[blank] = self._run(strings, role, "", options)
        return Representation(shaped, None, owner)

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns by the vocabulary."""
        if not self.sparse:
            raise ValueError("a dense sentence-transformers model has no terms to name")
        tokens = self.model.tokenizer.convert_ids_to_tokens([int(term) for term in terms])
        return {int(term): str(token) for term, token in zip(terms, tokens, strict=True)}

    def columns(self, words: Sequence[str]) -> Iterable[Iterable[int]]:
        """Return the sparse columns that each word stands in, read alone."""
        with lock_of(self.model):
            ids: Iterable[Iterable[int]] = self.model.tokenizer(
                list(words), add_special_tokens=False
            ).input_ids
        return ids

    def fed_lengths(self, texts: Sequence[str], role: Role) -> list[int]:
        """Count the tokens that each text is fed as, its prompt and special tokens included."""
        with lock_of(self.model):
            return self._cut_lengths([self.wordings[role].whole(text) for text in texts], role)

    @property
    def measure(self) -> TextMeasure | None:
        """How long documents are for it, before they are read; None where there is no limit."""
        if not self.limit(Role.DOCUMENT):
            return None
        wording, tokenizer = self.wordings[Role.DOCUMENT], self.model.tokenizer
        around = token_counts([wording.whole("")], tokenizer)[0]

        def count_long(texts: Sequence[str], limit: int) -> list[bool]:
            with lock_of(self.model):
                counts = token_counts([wording.whole(text) for text in texts], tokenizer)
            return [count > limit + around for count in counts]

        return TextMeasure(tokenizer, max(0, self.limit(Role.DOCUMENT) - around), count_long)

    def _cut_lengths(self, strings: Sequence[str], role: Role) -> list[int]:
        limit = self.limit(role)
        lengths = token_counts(strings, self.model.tokenizer) if strings else []
        return [min(length, limit) if limit else length for length in lengths]

    def _run(self, texts: list[str], role: Role, prompt: str, options: dict[str, Any]) -> Any:  # noqa: ANN401  (tensor or array, by options)
        """Let the model encode texts, in batches of BATCH or of a budget of tokens."""
        encode = self.model.encode_query if role is Role.QUERY else self.model.encode_document
        call = partial(encode, prompt=prompt, show_progress_bar=False, **options)
        if not self.options.token_budget or not texts:
            hook = self.model.register_forward_hook(lambda *_: tell_encoded(BATCH))
            try:
                return call(texts, batch_size=BATCH)
            finally:
                hook.remove()
        lengths = self._cut_lengths([prompt + text for text in texts], role)
        parts, batches = [], plan(lengths, 0, self.options.token_budget)
        for batch in batches:
            parts.append(call([texts[at] for at in batch], batch_size=len(batch)))
            tell_encoded(len(batch))
        order = np.argsort(np.concatenate(batches))
        if self.sparse:
            return torch.cat(parts).index_select(0, torch.from_numpy(order))
        return np.concatenate(parts)[order]

    def _shorten(self, texts: Sequence[str], role: Role, wording: SbertWording) -> list[str]:
        """Count texts, and cut those that would push what the prompt appends out of the limit."""
        self._counts["texts"] += len(texts)
        shortened, limit = list(texts), self.limit(role)
        if not limit or not texts:
            return shortened
        tokenizer = self.model.tokenizer
        lengths = token_counts([wording.whole(text) for text in texts], tokenizer)
        for at, length in enumerate(lengths):
            self._counts["truncated"] += length > limit
            if length > limit and wording.after:
                shortened[at] = wording.shortened(shortened[at], limit, tokenizer)
        return shortened

    def limit(self, role: Role) -> int:
        """Return the tokens that the model reads, prompt included; 0 is no limit."""
        own = getattr(self.model[0], f"{role.value}_length", None)
        return int(own or self.model.max_seq_length or 0)

    def _check_room(self, role: Role, wording: SbertWording) -> None:
        limit = self.limit(role)
        if limit and token_counts([wording.whole("")], self.model.tokenizer)[0] >= limit:
            raise ValueError(
                f"the prompt for a {role.value} takes all of the {limit} tokens that the model "
                "reads; use a shorter one"
            )


def _digests(model: "SentenceTransformer | SparseEncoder") -> dict[str, Any]:
    """Return what tells a model: weights, tokenizer, and how modules after the first are set."""
    modules = [
        (type(module).__name__, module.get_config_dict())
        for module in list(model)[1:]
        if hasattr(module, "get_config_dict")
    ]
    weights = backend_digest(model) or weights_digest(model)
    return {
        "weights": weights,
        "modules": modules,  # such as pooling, which no weight tells
        "tokenizer": tokenizer_digest(model.tokenizer),
    }


def _csr(rows: "Tensor") -> csr_matrix:
    """Turn a sparse torch tensor (n, vocab) into canonical CSR without zeros."""
    packed = rows.to_sparse().coalesce()
    places, values = packed.indices().numpy(), packed.values().float().numpy()
    keep = values > 0
    matrix = csr_matrix(
        (values[keep], (places[0][keep], places[1][keep])),
        shape=(rows.shape[0], rows.shape[1]),
        dtype=np.float32,
    )
    matrix.sum_duplicates()
    return matrix
