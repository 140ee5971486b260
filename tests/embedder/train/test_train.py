"""The making of the bundled model: its numbers against oracles, its runs against each other."""

import json
import lzma
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file as load_tensors
from torch import Tensor
from transformers import AutoModelForCausalLM

from embedder.train.data.corpus import read_corpus
from embedder.train.data.topics import topical_order
from embedder.train.loss import TextVectors, dense_scores, info_nce, sparse_scores
from embedder.train.pretrain.bag import RESERVED
from embedder.train.pretrain.decoder import decoder_config, decoder_from_bag
from embedder.train.pretrain.export import export
from embedder.train.pretrain.objective import BagObjective, DecoderObjective
from embedder.train.pretrain.run import (
    Material,
    PretrainFolders,
    PretrainRun,
    prepare,
    train,
    train_bag,
)
from embedder.train.pretrain.settings import PHRASINGS, Settings, Shape, Stage
from embedder.train.pretrain.states import states_at
from embedder.train.pretrain.wording import PromptIds
from embedder.types import Role

SETTINGS = Settings(
    shape=Shape(vocabulary=400, width=64, intermediate=16, layers=2, heads=2),
    bag=Stage(steps=40, batch=4, rate=1e-2),
    decoder=Stage(
        steps=6,
        batch=4,
        rate=1e-3,
        block_rate=1e-3,
        word_weight=0.1,
        language_weight=0.1,
        together_weight=1.0,
    ),
    tokenizer_every=1,
    checkpoint_every=4,
)
TOPICS = "whale oyster falcon glacier copper violin harbour orchard lantern compass".split()


def write_lines(path: Path, lines: Sequence[Mapping[str, str]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 passages on ten topics; every third has a pair, of two kinds."""
    folder = tmp_path_factory.mktemp("corpus")
    passages, pairs = [], []
    for number in range(120):
        topic, other = TOPICS[number % 10], TOPICS[number // 12]
        first = f"The {topic} number {number} is old."
        text = f"{first} People saw the {topic} near the {other}. It's worth 1,000 coins, they say."
        facts = {"id": f"p{number}", "source": topic, "licence": "CC0", "title": f"On {topic}s"}
        passages.append(facts | {"text": text})
        if number % 3 == 0:
            asked = first if number % 2 else f"where is the {topic}"
            kind = "first_sentence" if number % 2 else "question"
            pairs.append({"query": asked, "positive_id": f"p{number}", "kind": kind})
    write_lines(folder / "passages.jsonl.xz", passages)
    write_lines(folder / "pairs.jsonl.xz", pairs)
    return folder


@pytest.fixture(scope="module")
def material(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    work = tmp_path_factory.mktemp("work")
    return prepare(PretrainFolders(corpus_folder, work, work), SETTINGS)


def weights(out: Path) -> dict[str, Tensor]:
    return load_tensors(out / "model.safetensors")


def test_first_sentence_is_cut_off_its_passage(material: Material) -> None:
    corpus = material.corpus
    cut = np.flatnonzero(corpus.cuts)
    assert len(cut) == 20
    for pair in cut:
        passage = corpus.passages[int(corpus.positives[pair])]
        assert passage[: corpus.cuts[pair]].tolist() == corpus.queries[int(pair)].tolist()


def test_pair_of_an_unknown_passage_is_an_error(material: Material, tmp_path: Path) -> None:
    line = {"id": "a", "source": "s", "licence": "CC0", "title": "t", "text": "one two"}
    write_lines(tmp_path / "passages.jsonl.xz", [line])
    pair = {"query": "q", "positive_id": "missing", "kind": "title"}
    write_lines(tmp_path / "pairs.jsonl.xz", [pair])
    with pytest.raises(ValueError, match="'missing'"):
        read_corpus(tmp_path, material.tokenizer)


def test_batches_can_be_taken_up_anywhere(material: Material) -> None:
    bag, _ = train_bag(idle_run(material, Path("unused")), material)
    pairs = material.pairs(SETTINGS.bag, bag)
    stream = pairs.batches(2, seed=3)
    wanted = [next(stream) for _ in range(90)][70:]
    again = pairs.batches(2, seed=3, start=70)
    for batch in wanted:
        got = next(again)
        assert got.number == batch.number
        assert [q.tolist() for q in got.queries] == [q.tolist() for q in batch.queries]
        assert [p.tolist() for p in got.passages] == [p.tolist() for p in batch.passages]
        assert np.array_equal(got.same, batch.same)


def test_passages_of_one_query_are_no_rivals(material: Material) -> None:
    bag, _ = train_bag(idle_run(material, Path("unused")), material)
    batch = next(material.pairs(SETTINGS.bag, bag).batches(6, seed=0))
    for i in range(6):
        for j in range(6):
            if i != j and batch.queries[i].tolist() == batch.queries[j].tolist():
                assert batch.same[i, j]
        assert not batch.same[i, i]


def idle_run(material: Material, work: Path) -> PretrainRun:
    """A run whose bag takes no steps."""
    still = replace(SETTINGS, bag=replace(SETTINGS.bag, steps=0))
    return PretrainRun(PretrainFolders(work, work, work), still)


def test_topical_order_puts_like_with_like() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 8))
    vectors = np.repeat(centres, 4, axis=0) + 0.01 * rng.standard_normal((16, 8))
    shuffled = rng.permutation(16)
    order = topical_order(vectors[shuffled].astype(np.float32), 4, rng)
    runs = shuffled[order].reshape(4, 4) // 4
    assert sorted(order.tolist()) == list(range(16))
    assert [len(set(run)) for run in runs.tolist()] == [1, 1, 1, 1]


def test_contrast_by_hand() -> None:
    queries = TextVectors(
        dense=torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
        rows=torch.tensor([0, 0]),
        terms=torch.tensor([1, 4]),
        logits=torch.tensor([math.e - 1, 5.0]),
    )
    passages = TextVectors(
        dense=torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        rows=torch.tensor([0, 1, 1]),
        terms=torch.tensor([1, 1, 2]),
        logits=torch.tensor([math.e**2 - 1, -3.0, 7.0]),
    )
    assert torch.allclose(dense_scores(queries, passages), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    wanted = torch.tensor([[2.0, 0.0], [0.0, 0.0]])  # ln(e) * ln(e^2); a query without terms
    assert torch.allclose(sparse_scores(queries, passages, vocabulary=5), wanted, atol=1e-6)
    same = torch.tensor([[False, False], [True, False]])
    loss = info_nce(torch.tensor([[1.0, 2.0], [9.0, 4.0]]), same)
    assert float(loss) == pytest.approx((math.log(1 + math.e) + 0.0) / 2)


@pytest.mark.parametrize("phrasing", range(len(PHRASINGS)))
def test_decoder_begins_as_the_bag_and_reads_as_llama(
    material: Material, tmp_path: Path, phrasing: int
) -> None:
    run = PretrainRun(PretrainFolders(tmp_path, tmp_path, tmp_path), SETTINGS)
    bag, finished = train_bag(run, material)
    assert finished
    config = decoder_config(SETTINGS.shape, material.tokenizer)
    model = decoder_from_bag(bag, config, seed=0)
    texts = [material.corpus.passages[row] for row in range(5)] + [np.zeros(0, dtype=np.uint16)]
    ids, last = material.wording.wrap(texts, Role.DOCUMENT, phrasing)
    with torch.no_grad():
        at = torch.from_numpy(last)[:, None]
        got = states_at(model, torch.from_numpy(ids), at)[:, 0]
        whole = model.model(torch.from_numpy(ids)).last_hidden_state
        wanted = whole[torch.arange(len(texts)), torch.from_numpy(last)]
        by_bag = BagObjective(bag, material.wording, SETTINGS.bag, seed=0).vectors(
            texts, Role.DOCUMENT, phrasing
        )
        logits = model.lm_head(wanted)[by_bag.rows, by_bag.terms]
    assert torch.allclose(got, wanted, atol=1e-5)
    assert torch.allclose(by_bag.dense[:5], wanted[:5, :-RESERVED], atol=2e-2)
    assert torch.allclose(by_bag.logits, logits, atol=2e-2)


def test_loss_falls(material: Material, tmp_path: Path) -> None:
    def mean_loss(objective: BagObjective | DecoderObjective) -> float:
        with torch.no_grad():
            return float(np.mean([float(objective(batch).total) for batch in batches]))

    bag, _ = train_bag(idle_run(material, tmp_path), material)
    batches = list(islice(material.pairs(SETTINGS.bag, bag).batches(4, seed=9), 30))
    before = mean_loss(BagObjective(bag, material.wording, SETTINGS.bag, seed=0))
    run = PretrainRun(PretrainFolders(tmp_path, tmp_path / "bag", tmp_path), SETTINGS)
    run.folders.work.mkdir()
    bag, _ = train_bag(run, material)
    after = mean_loss(BagObjective(bag, material.wording, SETTINGS.bag, seed=0))
    assert after < 0.9 * before
    config = decoder_config(SETTINGS.shape, material.tokenizer)
    model = decoder_from_bag(bag, config, seed=0)
    quiet = replace(SETTINGS.decoder, word_weight=0.0, language_weight=0.0, together_weight=0.0)
    first = mean_loss(DecoderObjective(model, material.wording, quiet, seed=0))
    assert first == pytest.approx(after, rel=0.05)  # it goes on from there


def test_runs_repeat_and_resume_to_the_bit(corpus_folder: Path, tmp_path: Path) -> None:
    brief = replace(SETTINGS, bag=replace(SETTINGS.bag, steps=9))

    def folders(name: str) -> PretrainFolders:
        return PretrainFolders(corpus_folder, tmp_path / f"{name}.work", tmp_path / name)

    assert train(PretrainRun(folders("whole"), brief))
    assert train(PretrainRun(folders("again"), brief))
    calls = 0
    while not train(PretrainRun(folders("parts"), brief, late=lambda: True)):  # one step a call
        calls += 1
        assert calls < 20
    assert calls >= 13
    whole = weights(tmp_path / "whole")
    for name in ("again", "parts"):
        other = weights(tmp_path / name)
        assert whole.keys() == other.keys()
        assert all(torch.equal(whole[key].float(), other[key].float()) for key in whole)
    other_seed = replace(brief, seed=1)
    with pytest.raises(ValueError, match="other settings"):
        train(PretrainRun(folders("whole"), other_seed))


def test_export_keeps_logits_and_directions(material: Material, tmp_path: Path) -> None:
    bag, _ = train_bag(idle_run(material, tmp_path), material)
    model = decoder_from_bag(bag, decoder_config(SETTINGS.shape, material.tokenizer), seed=0)
    ids, _ = material.wording.wrap([material.corpus.passages[3]], Role.DOCUMENT)
    export(model, material.tokenizer, tmp_path / "model")
    assert weights(tmp_path / "model")["lm_head.weight"].dtype == torch.float8_e4m3fn
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    with torch.no_grad():
        wanted, got = (m(torch.from_numpy(ids), output_hidden_states=True) for m in (model, read))
    cosine = torch.cosine_similarity(wanted.hidden_states[-1], got.hidden_states[-1], dim=2)
    assert cosine.min() > 0.998
    assert (wanted.logits - got.logits).abs().max() < 0.04 * wanted.logits.abs().max()


def test_checkpoints_hold_no_pickles(corpus_folder: Path, tmp_path: Path) -> None:
    short = replace(
        SETTINGS,
        bag=replace(SETTINGS.bag, steps=1),
        decoder=replace(SETTINGS.decoder, steps=1),
    )
    train(PretrainRun(PretrainFolders(corpus_folder, tmp_path / "work", tmp_path / "out"), short))
    kept = {path.name for path in (tmp_path / "work").iterdir()}
    learnt = {"bag.safetensors", "bag.jsonl", "decoder.safetensors", "decoder.jsonl"}
    assert kept == {"tokenizer.json", "corpus.npz", *learnt}
    assert "exp_avg/lm_head.weight" in load_tensors(tmp_path / "work" / "decoder.safetensors")


@pytest.mark.parametrize("phrasing", range(len(PHRASINGS)))
@pytest.mark.parametrize("role", Role)
def test_every_phrasing_ends_where_it_can_be_read(
    material: Material, phrasing: int, role: Role
) -> None:
    ids, last = material.wording.wrap([material.corpus.passages[0]], role, phrasing)
    assert material.wording.silent[ids[0, last[0]]]


def test_prompt_surrounds_the_text(material: Material) -> None:
    wording = PromptIds.of(material.tokenizer)
    text = material.corpus.passages[0]
    ids, last = wording.wrap([text, text[:3]], Role.QUERY)
    assert ids[0, last[0]] == ids[1, last[1]] == wording.after[Role.QUERY][0][-1]
    assert (ids[1, last[1] + 1 :] == wording.pad).all()
    shown = material.tokenizer.decode(ids[1, : last[1] + 1].tolist())
    assert shown.startswith('query : " the') and shown.endswith('" in one word : "')


def test_scores_are_taught_by_their_sum() -> None:
    """Two candidates, scores (ln 3, 0) and (0, 0): shares 3/4 and 1/4, by hand."""
    from embedder.train.loss import taught_together

    first, second = torch.tensor([[np.log(3.0), 0.0]]), torch.zeros(1, 2)
    same = torch.zeros(1, 2, dtype=torch.bool)
    by_hand = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) + np.log(2)
    assert float(taught_together((first, second), same)) == pytest.approx(by_hand, abs=1e-6)
    same[0, 1] = True  # what is left out teaches nothing and is taught nothing
    assert float(taught_together((first, second), same)) == pytest.approx(0.0, abs=1e-6)
