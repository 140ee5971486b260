"""The command that judges sentence similarity: eval sts."""

import tomllib
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Typer

from lastword.display import Screen, counted, table
from lastword.encoders import model_channels
from lastword.options import Output, Reading, command
from lastword.recipes import Recipe, said

if TYPE_CHECKING:
    from rich.table import Table

    from embedder.types import Encoder
    from eval.sts import Correlation, JudgedPairs

app = Typer()


@command(
    app,
    [
        "lastword eval sts stsb-test.tsv sickr-test.tsv",
        "lastword eval sts path/to/folder --model Qwen/Qwen3-0.6B --prompt mine.toml --json",
        "lastword eval sts stsb-test.tsv --embedder sbert:all-MiniLM-L6-v2",
    ],
)
def sts(
    sources: Annotated[
        list[Path],
        Argument(
            metavar="FILE|FOLDER...",
            help="Tab-separated files with score, sentence1, sentence2, perhaps subset; "
            "or folders of them.",
        ),
    ],
    reading: Reading,
    output: Output,
) -> None:
    """Judge sentence similarity: correlate cosines with people's scores over all pairs.

    Both sentences are read with the prompt's wording for queries, each sentence once.
    """
    from eval.sts import judge, pair_files, read_pairs, sentences

    screen = Screen(output)
    sets = [read_pairs(path) for source in sources for path in pair_files(source)]
    encoder, recipe = _dense_encoder(reading)
    total = len(sentences(sets))
    with screen.progress("Encoding", total, "sentences") as advance:
        try:
            judged = judge(sets, encoder, advance)
        except ValueError as error:
            raise ValueError(f"{said(recipe)}: {error}") from error
    screen.result([_facts(one, recipe) for one in judged], _shown(judged))
    screen.remark(f"{counted(total, 'sentence')} read by {said(recipe)}.")
    cut = judged[0].counts.get("truncated", 0)
    if cut:
        screen.remark(
            f"{cut:,} of the sentences were longer than the limit and were cut; "
            "a language model reads more with --max-text-tokens."
        )


def _dense_encoder(reading: Reading) -> "tuple[Encoder, Recipe]":
    """Load what gives dense rows; nothing else is computed.

    Raises:
        ValueError: there are none.
    """
    if reading.channels not in ("", "dense"):
        raise ValueError(
            f"similarity is judged on dense rows; leave out --channels {reading.channels}"
        )
    if reading.embedder:
        made = model_channels(replace(reading, channels=""))
        if "dense" not in made:
            raise ValueError(f"{reading.embedder} gives sparse rows; similarity needs dense ones")
        return made["dense"]
    from embedder.llm import own_prompt
    from embedder.prompt import Prompt

    prompt = Prompt.load(reading.prompt) if reading.prompt else own_prompt(reading.model)
    if not prompt.reading.dense:
        raise ValueError(
            f"prompt {prompt.name!r} reads no dense rows, which similarity is judged on; "
            "take another --prompt, or dense = true in its [read]"
        )
    return model_channels(replace(reading, channels="dense"))["dense"]


def _facts(judged: "JudgedPairs", recipe: Recipe) -> dict[str, Any]:
    facts = judged.to_json()
    prompt = getattr(recipe, "prompt", "")  # a sentence-transformers model may have none
    named = tomllib.loads(prompt)["name"] if prompt else None
    return facts | {"prompt": named}


def _shown(judged: "list[JudgedPairs]") -> "Table":
    rows: list[tuple[str, ...]] = []
    for one in judged:
        rows.append((one.dataset, *_cells(one.overall)))
        rows += [(f"  {name}", *_cells(part)) for name, part in one.subsets.items()]
    if len(judged) > 1:
        means = (
            fmean(one.overall.spearman for one in judged),
            fmean(one.overall.pearson for one in judged),
        )
        rows.append((f"mean of {len(judged)}", "", *(f"{100 * mean:.2f}" for mean in means), ""))
    return table("pairs of", ">pairs", ">Spearman x100", ">Pearson x100", "", rows=rows)


def _cells(held: "Correlation") -> tuple[str, str, str, str]:
    values = (f"{100 * value:.2f}" for value in (held.spearman, held.pearson))
    spearman, pearson = ("-" if value == "nan" else value for value in values)
    return f"{held.pairs:,}", spearman, pearson, ""
