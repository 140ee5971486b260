"""The commands about prompts: list, show, new."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import ModelChoice, Output, Pieces
from lastword.cli.screen import Screen, shell

if TYPE_CHECKING:
    from embedder.inspect.cost import PromptCost
    from embedder.inspect.preview import Preview
    from embedder.prompts.prompt import Prompt

app = Typer(help="The wording that turns a model into an embedder: list, show, new.")

Name = Annotated[str, Argument(metavar="NAME|FILE", help="A library name, or a .toml file.")]


@dataclass(frozen=True, slots=True)
class TrialOptions(ModelChoice):
    """A text to try a prompt on, and the model to try it with."""

    text: Annotated[
        str | None,
        Argument(metavar="[TEXT]", help="Put this into the prompt, and show what a model reads."),
    ] = None
    role: Annotated[
        Literal["query", "document"], Option(help="Which of the prompt's two sides the text is.")
    ] = "document"
    words: Annotated[int, Option(min=1, help="How many of the model's words are shown.")] = 15
    pieces: Pieces = False


@command(
    app,
    ["lastword prompts list", "lastword prompts list --use similarity --json"],
    name="list",
)
def list_prompts(
    output: Output,
    use: Annotated[
        Literal["retrieval", "similarity"] | None, Option(help="Only the prompts for this use.")
    ] = None,
) -> None:
    """List the prompts that come with lastword, with what a text costs by each."""
    from embedder.inspect.cost import prompt_cost
    from embedder.prompts.files import load_prompt, prompt_library
    from lastword.commands.prompts.prompts_view import COST_NOTE, USES, library_table

    prompts = [load_prompt(name) for name in prompt_library()]
    prompts = [prompt for prompt in prompts if use in (None, prompt.use)]
    costs = {prompt.name: prompt_cost(prompt) for prompt in prompts}
    screen = Screen(output)
    blocks: list[Any] = []
    for group, heading in USES.items():
        members = [prompt for prompt in prompts if prompt.use == group]
        if members:
            blocks += [heading, library_table(members, costs)]
    screen.result([_facts(prompt) | _costs(costs[prompt.name]) for prompt in prompts], *blocks)
    screen.remark(COST_NOTE)


@command(
    app,
    [
        "lastword prompts show promptreps",
        'lastword prompts show promptreps "Keys are rotated yearly."',
        'lastword prompts show mine.toml "a key" --role query --model Qwen/Qwen3-0.6B',
    ],
    name="show",
)
def show_prompt(name: Name, trial: TrialOptions, output: Output) -> None:
    """Print a prompt; with a text, what a model is fed and which words it answers."""
    from lastword.cli.encoders import read_prompt
    from lastword.commands.prompts.prompts_view import lay_out_preview

    prompt = read_prompt(name)
    screen = Screen(output)
    if trial.text is None:
        text = _file(name).read_text(encoding="utf-8-sig")
        screen.result(_facts(prompt) | {"toml": text}, text.rstrip())
        return
    with screen.waiting("Loading the model"):
        preview, left_out = _preview(prompt, trial)
    facts = asdict(preview) | {"rules": [*preview.rules, *left_out]}
    screen.result(facts, *lay_out_preview(preview, left_out, trial.pieces))


@command(
    app,
    [
        "lastword prompts new mine",
        "lastword prompts new mine --like promptreps-paper --out prompts/mine.toml",
    ],
)
def new(
    name: Annotated[str, Argument(metavar="NAME", help="What the prompt is to be called.")],
    output: Output,
    like: Annotated[str, Option(help="Prompt to start from.")] = "promptreps",
    out: Annotated[Path | None, Option(help="File to write; NAME.toml by default.")] = None,
) -> None:
    """Write a prompt file of your own to edit, starting from another prompt."""
    from embedder.files.durable import create_file

    path = out or Path(f"{name}.toml")
    text = _rename(name, like)
    create_file(path, text.encode())  # never over a prompt that somebody wrote
    screen = Screen(output)
    screen.result({"file": str(path), "like": like}, f"Wrote {path}, a copy of {like}.")
    screen.remark(f'Try it: {shell("lastword", "prompts", "show", path)} "some text"')


def _file(name: str) -> Path:
    """Return where a prompt that was loaded lies."""
    from embedder.prompts.files import LIBRARY

    return Path(name) if Path(name).suffix == ".toml" else LIBRARY / f"{name}.toml"


def _rename(name: str, like: str) -> str:
    """Return the file of a prompt under another name, its comments kept."""
    from embedder.prompts.files import format_prompt, load_prompt, parse_prompt

    old = load_prompt(like)
    renamed = replace(
        old, name=name, source=": ".join(filter(None, (f"after {old.name}", old.source)))
    )
    text = _file(like).read_text(encoding="utf-8")
    for key in ("name", "source"):
        line = f"{key} = {json.dumps(getattr(renamed, key), ensure_ascii=False)}"
        text = re.sub(rf"(?m)^{key}\s*=.*$", line.replace("\\", r"\\"), text, count=1)
    # A file that is laid out otherwise, e.g. with such a line in a wording, is written anew.
    try:
        if parse_prompt(text) == renamed:
            return text
    except ValueError:
        pass
    return format_prompt(renamed)


def _facts(prompt: "Prompt") -> dict[str, object]:
    """Return all that a prompt says but for its wordings."""
    facts = asdict(prompt)
    forms = [
        {"name": form.name, "needs": form.needs, "wordings": [len(form.query), len(form.document)]}
        for form in prompt.forms
    ]
    return facts | {"forms": forms, "hash": prompt.hash}


def _costs(prompt_cost: "PromptCost") -> dict[str, object]:
    return {"passes": prompt_cost.passes, "relative_tokens": round(prompt_cost.tokens, 3)}


def _preview(prompt: "Prompt", trial: TrialOptions) -> "tuple[Preview, tuple[str, ...]]":
    from embedder.encoders.load import load_encoder
    from embedder.encoders.prompted import language_model_of
    from embedder.inspect.preview import preview_prompt, shortened
    from embedder.types import Role

    prompt, left_out = shortened(prompt)
    encoder = language_model_of(load_encoder(trial.model, prompt, trial.llm_options()))
    assert encoder is not None, trial
    text, role = trial.text or "", Role(trial.role)
    return preview_prompt(encoder, text, role, trial.words, trial.pieces), left_out
