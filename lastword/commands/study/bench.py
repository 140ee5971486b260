"""The command that judges prompts against prompts: bench prompts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.files.json_file import write_json
from embedder.files.name_lists import first_repeated
from lastword.cli.command import command
from lastword.cli.encoders import channel_names
from lastword.cli.options import Output, model_option
from lastword.cli.parse import full_path, split_all
from lastword.cli.screen import Advance, Screen
from lastword.cli.sources import Survey, look_through
from lastword.commands.study.bench_view import show_matrix

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from embedder.prompts.prompt import Prompt
    from eval.matrix.cells import MatrixRequest
    from eval.matrix.run import Data, Matrix

app = Typer(help="Evaluate many prompts and models against each other.")

RESULT = "matrix.json"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is judged, on what."""

    prompts: Annotated[
        list[str],
        Option(
            help="Names from `lastword prompts list`, .toml files, or own: the prompt that a "
            "model carries. With commas, or given again."
        ),
    ]
    datasets: Annotated[
        list[str],
        Option(
            help="BEIR folders or names, and .tsv files of scored pairs. With commas, or "
            "given again."
        ),
    ]
    models: Annotated[
        list[str],
        Option(
            help="Hugging Face names, folders, or bundled. With commas, or given again.",
            show_default=BUNDLED_NAME,
        ),
    ] = (BUNDLED_NAME,)  # type: ignore[assignment]
    side: Annotated[
        str,
        Option(
            help="query evaluates the wording of queries alone: documents are read once for each "
            "model, as by --base. document is the other way round. both evaluates what a user of "
            "the prompt gets; documents that prompts read alike are read once all the same."
        ),
    ] = "both"
    base: Annotated[
        str, Option(help="Prompt of the other --side; by default the first of --prompts.")
    ] = ""


@dataclass(frozen=True, slots=True)
class BenchOutput:
    """What it may cost, and where it goes."""

    budget: Annotated[
        int | None,
        Option(
            min=0,
            metavar="TOKENS",
            help="Tokens that models may read, in all runs into --out together. They are counted "
            "before anything is run, and what would exceed the budget is left out and listed.",
        ),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Count what every cell costs; run and write nothing.")
    ] = False
    out: Annotated[
        Path,
        Option(
            help="Folder of a run folder for every MODEL/PROMPT and of matrix.json. The same "
            "command goes on where it was interrupted."
        ),
    ] = Path("runs/bench")
    seed: Annotated[int, Option(help="Of tests and intervals.")] = 0


@dataclass(frozen=True, slots=True)
class BenchModels:
    """How models run."""

    channels: Annotated[
        str,
        model_option("Some of dense,sparse,bm25, fused for collections; pairs take dense."),
    ] = "dense"
    max_text_tokens: Annotated[int, model_option("Tokens of a text that a model reads.", min=1)] = (
        512
    )
    dtype: Annotated[str, model_option("auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, model_option("auto, cpu, cuda, cuda:1, ...")] = "auto"
    trust_remote_code: Annotated[
        bool,
        model_option(
            "Run Python code that comes with the models. Only if you trust its source.",
            "--trust-remote-code",
        ),
    ] = False


@command(
    app,
    [
        "lastword bench prompts --prompts own,promptreps,mine.toml --datasets path/to/cranfield",
        "lastword bench prompts --prompts prompteol,ck,mean --models bundled,path/to/model "
        "--datasets scifact,stsb-dev.tsv --budget 2000000",
        "lastword bench prompts --prompts own,mine.toml --datasets scifact --side query --dry-run",
    ],
)
def prompts(
    choice: BenchOptions, running: BenchOutput, models: BenchModels, output: Output
) -> None:
    """Evaluate every prompt with every model on every data set, and how steady that is.

    What prompts have in common is read once. Every MODEL/PROMPT in the output folder is a run
    folder for `lastword compare` and `lastword report`.
    """
    from eval.matrix.run import run_matrix

    screen = Screen(output)
    request = _matrix_request(choice, running, models)
    data, surveys = _data(choice.datasets, screen)

    def watch(heading: str, texts: int) -> "AbstractContextManager[Advance]":
        return screen.progress(f"Reading {heading}", texts, "texts")

    matrix = run_matrix(request, data, running.out, watch, running.dry_run)
    report = _report(matrix, running.seed)
    if not running.dry_run:
        running.out.mkdir(parents=True, exist_ok=True)
        write_json(running.out / RESULT, report)
    screen.result(report, *show_matrix(matrix, report))
    for survey in surveys:
        survey.tell(screen)
    for name in matrix.changed:
        screen.remark(
            f"{name}: its texts or judgements are not known to be those that were judged before; "
            "it is judged again."
        )
    if not running.dry_run:
        screen.remark(
            f"Run folders are {running.out}/MODEL/PROMPT; all figures are in "
            f"{running.out / RESULT}."
        )


def _matrix_request(
    choice: BenchOptions, running: BenchOutput, models: BenchModels
) -> "MatrixRequest":
    from embedder.models.loading import LLMOptions
    from eval.matrix.cells import MatrixRequest
    from eval.matrix.run import WORK

    prompt_sources = split_all(choice.prompts)
    if choice.side != "both" and choice.base not in ("", *prompt_sources):
        prompt_sources.insert(0, choice.base)
    named = dict(_named_prompt(source) for source in prompt_sources)
    _refuse_twins([_named_prompt(source)[0] for source in prompt_sources], "prompts")
    model_sources = split_all(choice.models)
    labels = [_label(source) for source in model_sources]
    _refuse_twins([*labels, WORK], "models")
    if choice.side == "both" and choice.base:
        raise ValueError("--base is the prompt of the other side; add --side query or document")
    base = "" if choice.side == "both" else _named_prompt(choice.base or prompt_sources[0])[0]
    return MatrixRequest(
        prompts=named,
        models=dict(zip(labels, model_sources, strict=True)),
        channels=tuple(channel_names(models.channels)),
        side=choice.side,  # type: ignore[arg-type]  # MatrixRequest refuses others
        base=base,
        budget=running.budget,
        options=LLMOptions(
            max_text_tokens=models.max_text_tokens,
            dtype=models.dtype,
            device=models.device,
            trust_remote_code=models.trust_remote_code,
        ),
    )


def _data(sources: Sequence[str], screen: Screen) -> "tuple[list[Data], list[Survey]]":
    from eval.data.collections import open_collections
    from eval.data.pairs import read_pairs

    data: list[Data] = []
    surveys: list[Survey] = []
    for source in split_all(sources):
        if source.endswith(".tsv"):
            data.append(read_pairs(Path(source)))
            continue
        for collection in open_collections([source]):
            collection.queries()  # what cannot be judged must not cost hours of encoding
            surveys.append(look_through(collection, screen, judged=collection.qrels()))
            data.append(collection)
    return data, surveys


def _named_prompt(source: str) -> "tuple[str, Prompt | None]":
    from embedder.prompts.files import load_prompt
    from eval.matrix.cells import OWN

    # Names of the library may have points in them: prompteol-shot-opt-1.3b.
    name = Path(source).stem if source.endswith(".toml") else source
    return (OWN, None) if source == OWN else (name, load_prompt(source))


def _label(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", Path(full_path(model)).name)


def _refuse_twins(names: Sequence[str], kind: str) -> None:
    if (repeated := first_repeated(names)) is not None:
        raise ValueError(f"two of the {kind} would be filed under {repeated!r}; rename one")


def _report(matrix: "Matrix", seed: int) -> dict[str, Any]:
    """Return the matrix with what it says about prompts and models."""
    from eval.statistics.sensitivity import measure_sensitivity

    columns = {
        dataset: {
            model: {prompt: record.main for prompt, record in matrix.column(dataset, model).items()}
            for model in matrix.request.models
        }
        for dataset in matrix.datasets
    }
    return matrix.to_json() | measure_sensitivity(columns, (matrix.request.default,), seed)
