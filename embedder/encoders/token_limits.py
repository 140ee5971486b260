"""How much of a text fits in a model's context beside the prompt."""

from dataclasses import replace
from typing import TYPE_CHECKING

from embedder.inputs.render import text_ids
from embedder.models.anatomy import context_length
from embedder.models.loading import LLMOptions

if TYPE_CHECKING:
    from embedder.encoders.reader import PromptReader


def within_context(options: LLMOptions, reader: "PromptReader") -> LLMOptions:
    """Lower the text limit where prompt and text would not fit in the model's context."""
    config = reader.backbone.model.config.get_text_config()
    context = context_length(reader.backbone.model)
    if not context:
        return options
    frames = [frame for role in reader.frames.values() for frame in role]
    select, tokenizer = reader.prompt.select, reader.backbone.tokenizer
    asked = len(text_ids(tokenizer, select.ask)) if select else 0
    room = min(
        (context - len(frame) - asked) // frame.template.texts
        for frame in (*frames, *([reader.other] if reader.other else []))
    )
    if room < 1:
        shown = " with its examples" if reader.prompt.examples else ""
        raise ValueError(
            f"{config.name_or_path}: the prompt{shown} takes all of the model's context of "
            f"{context} tokens; "
            "use a shorter prompt, fewer demonstrations, or another model"
        )
    return replace(options, max_text_tokens=min(options.max_text_tokens, room))
