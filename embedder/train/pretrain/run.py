"""Make the bundled model: tokenizer, token ids, bag of words, decoder, folder of files."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedder.files.durable import filling
from embedder.train.data.corpus import PASSAGE_FILES, Corpus, read_corpus, tokenizer_texts
from embedder.train.data.nearness import near_directions
from embedder.train.data.pairs import PairSource
from embedder.train.device import Device
from embedder.train.loop import Learner, StagePlan, train_stage
from embedder.train.pretrain.bag import RESERVED, Bag, new_bag, token_frequency
from embedder.train.pretrain.decoder import decoder_config, decoder_from_bag
from embedder.train.pretrain.export import export
from embedder.train.pretrain.objective import BagObjective, DecoderObjective
from embedder.train.pretrain.settings import PHRASINGS, Settings, Stage
from embedder.train.pretrain.tokenizer import train_tokenizer
from embedder.train.pretrain.wording import PromptIds
from embedder.train.progress import TrainingProgress
from embedder.train.work_files import named_if_damaged

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

log = logging.getLogger(__name__)
TOKENIZER_FILE, CORPUS_FILE = "tokenizer.json", "corpus.npz"


@dataclass(frozen=True, slots=True)
class PretrainFolders:
    """Where a run reads and writes.

    Attributes:
        corpus: holds passages.jsonl.xz, pairs.jsonl.xz and perhaps extra.jsonl.xz.
        work: tokenizer, token ids and checkpoints; kept, so that a run can be taken up again.
        out: the finished model.
    """

    corpus: Path
    work: Path
    out: Path

    @property
    def is_new(self) -> bool:
        """Whether a corpus is there that is yet to be turned into token ids."""
        return (self.corpus / PASSAGE_FILES[0]).exists() and not (self.work / CORPUS_FILE).exists()


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What every stage learns from."""

    tokenizer: "Tokenizer"
    corpus: Corpus
    wording: PromptIds

    def pairs(self, stage: Stage, bag: Bag) -> PairSource:
        """Return the stream of pairs, cut by what a bag takes for topics."""
        full_stop = self.tokenizer.encode(".", add_special_tokens=False).ids[0]
        return PairSource(self.corpus, bag.topic_rows(), full_stop, stage.passage_tokens)


@dataclass(frozen=True, slots=True)
class PretrainRun:
    """One making of the model: folders, settings, when to stop, where, and who is told."""

    folders: PretrainFolders
    settings: Settings
    late: Callable[[], bool] = lambda: False
    device: Device = field(default_factory=Device)
    report: Callable[[TrainingProgress], None] = lambda progress: None

    def plan(self, name: str, stage: Stage) -> StagePlan:
        """Return the plan of a stage, whose checkpoint is called after it."""
        checkpoint = self.folders.work / f"{name}.safetensors"
        every = self.settings.checkpoint_every
        deciding = self.settings.deciding(name)
        return StagePlan(stage.steps, checkpoint, every, deciding, self.late, self.report)


def train(run: PretrainRun) -> bool:
    """Train and export; call it again with the same folders to take a stopped run up.

    A run that is late stops after the step in which it notices, and exports what there is.

    Returns:
        Whether the run is finished, rather than stopped by the clock.
    """
    folders, settings = run.folders, run.settings
    folders.work.mkdir(parents=True, exist_ok=True)
    material = prepare(folders, settings)
    bag, finished = train_bag(run, material)
    config = decoder_config(settings.shape, material.tokenizer)
    model = decoder_from_bag(bag, config, settings.seed)
    if finished:
        finished = train_decoder(run, material, bag, model)
    export(model, material.tokenizer, folders.out)
    log.info("%s is written%s", folders.out, "" if finished else "; call again to go on")
    return finished


def prepare(folders: PretrainFolders, settings: Settings) -> Material:
    """Train the tokenizer and tokenise the corpus, or read what an earlier call kept."""
    from tokenizers import Tokenizer

    kept_tokenizer, kept_corpus = folders.work / TOKENIZER_FILE, folders.work / CORPUS_FILE
    if not kept_tokenizer.exists():
        texts = partial(tokenizer_texts, folders.corpus, settings.tokenizer_every)
        known = "".join(text for phrasing in PHRASINGS.values() for text in phrasing.values())
        with filling(folders.work) as new:
            trained = train_tokenizer(texts, settings.shape.vocabulary, known)
            trained.save(str(new / TOKENIZER_FILE))
    with named_if_damaged(kept_tokenizer):
        tokenizer = Tokenizer.from_file(str(kept_tokenizer))
    if not kept_corpus.exists():
        read_corpus(folders.corpus, tokenizer).save(kept_corpus)
    with named_if_damaged(kept_corpus):
        corpus = Corpus.load(kept_corpus)
    log.info("%d passages, %d pairs", len(corpus.passages), len(corpus.queries))
    return Material(tokenizer, corpus, PromptIds.of(tokenizer))


def train_bag(run: PretrainRun, material: Material) -> tuple[Bag, bool]:
    """Train the bag of words; also return whether it is finished."""
    settings, stage, wording = run.settings, run.settings.bag, material.wording
    rng = np.random.default_rng(settings.seed)
    frequency = token_frequency(material.corpus.passages, settings.shape.vocabulary, rng)
    meaning = settings.shape.width - RESERVED
    near = near_directions(material.corpus.passages, settings.shape.vocabulary, meaning, rng)
    bag = new_bag(near, frequency, wording).to(run.device.name)
    pairs = material.pairs(stage, bag)
    learner = Learner(
        rates={"directions": stage.rate, "head": stage.rate}
        | {"importance": 2 * stage.rate, "bias": 2 * stage.rate},
        tensors=bag.tables,
        loss=BagObjective(bag, wording, stage, settings.seed, run.device),
        batches=lambda start: pairs.batches(stage.batch, settings.seed, start),
        device=run.device,
    )
    finished = train_stage(learner, run.plan("bag", stage)) == stage.steps
    return bag.to("cpu"), finished


def train_decoder(
    run: PretrainRun, material: Material, bag: Bag, model: "LlamaForCausalLM"
) -> bool:
    """Train the decoder that began as a bag, in place; return whether it is finished."""
    settings, stage = run.settings, run.settings.decoder
    tensors = dict(model.to(run.device.name).named_parameters())
    tables = {"model.embed_tokens.weight", "lm_head.weight"}
    pairs = material.pairs(stage, bag)
    learner = Learner(
        rates={name: stage.rate if name in tables else stage.block_rate for name in tensors},
        tensors=tensors,
        loss=DecoderObjective(model, material.wording, stage, settings.seed, run.device),
        batches=lambda start: pairs.batches(stage.batch, settings.seed + 1, start),
        device=run.device,
        longest=1.0,  # a few batches would undo what the bag knows
    )
    return train_stage(learner, run.plan("decoder", stage)) == stage.steps
