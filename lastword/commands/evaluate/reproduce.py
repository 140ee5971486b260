"""The command that repeats published figures: reproduce."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions, Output
from lastword.cli.screen import Screen, table
from lastword.commands.evaluate.collections import (
    SurveyedCollections,
    encoder_settings,
    judge_options,
)

if TYPE_CHECKING:
    from embedder.types import Encoder
    from eval.tasks.published import ByRun, Configuration, Reproduction
    from lastword.cli.tables import Table

app = Typer()

OUTSIDE = 1  # exit code: what came out is not what was published
MANY = 4  # data sets, from which on the list shows their mean only


@dataclass(frozen=True, slots=True)
class ReproduceOptions:
    """Where data and weights are, and where results go."""

    listing: Annotated[bool, Option("--list", help="List what can be repeated.")] = False
    data: Annotated[
        Path | None,
        Option(
            help="Folder with the data sets: NAME or retrieval/NAME, NAME.tsv or sts/NAME.tsv. "
            "Without it BEIR's are fetched by name."
        ),
    ] = None
    model: Annotated[
        str, Option(help="Where the weights of the configuration's model are on this disk.")
    ] = ""
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto"
    out: Annotated[Path, Option(help="Run folders and indexes go into OUT/NAME.")] = Path(
        "runs/reproduce"
    )


@command(
    app,
    [
        "lastword reproduce --list",
        "lastword reproduce bm25-scifact",
        "lastword reproduce bundled-scifact bm25-scifact --data path/to/beir",
        "lastword reproduce tp-llama2-7b --model path/to/llama-2-7b --data path/to/sts",
    ],
)
def reproduce(
    repeating: ReproduceOptions,
    output: Output,
    names: Annotated[
        list[str] | None,
        Argument(metavar="NAME", help='From the list; a family such as "bm25" is all of it.'),
    ] = None,
) -> None:
    """Repeat published figures: run the checked-in configuration, compare what comes out.

    Exit code 0 where all figures are within their tolerance, 1 where one is not, 2 where a
    configuration cannot be run here.
    """
    from eval.tasks.published import find_configurations, load_configurations

    screen = Screen(output)
    if repeating.listing or not names:
        _list(find_configurations(names) if names else [*load_configurations().values()], screen)
        return
    outcomes: dict[str, list[Reproduction]] = {}
    failures: dict[str, str] = {}
    batch = find_configurations(names)
    for configuration in batch:
        try:
            outcomes[configuration.name] = _repeat(configuration, repeating, screen)
        except (ValueError, OSError) as error:
            failures[configuration.name] = (
                f"{configuration.name} cannot be repeated here: {error} "
                f"(it needs {configuration.needs})"
            )
    data = [_facts(item, outcomes.get(item.name), failures.get(item.name)) for item in batch]
    tables = [_table(batch, outcomes)] if outcomes else []
    if tables or output.json:
        screen.result(data, *tables)
    if failures:
        more = f"; and {len(failures) - 1} more, see --json" if len(failures) > 1 else ""
        raise ValueError(next(iter(failures.values())) + more)
    if not all(outcome.within for reproductions in outcomes.values() for outcome in reproductions):
        raise Exit(OUTSIDE)


def _repeat(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "list[Reproduction]":
    from eval.tasks.published import compare_figures

    judge = {"retrieval": _judge_retrieval, "sts": _judge_sts}[configuration.benchmark]
    return compare_figures(configuration, judge(configuration, repeating, screen))


def _judge_retrieval(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "dict[str, ByRun]":
    from eval.data.collections import open_collection
    from eval.measures.measures import STANDARD, means
    from eval.runs.record import file_stem
    from eval.runs.run_config import open_run
    from eval.tasks.retrieval import judge_collections

    sources = {name: _folder(repeating.data, name) for name in configuration.datasets}
    collections = [open_collection(source) for source in sources.values()]
    surveyed = SurveyedCollections.read(collections, screen)
    with screen.waiting("Loading the model"):
        encoders = _readers(configuration, repeating)
    out = repeating.out / configuration.name
    open_run(out, _settings(configuration, sources, encoders), resume=False)
    measures = dict.fromkeys([configuration.measure, *STANDARD])
    options = judge_options(encoders, configuration.fusion, [*measures], out)
    indexes = [out / "indexes" / f"{file_stem(name)}.index" for name in sources]
    indexed = zip(collections, indexes, strict=True)
    records = judge_collections(indexed, encoders, options, surveyed.watch)
    surveyed.tell(records, out)
    screen.remark(f"{configuration.name}: figures per query and TREC runs are in {out}.")
    return {
        name: {run: means(values) for run, values in record.values.items()}
        for name, record in zip(sources, records, strict=True)
    }


def _settings(
    configuration: "Configuration",
    sources: Mapping[str, str | Path],
    encoders: "Mapping[str, Encoder]",
) -> dict[str, Any]:
    """Return everything that changes a figure, as JSON."""
    from retrieval.fusion_choice import fusion_for

    return {
        "benchmark": configuration.benchmark,
        "reproduces": configuration.name,
        "datasets": [str(source) for source in sources.values()],
        "fusion": fusion_for(configuration.fusion, encoders),
        **encoder_settings(encoders),
    }


def _judge_sts(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "dict[str, ByRun]":
    from eval.data.pairs import read_pairs, sentences
    from eval.tasks.sts import judge, overall_correlation

    sets = [read_pairs(_pair_file(repeating.data, name)) for name in configuration.datasets]
    with screen.waiting("Loading the model"):
        encoder = _readers(configuration, repeating)["dense"]
    with screen.progress("Encoding", len(sentences(sets)), "sentences") as advance:
        judged = judge(sets, encoder, advance)
    return {record.dataset: {"dense": overall_correlation(record).measures} for record in judged}


def _folder(data: Path | None, name: str) -> str | Path:
    """Return a local copy; the name itself, to be fetched, where no folder is given.

    Raises:
        ValueError: the folder that is given lacks it.
    """
    from eval.data.local import is_beir_folder

    if data is None:
        return name
    places = [data / name, data / "retrieval" / name]
    for place in places:
        if is_beir_folder(place):
            return place
    raise ValueError(
        f"--data {data} has no {name}: expected corpus.jsonl, queries.jsonl and qrels/ in "
        f"{' or '.join(map(str, places))}"
    )


def _pair_file(data: Path | None, name: str) -> Path:
    """Return a local file of pairs.

    Raises:
        ValueError: there is none.
    """
    places = [] if data is None else [data / f"{name}.tsv", data / "sts" / f"{name}.tsv"]
    for place in places:
        if place.is_file():
            return place
    paths = " or ".join(map(str, places)) or f"{name}.tsv in the folder given by --data"
    raise ValueError(
        f"no pairs of {name}: expected {paths}, with the columns score, sentence1, sentence2 "
        "separated by tabs"
    )


def _readers(configuration: "Configuration", repeating: ReproduceOptions) -> "dict[str, Encoder]":
    settings = dict(configuration.reading)
    of_model = "embedder" if "embedder" in settings else "model"
    if repeating.model and not {"embedder", "model"} & settings.keys():
        raise ValueError("no model takes part, so that --model has no meaning")
    if repeating.model:
        prefix = "sbert:" if of_model == "embedder" else ""
        settings[of_model] = prefix + repeating.model
    if configuration.benchmark == "sts":
        settings["channels"] = "dense"
    try:
        return make_encoders(EncoderOptions(device=repeating.device, **settings))
    except (ValueError, OSError) as error:
        if repeating.model:
            raise
        hint = "--model FOLDER says where weights are on this disk"
        raise ValueError(f"{str(error).rstrip('.')}; {hint}") from error


def _list(known: "Sequence[Configuration]", screen: Screen) -> None:
    rows = [
        (
            configuration.name,
            configuration.measure,
            " ".join(
                _number(figure.expected, configuration)
                for figure in configuration.figures
                if not figure.dataset or len(configuration.datasets) < MANY
            ),
            configuration.what,
        )
        for configuration in known
    ]
    screen.result(
        [asdict(configuration) for configuration in known],
        table("name", "measure", "published", "", rows=rows, texts=[""]),
    )
    screen.remark(
        "`lastword reproduce NAME` repeats one; --json says where the figures come from, with "
        "which settings, and what is needed."
    )


def _facts(
    configuration: "Configuration", outcomes: "Sequence[Reproduction] | None", failure: str | None
) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(configuration).items() if name != "figures"}
    if outcomes is None:
        return facts | {"failure": failure}
    return facts | {
        "outcomes": [
            asdict(outcome.figure)
            | {"got": outcome.value, "difference": outcome.difference, "within": outcome.within}
            for outcome in outcomes
        ]
    }


def _table(
    batch: "Sequence[Configuration]", outcomes: "Mapping[str, Sequence[Reproduction]]"
) -> "Table":
    rows = [
        (
            configuration.name,
            outcome.figure.dataset or _whole(configuration),
            outcome.figure.run,
            configuration.measure,
            _number(outcome.figure.expected, configuration),
            _number(outcome.value, configuration),
            _number(outcome.difference, configuration, "+"),
            f"{'within' if outcome.within else 'OUTSIDE'} "
            f"{_number(outcome.figure.tolerance, configuration)}",
        )
        for configuration in batch
        for outcome in outcomes.get(configuration.name, ())
    ]
    columns = ("name", "data", "run", "measure", ">published", ">here", ">difference", "tolerance")
    return table(*columns, rows=rows)


def _whole(configuration: "Configuration") -> str:
    datasets = configuration.datasets
    return datasets[0] if len(datasets) == 1 else f"mean of {len(datasets)}"


def _number(value: float, configuration: "Configuration", sign: str = "") -> str:
    """Write a figure as its kind is printed: correlations times 100."""
    if configuration.benchmark == "sts":
        return f"{100 * value:{sign}z.2f}"
    return f"{value:{sign}z.4f}"
