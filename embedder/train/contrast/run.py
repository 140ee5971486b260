"""Fine-tune a causal LM to be read at its last token: the supervised variant of PromptReps."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.files.json_file import write_json
from embedder.models import sparse as sparsify
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.train.contrast.adapted import Adapted, export, load_adapted
from embedder.train.contrast.finetune_settings import OWN, FineTuneSettings
from embedder.train.contrast.last_tokens import LastTokens
from embedder.train.contrast.worded import WordedBatch, WordedPairs
from embedder.train.data.pair_files import PairFiles
from embedder.train.device import AUTO, Device
from embedder.train.loop import Learner, StagePlan, train_stage, train_until
from embedder.train.loss import Loss, better_than_answer, info_nce, weight_products
from embedder.train.progress import TrainingProgress
from embedder.types import Role

log = logging.getLogger(__name__)
FACTS = "training.json"


@dataclass(frozen=True, slots=True)
class FineTuneRun:
    """Where and for how long a model is fine-tuned; decides no weight.

    Attributes:
        out: folder for the finished model.
        work: checkpoints and log; kept, so that a run can be taken up again.
        device: cpu, cuda, ..., or auto.
        minutes: stop after the step in which this much time is over, and write what there is.
        report: told after each step.
    """

    out: Path
    work: Path
    device: str = AUTO
    minutes: float | None = None
    report: Callable[[TrainingProgress], None] = lambda progress: None


@dataclass(frozen=True, slots=True)
class FineTuneOutcome:
    """What was done.

    Attributes:
        steps: steps done in all, those of earlier calls included.
        of: steps in all.
        pairs: pairs there are.
        learning: weights that learn.
    """

    steps: int
    of: int
    pairs: int
    learning: int


def fine_tune(settings: FineTuneSettings, workshop: FineTuneRun) -> FineTuneOutcome:
    """Fine-tune and write a model; call again with the same folders to take a run up.

    Raises:
        ValueError: a setting does not fit the model, the pairs, the prompts or the checkpoint.
        OSError: a file cannot be read or written.
    """
    late = train_until(workshop.minutes)
    prompts = [_prompt(name, settings.model) for name in settings.prompts]
    for prompt in prompts:
        check_trainable(prompt)
    if settings.hybrid and prompts[0].reading.sparse is None:
        raise ValueError(f"hybrid = true, and prompt {prompts[0].name!r} reads no sparse rows")
    half = {"auto": None, "bfloat16": True, "float32": False}[settings.precision]
    device = Device.choose(workshop.device, half, settings.compile)
    workshop.work.mkdir(parents=True, exist_ok=True)
    pairs = PairFiles([Path(path) for path in settings.pairs], workshop.work)
    steps = settings.steps(len(pairs))
    adapted = load_adapted(settings.model, settings, device)
    encoders = [LLMEncoder(adapted.backbone, prompt, adapted.options) for prompt in prompts]
    deciding = settings.deciding(
        model=adapted.digest, pairs=pairs.digest, prompts=[prompt.hash for prompt in prompts]
    )
    done = train_stage(
        _learner(settings, adapted, WordedPairs(pairs, encoders, settings), device),
        StagePlan(
            steps=steps,
            checkpoint=workshop.work / "contrast.safetensors",
            every=settings.checkpoint_every,
            settings=deciding,
            stop=late,
            report=workshop.report,
            warm_up=settings.warm_up,
        ),
    )
    pairs.close()
    outcome = FineTuneOutcome(
        done, steps, len(pairs), sum(t.numel() for t in adapted.learning.values())
    )
    export(adapted, prompts[0], workshop.out)
    facts = json.loads(deciding) | {"steps": done, "of": steps}
    write_json(workshop.out / FACTS, facts, indent=2)
    log.info("%s is written after %d of %d steps", workshop.out, done, steps)
    return outcome


def check_trainable(prompt: Prompt) -> None:
    """Refuse a prompt that is not read at its own last token, once, at the top.

    Raises:
        ValueError: says what of the prompt cannot be trained with.
    """
    reading = prompt.reading
    rules = {
        "[prepend]": prompt.prepend,
        "[contrast]": prompt.contrast,
        "[filter]": prompt.filter,
        "[select]": prompt.select,
        "[rewrite]": prompt.rewrite,
        "[sample]": prompt.sample,
        "a mode that generates": reading.mode != "first-token",
        "states of other tokens than the last": not reading.at_last_token,
        "another layer than the top": reading.layer != -1 or reading.norm == "never",
        "bidirectional attention": reading.attention != "causal",
        "no dense rows": not reading.dense,
        "several wordings of one role": any(
            len(form.templates(role)) > 1 for form in prompt.forms for role in Role
        ),
    }
    forbidden = [name for name, there in rules.items() if there]
    if forbidden:
        raise ValueError(f"prompt {prompt.name!r} cannot be trained with: it has {forbidden[0]}")


@dataclass(frozen=True, slots=True, eq=False)
class ContrastObjective:
    """InfoNCE on cosines, and on sparse inner products too where `hybrid` says so.

    A batch that is worded in a prompt without sparse rows has the first part only.

    Attributes:
        reading: the model.
        settings: temperature, margin, and whether the loss is hybrid.
    """

    reading: LastTokens
    settings: FineTuneSettings

    def __call__(self, batch: WordedBatch) -> Loss:
        """Return the loss of a batch.

        Only cosines are divided by the temperature, as in PromptReps (Zhuang et al., EMNLP 2024).
        """
        import torch
        from torch.nn.functional import normalize

        # Dropout draws from the global generator: a run that is taken up again draws the same.
        stream = np.random.SeedSequence([self.settings.seed, 2, batch.number])
        torch.manual_seed(int(stream.generate_state(1)[0]))
        n, table = len(batch.queries), batch.encoder.table if self.settings.hybrid else None
        rows = [*batch.queries, *batch.passages]
        states, logits = self.reading.read(rows, logits=table is not None)
        unit = normalize(states, dim=1)
        cosines = unit[:n] @ unit[n:].T  # (n, m)
        left_out = self.reading.device.tensor(batch.same)
        if self.settings.margin is not None:
            left_out = left_out | better_than_answer(cosines.detach(), self.settings.margin)
        dense = info_nce(cosines / self.settings.temperature, left_out)
        parts = {"dense": dense, "left_out": left_out.float().mean()}
        if table is None or logits is None:
            return Loss(dense, parts)
        query_weights = sparsify.select(logits[:n], batch.query_rows.allowed, table)
        passage_weights = sparsify.select(logits[n:], batch.passage_rows.allowed, table)
        sparse = info_nce(weight_products(query_weights, passage_weights, table.columns), left_out)
        return Loss(dense + sparse, parts | {"sparse": sparse})


def _learner(
    settings: FineTuneSettings, adapted: Adapted, pairs: WordedPairs, device: Device
) -> Learner[WordedBatch]:
    adapted.backbone.model.train()
    reading = LastTokens(adapted.backbone.model, device, adapted.options.token_budget)
    tensors = adapted.learning
    return Learner(
        rates=dict.fromkeys(tensors, settings.rate),
        tensors=tensors,
        loss=ContrastObjective(reading, settings),
        batches=pairs.batches,
        device=device,
        longest=1.0,
    )


def _prompt(name: str, model: str) -> Prompt:
    return own_prompt(model) if name == OWN else load_prompt(name)
