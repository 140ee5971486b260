"""LLMEncoder: prompt + backbone + sparsify; one forward pass gives dense and sparse rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder import sparsify
from embedder.batching import plan
from embedder.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.loading import LLMOptions, load_backbone, tokenizer_digest, weights_digest
from embedder.prompt import Prompt, content_hash
from embedder.render import Frame, choose_form, frames, text_ids
from embedder.terms import TermTable
from embedder.types import Representation, Role, fingerprint_of

if TYPE_CHECKING:
    from torch import Tensor

    from embedder.backbone import Backbone

WINDOW = 256  # texts that are sorted by length together, while the next are tokenised


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Texts made ready for the model: ids of text and suffix, and the columns they may use."""

    rows: list[list[int]]
    allowed: list[NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What one batch gave, still on the device; `owner` is a position inside the window."""

    owner: NDArray[np.int64]
    dense: "Tensor | None"
    terms: "Tensor | None"
    weights: "Tensor | None"


class LLMEncoder:
    """Any causal LM as a dense and sparse encoder, read at its last token.

    A text that is longer than the limit is cut and counted in `counts["truncated"]`; the words
    it may be described with are taken from the whole of it, as in PromptReps (Zhuang et al.,
    EMNLP 2024).
    """

    def __init__(self, backbone: "Backbone", prompt: Prompt, options: LLMOptions) -> None:
        self.backbone = backbone
        self.prompt = prompt
        self.form = choose_form(prompt, backbone.tokenizer)
        self.frames: Mapping[Role, Frame] = frames(self.form, backbone.tokenizer)
        self.options = _within_context(options, backbone, self.frames)
        rules = prompt.reading.sparse
        self.table = TermTable(backbone.tokenizer, backbone.vocab, rules) if rules else None
        self._budget = self.options.token_budget
        self._generates = prompt.reading.mode != "first-token"
        self._counts: Counter[str] = Counter(texts=0, tokens=0, truncated=0, without_words=0)
        self._fingerprint = self._describe()

    @staticmethod
    def load(
        model: str | Path,
        prompt: Prompt | None = None,
        options: LLMOptions | None = None,
        channels: Sequence[str] | None = None,
    ) -> "LLMEncoder":
        """Load a model by hub name or folder.

        Args:
            model: name, folder, or "bundled".
            prompt: None takes the model folder's own prompt.toml, else "promptreps".
            options: how to run it.
            channels: what is wanted of "dense" and "sparse"; the other is not computed. None is
                all that the prompt reads.
        """
        backbone, resolved = load_backbone(model, options or LLMOptions())
        chosen = prompt or own_prompt(model)
        if channels is not None:
            chosen = chosen.reading_only(dense="dense" in channels, sparse="sparse" in channels)
        return LLMEncoder(backbone, chosen, resolved)

    @property
    def fingerprint(self) -> str:
        """Canonical JSON of everything that changes a vector."""
        return self._fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation: texts, tokens fed, truncated, without_words."""
        return dict(self._counts)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; the empty string is legal."""
        windows = [list(texts[at : at + WINDOW]) for at in range(0, len(texts), WINDOW)]
        parts = [
            self._encode_window(window, role) for window in self._prepared(windows or [[]], role)
        ]
        from scipy.sparse import vstack

        starts = np.arange(len(parts)) * WINDOW
        owner = np.concatenate([p.owner + at for p, at in zip(parts, starts, strict=True)])
        dense = [part.dense for part in parts if part.dense is not None]
        sparse = [part.sparse for part in parts if part.sparse is not None]
        return Representation(
            dense=np.concatenate(dense) if dense else None,
            sparse=vstack(sparse, format="csr") if sparse else None,
            owner=owner,
        )

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns; the texts are not needed, since a column is a vocabulary id."""
        if self.table is None:
            raise ValueError(f"prompt {self.prompt.name!r} reads no sparse rows")
        return {int(term): self.table.readable(int(term)) for term in terms}

    def fed(self, text: str, role: Role) -> list[int]:
        """Return the ids that follow the role's prefix: the text, cut at the limit, and suffix."""
        ids = text_ids(self.backbone.tokenizer, text)[: self.options.max_text_tokens]
        return [*ids, *self.frames[role].suffix]

    def _prepared(self, windows: list[list[str]], role: Role) -> Iterator[_Window]:
        """Tokenise the next window while the model runs on this one."""
        if len(windows) == 1:
            yield self._prepare(windows[0], role)
            return
        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(self._prepare, windows[0], role)
            for following in windows[1:]:
                ready = coming.result()
                coming = pool.submit(self._prepare, following, role)
                yield ready
            yield coming.result()

    def _prepare(self, texts: list[str], role: Role) -> _Window:
        frame = self.frames[role]
        limit = self.options.max_text_tokens
        tokenizer = self.backbone.tokenizer
        cut = tokenizer(texts, add_special_tokens=False, verbose=False).input_ids if texts else []
        rows = [[*ids[:limit], *frame.suffix] for ids in cut]
        allowed = self.table.allowed(texts) if self.table else []
        self._counts["texts"] += len(texts)
        self._counts["tokens"] += sum(map(len, rows)) + len(frame.prefix) * len(rows)
        self._counts["truncated"] += sum(len(ids) > limit for ids in cut)
        self._counts["without_words"] += sum(len(ids) == 0 for ids in allowed)
        return _Window(rows, allowed)

    def _encode_window(self, window: _Window, role: Role) -> Representation:
        import torch

        prefix = self.frames[role].prefix
        waiting = list(range(len(window.rows)))
        done: list[_Rows] = []
        while waiting:
            lengths = [len(window.rows[i]) for i in waiting]
            first = plan(lengths, len(prefix), self._budget, equal=self._generates)[0]
            batch = np.array(waiting)[first]
            try:
                done.append(self._read(prefix, window, batch))
            except (torch.OutOfMemoryError, MemoryError):
                if len(batch) == 1:
                    raise MemoryError(
                        f"one text of {len(window.rows[batch[0]])} tokens does not fit in memory; "
                        "lower --max-text-tokens or use a smaller model"
                    ) from None
                self._budget = max(1, self._budget // 2)  # remembered: the next window starts here
                continue
            finished = set(batch.tolist())
            waiting = [i for i in waiting if i not in finished]
        return self._collect(done)

    def _read(self, prefix: tuple[int, ...], window: _Window, batch: NDArray[np.int64]) -> _Rows:
        import torch

        from embedder.backbone import Wanted
        from embedder.generate import pool, say

        reading = self.prompt.reading
        rows = [window.rows[i] for i in batch]
        if not self._generates:
            wanted = Wanted(reading.layer, reading.dense, reading.sparse is not None)
            step = self.backbone.read(prefix, rows, wanted)
            hidden, logits, owner = step.hidden, step.logits, batch
        else:
            said = say(self.backbone, prefix, rows, reading.generated_tokens)
            pooled = [pool(one, reading.mode) for one in said]
            hidden = torch.cat([states for states, _ in pooled])
            logits = torch.cat([scores for _, scores in pooled])
            owner = np.repeat(batch, [len(states) for states, _ in pooled])
        dense = None if hidden is None else torch.nn.functional.normalize(hidden.float())
        if self.table is None or logits is None:
            return _Rows(owner, dense, None, None)
        allowed = [window.allowed[i] for i in owner]
        return _Rows(owner, dense, *sparsify.select(logits, allowed, self.table))

    def _collect(self, done: list[_Rows]) -> Representation:
        """Bring a window's rows to the host and back into the order of its texts."""
        if not done:
            return self._nothing()
        owner = np.concatenate([rows.owner for rows in done])
        order = np.argsort(owner, kind="stable")
        dense, sparse = None, None
        if self.prompt.reading.dense:
            dense = np.concatenate([_host(rows.dense) for rows in done])[order]
            _refuse_nan(owner[order], dense)
        if self.table is not None:
            pairs = [
                pair
                for rows in done
                for pair in zip(_host(rows.terms), _host(rows.weights), strict=True)
            ]
            weights = [pairs[i][1] for i in order]
            _refuse_nan(owner[order], weights)
            sparse = sparsify.to_rows(
                [pairs[i][0] for i in order],
                weights,
                self.table.columns,
                self.table.rules.scale,
            )
        return Representation(dense, sparse, owner[order].astype(np.int64))

    def _nothing(self) -> Representation:
        width = int(self.backbone.model.config.get_text_config().hidden_size)
        return Representation(
            np.zeros((0, width), np.float32) if self.prompt.reading.dense else None,
            sparsify.to_rows([], [], self.table.columns) if self.table else None,
            np.zeros(0, np.int64),
        )

    def _describe(self) -> str:
        reading = self.prompt.reading
        prompts = {
            f"{role.value}_prompt": content_hash([frame.prefix, frame.suffix])
            for role, frame in self.frames.items()
        }
        return fingerprint_of(
            kind="llm",
            architecture=type(self.backbone.model).__name__,
            weights=weights_digest(self.backbone.model),
            tokenizer=tokenizer_digest(self.backbone.tokenizer),
            dtype=self.options.dtype,
            max_text_tokens=self.options.max_text_tokens,
            mode=reading.mode,
            generated_tokens=0 if reading.mode == "first-token" else reading.generated_tokens,
            layer=reading.layer if reading.dense else None,
            sparse=asdict(reading.sparse) if reading.sparse else None,
            **prompts,
        )


def own_prompt(model: str | Path) -> Prompt:
    """Return the prompt.toml that lies beside a model's weights, else "promptreps".

    A model that was trained with a prompt works with that one only, so it carries it along.
    """
    own = (BUNDLED_MODEL if model == BUNDLED_NAME else Path(model)) / "prompt.toml"
    return Prompt.load(own if own.is_file() else "promptreps")


def _within_context(
    options: LLMOptions, backbone: "Backbone", role_frames: Mapping[Role, Frame]
) -> LLMOptions:
    """Lower the text limit where prompt and text would not fit in the model's context."""
    context = getattr(backbone.model.config.get_text_config(), "max_position_embeddings", None)
    if not context:
        return options
    room = int(context) - max(map(len, role_frames.values()))
    if room < 1:
        raise ValueError(
            f"the prompt takes all of the model's context of {context} tokens; "
            "use a shorter prompt or another model"
        )
    return replace(options, max_text_tokens=min(options.max_text_tokens, room))


def _host(tensor: "Tensor | None") -> NDArray[np.generic]:
    if tensor is None:
        raise AssertionError("rows that were asked for are missing")
    array: NDArray[np.generic] = tensor.cpu().numpy()
    return array


def _refuse_nan(
    owner: NDArray[np.int64], rows: NDArray[np.generic] | list[NDArray[np.generic]]
) -> None:
    for text, row in zip(owner, rows, strict=True):
        if not np.isfinite(row).all():
            raise ValueError(
                f"the model gave NaN or infinity for text {text} of its window; "
                "try --dtype float32, or check the weights"
            )
