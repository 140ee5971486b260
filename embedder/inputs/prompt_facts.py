"""What of a prompt changes a vector, as a fingerprint has it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace

from embedder.files.content_hash import content_hash
from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.prompts.prompt import NOTES, Prompt
from embedder.role import Role


def prompt_facts(
    prompt: Prompt,
    frames: Mapping[Role, Sequence[PromptTokenizer]],
    repeated: Collection[Role] = (),
) -> dict[str, object]:
    """Return the rules of a prompt, and the digests of its wordings for one tokenizer.

    Args:
        prompt: read by the model.
        frames: for each role, one for each wording.
        repeated: roles whose wordings share a text that stands there more than once.
    """
    worded = {
        f"{role.value}_prompt": content_hash([frame.content for frame in of_role])
        for role, of_role in frames.items()
    } | {f"{role.value}_text_read": "every time" for role in repeated}
    rules = asdict(replace(prompt, name="", forms=prompt.forms[:1]))
    # What `specials` adds is in the prompts' own ids. Without `post` nothing is said of it.
    unsaid = ("post",) if prompt.post is None else ()
    for known in (*NOTES, "forms", "specials", "adapt", *unsaid):
        rules.pop(known)
    # Reading rules stand beside the others, so that a difference names one rule.
    return {**rules.pop("reading"), **rules, **worded}
