"""The command that fuses runs, and finds how to: fuse."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from embedder.files.json_file import write_json
from embedder.files.name_lists import split_names
from lastword.cli.command import command
from lastword.cli.options import AUTO, Output
from lastword.cli.screen import Screen, counted
from lastword.cli.sources import check_folder_of, tell_escaped
from lastword.commands.study.fuse_sources import FuseSources, load_development, read_runs
from lastword.commands.study.fuse_view import show_study

if TYPE_CHECKING:
    from eval.fusion.development import Development
    from eval.fusion.study import Study
    from retrieval.run import Run

app = Typer()

SWEEP = "sweep.json"


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How runs are fused, and where the outcome goes."""

    fusion: Annotated[
        str,
        Option(
            help="minmax, rrf, zscore, dbsf or promptreps (min-max as PromptReps has it); with "
            'weights: "minmax:dense=0.7,bm25=0.3". Runs called sparse or bm25 count words. With '
            "--sweep, the one in use, which the chosen one has to beat; auto is then that of the "
            "run folder. Without, auto is minmax, and with --into it forgets the index's own."
        ),
    ] = AUTO
    out: Annotated[
        Path | None,
        Option("--out", "-o", help="Where the fused run goes; with --sweep, the study as JSON."),
    ] = None
    into: Annotated[
        Path | None,
        Option(
            metavar="INDEX",
            help="Make the fusion the default of searches of this index; that of a sweep only if "
            "it holds on queries that did not choose it.",
        ),
    ] = None
    dataset: Annotated[
        str,
        Option(
            help="For --sweep of files: a BEIR folder or name with judgements. Of a run folder: "
            "which of its data sets."
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What a study tries, and on which judgements."""

    sweep: Annotated[
        bool, Option("--sweep", help="Find the method and weights on development queries.")
    ] = False
    qrels: Annotated[
        Path | None,
        Option(help="Judgements for --sweep, a file or a data set by name; not those of a test."),
    ] = None
    split: Annotated[str, Option(help="Split of --dataset; not the one that is reported.")] = (
        "train"
    )
    measure: Annotated[str, Option(help="nDCG@10, AP, RR@10, R@100, P@5 or the like.")] = "nDCG@10"
    methods: Annotated[
        str, Option(help='With commas, e.g. "minmax,rrf:k=20"; by default all, rrf with three k.')
    ] = ""
    step: Annotated[
        float | None,
        Option(help="Between weights; by default 0.1 for up to four runs, more for more."),
    ] = None
    folds: Annotated[int, Option(min=2, help="Of the cross-validation.")] = 10
    seed: Annotated[int, Option(min=0, help="Of samples, folds and sign patterns.")] = 0


@command(
    app,
    [
        "lastword fuse dense.trec bm25.trec --fusion minmax:dense=0.3,bm25=0.7 -o fused.trec",
        "lastword fuse a=one.trec b=two.trec --sweep --dataset path/to/scifact --split train",
        "lastword fuse runs/scifact-train --sweep --into my.index",
        "lastword fuse --fusion rrf --into my.index",
    ],
)
def fuse(
    fusing: FuseOptions,
    sweeping: SweepOptions,
    output: Output,
    runs: Annotated[
        list[str] | None,
        Argument(
            metavar="[RUN...]",
            help="TREC run files, called by their stems or as NAME=FILE says; or one run folder "
            "of `lastword eval retrieval`: the runs of its channels.",
        ),
    ] = None,
) -> None:
    """Fuse runs into one, or find out how to: --sweep tries methods and weights.

    A sweep chooses on development queries, never on those that are reported, and reports how sure
    the choice is: over bootstrap samples, and cross-validated against what is in use.
    """
    screen = Screen(output)
    if sweeping.sweep:
        _sweep(runs or [], fusing, sweeping, screen)
    elif runs and fusing.out is not None:
        _fuse(read_runs(FuseSources(runs, fusing.dataset)), fusing, screen)
    elif fusing.into is not None and fusing.out is None and not runs:
        _commit(fusing.into, "" if fusing.fusion == AUTO else fusing.fusion)
        screen.result({"fusion": fusing.fusion, "into": str(fusing.into)}, _default_text(fusing))
    else:
        raise ValueError(
            "fuse takes RUN... -o FILE.trec, or RUN... --sweep, or --fusion FUSION --into INDEX"
        )


def _default_text(fusing: FuseOptions) -> str:
    if fusing.fusion == AUTO:
        return f"{fusing.into} has no fusion of its own any more."
    return f"Searches of {fusing.into} fuse by {fusing.fusion} from now on."


def _fuse(runs: "Mapping[str, Run]", fusing: FuseOptions, screen: Screen) -> None:
    from retrieval.fusion import DEFAULT, fusion_by_name
    from retrieval.run import write_trec

    assert fusing.out is not None
    check_folder_of(fusing.out)
    fusion = DEFAULT if fusing.fusion == AUTO else fusing.fusion
    fused = fusion_by_name(fusion, list(runs))([*runs.values()])
    escaped = write_trec(fused, fusing.out)
    if fusing.into is not None:
        _commit(fusing.into, fusion)
    into = str(fusing.into) if fusing.into else None
    data = {"runs": list(runs), "fusion": fusion, "run": str(fusing.out), "into": into}
    screen.result(data | {"queries": len(fused)})
    screen.remark(
        f"{fusing.out}: {', '.join(runs)} fused by {fusion}, {counted(len(fused), 'query')}."
    )
    tell_escaped(escaped, fusing.out, screen)


def _sweep(
    names: Sequence[str], fusing: FuseOptions, sweeping: SweepOptions, screen: Screen
) -> None:
    with screen.waiting("Reading runs"):
        development = load_development(
            FuseSources(names, fusing.dataset, sweeping.qrels, sweeping.split)
        )
    if fusing.into is not None:
        _check_index(fusing.into, development.runs)
    study = _run_study(development, fusing, sweeping, screen)
    chosen = study.swept.text(study.chosen)
    into = str(fusing.into) if fusing.into and study.adopt else None
    if into is not None:
        _commit(Path(into), chosen)
    folder = Path(names[0]) if Path(names[0]).is_dir() else None
    place = fusing.out or (folder / SWEEP if folder else None)
    data = {
        "dataset": development.dataset,
        "measure": sweeping.measure,
        "queries": len(development.qrels),
        "unanswered": development.unanswered,
        "part_answered": development.part_answered,
        "without_relevant": development.without_relevant,
        "unjudged": development.unjudged,
        "options": asdict(sweeping) | {"qrels": str(sweeping.qrels) if sweeping.qrels else None},
        **study.to_json(),
        "into": into,
    }
    if place is not None:
        write_json(place, data)
    screen.result(data, *show_study(development, study, sweeping.measure))
    if place is not None:
        screen.remark(f"Every setting, and the measure over each weight, is in {place}.")
    if fusing.into is not None:
        screen.remark(_outcome_text(fusing.into, into is not None, chosen))


def _outcome_text(index: Path, written: bool, chosen: str) -> str:
    if written:
        return f"Searches of {index} fuse by {chosen} from now on."
    return f'{index} was left as it was; lastword fuse --fusion "{chosen}" --into {index} insists.'


def _run_study(
    development: "Development", fusing: FuseOptions, sweeping: SweepOptions, screen: Screen
) -> "Study":
    import numpy as np

    from eval.fusion.study import StudyOptions, SweptSettings, study
    from eval.fusion.sweep import METHODS, grid, sweep
    from eval.measures.measures import evaluate
    from retrieval.fusion import DEFAULT, fusion_by_name

    runs = [*development.runs.values()]
    in_use = fusing.fusion if fusing.fusion != AUTO else development.fusion or DEFAULT
    fuse_so = fusion_by_name(in_use, list(development.runs))
    methods = split_names(sweeping.methods) or METHODS
    settings = grid(len(runs), tuple(dict.fromkeys(methods)), sweeping.step)
    with screen.progress("Sweeping", len(settings), "settings") as advance:
        values = sweep(development.runs, development.qrels, sweeping.measure, settings, advance)
    before = evaluate(fuse_so(runs), development.qrels, [sweeping.measure])[sweeping.measure]
    options = StudyOptions(folds=sweeping.folds, seed=sweeping.seed)
    return study(
        SweptSettings(tuple(development.runs), settings, values),
        (in_use, np.array([*before.values()])),
        options,
    )


def _check_index(path: Path, runs: "Mapping[str, Run]") -> None:
    """Find out before a study whether its outcome would fit an index."""
    from index.manifest_file import read_manifest

    channels = read_manifest(path).channels
    if set(channels) != set(runs):
        raise ValueError(
            f"{path} has channels {', '.join(channels)}; the runs are called {', '.join(runs)}: "
            "call them as the channels, NAME=FILE"
        )


def _commit(path: Path, fusion: str) -> None:
    """Make a fusion the default of an index; "" forgets what was chosen.

    Raises:
        ValueError: it weighs other channels than the index has.
    """
    from index.writer import IndexWriter
    from retrieval.fusion import fusion_by_name

    with IndexWriter(path) as writer:
        if fusion:
            try:
                fusion_by_name(fusion, list(writer.manifest.channels))
            except ValueError as error:
                raise ValueError(f"{path} cannot be searched so: {error}") from error
        writer.fuse_by(fusion)
        writer.commit()
