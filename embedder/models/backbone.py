"""Backbone: a causal language model that reads states and logits off last tokens.

The LM head runs on last positions only, keys and values of a shared prefix are computed once, and
layers above the one that is read are not run without logits. Nothing here knows an architecture
by name: layers, LM head and cache layout are found from the loaded module.
"""

import inspect
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DynamicCache

from embedder.checkpoints.checkpoint import not_causal
from embedder.inputs.vocabulary import TermVocabulary
from embedder.locks import lock_of
from embedder.models.anatomy import (
    after_blocks,
    attention_output,
    before_block,
    decoder_layers,
    last_token_outputs,
)
from embedder.models.batching import open_mask, right_pad
from embedder.models.digests import tokenizer_digest
from embedder.models.kv_cache import PrefixStore, is_plain, make_cache
from embedder.models.pooling import TokenPooling, read_states
from embedder.models.request import ForwardOutput, Intervention, LayerReachedError, ReadRequest
from embedder.models.workers import has_replicas, replicate
from embedder.prompts.readout_rules import SparseRules, at_depth

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Result = TypeVar("Result")
PLACEHOLDER_SEED = 3407  # the authors'; any row will do, since a copy soon takes its place


class Backbone:
    """A loaded causal LM with its tokenizer; threads may share it.

    Attributes:
        layers: the decoder blocks.
        vocab: width of the logits.
        shares_prefix: whether keys and values of a prefix can be computed apart.
        prefixes: keys and values of prefixes that were read.
        missing_head: names of the LM head's weights that the checkpoint lacks; they are random.
        causal: whether a token's state stays as it is, whatever tokens come after it.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        missing_head: frozenset[str] = frozenset(),
        causal: bool = True,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = next(model.parameters()).device
        self.layers = decoder_layers(model)
        self.vocab = int(model.config.get_text_config().vocab_size)
        self.shares_prefix = is_plain(model)
        self.missing_head = missing_head
        self.causal = causal
        self._accepted = set(inspect.signature(model.forward).parameters)
        self._base_accepted = set(inspect.signature(model.base_model.forward).parameters)
        self.prefixes = PrefixStore(model)
        self._computed: dict[Hashable, object] = {}

    @cached_property
    def placeholder_row(self) -> Tensor:
        """The embedding of the placeholder of token prepending, (dim,) float32."""
        # N(0, 1) as the authors draw it, on the CPU: the same row on every device.
        table = self.model.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(PLACEHOLDER_SEED)
        return torch.randn(table.shape[1], generator=generator).to(self.device)

    @cached_property
    def top(self) -> list[nn.Module]:
        """What a state passes after the last block: the final norm, where there is one."""
        return after_blocks(self.model)

    @cached_property
    def tokenizer_digest(self) -> str:
        """16 hex digits of the tokenizer, computed for the first encoder of this backbone."""
        return tokenizer_digest(self.tokenizer)

    def vocabulary(self, rules: SparseRules) -> TermVocabulary:
        """Return the terms that rules choose from, built for their first encoder."""
        make = partial(TermVocabulary, self.tokenizer, self.vocab, rules)
        return self.compute_once(("vocabulary", rules), make)

    def check_causal(self) -> None:
        """Refuse to read from left to right a model whose tokens see those after them.

        Raises:
            ValueError: rows would depend on their batch.
        """
        if not self.causal:
            raise not_causal(self.model.config.name_or_path, type(self.model).__name__)

    def check_head(self) -> None:
        """Refuse to read a model's words where the checkpoint has no LM head.

        Raises:
            ValueError: what stands in its place is random.
        """
        if self.missing_head:
            raise ValueError(
                f"{self.model.config.name_or_path}: the checkpoint has no LM head "
                f"({min(self.missing_head)} is missing), which this prompt reads; such a model "
                "gives dense rows only: channels dense,bm25 with a prompt that generates nothing"
            )

    def replicas(self, count: int) -> "list[Backbone]":
        """Return so many backbones of these weights and prefixes, whose passes may run at once.

        Where the model cannot be had several times, or once is asked for, this one alone.
        """
        if count < 2 or not has_replicas(self.model):
            return [self]
        replicas = []
        for _ in range(count):
            model = replicate(self.model)
            replica = Backbone(model, self.tokenizer, self.missing_head, self.causal)
            replica.prefixes = self.prefixes.of_replica(model)
            replicas.append(replica)
        return replicas

    def depth_of(self, layer: int | float) -> int:
        """Return the number of blocks under a layer, or say that it does not exist."""
        blocks = len(self.layers)
        depth = at_depth(layer, blocks)
        if not 0 <= depth <= blocks:
            raise ValueError(
                f"read.layer {layer} does not exist: the model has {blocks} blocks, "
                f"so 0 to {blocks}, or -1 for the top"
            )
        return depth

    def compute_once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """Compute what depends on the model and a key alone; the first encoder does it for all."""
        if key not in self._computed:
            self._computed[key] = compute()
        return cast("Result", self._computed[key])

    def attention_output(self, block: int) -> nn.Module:
        """Return the projection of a block's attention output, looked for once."""
        find = partial(attention_output, self.model, block)
        return self.compute_once(("attention output", block), find)

    @torch.inference_mode()
    def read(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Sequence[int]],
        request: ReadRequest,
        keep_cache: bool = False,
        interventions: Sequence[Intervention] = (),
    ) -> ForwardOutput:
        """Run prefix + row for every row.

        Rows are padded on the right: attention is causal, so no token sees the padding, no mask
        is needed, and distances inside a row stay true for sliding windows.

        Args:
            prefix: ids shared by all rows; may be empty.
            rows: n non-empty id sequences.
            request: which layer, logits and positions are returned.
            keep_cache: whether the pass shall be continued by `extend`; rows are then equally long.
            interventions: what is done to states on their way.
        """
        shared = len(prefix) if self.shares_prefix and not request.bidirectional else 0
        if not shared:
            rows = [[*prefix, *row] for row in rows]
        ids, last = right_pad(rows)
        if keep_cache and len(set(last.tolist())) > 1:
            raise ValueError("rows that are continued must be equally long")
        cache = DynamicCache() if keep_cache else None
        if request.norm == "always":
            self.top  # noqa: B018  (found by a pass of its own, on which nothing may intervene)
        with ExitStack() as stack:
            stack.enter_context(lock_of(self.model))
            if shared:
                start = self.prefixes.read(prefix)
                cache = start.growing(len(rows)) if keep_cache else make_cache(start.layers)
            for intervention in interventions:
                for handle in intervention.attach(shared):
                    stack.enter_context(handle)
            return self._pass(ids, last, request, shared, cache)

    @torch.inference_mode()
    def extend(
        self,
        before: ForwardOutput,
        rows: Sequence[Sequence[int]],
        request: ReadRequest,
        each: int = 1,
    ) -> ForwardOutput:
        """Go on from a pass that kept its cache.

        Args:
            before: the pass; its cache is used up.
            rows: n * each id sequences; `each` of them follow the same row of `before`.
            request: which layer, logits and positions are returned.
            each: how many ways each row goes on.
        """
        ids, last = right_pad(rows)
        cache = before.cache
        if each > 1 and cache is not None:
            cache = make_cache((layer.keys, layer.values) for layer in cache.layers)
        with lock_of(self.model):
            return self._pass(ids, last, request, before.seen, cache)

    def _pass(
        self,
        ids: NDArray[np.int64],
        last: NDArray[np.int64],
        request: ReadRequest,
        seen: int,
        cache: DynamicCache | None,
    ) -> ForwardOutput:
        length, ends = seen + ids.shape[1], torch.from_numpy(last).to(self.device)
        inputs: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "position_ids": torch.arange(seen, length, device=self.device)[None],
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        if request.bidirectional:
            inputs["attention_mask"] = open_mask(ends, self.model.dtype)
        if not request.hidden and not request.logits:
            with suppress(LayerReachedError):
                self.model.base_model(**_fitting(inputs, self._base_accepted))
            return ForwardOutput(None, None, length, cache)
        if request.pool_logits:
            if not isinstance(request.pooling, TokenPooling):
                raise ValueError("the largest logits of which positions? request.pooling is None")
            self.check_head()
            logits = self.model(**_fitting(inputs, self._accepted)).logits
            largest = request.pooling.max_pool_logits(logits, seen)
            return ForwardOutput(largest, None, length, cache)
        read_out = partial(read_states, last=ends, pooling=request.pooling, seen=seen)
        hidden, logits = self._read(inputs, ends, read_out, request)
        return ForwardOutput(hidden if request.hidden else None, logits, length, cache)

    def _read(
        self,
        inputs: dict[str, Any],
        last: Tensor,
        read_out: Callable[[Tensor], Tensor],
        request: ReadRequest,
    ) -> tuple[Tensor | None, Tensor | None]:
        depth = self.depth_of(request.layer)
        at_top = depth == len(self.layers) and request.norm != "never"
        if at_top or not request.hidden:
            return self._top(inputs, last, read_out, request.logits)
        outputs: list[Tensor] = []
        top = self.top if request.norm == "always" else []

        def keep(states: Tensor) -> None:
            for module in top:
                states = module(states)
            outputs.append(read_out(states))
            if not request.logits:
                raise LayerReachedError

        with before_block(self.layers, depth, keep):
            try:
                _, logits = self._top(inputs, last, None, request.logits)
            except LayerReachedError:
                logits = None
        return outputs[0], logits

    def _top(
        self,
        inputs: dict[str, Any],
        last: Tensor,
        read_out: Callable[[Tensor], Tensor] | None,
        logits: bool,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Read the LM head's input, and its output where logits are returned."""
        if logits:
            self.check_head()
            return last_token_outputs(self.model, _fitting(inputs, self._accepted), last, read_out)
        states = self.model.base_model(**_fitting(inputs, self._base_accepted)).last_hidden_state
        return None if read_out is None else read_out(states), None


def _fitting(inputs: dict[str, Any], accepted: set[str]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name in accepted}
