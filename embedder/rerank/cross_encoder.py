"""CrossEncoderReranker: a cross-encoder of sentence-transformers scores query and text together."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from embedder.checkpoints.checkpoint import check_finite, check_tokens
from embedder.checkpoints.devices import resolve_device
from embedder.checkpoints.hub import reachable_place
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.checkpoints.load_report import complete_weights
from embedder.checkpoints.module_folder import (
    MODULE_FILES,
    check_module_folder,
    drop_failing_template,
    whole_name,
)
from embedder.encoders.sbert_prompt import SbertWording
from embedder.encoders.sbert_texts import texts_as_text
from embedder.locks import lock_of
from embedder.models.digests import tokenizer_digest, weights_digest
from embedder.progress import tell_encoded
from embedder.rerank.reranker import Pair, PairReranker
from embedder.types import Float32Array, fingerprint_of

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 32
OWNER = "cross-encoder"  # whose models sentence-transformers finds by a bare name
_UNREAD = re.compile(r"(?!)")  # the pooler of a cross-encoder is read
_KIND = "cross-encoder of sentence-transformers"


class CrossEncoderReranker(PairReranker):
    """Scores a pair by what `CrossEncoder.predict` of sentence-transformers says of it.

    One label is the score, through the activation that the model's configuration names, by default
    a sigmoid. Of several labels one counts: the second of two, or the one that is chosen; where the
    configuration names no activation its probability is taken. What is longer than the model reads
    is cut by its tokenizer, and counted.
    """

    def __init__(self, model: "CrossEncoder", label: str = "", name: str = "") -> None:
        """Bind a model.

        Args:
            model: as sentence-transformers loads it.
            label: name or number of the label that counts, of several.
            name: of the model, for people.

        Raises:
            ValueError: there is no such label, or none was chosen of more than two.
        """
        super().__init__()
        self.model = model
        self.name = f"{OWNER}:{name}"
        self.column = _column(model, label, name)
        self._softmax = model.num_labels > 1 and isinstance(model.activation_fn, nn.Identity)
        self._fingerprint = fingerprint_of(
            kind="cross-encoder",
            weights=weights_digest(model),
            tokenizer=tokenizer_digest(model.tokenizer),
            activation=type(model.activation_fn).__name__,
            label=self.column,
            max_length=model.max_seq_length,
        )

    @staticmethod
    def load(
        name: str, device: str = "auto", trust_remote_code: bool = False
    ) -> "CrossEncoderReranker":
        """Load by hub name or folder.

        Args:
            name: hub name or folder; "#" and a label may follow it, where there are several.
            device: cpu, cuda, ..., or auto.
            trust_remote_code: run Python code that comes with the model.

        Raises:
            ValueError: no such model can be loaded. One line that begins with the name.
        """
        from sentence_transformers import CrossEncoder

        name, _, label = name.partition("#")
        whole = whole_name(name, OWNER)
        with (
            quiet_transformers(),
            named_errors(name, _KIND),
            complete_weights(name, _UNREAD),
        ):
            source, local = reachable_place(whole, MODULE_FILES)
            check_module_folder(name, whole)
            model = CrossEncoder(
                source,
                device=resolve_device(device),
                trust_remote_code=trust_remote_code,
                local_files_only=local,
                model_kwargs={"use_safetensors": True},  # pickles run code
            )
        with named_errors(name, _KIND):
            check_finite(model, name)
            table = getattr(model.model, "get_input_embeddings", lambda: None)()
            if table is not None:
                check_tokens(len(table.weight), model.tokenizer, name)
            drop_failing_template(model)
        reranker = CrossEncoderReranker(model, label, name)
        with named_errors(name, _KIND):
            reranker._predict([("a query", "a text"), ("one", "two " * 20)])
        return reranker

    def _score_pairs(self, pairs: Sequence[Pair]) -> Float32Array:
        with lock_of(self.model):  # its tokenizer keeps how it was called last
            self._count(pairs)
            flat = [text for pair in pairs for text in pair]
            with texts_as_text(self.model, SbertWording(), flat) as (_, plain):
                return self._predict(list(zip(plain[::2], plain[1::2], strict=True)))

    def _predict(self, pairs: Sequence[Pair]) -> Float32Array:
        if not pairs:
            return np.zeros(0, np.float32)
        hook = self.model.register_forward_hook(lambda *_: tell_encoded(BATCH))
        try:
            scores: Any = self.model.predict(
                [list(pair) for pair in pairs],
                batch_size=BATCH,
                show_progress_bar=False,
                apply_softmax=self._softmax,
            )
        finally:
            hook.remove()
        column: Float32Array = scores if self.column is None else scores[:, self.column]
        return column.astype(np.float32)

    def _count(self, pairs: Sequence[Pair]) -> None:
        """Count tokens that are read, and texts of pairs that are longer than that."""
        limit = int(self.model.max_seq_length or 0)
        tokenizer = self.model.tokenizer
        cut: set[str] = set()
        for start in range(0, len(pairs), 1024):
            batch = pairs[start : start + 1024]
            queries, texts = map(list, zip(*batch, strict=True))
            lengths = [len(ids) for ids in tokenizer(queries, texts, verbose=False).input_ids]
            cut |= {
                text
                for text, length in zip(texts, lengths, strict=True)
                if limit and length > limit
            }
            self._counts["tokens"] += sum(min(n, limit) if limit else n for n in lengths)
        self._counts["truncated"] += len(cut)


def _column(model: "CrossEncoder", label: str, name: str) -> int | None:
    """Return the place of the label that counts; None where there is but one."""
    count = model.num_labels
    if count == 1:
        if label:
            raise ValueError(f"{name} has one label, its score; leave out #{label}")
        return None
    named = getattr(model.config, "id2label", None) or {}
    labels = [str(named.get(at, at)) for at in range(count)]
    if label in labels:
        return labels.index(label)
    if label.isdecimal() and int(label) < count:
        return int(label)
    if label or count > 2:
        raise ValueError(
            f"{name} has the labels {', '.join(labels)}; say which one means relevant: "
            f"cross-encoder:{name}#{labels[-1]}" + (f"; got {label!r}" if label else "")
        )
    return 1
