"""How the command reproduce repeats one configuration: data, encoders, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions
from lastword.cli.screen import Screen
from lastword.commands.evaluate.collections import (
    SurveyedCollections,
    encoder_settings,
    judge_options,
)

if TYPE_CHECKING:
    from embedder.types import Encoder
    from eval.data.collections import Collection
    from eval.tasks.published import ByRun, Configuration, Reproduction
    from eval.tasks.retrieval import JudgeOptions


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


def repeat(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "list[Reproduction]":
    """Repeat a configuration, and compare what comes out with its figures.

    Raises:
        ValueError: it cannot be repeated here.
        OSError: a file cannot be read or written.
    """
    from eval.tasks.published import compare_figures

    judge = {"retrieval": _judge_retrieval, "sts": _judge_sts, "engines": _judge_engines}[
        configuration.benchmark
    ]
    return compare_figures(configuration, judge(configuration, repeating, screen))


@dataclass(frozen=True)
class _Prepared:
    """What is judged, by which encoders, and into which folder.

    Attributes:
        collections: by the names of the configuration's data sets.
    """

    collections: "Mapping[str, Collection]"
    surveyed: SurveyedCollections
    encoders: "Mapping[str, Encoder]"
    options: "JudgeOptions"
    out: Path


def _prepare(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> _Prepared:
    from eval.data.collections import open_collection
    from eval.measures.measures import STANDARD
    from eval.runs.run_config import open_run
    from eval.tasks.published import EQUAL

    sources = {name: _folder(repeating.data, name) for name in configuration.datasets}
    collections = {name: open_collection(source) for name, source in sources.items()}
    surveyed = SurveyedCollections.read([*collections.values()], screen)
    with screen.waiting("Loading the model"):
        encoders = _readers(configuration, repeating)
    out = repeating.out / configuration.name
    open_run(out, _settings(configuration, sources, encoders), resume=False)
    measures = dict.fromkeys([configuration.measure, *STANDARD])
    measures.pop(EQUAL, None)
    options = judge_options(encoders, configuration.fusion, [*measures], out)
    return _Prepared(collections, surveyed, encoders, options, out)


def _judge_retrieval(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "dict[str, ByRun]":
    from eval.measures.measures import means
    from eval.runs.record import file_stem
    from eval.tasks.retrieval import judge_collections
    from retrieval.options import DEFAULT_CHANNELS

    judged = _prepare(configuration, repeating, screen)
    channels = {
        name: replace(made, engine=configuration.engine)
        for name, made in DEFAULT_CHANNELS.items()
        if made.kind == "inverted"
    }
    options = replace(judged.options, build=replace(judged.options.build, channels=channels))
    indexed = [
        (collection, judged.out / "indexes" / f"{file_stem(name)}.index")
        for name, collection in judged.collections.items()
    ]
    records = judge_collections(indexed, judged.encoders, options, judged.surveyed.watch)
    judged.surveyed.tell(records, judged.out)
    screen.remark(f"{configuration.name}: figures per query and TREC runs are in {judged.out}.")
    return {
        name: {run: means(values) for run, values in record.values.items()}
        for name, record in zip(judged.collections, records, strict=True)
    }


def _judge_engines(
    configuration: "Configuration", repeating: ReproduceOptions, screen: Screen
) -> "dict[str, ByRun]":
    from eval.runs.record import file_stem
    from eval.tasks.engines import judge_engines, whole_weights

    judged = _prepare(configuration, repeating, screen)
    encoders = {name: whole_weights(encoder) for name, encoder in judged.encoders.items()}
    figures: dict[str, ByRun] = {}
    for name, collection in judged.collections.items():
        queries = sum(bool(text.strip()) for text in collection.queries().values())
        folder = judged.out / "indexes" / file_stem(name)
        with judged.surveyed.watch(collection, queries) as advance:
            figures[name] = judge_engines(collection, encoders, folder, judged.options, advance)
    screen.remark(f"{configuration.name}: both runs are in {judged.out}.")
    return figures


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
    from embedder.encoders.load import load_encoder

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
        encoders = make_encoders(EncoderOptions(device=repeating.device, **settings))
        if configuration.engine == "lucene" and "bm25" in encoders:
            encoders["bm25"] = load_encoder("lucene:english")
        return encoders
    except (ValueError, OSError) as error:
        if repeating.model:
            raise
        hint = "--model FOLDER says where weights are on this disk"
        raise ValueError(f"{str(error).rstrip('.')}; {hint}") from error
