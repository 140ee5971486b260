"""The bundled model without torch: the same ids, rows, fingerprints and hits as with it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import lastword as lw
from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.checkpoints.variant import ModelVariant
from embedder.encoders.adapted import encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_from_spec, own_prompt
from embedder.encoders.prompted import language_model_of
from embedder.encoders.specs import LLMSpec
from embedder.inputs.text_tokens import TextTokenizer
from embedder.light.encoder import LightEncoder, load_light
from embedder.light.llama import LightLlama
from embedder.light.stored import read_tensors, widened
from embedder.light.tokenizer import LightTokenizer
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import SparseRules
from embedder.types import Representation, Role
from tests.folders import ROOT
from tests.tokenizer_kinds import TEXTS

TOLERANCE = 1e-6  # of the largest number
QUERIES = [
    *TEXTS,
    "how do I rotate a key",
    "the of and",
    "<|eos|> said <|unk|> of <|bos|>",
    "a long query " * 200,
]
HEAVY = (
    *("torch", "torch._dynamo", "torch.distributed", "transformers", "sympy", "numba"),
    *("sklearn", "pandas", "faiss", "safetensors", "fastapi", "sentence_transformers"),
)


@pytest.fixture(scope="module")
def spec() -> LLMSpec:
    return LLMSpec("bundled", own_prompt("bundled"), ("dense", "sparse"), "float32")


@pytest.fixture(scope="module")
def full(spec: LLMSpec) -> LLMEncoder:
    encoder = load_from_spec(spec, LLMOptions(device="cpu"))
    assert isinstance(encoder, LLMEncoder)
    return encoder


def light_of(spec: LLMSpec) -> LightEncoder:
    encoder = load_light(spec, LLMOptions(device="cpu"))
    assert encoder is not None
    return encoder


def check_rows(got: Representation, wanted: Representation) -> None:
    assert (got.owner == wanted.owner).all()
    assert (got.dense is None, got.sparse is None) == (wanted.dense is None, wanted.sparse is None)
    mine, theirs = got.to_arrays(), wanted.to_arrays()
    for name in ("dense", "sparse_data"):
        if name in theirs:
            largest = abs(theirs[name]).max(initial=1)
            np.testing.assert_allclose(mine[name], theirs[name], rtol=0, atol=TOLERANCE * largest)
    for name in theirs.keys() - {"dense", "sparse_data"}:
        np.testing.assert_array_equal(mine[name], theirs[name])


def sparse_rules(**changes: Any) -> Prompt:  # noqa: ANN401
    prompt = own_prompt("bundled")
    return replace(prompt, reading=replace(prompt.reading, sparse=SparseRules(**changes)))


@pytest.mark.parametrize(
    "prompt",
    [
        own_prompt("bundled"),
        sparse_rules(merge_forms=True, expansion=7, top=3, fallback=0),
        sparse_rules(scale=100, stop_words="", fallback=4),
        replace(own_prompt("bundled"), text_specials="control", specials="none"),
        parse_prompt(
            'name = "whole"\nuse = "retrieval"\n[query]\ntemplate = "{text} means: \\""\n'
            'tokens = "whole"\n[document]\ntemplate = "{text}{eos}"\n',
            "a test",
        ),
    ],
    ids=["own", "merged", "scaled", "control", "whole"],
)
def test_rows_and_fingerprint_are_those_of_torch(
    prompt: Prompt, spec: LLMSpec, full: LLMEncoder
) -> None:
    options = replace(full.options, max_text_tokens=512)
    wanted = encoder_of(full.backbone, prompt, options)
    limit = wanted.options.max_text_tokens
    light = light_of(replace(spec, prompt=prompt, max_text_tokens=limit))
    assert light.fingerprint == wanted.fingerprint
    rows = light.encode(QUERIES, Role.QUERY)
    check_rows(rows, wanted.encode(QUERIES, Role.QUERY))
    assert light.counts == {**wanted.counts, **light.counts} == dict(wanted.counts)
    alone = [light.encode([query], Role.QUERY) for query in QUERIES]
    assert Representation.concatenate(alone, 1).to_arrays()["dense"].tobytes() == (
        rows.to_arrays()["dense"].tobytes()
    )


@pytest.mark.parametrize("reads", [("dense",), ("sparse",)])
def test_one_channel_and_no_text(reads: tuple[str, ...], spec: LLMSpec, full: LLMEncoder) -> None:
    prompt = full.prompt.reading_only(dense="dense" in reads, sparse="sparse" in reads)
    wanted = encoder_of(full.backbone, prompt, full.options)
    light = light_of(replace(spec, reads=reads))
    assert light.fingerprint == wanted.fingerprint
    for texts in (["green tea"], []):
        check_rows(light.encode(texts, Role.QUERY), wanted.encode(texts, Role.QUERY))


def test_its_tokenizer_cuts_as_transformers_does() -> None:
    mine, theirs = LightTokenizer(BUNDLED_MODEL), AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    for special in (True, False):
        got, wanted = (
            one(QUERIES, add_special_tokens=special, return_offsets_mapping=True)
            for one in (mine, theirs)
        )
        assert got["input_ids"] == wanted["input_ids"]
        assert got["offset_mapping"] == wanted["offset_mapping"]
    assert mine("tea").input_ids == theirs("tea").input_ids
    assert TextTokenizer(mine).ids(QUERIES) == TextTokenizer(theirs).ids(QUERIES)
    for name in ("added_tokens_decoder", "all_special_tokens", "bos_token_id", "unk_token"):
        assert str(getattr(mine, name)) == str(getattr(theirs, name))
    assert mine.get_vocab() == theirs.get_vocab() and len(mine) == len(theirs)


def test_documents_are_read_by_torch_to_the_byte(spec: LLMSpec, full: LLMEncoder) -> None:
    loads: list[LLMEncoder] = []

    def load() -> LLMEncoder:
        loads.append(full)
        return full

    light = LightEncoder(spec, load)
    light.encode(["tea"], Role.QUERY)
    assert not loads
    texts = ["green tea is steeped", "black rock"]
    got, wanted = (one.encode(texts, Role.DOCUMENT).to_arrays() for one in (light, full))
    assert {name: array.tobytes() for name, array in got.items()} == {
        name: array.tobytes() for name, array in wanted.items()
    }
    assert language_model_of(light) is full and light.backbone is full.backbone
    assert len(loads) == 1


def test_only_what_it_can_read_is_read_so(spec: LLMSpec) -> None:
    cpu = LLMOptions(device="cpu")
    mean = replace(spec.prompt, reading=replace(spec.prompt.reading, pool="mean", sparse=None))
    for other, options in (
        (replace(spec, model=str(BUNDLED_MODEL)), cpu),
        (replace(spec, dtype="bfloat16"), cpu),
        (replace(spec, variant=ModelVariant(quantize="8bit")), cpu),
        (replace(spec, max_text_tokens=100_000), cpu),
        (replace(spec, prompt=mean, reads=("dense",)), cpu),
        (replace(spec, prompt=load_prompt("echo"), reads=("dense",)), cpu),
        (replace(spec, prompt=load_prompt("metaeol"), reads=("dense",)), cpu),
        (spec, LLMOptions(device="cuda")),
    ):
        assert load_light(other, options) is None


def test_numbers_of_eight_bits_are_those_of_torch() -> None:
    every = np.arange(256, dtype=np.uint8)
    wanted = torch.from_numpy(every).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(widened(every), wanted)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    whole = (BUNDLED_MODEL / "model.safetensors").read_bytes()
    for name, data in (
        ("short", whole[:-1]),
        ("empty", b""),
        ("header", b"\xff" * 8 + whole[8:]),
        ("nan", whole[:-1] + b"\x7f"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=name):
            read_tensors(tmp_path / name)
    for name, change in (("a", {"hidden_act": "gelu"}), ("b", {"hidden_size": 8}), ("c", {})):
        folder = tmp_path / f"folder-{name}"
        folder.mkdir()
        config = json.loads((BUNDLED_MODEL / "config.json").read_text()) | change
        if name == "c":
            del config["head_dim"]
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes(whole)
        with pytest.raises(ValueError, match="folder"):
            LightLlama(folder)


def test_an_index_is_searched_alike(tmp_path: Path, full: LLMEncoder) -> None:
    pages = (ROOT / "docs").glob("*.md")
    texts = [part for page in pages for part in page.read_text("utf-8").split("\n\n")][:60]
    lw.build(tmp_path / "i", texts, full).close()
    with lw.open(tmp_path / "i") as plain, lw.open(tmp_path / "i", light=True) as light:
        assert isinstance(light.encoders["dense"], LightEncoder)
        for query in ("how do I rotate a key", "which model reads words", "\u6771\u4eac"):
            wanted, got = plain.search(query, 20), light.search(query, 20)
            assert [hit.id for hit in got] == [hit.id for hit in wanted]
            for mine, theirs in zip(got, wanted, strict=True):
                assert mine.score == pytest.approx(theirs.score, abs=TOLERANCE)
                for channel, place in mine.channels.items():
                    other = theirs.channels[channel]
                    assert place.rank == other.rank
                    assert place.score == pytest.approx(other.score, rel=TOLERANCE)
            explained = (one.explain(query, wanted[0].id) for one in (plain, light))
            words = [[[w for w, _ in part.words] for part in e.channels] for e in explained]
            assert words[0] == words[1]


def test_a_cold_search_imports_nothing_heavy(tmp_path: Path, full: LLMEncoder) -> None:
    """Importing torch and transformers took 4 of the 4.5 seconds of a search."""
    lw.build(tmp_path / "i", ["green tea is steeped", "rotate the key"], full).close()
    for command in (["search"], ["explain", "1"]):
        words = [command[0], str(tmp_path / "i"), "rotate a key", *command[1:], "--json"]
        program = (
            "import sys\nfrom lastword.main import main\n"
            f"assert main({words}) == 0\n"
            f"assert not [name for name in {HEAVY} if name in sys.modules]"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
        assert not done.returncode, done.stderr.decode()
        assert b'"dense"' in done.stdout
