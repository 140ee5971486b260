"""The command that looks for evaluation texts among training texts: train overlap."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, counted, table
from lastword.cli.sources import check_folder_of

if TYPE_CHECKING:
    from eval.overlap.report import OverlapReport
    from lastword.cli.tables import Table

app = Typer()


@command(
    app,
    [
        "lastword train overlap path/to/corpus --against path/to/scifact",
        "lastword train overlap pairs.jsonl.gz --against scifact --against stsb-test.tsv --n 10",
        "lastword train overlap path/to/corpus --against path/to/data --out overlap.json",
    ],
)
def overlap(
    training: Annotated[
        list[Path],
        Argument(
            metavar="TRAINING...",
            help="JSON lines, plain, .gz or .xz, with title, text, query, positive or negatives; "
            "or folders of such files.",
        ),
    ],
    against: Annotated[
        list[str],
        Option(
            "--against",
            metavar="PATH|NAME",
            help="What must not be trained on; can be given many times: BEIR folders, .tsv files "
            "of sentence pairs or labelled sentences, folders of all these, or names of BEIR's "
            "and of MTEB's STS sets.",
        ),
    ],
    output: Output,
    n: Annotated[
        int, Option("--run-words", "--n", min=1, max=1000, help="Words in a run that counts.")
    ] = 8,
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="REPORT.json", help="Also write it as JSON.")
    ] = None,
) -> None:
    """Count the evaluation texts that share a run of n words with a training text.

    Words are lower-cased runs of letters and digits. Evaluation texts shorter than n words are
    counted apart, and sought as a whole.
    """
    from embedder.files.json_file import write_json
    from eval.overlap.report import find_overlap, seek
    from eval.overlap.texts import open_sets, read_training, training_files

    screen = Screen(output)
    files = training_files(training)
    if out is not None:
        check_folder_of(out)
    sets, passed_over = open_sets(against)
    size = sum(file.stat().st_size for file in files) // 1000
    with screen.progress("Evaluation texts", None, "texts") as advance:
        sought = seek(sets, n, advance)
    with screen.progress("Training texts", size, "kB") as advance:
        report = find_overlap(sought, read_training(files, lambda done: advance(done // 1000)))
    names = {"training": list(map(str, files)), "passed_over": list(map(str, passed_over))}
    facts = names | report.to_json()
    if out is not None:
        write_json(out, facts, indent=2)
    screen.result(facts, _counts(report), *_worst(report))
    _remark(screen, report, passed_over)


def _counts(report: "OverlapReport") -> "Table":
    rows = [
        (
            set_overlap.dataset,
            set_overlap.kind,
            f"{set_overlap.texts:,}",
            f"{set_overlap.shorter:,}",
            f"{set_overlap.shorter_found:,}",
            f"{set_overlap.touched:,}",
            f"{set_overlap.half:,}",
            counted(set_overlap.longest, "word") if set_overlap.longest else "-",
        )
        for set_overlap in report.overlaps
    ]
    heads = (">texts", ">short", ">whole", ">touched", ">half", "longest run")
    return table("set", "kind", *heads, rows=rows)


def _worst(report: "OverlapReport") -> "list[Table]":
    """Show the longest run of each set and kind that is touched."""
    rows = []
    for set_overlap in report.overlaps:
        for shared in set_overlap.worst[:1]:
            place = shared.training
            cells = (set_overlap.dataset, shared.id, f"{shared.run_words:,} of {shared.words:,}")
            rows.append((*cells, f"{Path(place.file).name}:{place.line}", shared.run))
    columns = ("set", "worst text", ">shared", "training text", "the run")
    return [table(*columns, rows=rows)] if rows else []


def _remark(screen: Screen, report: "OverlapReport", passed_over: "list[Path]") -> None:
    n = report.n
    screen.remark(
        f"short: fewer than {n} words; whole: of these, found in a training text as a whole; "
        f"touched: shares {n} words in a row with one; half: at least half of its {n}-grams are "
        f"in training. {counted(report.training_texts, 'training text')} of "
        f"{report.training_words:,} words; every hit was compared word by word."
    )
    if passed_over:
        named = ", ".join(path.name for path in passed_over)
        screen.remark(f"Skipped, as they hold no evaluation texts: {named}.")
