"""Compare every way of reading a text that the prompt library knows, on sentence similarity.

    python -m benchmarks.families [--model bundled] [--data FOLDER] [--out FILE] [--dry]

Each prompt is judged on STS-B dev and SICK-R test, beside the plain mean of the text's states.
Passes and tokens are counted inside the model while it reads SICK-R's first sentences: a text
enters the first block once a pass, and a token costs the share of the blocks that compute it, so
that a prefix which all texts share, or a pass that stops early, costs what it costs. Padding
counts. Seconds are taken in turns, all prompts once a round.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from benchmarks.families_report import HEADINGS, MEAN, ROUNDS, SETS, TIMED, Outcome, Report
from benchmarks.record import append
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt, parse_prompt, prompt_library
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from eval.data.pairs import PairSet, read_pairs, sentences
from eval.tasks.sts import judge, overall_correlation
from lastword.cli.screen import table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data/sts"
WIDTH = 120  # columns of a terminal that the table needs
PLAIN = """
name = "plain mean"
query = { template = "{text}" }
document = { template = "{text}" }
read = { span = "text", pool = "mean" }
sparse = { enabled = false }
"""


@dataclass(slots=True)
class Work:
    """What a model computes: texts that enter it, and tokens weighed by the blocks they pass."""

    rows: int = 0
    tokens: float = 0.0


def main() -> None:
    """Judge and time all prompts, print the table, write it down."""
    args = _arguments()
    missing = [name for name in SETS if not (args.data / f"{name}.tsv").is_file()]
    if missing:
        raise SystemExit(f"skipped: {args.data} holds no {missing[0]}.tsv; give a folder: --data")
    sets = [read_pairs(args.data / f"{name}.tsv") for name in SETS]
    own = own_prompt(args.model)
    prompts = {MEAN: parse_prompt(PLAIN), own.name: own}
    prompts |= {name: load_prompt(name) for name in args.prompts or prompt_library()}
    report = _measured(args.model, args.device, prompts, sets)
    _print(report)
    if args.dry:
        return
    for record in report.records():
        append(record)
    command = shlex.join(["python", "-m", "benchmarks.families", *sys.argv[1:]])
    args.out.write_text(report.page(command), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="bundled", help="a Hugging Face name or a folder")
    parser.add_argument("--data", type=Path, default=DATA, help="with stsb-dev.tsv, sickr-test.tsv")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--prompts", nargs="+", help="some of the library; by default all")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/families.md")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    arguments: argparse.Namespace = parser.parse_args()
    return arguments


def _measured(
    model: str, device: str, prompts: Mapping[str, Prompt], sets: Sequence[PairSet]
) -> Report:
    """Judge and time all prompts that suit the model, which is loaded once."""
    backbone, options = load_backbone(model, LLMOptions(device=device))
    outcomes: dict[str, Outcome] = {}
    encoders: dict[str, LLMEncoder] = {}
    left_out: dict[str, str] = {}
    for name in track(prompts, "Judging", console=Console(stderr=True), transient=True):
        try:
            encoders[name] = _encoder(backbone, prompts[name], options)
            outcomes[name] = _judged(encoders[name], sets)
        except ValueError as error:  # it does not suit this model, or gives no one row a text
            left_out[name] = str(error)
    if MEAN in left_out:
        raise SystemExit(f"the plain mean, which all are compared with: {left_out[MEAN]}")
    _time(outcomes, encoders, sentences(sets[-1:])[:TIMED])
    place = {"dtype": options.dtype, "device": str(backbone.device)}
    return Report(
        facts={"model": model, "blocks": len(backbone.layers), **place},
        pairs={part.name: len(part.pairs) for part in sets},
        sources={name: prompt.source.split(" (")[0] for name, prompt in prompts.items()},
        outcomes=outcomes,
        left_out=left_out,
    )


def _encoder(backbone: Backbone, prompt: Prompt, options: LLMOptions) -> LLMEncoder:
    if not prompt.reading.dense:
        raise ValueError("it reads no dense rows")
    return LLMEncoder(backbone, prompt.reading_only(dense=True, sparse=False), options)


def _judged(encoder: LLMEncoder, sets: Sequence[PairSet]) -> Outcome:
    """Judge a prompt on all sets, and count what the model does for one window of sentences."""
    texts = sentences(sets[-1:])[:TIMED]
    encoder.encode(texts[:1], Role.QUERY)  # what all texts share is computed here
    with counted(encoder.backbone.layers) as work:
        encoder.encode(texts, Role.QUERY)
    before = encoder.counts["truncated"]
    judged = judge(sets, encoder)
    return Outcome(
        spearman={record.dataset: overall_correlation(record).spearman for record in judged},
        passes=work.rows / len(texts),
        tokens=work.tokens / len(texts),
        truncated=encoder.counts["truncated"] - before,
    )


@contextmanager
def counted(layers: nn.ModuleList) -> Iterator[Work]:
    """Count the work of decoder blocks while the context is open."""
    work = Work()

    def enter(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states: Tensor = args[0] if args else kwargs["hidden_states"]  # (n, length, dim)
        work.rows += states.shape[0] if block is layers[0] else 0
        work.tokens += states.shape[0] * states.shape[1] / len(layers)

    hooks = [layer.register_forward_pre_hook(enter, with_kwargs=True) for layer in layers]
    try:
        yield work
    finally:
        for hook in hooks:
            hook.remove()


def _time(
    outcomes: Mapping[str, Outcome], encoders: Mapping[str, LLMEncoder], texts: Sequence[str]
) -> None:
    """Time all prompts in turns, so that what else the machine does strikes all of them."""
    for _ in range(ROUNDS):
        for name, outcome in outcomes.items():
            started = time.perf_counter()
            encoders[name].encode(texts, Role.QUERY)
            outcome.seconds.append(time.perf_counter() - started)


def _print(report: Report) -> None:
    console = Console(width=max(WIDTH, Console().width))
    first, *numbers, last = HEADINGS
    rows = [[*row, ""] for row in report.rows()]
    console.print(table(first, *(f">{name}" for name in numbers), last, "", rows=rows))
    console.print(f"tokens and seconds of {report.unit} are 1")
    for name, reason in report.left_out.items():
        console.print(f"{name} is left out: {reason}", markup=False)


if __name__ == "__main__":
    main()
