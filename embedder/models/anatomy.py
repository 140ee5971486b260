"""Find the parts of a loaded causal LM: blocks, final norm, attention output, embeddings.

Nothing here knows an architecture by name. What a name cannot tell is found by running one token
through the model and watching in which order its modules are called.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from embedder.locks import lock_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def decoder_layers(model: "PreTrainedModel") -> nn.ModuleList:
    """Find the stack of decoder blocks: the outermost list as long as the model is deep."""
    depth = model.config.get_text_config().num_hidden_layers
    for module in model.modules():  # breadth of names: outer modules come first
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ValueError(f"no list of {depth} decoder blocks was found in {type(model).__name__}")


def context_length(model: "PreTrainedModel") -> int | None:
    """Return the most tokens that a model can read at once; None where it sets no limit."""
    length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(length) if length else None


def after_blocks(model: "PreTrainedModel") -> list[nn.Module]:
    """Find what a state passes between the last block and the LM head, in order.

    Usually the final norm; for some OPT also a projection; for others nothing.
    """
    layers = decoder_layers(model)
    owner = next(m for m in model.modules() if any(c is layers for c in m.children()))
    beside = [child for child in owner.children() if child is not layers]
    called = _calls(model, [layers[-1], *beside])
    last = max(at for at, module in enumerate(called) if module is layers[-1])
    return called[last + 1 :]


def attention_output(model: "PreTrainedModel", block: int) -> nn.Module:
    """Find the projection of a block's attention output (o_proj, dense, c_proj ...).

    It is the last module with weights that the block's attention calls.
    """
    attention = next(
        (
            module
            for name, module in decoder_layers(model)[block].named_modules()
            if "attention" in type(module).__name__.lower() and name
        ),
        None,
    )
    if attention is None:
        raise ValueError(
            f"no attention module was found in block {block} of {type(model).__name__}"
        )
    leaves = [m for m in attention.modules() if getattr(m, "weight", None) is not None]
    return _calls(model, [m for m in leaves if m.weight.dim() == 2])[-1]


def embedding_scale(embeddings: nn.Module) -> float:
    """Measure what a model multiplies the rows of its embedding table by inside that module."""
    weight = embeddings.weight
    assert isinstance(weight, Tensor)
    row = weight[:1].float()
    row_embedded = embeddings(torch.zeros((1, 1), dtype=torch.int64, device=row.device))[0].float()
    return float((row_embedded * row).sum() / (row * row).sum().clamp(min=1e-30))


def _calls(model: "PreTrainedModel", watched: Sequence[nn.Module]) -> list[nn.Module]:
    """Run one token and return the watched modules in the order of their calls."""
    called: list[nn.Module] = []

    def note(module: nn.Module, _: Any) -> None:  # noqa: ANN401  (inputs of any module)
        called.append(module)

    device = next(model.parameters()).device
    with lock_of(model), torch.inference_mode(), ExitStack() as hooks:
        for module in watched:
            hooks.enter_context(module.register_forward_pre_hook(note))
        model.base_model(torch.zeros((1, 1), dtype=torch.int64, device=device), use_cache=False)
    return called


def last_token_outputs(
    model: "PreTrainedModel",
    inputs: Mapping[str, Any],
    last: Tensor,
    read: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a causal LM with its LM head on last tokens only, with gradients where they are on.

    The model's own forward gives the logits, with whatever it does to them (soft caps, scales);
    the LM head is given the last tokens instead of all of them.

    Args:
        model: the LM.
        inputs: arguments of its forward, for n rows.
        last: (n,) int64 position of each row's last token.
        read: called with the LM head's input (n, length, dim); what it returns is returned.

    Returns:
        What `read` returned, else the LM head's input at the last tokens (n, dim); and the logits
        there, (n, vocab).
    """
    outputs: list[Tensor] = []
    rows = torch.arange(len(last), device=last.device)

    def last_only(_: nn.Module, states: tuple[Tensor]) -> tuple[Tensor]:
        ends = states[0][rows, last]
        outputs.append(ends if read is None else read(states[0]))
        return (ends[:, None],)  # (n, 1, dim)

    head = model.get_output_embeddings()
    with lock_of(model), head.register_forward_pre_hook(last_only):
        logits = model(**inputs).logits
    return outputs[0], logits[:, -1]


def before_block(
    layers: nn.ModuleList, block: int, change: Callable[[Tensor], Tensor | None]
) -> RemovableHandle:
    """Call `change` with the states (n, length, dim) that enter block `block`, counted from 0.

    What it returns replaces them, unless that is None. For block = depth the states are those
    that leave the last block.
    """

    def leave(_: nn.Module, __: object, output: Any) -> Any:  # noqa: ANN401  (a block's own output)
        changed = change(output if isinstance(output, Tensor) else output[0])
        if changed is None or isinstance(output, Tensor):
            return changed
        return (changed, *output[1:])

    def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        states = args[0] if args else kwargs["hidden_states"]
        changed = change(states)
        if changed is None:
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, kwargs | {"hidden_states": changed}

    if block == len(layers):
        return layers[-1].register_forward_hook(leave)
    return layers[block].register_forward_pre_hook(enter, with_kwargs=True)
