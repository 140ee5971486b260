"""The commands that train models: train pretrain, train contrast."""

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, ShowStage, shell, table

if TYPE_CHECKING:
    from embedder.train.contrast.finetune_settings import FineTuneSettings
    from embedder.train.contrast.run import FineTuneOutcome
    from embedder.train.progress import TrainingProgress

app = Typer(help="Train a model: the bundled one again, or any other to be read better.")

_Minutes = Annotated[
    float | None,
    Option("--minutes", min=0, help="Stop after this time, and write what there is by then."),
]
_DeviceName = Annotated[str, Option(help="auto, cpu, cuda, cuda:1, ...")]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Where a model is made, and how long."""

    config: Annotated[
        Path | None, Option("--config", "-c", metavar="FILE.toml", help="Settings.")
    ] = None
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="FOLDER", help="Folder for the model.")
    ] = None
    work: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Checkpoints and log; by default OUT with .work behind it. "
            "The same command again goes on from there.",
        ),
    ] = None
    minutes: _Minutes = None
    example: Annotated[
        bool, Option("--example", help="Write a commented file of settings to stdout, and end.")
    ] = False

    def folders(self) -> tuple[Path, Path]:
        """Return out and work."""
        if self.out is None:
            raise ValueError("where shall the model go? Give --out FOLDER")
        return self.out, self.work or self.out.with_name(self.out.name + ".work")


@command(
    app,
    [
        "lastword train contrast --example > contrast.toml",
        "lastword train contrast --config contrast.toml --out my-model",
        "lastword index docs.jsonl --model my-model --out my-index",
    ],
)
def contrast(
    making: TrainOptions,
    output: Output,
    device: _DeviceName = "auto",
) -> None:
    """Fine-tune any causal language model on pairs of a query and its answer.

    The model learns to be read at its prompt's last token, by LoRA or with all its weights, as in
    PromptReps' supervised variant. What is written is a plain model folder with its prompt.
    """
    if making.example:
        sys.stdout.write(_shipped("contrast.toml").read_text(encoding="utf-8"))
        return
    from embedder.files.config_file import read_config
    from embedder.train.contrast.finetune_settings import FineTuneSettings
    from embedder.train.contrast.run import FineTuneRun, fine_tune

    if making.config is None:
        raise ValueError("which settings? Give --config FILE; --example writes one to begin with")
    out, work = making.folders()
    screen = Screen(output)
    settings = _placed(read_config(making.config, FineTuneSettings), making.config.parent)
    last: list[TrainingProgress] = []
    with screen.stages() as show:

        def report(progress: "TrainingProgress") -> None:
            last[:] = [progress]
            _show_progress(show, progress)

        outcome = fine_tune(settings, FineTuneRun(out, work, device, making.minutes, report))
    facts = _facts(outcome, last) | {"out": str(out), "log": str(work / "contrast.jsonl")}
    rows = [
        [name.replace("_", " "), f"{fact:,}" if isinstance(fact, int | float) else str(fact)]
        for name, fact in facts.items()
    ]
    screen.result(facts, table("", "", rows=rows))
    if outcome.steps < outcome.of:
        screen.remark("It is not finished; the same command again goes on.")
    else:
        screen.remark(f"Use it: lastword index DOCUMENTS {shell('--model', out)}")


@command(
    app,
    [
        "lastword train pretrain --corpus path/to/corpus --out my-tiny",
        "lastword train pretrain --example > tiny.toml",
        "lastword train pretrain --corpus path/to/corpus --config tiny.toml --out my-tiny "
        "--minutes 60",
    ],
)
def pretrain(
    making: TrainOptions,
    output: Output,
    corpus: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Holds passages.jsonl.xz, pairs.jsonl.xz, perhaps extra.jsonl.xz.",
        ),
    ] = None,
    device: _DeviceName = "auto",
    threads: Annotated[
        int | None, Option(min=1, help="CPU threads; by default PyTorch's choice.")
    ] = None,
) -> None:
    """Make a small model from a corpus, as the bundled one was made.

    Without --config it is made with the settings of the bundled one.
    """
    if making.example:
        sys.stdout.write(_shipped("tiny.toml").read_text(encoding="utf-8"))
        return
    from embedder.files.config_file import read_config
    from embedder.train.device import Device
    from embedder.train.loop import train_until
    from embedder.train.pretrain.run import PretrainFolders, PretrainRun, train
    from embedder.train.pretrain.settings import Settings

    if corpus is None:
        raise ValueError("which texts? Give --corpus FOLDER, with passages.jsonl.xz in it")
    out, work = making.folders()
    screen = Screen(output)
    settings = read_config(making.config or _shipped("tiny.toml"), Settings)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    folders, late = PretrainFolders(corpus, work, out), train_until(making.minutes)
    if folders.is_new:
        screen.remark("Reading the corpus into tokens, once; a large one takes minutes.")
    with screen.stages() as show:
        report = partial(_show_progress, show)
        finished = train(PretrainRun(folders, settings, late, Device.choose(device), report))
    facts = {"out": str(out), "work": str(work), "finished": finished}
    screen.result(facts, table("", "", rows=[[name, str(fact)] for name, fact in facts.items()]))
    if not finished:
        screen.remark("It is not finished; the same command again goes on.")


def _show_progress(show: ShowStage, progress: "TrainingProgress") -> None:
    status = (
        f"step {progress.step:,} of {progress.of:,}, loss {progress.loss:.3f}, "
        f"{progress.items_per_second:,.0f} pairs/s, {progress.tokens_per_second:,.0f} tokens/s"
    )
    show(progress.stage, progress.step, progress.of, status)


def _shipped(name: str) -> Path:
    import embedder.train

    return Path(embedder.train.__file__).parent / "configs" / name


def _placed(settings: "FineTuneSettings", folder: Path) -> "FineTuneSettings":
    """Take paths in a file of settings from the folder in which it lies."""
    own = folder / settings.model
    return replace(
        settings,
        model=str(own) if own.is_dir() else settings.model,
        pairs=tuple(str(folder / path) for path in settings.pairs),
        prompts=tuple(
            str(folder / name) if name.endswith(".toml") else name for name in settings.prompts
        ),
    )


def _facts(
    outcome: "FineTuneOutcome", last: "list[TrainingProgress]"
) -> dict[str, int | float | str]:
    facts: dict[str, int | float | str] = {
        "pairs": outcome.pairs,
        "weights_that_learn": outcome.learning,
        "steps": outcome.steps,
        "of": outcome.of,
    }
    for progress in last:  # empty where nothing was left to do
        facts["loss"] = round(progress.loss, 4)
        facts["pairs_per_second"] = round(progress.items_per_second, 1)
        facts["tokens_per_second"] = round(progress.tokens_per_second)
    return facts
