"""The command that judges transfer to classification: eval transfer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_spec, tell_unprocessed
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.parse import full_path
from lastword.cli.screen import Screen, counted, duration, table
from lastword.cli.sources import keep_unchanged
from lastword.commands.evaluate.keeping import (
    RunOutput,
    check_names,
    dense_encoder,
    prompt_name,
)

if TYPE_CHECKING:
    from eval.data.labelled import LabelledTask
    from eval.runs.record import Record
    from eval.tasks.sentence_vectors import SentenceRows
    from eval.tasks.transfer import Protocol
    from lastword.cli.tables import Table

app = Typer()


@dataclass(frozen=True, slots=True)
class FoldOptions:
    """How sets are cross-validated."""

    folds: Annotated[
        int, Option(min=2, help="Parts of a cross-validation; fewer are faster. Papers have 10.")
    ] = 10
    seed: Annotated[
        int, Option(min=0, max=2**32 - 1, help="Of the order in which items are dealt.")
    ] = 1111


@command(
    app,
    [
        "lastword eval transfer path/to/classification",
        "lastword eval transfer mr.tsv trec-train.tsv trec-test.tsv --out runs/transfer",
        "lastword eval transfer mine.tsv --folds 5 --model Qwen/Qwen3-0.6B --json",
    ],
)
def transfer(
    sources: Annotated[
        list[Path],
        Argument(
            metavar="FILE|FOLDER...",
            help="Tab-separated files with label, text, or with label, sentence1, sentence2: "
            "NAME.tsv, or NAME-train.tsv and NAME-test.tsv, perhaps NAME-dev.tsv; or folders.",
        ),
    ],
    folding: FoldOptions,
    keeping: RunOutput,
    reading: EncoderOptions,
    output: Output,
) -> None:
    """Evaluate frozen vectors by what a linear classifier learns from them (SentEval's protocol).

    A whole set is cross-validated, the strength of regularisation chosen inside each fold; a
    test part is predicted from the train part, the strength chosen on dev or by
    cross-validation.
    """
    from eval.tasks.sentence_vectors import SentenceRows
    from eval.tasks.transfer import Protocol

    screen = Screen(output)
    protocol = Protocol(folding.folds, folding.seed)
    tasks = _read_tasks(sources, protocol)
    with screen.loading(reading.channels):
        encoder, recipe = dense_encoder(reading)
    settings = {"datasets": [full_path(str(source)) for source in sources], "folds": protocol.folds}
    finished = keeping.finished("transfer", recipe, encoder, settings | {"seed": protocol.seed})
    finished = keep_unchanged(finished, {task.name: task.source_facts for task in tasks}, screen)
    waiting = [task for task in tasks if task.name not in finished]
    rows = SentenceRows(encoder)
    finished |= keeping.judge(waiting, lambda task: _judge(task, rows, protocol, screen), recipe)
    records = [finished[task.name] for task in tasks]
    prompt = {"prompt": prompt_name(recipe)}
    screen.result([record.summary() | prompt for record in records], _table(records))
    if len(waiting) < len(tasks):
        screen.remark(f"{len(tasks) - len(waiting)} of the tasks were finished in {keeping.out}.")
    if waiting:
        screen.remark(f"{counted(len(rows), 'sentence')}; encoder: {describe_spec(recipe)}.")
        tell_unprocessed(recipe, screen)
    _tell_losses(records, protocol, screen)
    if keeping.out is not None:
        screen.remark(f"Figures per item are in {keeping.out}.")


def _read_tasks(sources: "Sequence[Path]", protocol: "Protocol") -> "list[LabelledTask]":
    """Read tasks and check them: what cannot be judged must not cost hours of encoding."""
    from eval.data.labelled import read_tasks
    from eval.data.tables import tsv_files

    tasks = read_tasks([path for source in sources for path in tsv_files(source, "labelled text")])
    check_names(task.name for task in tasks)
    for task in tasks:
        protocol.check(task)
    return tasks


def _judge(
    task: "LabelledTask", rows: "SentenceRows", protocol: "Protocol", screen: Screen
) -> "Record":
    from eval.data.labelled import sentences
    from eval.tasks.transfer import judge_task

    before, missing = len(rows), rows.missing(sentences([task]))
    if missing:
        with screen.progress(f"Encoding {task.name}", len(missing), "sentences") as advance:
            rows.of(missing, lambda done: advance(done - before))
    with screen.progress(f"Fitting {task.name}", protocol.fits(task), "classifiers") as advance:
        return judge_task(task, rows, protocol, advance)


def _tell_losses(records: "Sequence[Record]", protocol: "Protocol", screen: Screen) -> None:
    """Say what makes the figures other than they might be."""
    from eval.tasks.transfer import FOLDS

    if protocol.folds != FOLDS:
        screen.remark(f"Cross-validated in {protocol.folds} parts; papers have {FOLDS}.")
    for record in records:
        cut = record.cost.counts["dense"].get("truncated", 0)
        if cut:
            screen.remark(
                f"{record.dataset}: {cut:,} sentences were longer than the limit and were cut; "
                "a language model reads more with --max-text-tokens."
            )
        rough = record.details["not_converged"]
        if rough:
            screen.remark(
                f"{record.dataset}: {rough:,} of {record.details['fits']:,} classifiers did not "
                "converge; accuracies may be a little off."
            )


def _table(records: "Sequence[Record]") -> "Table":
    rows: list[tuple[str, ...]] = []
    for record in records:
        details, accuracy = record.details, record.measures["accuracy"]
        f1 = f"{100 * details['f1']:.2f}" if "f1" in details else "-"
        seconds = record.cost.seconds.items()
        durations = ", ".join(f"{stage} {duration(value)}" for stage, value in seconds)
        rows.append((record.dataset, f"{record.size:,}", f"{100 * accuracy:.2f}", f1, durations))
    if len(records) > 1:
        mean = fmean(record.measures["accuracy"] for record in records)
        rows.append((f"mean of {len(records)}", "", f"{100 * mean:.2f}", "", ""))
    return table("task", ">items judged", ">accuracy %", ">F1 of label 1 %", "took", rows=rows)
