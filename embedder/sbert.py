"""sentence-transformers models, dense and sparse, as Encoders with their own prompts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.loading import tokenizer_digest, weights_digest
from embedder.types import Representation, Role, fingerprint_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SparseEncoder
    from torch import Tensor

BATCH = 32


class SbertEncoder:
    """A SentenceTransformer (dense) or SparseEncoder (sparse) model by name or folder.

    Queries and documents go through the model's own `encode_query` and `encode_document`, which
    apply the prompts that its configuration names. Dense rows are scaled to unit length. Texts
    longer than the model's own limit are cut by it; how many is counted.
    """

    def __init__(self, model: "SentenceTransformer | SparseEncoder", sparse: bool) -> None:
        self.model = model
        self.sparse = sparse
        self._counts: Counter[str] = Counter(texts=0, truncated=0)
        prompts = dict(model.prompts)
        self._fingerprint = fingerprint_of(
            kind="sbert",
            output="sparse" if sparse else "dense",
            weights=weights_digest(model),
            tokenizer=tokenizer_digest(model.tokenizer),
            prompts=prompts,
            max_text_tokens=model.max_seq_length,
        )

    @staticmethod
    def load(name: str, device: str = "auto") -> "SbertEncoder":
        """Load by hub name or folder; the folder says whether the model is dense or sparse."""
        from sentence_transformers import SentenceTransformer, SparseEncoder

        place = None if device == "auto" else device
        try:
            if _is_sparse(name):
                return SbertEncoder(SparseEncoder(name, device=place), sparse=True)
            return SbertEncoder(SentenceTransformer(name, device=place), sparse=False)
        except (OSError, ValueError, KeyError) as error:
            first = str(error).strip().split("\n")[0]
            raise ValueError(
                f"no sentence-transformers model could be loaded from {name!r} "
                f"(a folder, or a name on the Hugging Face hub): {first}"
            ) from error

    @property
    def fingerprint(self) -> str:
        """Canonical JSON of everything that changes a vector."""
        return self._fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation: texts, truncated."""
        return dict(self._counts)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        self._count(texts)
        encode = self.model.encode_query if role is Role.QUERY else self.model.encode_document
        owner = np.arange(len(texts), dtype=np.int64)
        if self.sparse:
            options: dict[str, Any] = {"convert_to_sparse_tensor": True, "save_to_cpu": True}
            rows = encode(list(texts), batch_size=BATCH, show_progress_bar=False, **options)
            return Representation(None, _csr(rows, len(texts)), owner)
        options = {"normalize_embeddings": True, "convert_to_numpy": True}
        dense = encode(list(texts), batch_size=BATCH, show_progress_bar=False, **options)
        width = int(self.model.get_embedding_dimension())
        shaped = np.asarray(dense, dtype=np.float32).reshape(len(texts), width)
        return Representation(shaped, None, owner)

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns by the vocabulary."""
        if not self.sparse:
            raise ValueError("a dense sentence-transformers model has no terms to name")
        tokens = self.model.tokenizer.convert_ids_to_tokens([int(term) for term in terms])
        return {int(term): str(token) for term, token in zip(terms, tokens, strict=True)}

    def _count(self, texts: Sequence[str]) -> None:
        self._counts["texts"] += len(texts)
        limit = self.model.max_seq_length
        if limit and texts:
            cut = self.model.tokenizer(
                list(texts), truncation=False, add_special_tokens=True, verbose=False
            ).input_ids
            self._counts["truncated"] += sum(len(ids) > limit for ids in cut)


def _is_sparse(name: str) -> bool:
    """Read from modules.json whether a model ends in a sparse module."""
    from sentence_transformers.util import load_file_path

    for file in ("config_sentence_transformers.json", "modules.json"):
        path = load_file_path(name, file)
        if path and any(
            mark in Path(path).read_text(encoding="utf-8")
            for mark in ('"SparseEncoder"', "sentence_transformers.sparse_encoder")
        ):
            return True
    return False


def _csr(rows: "Tensor", n: int) -> csr_matrix:
    """Turn a sparse torch tensor (n, vocab) into canonical CSR without zeros."""
    packed = rows.to_sparse().coalesce()
    places, values = packed.indices().numpy(), packed.values().float().numpy()
    keep = values > 0
    matrix = csr_matrix(
        (values[keep], (places[0][keep], places[1][keep])),
        shape=(n, rows.shape[1]),
        dtype=np.float32,
    )
    matrix.sum_duplicates()
    return matrix
