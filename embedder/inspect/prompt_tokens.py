"""How many tokens a prompt puts around a document, by the tokenizer of a model."""

from dataclasses import dataclass
from pathlib import Path

from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.prompts.prompt import Prompt
from embedder.types import Role

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """What is read beside a text.

    Attributes:
        before: tokens before it, which are read once for all texts.
        behind: tokens behind it; those of all wordings that share one reading of the text.
        readings: how many times a text is read; `before` and `behind` are means over these.
    """

    before: int
    behind: int
    readings: int = 1


def count_prompt_tokens(prompt: Prompt, folder: Path) -> PromptTokens | None:
    """Count the tokens around a document; None where the folder of the model has no tokenizer.

    What else a prompt does, such as reading a second copy of a text, is not counted.

    Raises:
        ValueError: the tokenizer cannot be read, or no form of the prompt fits it.
    """
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        return None
    from transformers import AutoTokenizer

    from embedder.inputs.prompt_tokenizer import PromptTokenizer
    from embedder.inputs.render import choose_form
    from embedder.prompts.template import share_head

    with quiet_transformers(), named_errors(str(folder)):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    templates = choose_form(prompt, tokenizer).templates(Role.DOCUMENT)
    frames = [PromptTokenizer(template, prompt, tokenizer) for template in templates]
    before = [len(frame.prefix) for frame in frames]
    behind = [len(frame.tokenize([""])[0].ids) - len(frame.prefix) for frame in frames]
    shared = templates[0].tokens == "pieces" and share_head([frame.head for frame in frames])
    if shared and prompt.reads_last_tokens_only:
        return PromptTokens(before[0], sum(behind))
    count = len(frames)
    return PromptTokens(round(sum(before) / count), round(sum(behind) / count), count)
