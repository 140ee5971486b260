"""The commands about prompts: list, show, new."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option, Typer

from lastword.display import Screen, table
from lastword.options import ModelChoice, Output, command

if TYPE_CHECKING:
    from embedder.prompt import Prompt
    from embedder.shown import Shown

app = Typer(help="The wording that turns a model into an embedder: list, show, new.")

Name = Annotated[str, Argument(metavar="NAME|FILE", help="A library name, or a .toml file.")]


@dataclass(frozen=True, slots=True)
class Trial(ModelChoice):
    """A text to try a prompt on, and the model to try it with."""

    text: Annotated[
        str, Option(help="Put this text into the prompt, and show the model's words for it.")
    ] = ""
    role: Annotated[Literal["query", "document"], Option(help="Which of the two wordings.")] = (
        "document"
    )
    words: Annotated[int, Option(min=1, help="How many of the model's words are shown.")] = 15


@command(app, ["lastword prompts list", "lastword prompts list --json"], name="list")
def list_prompts(output: Output) -> None:
    """List the prompts that come with lastword."""
    from embedder.prompt import Prompt

    prompts = [Prompt.load(name) for name in Prompt.library()]
    rows = [(prompt.name, prompt.description) for prompt in prompts]
    Screen(output).result(
        [_facts(prompt) for prompt in prompts], table("prompt", "what it is", rows=rows)
    )


@command(
    app,
    [
        "lastword prompts show promptreps",
        'lastword prompts show promptreps --text "Keys are rotated yearly."',
        'lastword prompts show mine.toml --text "a key" --role query --model Qwen/Qwen3-0.6B',
    ],
)
def show(name: Name, trial: Trial, output: Output) -> None:
    """Print a prompt; with --text, what a model is fed and which words it answers."""
    from embedder.prompt import Prompt

    prompt = Prompt.load(name)
    screen = Screen(output)
    if not trial.text:
        screen.result(_facts(prompt) | {"toml": prompt.to_toml()}, prompt.to_toml().rstrip())
        return
    shown = _tried(prompt, trial)
    fed = "".join(token for _, token in shown.tokens)
    rows = [(word, f"{weight:.3f}") for word, weight in shown.words]
    screen.result(
        asdict(shown),
        f"Form {shown.form}, {len(shown.tokens)} tokens, the text from {shown.slot[0]} to "
        f"{shown.slot[1] - 1}; read at {shown.read}:",
        fed,
        table("word", "weight", rows=rows),
    )


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
    from embedder.prompt import Prompt

    path = out or Path(f"{name}.toml")
    prompt = replace(Prompt.load(like), name=name, source="")
    with path.open("x", encoding="utf-8") as file:  # never over a prompt that somebody wrote
        file.write(prompt.to_toml())
    screen = Screen(output)
    screen.result({"file": str(path), "like": like}, f"Wrote {path}, a copy of {like}.")
    screen.remark(f'Try it: lastword prompts show {path} --text "some text"')


def _facts(prompt: "Prompt") -> dict[str, object]:
    return {
        "name": prompt.name,
        "use": prompt.use,
        "description": prompt.description,
        "source": prompt.source,
        "hash": prompt.hash,
        "mode": prompt.reading.mode,
        "forms": [form.name for form in prompt.forms],
    }


def _tried(prompt: "Prompt", trial: Trial) -> "Shown":
    from embedder.llm import LLMEncoder
    from embedder.loading import LLMOptions
    from embedder.shown import show as shown_to
    from embedder.types import Role

    options = LLMOptions(
        max_text_tokens=trial.max_text_tokens,
        dtype=trial.dtype,
        device=trial.device,
        trust_remote_code=trial.trust_remote_code,
    )
    reads = ("dense", "sparse") if prompt.reading.sparse else ("dense",)
    encoder = LLMEncoder.load(trial.model, prompt, options, reads)
    return shown_to(encoder, trial.text, Role(trial.role), trial.words)
