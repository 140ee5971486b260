"""The command that judges on MTEB's tasks, and on local ones like them: eval mteb."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from embedder.files.config_file import read_toml
from embedder.files.typed_values import in_short
from lastword.cli.command import command
from lastword.cli.encoders import describe_encoders, make_encoders, tell_unprocessed
from lastword.cli.options import AUTO, FUSION_HELP, EncoderOptions, Output
from lastword.cli.screen import Screen, table
from lastword.cli.sources import tell_rebuilt

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

    from embedder.types import Encoder
    from eval.tasks.mteb_model import DenseModel
    from lastword.cli.tables import Table

app = Typer()


@dataclass(frozen=True, slots=True)
class MtebOptions:
    """Which tasks, how channels are fused, and where results go."""

    benchmark: Annotated[
        str, Option(help='All tasks of a benchmark of MTEB, e.g. "MTEB(eng, v2)".')
    ] = ""
    languages: Annotated[
        str,
        Option(help='Of tasks in many languages only these, by ISO 639-3 code: "eng,deu".'),
    ] = ""
    instructions: Annotated[
        Path | None,
        Option(
            help='TOML file of lines like SciFact = "..." by task or type of task. Stands for '
            "{task} in the prompt; MTEB's own stands for tasks that are not named."
        ),
    ] = None
    fusion: Annotated[str, Option(help=FUSION_HELP)] = AUTO
    name: Annotated[
        str,
        Option(
            metavar="ORGANISATION/NAME",
            help="What results call the model; lastword/MODEL-PROMPT-CHANNELS by default.",
        ),
    ] = ""
    out: Annotated[
        Path, Option(help="Folder for results, in the layout of MTEB, and for indexes.")
    ] = Path("runs/mteb")


@command(
    app,
    [
        "lastword eval mteb path/to/scifact stsb-test.tsv",
        "lastword eval mteb SciFact STSBenchmark --model Qwen/Qwen3-0.6B",
        'lastword eval mteb --benchmark "MTEB(eng, v2)" --model Qwen/Qwen3-Embedding-0.6B '
        "--prompt qwen3-embedding",
    ],
)
def mteb(
    choice: MtebOptions,
    reading: EncoderOptions,
    output: Output,
    sources: Annotated[
        list[str] | None,
        Argument(
            metavar="TASK...",
            help="Names of MTEB's tasks; or BEIR folders, and .tsv files of scored pairs.",
        ),
    ] = None,
) -> None:
    """Evaluate on tasks of MTEB with the mteb library, and write results as MTEB takes them.

    Where a corpus is searched, the fused channels are judged; elsewhere dense rows are compared.
    A task that has a result is not judged again.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported; the bars are ours
    from embedder.encoders.specs import known_spec
    from eval.tasks.mteb_encoders import describe, make_model
    from eval.tasks.mteb_tasks import quietly
    from retrieval.fusion_choice import fusion_for

    screen = Screen(output)
    with quietly():
        tasks = _tasks(sources or [], choice)
        instructions = {"": reading.task} if reading.task else {}
        instructions |= _instructions(choice.instructions, tasks)
        with screen.loading(reading.channels):
            encoders = make_encoders(reading)
        _check(tasks, instructions, encoders)
        fusion = fusion_for(choice.fusion, encoders)
        meta = describe(encoders, instructions, fusion, choice.name)
        model = make_model(encoders, instructions, fusion, meta, choice.out / "indexes")
        outcomes = [_judge(task, model, choice.out, screen) for task in tasks]
    for name in getattr(model, "rebuilt", ()):
        tell_rebuilt(name, "rebuilt", screen)
    folder = choice.out / "results" / meta.model_name_as_path() / meta.revision
    data = {"model": meta.name, "revision": meta.revision, "results": str(folder)}
    screen.result(data | {"tasks": outcomes}, _table(outcomes))
    screen.remark(f"Encoder: {describe_encoders(encoders)}.")
    if "dense" in encoders:
        tell_unprocessed(known_spec(encoders["dense"]), screen, "Rows outside an index")
    screen.remark(f"Results of {meta.name} in MTEB's format are in {folder}.")


def _tasks(sources: Sequence[str], choice: MtebOptions) -> "list[AbsTask]":
    from eval.tasks.mteb_tasks import benchmark_tasks, open_task

    if choice.benchmark and choice.languages:
        raise ValueError("a benchmark says itself which languages count; leave out --languages")
    if choice.name and not re.fullmatch(r"[^/\s]+/[^/\s]+", choice.name):
        raise ValueError(f"expected --name as ORGANISATION/NAME; got {choice.name!r}")
    if not sources and not choice.benchmark:
        raise ValueError("give tasks, by name or path, or a --benchmark")
    languages = [code.strip() for code in choice.languages.split(",") if code.strip()]
    tasks = [open_task(source, languages) for source in sources]
    if choice.benchmark:
        tasks += benchmark_tasks(choice.benchmark)
    names = [task.metadata.name for task in tasks]
    for task in tasks:
        name = task.metadata.name
        if task.modalities != ["text"]:
            raise ValueError(f"{name} has {', '.join(task.modalities)}; lastword reads text")
        if names.count(name) > 1:
            raise ValueError(f"results are filed by task, and {name} is there twice")
    return tasks


def _instructions(path: Path | None, tasks: "Sequence[AbsTask]") -> dict[str, str]:
    """Read what to tell the model by task or type of task.

    Raises:
        ValueError: it is no such file, or names what is neither.
    """
    if path is None:
        return {}
    try:
        instructions = read_toml(path)
    except ValueError as error:
        raise ValueError(f'{error}; expected TOML lines like SciFact = "..."') from error
    from eval.tasks.mteb_tasks import known_names, name_hint

    known = {*known_names(), *(task.metadata.name for task in tasks)}
    for name, text in instructions.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"{path}: expected text as instruction of {name}; got {in_short(text)}"
            )
        if name not in known:
            raise ValueError(
                f"{path}: {name!r} is neither a task nor a type of task{name_hint(name, known)}"
            )
    return instructions


def _check(
    tasks: "Sequence[AbsTask]", instructions: Mapping[str, str], encoders: "Mapping[str, Encoder]"
) -> None:
    """Refuse what would fail after hours, or change nothing."""
    from eval.tasks.mteb_encoders import takes_task
    from eval.tasks.mteb_model import SEARCHED

    if instructions and not takes_task(encoders):
        raise ValueError(
            "instructions stand for {task} in a prompt, and this one has none; choose an "
            "instruction embedder's prompt, or write your own file"
        )
    compared = [task.metadata for task in tasks if task.metadata.type not in SEARCHED]
    if compared and "dense" not in encoders:
        raise ValueError(
            f"{compared[0].name} ({compared[0].type}) compares dense rows, and channels are "
            f"{', '.join(encoders)}; leave out --channels, or take a model with dense rows"
        )


def _judge(task: "AbsTask", model: "DenseModel", out: Path, screen: Screen) -> dict[str, Any]:
    """Judge on one task and return what is shown of it."""
    from mteb import ResultCache

    from eval.tasks.mteb_model import SEARCHED
    from eval.tasks.mteb_tasks import judge_task

    about = task.metadata
    if about.superseded_by:
        screen.remark(f"{about.name} is superseded by {about.superseded_by}.")
    with screen.progress(about.name, None, "texts") as advance:
        model.watch(advance)
        result = judge_task(task, model, ResultCache(out))
    score = float(result.get_score())
    channels = model.mteb_model_meta.loader_kwargs["recipes"]
    return {
        "task": about.name,
        "type": about.type,
        "channels": list(channels) if about.type in SEARCHED else ["dense"],
        "measure": about.main_score,
        "score": None if math.isnan(score) else score,
        "dataset_revision": result.dataset_revision,
    }


def _table(outcomes: Sequence[dict[str, Any]]) -> "Table":
    rows = [
        (
            outcome["task"],
            outcome["type"],
            "+".join(outcome["channels"]),
            outcome["measure"],
            "-" if outcome["score"] is None else f"{100 * outcome['score']:.2f}",
            "",
        )
        for outcome in outcomes
    ]
    scores = [outcome["score"] for outcome in outcomes if outcome["score"] is not None]
    if len(scores) > 1:
        rows.append((f"mean of {len(scores)}", "", "", "", f"{100 * fmean(scores):.2f}", ""))
    return table("task", "type", "encoder", "main measure", ">score x100", "", rows=rows)
