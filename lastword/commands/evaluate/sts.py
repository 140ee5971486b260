"""The command that judges sentence similarity: eval sts."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_spec
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.screen import Screen, counted, table
from lastword.cli.sources import keep_unchanged
from lastword.commands.evaluate.keeping import (
    RunOutput,
    check_names,
    dense_encoder,
    places,
    prompt_name,
)

if TYPE_CHECKING:
    from embedder.encoders.specs import EncoderSpec
    from eval.tasks.sts import Correlation, JudgedPairs
    from lastword.cli.tables import Table

app = Typer()


@command(
    app,
    [
        "lastword eval sts stsb-test.tsv sickr-test.tsv",
        "lastword eval sts STSBenchmark SICK-R --out runs/sts",
        "lastword eval sts path/to/folder --model Qwen/Qwen3-0.6B --prompt mine.toml --json",
        "lastword eval sts stsb-test.tsv --embedder sbert:all-MiniLM-L6-v2",
    ],
)
def sts(
    sources: Annotated[
        list[str],
        Argument(
            metavar="FILE|FOLDER|NAME...",
            help="Tab-separated files with score, sentence1, sentence2, perhaps subset; "
            "folders of them; or names of MTEB's sets: STS12 to STS16, STSBenchmark, SICK-R.",
        ),
    ],
    keeping: RunOutput,
    reading: EncoderOptions,
    output: Output,
) -> None:
    """Evaluate sentence similarity: correlate cosines with people's scores over all pairs.

    Both sentences are read with the prompt's wording for queries, each sentence once.
    """
    from eval.data.mteb_pairs import open_pairs
    from eval.data.pairs import sentences
    from eval.tasks.sentence_vectors import SentenceRows
    from eval.tasks.sts import JudgedPairs, judge_set

    screen = Screen(output)
    sets = [pair_set for source in sources for pair_set in open_pairs(source)]
    check_names(pair_set.name for pair_set in sets)
    with screen.loading(reading.channels):
        encoder, recipe = dense_encoder(reading)
    kept = keeping.finished("sts", recipe, encoder, {"datasets": places(sources)})
    kept = keep_unchanged(kept, {one.name: one.source_facts for one in sets}, screen)
    outcomes = {name: JudgedPairs.of(record) for name, record in kept.items()}
    waiting = [pair_set for pair_set in sets if pair_set.name not in outcomes]
    total = len(sentences(waiting))
    with screen.progress("Encoding", total, "sentences") as advance:
        rows = SentenceRows(encoder)
        for pair_set in waiting:
            try:
                outcomes[pair_set.name] = judge_set(pair_set, rows, advance)
            except ValueError as error:
                raise ValueError(f"{describe_spec(recipe)}: {error}") from error
            keeping.keep(outcomes[pair_set.name].record())
    judged = [outcomes[pair_set.name] for pair_set in sets]
    screen.result([_facts(one, recipe) for one in judged], _shown(judged))
    if len(waiting) < len(sets):
        screen.remark(f"{len(sets) - len(waiting)} of the sets were finished in {keeping.out}.")
    if waiting:
        screen.remark(f"{counted(total, 'sentence')}; encoder: {describe_spec(recipe)}.")
    cut = sum(one.cost.counts["dense"].get("truncated", 0) for one in judged)
    if cut:
        screen.remark(
            f"{cut:,} of the sentences were longer than the limit and were cut; "
            "a language model reads more with --max-text-tokens."
        )
    if keeping.out is not None:
        screen.remark(f"Figures per pair are in {keeping.out}.")


def _facts(judged: "JudgedPairs", recipe: "EncoderSpec") -> dict[str, Any]:
    return judged.to_json() | {"prompt": prompt_name(recipe)}


def _shown(judged: "Sequence[JudgedPairs]") -> "Table":
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
