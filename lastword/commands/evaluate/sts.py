"""The command that judges sentence similarity: eval sts."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_spec
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.parse import full_path
from lastword.cli.screen import Screen, counted, table
from lastword.cli.sources import keep_unchanged
from lastword.commands.evaluate.keeping import (
    RunOutput,
    check_names,
    dense_encoder,
    prompt_name,
)

if TYPE_CHECKING:
    from eval.runs.record import Record
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
    from eval.tasks.sts import judge_set, summarize_pairs

    screen = Screen(output)
    sets = [pair_set for source in sources for pair_set in open_pairs(source)]
    check_names(pair_set.name for pair_set in sets)
    with screen.loading(reading.channels):
        encoder, recipe = dense_encoder(reading)
    settings = {"datasets": list(map(full_path, sources))}
    finished = keeping.finished("sts", recipe, encoder, settings)
    facts = {pair_set.name: pair_set.source_facts for pair_set in sets}
    finished = keep_unchanged(finished, facts, screen)
    waiting = [pair_set for pair_set in sets if pair_set.name not in finished]
    total = len(sentences(waiting))
    with screen.progress("Encoding", total, "sentences") as advance:
        rows = SentenceRows(encoder)
        finished |= keeping.judge(waiting, partial(judge_set, rows=rows, progress=advance), recipe)
    records = [finished[pair_set.name] for pair_set in sets]
    prompt = {"prompt": prompt_name(recipe)}
    screen.result([summarize_pairs(record) | prompt for record in records], _table(records))
    if len(waiting) < len(sets):
        screen.remark(f"{len(sets) - len(waiting)} of the sets were finished in {keeping.out}.")
    if waiting:
        screen.remark(f"{counted(total, 'sentence')}; encoder: {describe_spec(recipe)}.")
    if any("post" in record.details for record in records):
        screen.remark(
            "Rows were post-processed by the prompt's [post], fitted to the sentences of each set "
            "itself (transductive; no scores were used)."
        )
    _tell_losses(records, screen)
    if keeping.out is not None:
        screen.remark(f"Figures per pair are in {keeping.out}.")


def _tell_losses(records: "Sequence[Record]", screen: Screen) -> None:
    cut = sum(record.cost.counts["dense"].get("truncated", 0) for record in records)
    if cut:
        screen.remark(
            f"{cut:,} of the sentences were longer than the limit and were cut; "
            "a language model reads more with --max-text-tokens."
        )


def _table(records: "Sequence[Record]") -> "Table":
    from eval.tasks.sts import overall_correlation

    overall = [overall_correlation(record).to_json() for record in records]
    rows: list[tuple[str, ...]] = []
    for record, figures in zip(records, overall, strict=True):
        rows.append((record.dataset, *_cells(figures)))
        subsets = record.details.get("subsets", {})
        rows += [(f"  {name}", *_cells(part)) for name, part in subsets.items()]
    if len(records) > 1:
        means = (
            fmean(figures["measures"][name] for figures in overall)
            for name in ("spearman", "pearson")
        )
        rows.append((f"mean of {len(records)}", "", *(f"{100 * mean:.2f}" for mean in means), ""))
    return table("pairs of", ">pairs", ">Spearman x100", ">Pearson x100", "", rows=rows)


def _cells(figures: Mapping[str, Any]) -> tuple[str, str, str, str]:
    values = (figures["measures"][name] for name in ("spearman", "pearson"))
    spearman, pearson = ("-" if value is None else f"{100 * value:.2f}" for value in values)
    return f"{figures['pairs']:,}", spearman, pearson, ""
