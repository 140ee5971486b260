"""sentence-transformers models, dense and sparse, as Encoders; their own prompts or another."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from embedder.checkpoints.checkpoint import check_finite, check_tokens
from embedder.checkpoints.devices import resolve_device
from embedder.checkpoints.hub import is_local_only
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.checkpoints.load_report import complete_weights
from embedder.checkpoints.module_folder import (
    MODULE_FILES,
    check_module_folder,
    drop_failing_template,
    whole_name,
)
from embedder.encoders.sbert_prompt import SbertWording, own_wordings, sbert_wordings, token_counts
from embedder.encoders.sbert_texts import texts_as_text
from embedder.encoders.specs import SbertSpec, full_place, with_full_paths
from embedder.locks import lock_of
from embedder.models.digests import tokenizer_digest, weights_digest
from embedder.models.loading import LLMOptions
from embedder.progress import tell_encoded
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SparseEncoder

BATCH = 32
_PROBES = ("a text", "Green tea, or hot lava?", "one two three " * 20)


class SbertEncoder(TextEncoder):
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
    ) -> None:
        self.model = model
        self.sparse = sparse
        self.prompt = prompt
        self.spec: SbertSpec | None = None  # `load` knows the model's name
        self.wordings = own_wordings(model) if prompt is None else sbert_wordings(prompt, model)
        self._acting = prompt is not None and prompt.text_specials == "control"
        self._counts = Counter(texts=0, truncated=0)
        for role, wording in self.wordings.items():
            self._check_room(role, wording)
        self._fingerprint = fingerprint_of(
            kind="sbert",
            output="sparse" if sparse else "dense",
            weights=weights_digest(model),
            modules=_modules(model),
            tokenizer=tokenizer_digest(model.tokenizer),
            wordings={role.value: asdict(wording) for role, wording in self.wordings.items()},
            max_text_tokens=[self._limit(role) for role in Role],
            text_specials="control" if self._acting else "text",
            **({"post": asdict(prompt.post)} if prompt and prompt.post else {}),
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
        from sentence_transformers import SentenceTransformer, SparseEncoder

        whole, options = whole_name(name), options or LLMOptions()
        place: dict[str, Any] = {
            "device": resolve_device(options.device),
            "trust_remote_code": options.trust_remote_code,
            "local_files_only": is_local_only(whole, MODULE_FILES),
            "model_kwargs": {"use_safetensors": True},  # pickles run code
        }
        with (
            quiet_transformers(),
            named_errors(name, "sentence-transformers model"),
            complete_weights(name),
        ):
            check_module_folder(name, whole)
            sparse = _is_sparse(whole, place["local_files_only"])
            model = SparseEncoder(name, **place) if sparse else SentenceTransformer(name, **place)
        with named_errors(name, "sentence-transformers model"):
            check_finite(model, name)
            _check_reading(model, name)
        encoder = SbertEncoder(model, sparse, prompt)
        encoder.spec = SbertSpec(full_place(name), prompt and with_full_paths(prompt))
        return encoder

    def with_prompt(self, prompt: Prompt) -> "SbertEncoder":
        """Return the encoder of another prompt on the same model."""
        encoder = SbertEncoder(self.model, self.sparse, prompt)
        encoder.spec = self.spec and replace(self.spec, prompt=prompt)
        return encoder

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        role, texts = Role(role), list_texts(texts)
        with lock_of(self.model):  # its tokenizer keeps how it was called last
            return self._encode(texts, role)

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

    def _run(self, texts: list[str], role: Role, prompt: str, options: dict[str, Any]) -> Any:  # noqa: ANN401  (tensor or array, by options)
        encode = self.model.encode_query if role is Role.QUERY else self.model.encode_document
        hook = self.model.register_forward_hook(lambda *_: tell_encoded(BATCH))
        try:
            return encode(
                texts, prompt=prompt, batch_size=BATCH, show_progress_bar=False, **options
            )
        finally:
            hook.remove()

    def _shorten(self, texts: Sequence[str], role: Role, wording: SbertWording) -> list[str]:
        """Count texts, and cut those that would push what the prompt appends out of the limit."""
        self._counts["texts"] += len(texts)
        shortened, limit = list(texts), self._limit(role)
        if not limit or not texts:
            return shortened
        tokenizer = self.model.tokenizer
        lengths = token_counts([wording.whole(text) for text in texts], tokenizer)
        for at, length in enumerate(lengths):
            self._counts["truncated"] += length > limit
            if length > limit and wording.after:
                shortened[at] = wording.shortened(shortened[at], limit, tokenizer)
        return shortened

    def _limit(self, role: Role) -> int:
        """Return the tokens that the model reads, prompt included; 0 is no limit."""
        own = getattr(self.model[0], f"{role.value}_length", None)
        return int(own or self.model.max_seq_length or 0)

    def _check_room(self, role: Role, wording: SbertWording) -> None:
        limit = self._limit(role)
        if limit and token_counts([wording.whole("")], self.model.tokenizer)[0] >= limit:
            raise ValueError(
                f"the prompt for a {role.value} takes all of the {limit} tokens that the model "
                "reads; use a shorter one"
            )


def _modules(model: "SentenceTransformer | SparseEncoder") -> list[tuple[str, object]]:
    """Return how the modules after the first, such as pooling, are set: no weight tells that."""
    return [
        (type(module).__name__, module.get_config_dict())
        for module in list(model)[1:]
        if hasattr(module, "get_config_dict")
    ]


def _is_sparse(name: str, local_files_only: bool) -> bool:
    """Read from modules.json whether a model ends in a sparse module."""
    from sentence_transformers.util import load_file_path

    for file in MODULE_FILES[:2]:
        path = load_file_path(name, file, local_files_only=local_files_only)
        if path and any(
            mark in Path(path).read_text(encoding="utf-8")
            for mark in ('"SparseEncoder"', "sentence_transformers.sparse_encoder")
        ):
            return True
    return False


def _check_reading(model: "SentenceTransformer | SparseEncoder", name: str) -> None:
    """Refuse a model that gives no numbers of a text, or whose tokens it does not know."""
    table = getattr(getattr(model[0], "auto_model", None), "get_input_embeddings", lambda: None)()
    weight = getattr(table, "weight", None)
    if isinstance(weight, Tensor):
        check_tokens(len(weight), model.tokenizer, name)
    drop_failing_template(model)
    for encode in (model.encode_query, model.encode_document):
        rows = encode(list(_PROBES), convert_to_tensor=True, show_progress_bar=False)
        values = rows.coalesce().values() if rows.is_sparse else rows
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name}: the model gives NaN or infinity for a text; it is damaged")
        if rows.shape[-1] != model.get_embedding_dimension():
            raise ValueError(
                f"{name}: rows have {rows.shape[-1]} columns, and its configuration says "
                f"{model.get_embedding_dimension()}"
            )


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
