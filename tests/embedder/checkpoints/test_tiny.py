"""The bundled model as a user meets it: standard files, small, words alone as in sentences."""

import string
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.text.stop_words import stop_words
from embedder.train.pretrain.export import prompt_toml

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

LIMIT = 25_000_000  # bytes
SENTENCES = [
    "Statins lower low-density lipoprotein cholesterol in adults.",
    'He said: "The wing\'s boundary layer (laminar) separates at 1,000 m/s".',
    "Naïve T-cells, β-catenin & COVID19 ... in 2020?",
]


@pytest.fixture(scope="module")
def tokenizer() -> "PreTrainedTokenizerFast":
    from transformers import AutoTokenizer

    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    return loaded


@pytest.fixture(scope="module")
def model() -> "LlamaForCausalLM":
    from transformers import AutoModelForCausalLM

    loaded: LlamaForCausalLM = AutoModelForCausalLM.from_pretrained(
        BUNDLED_MODEL, dtype=torch.float32
    )
    return loaded.eval()


def plain(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def prompted(tokenizer: "PreTrainedTokenizerFast", text: str, role: str) -> torch.Tensor:
    """Ids of a text in its prompt, put together from prefix, text and suffix: (1, length)."""
    prompt = tomllib.loads((BUNDLED_MODEL / "prompt.toml").read_text(encoding="utf-8"))
    parts = [plain(tokenizer, part) for part in prompt[role]["template"].split("{text}")]
    ids = [tokenizer.bos_token_id, *parts[0], *plain(tokenizer, text), *parts[1]]
    return torch.tensor([ids])


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in BUNDLED_MODEL.iterdir())
    assert size < LIMIT


def test_its_files_are_all_there() -> None:
    names = {path.name for path in BUNDLED_MODEL.iterdir()}
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names >= wanted | {"prompt.toml", "MODEL_CARD.md"}


def test_token_tables_are_float8_and_all_else_float16() -> None:
    with safe_open(BUNDLED_MODEL / "model.safetensors", framework="pt") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}
    tables = {"model.embed_tokens.weight", "lm_head.weight"}
    assert {types.pop(name) for name in tables} == {"F8_E4M3"}
    assert set(types.values()) == {"F16"}


def test_plain_loading_widens_every_weight(model: "LlamaForCausalLM") -> None:
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_prompt_is_the_one_it_was_trained_with() -> None:
    bundled = load_prompt(BUNDLED_MODEL / "prompt.toml")
    assert replace(bundled, fusion="") == parse_prompt(prompt_toml())  # measured afterwards


@pytest.mark.parametrize("sentence", SENTENCES)
def test_word_alone_has_its_ids_of_the_sentence(
    tokenizer: "PreTrainedTokenizerFast", sentence: str
) -> None:
    spaced = "".join(f" {sign} " if sign in string.punctuation else sign for sign in sentence)
    alone = [token for word in spaced.split() for token in plain(tokenizer, word)]
    assert plain(tokenizer, sentence) == alone


def test_case_and_accents_do_not_matter(tokenizer: "PreTrainedTokenizerFast") -> None:
    assert plain(tokenizer, "NAÏVE Café") == plain(tokenizer, "naive cafe")


def test_a_text_begins_with_bos_once(tokenizer: "PreTrainedTokenizerFast") -> None:
    ids = tokenizer("one text").input_ids
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.pad_token_id not in (None, tokenizer.bos_token_id)


def test_reading_prefers_the_right_passage(
    tokenizer: "PreTrainedTokenizerFast", model: "LlamaForCausalLM"
) -> None:
    """Three easy questions, dense and sparse: each is answered by its own passage."""
    answers = {
        "What keeps the heart beating regularly?": "The sinoatrial node is the natural pacemaker "
        "of the heart: its cells fire at a steady rate and set the rhythm of contraction.",
        "how a wing carries a plane through the air": "Air flowing over an aerofoil is deflected "
        "downwards; the pressure difference between both surfaces of the wing carries the plane.",
        "causes of inflation": "When too much money chases too few goods, prices rise; central "
        "banks answer such inflation with higher interest rates.",
    }
    stops = {plain(tokenizer, word)[0] for word in stop_words("english")}

    def read(text: str, role: str) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            out = model(prompted(tokenizer, text, role), output_hidden_states=True)
        dense = torch.nn.functional.normalize(out.hidden_states[-1][0, -1], dim=0)
        weights = torch.log1p(torch.relu(out.logits[0, -1]))
        own = torch.zeros_like(weights)
        own[sorted(set(plain(tokenizer, text)) - stops)] = 1
        return dense, weights * own

    asked = [read(text, "query") for text in answers]
    found = [read(text, "document") for text in answers.values()]
    for kind in (0, 1):
        scores = torch.stack([q[kind] for q in asked]) @ torch.stack([d[kind] for d in found]).T
        assert scores.argmax(dim=1).tolist() == [0, 1, 2]


def test_the_one_word_is_a_word_for_the_text(
    tokenizer: "PreTrainedTokenizerFast", model: "LlamaForCausalLM"
) -> None:
    """The strongest logit of the whole vocabulary names the passage's subject."""
    text = "Statins lower low-density lipoprotein cholesterol in adults."
    with torch.no_grad():
        answer = model(prompted(tokenizer, text, "document")).logits[0, -1].argmax()
    assert tokenizer.decode([int(answer)]).strip() == "cholesterol"
