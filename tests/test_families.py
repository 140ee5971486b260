"""Every prompt of the library on small models, against the slow reference."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from embedder.prompt import Prompt
from embedder.readout import positions
from embedder.types import Role
from tests.models import SPECIALS
from tests.shapes import SHAPES, save_shape
from tests.slow import Pair, far

TOLERANCE = 1e-5
TEXTS = [
    "Magma rises. The lava flows down! Is it cold in winter?",
    "volcano",
    'Don\'t panic: "l\u0027eau" est froide, \u00e9t\u00e9 comme hiver \u2014 \u6771\u4eac',
]
LIBRARY = {name: Prompt.load(name) for name in Prompt.library()}


def free(prompt: Prompt) -> bool:
    """Tell whether a prompt works on any model, in one pass of it for each wording."""
    needs = {form.needs for form in prompt.forms}
    trained = bool(prompt.task) or prompt.reading.attention == "bidirectional"
    more = (prompt.select, prompt.rewrite, prompt.sample)  # these have tests of their own
    return (
        not trained
        and more == (None, None, None)
        and bool(needs & {"", "chat", *SPECIALS})
        and prompt.reading.mode == "first-token"
        # These differ in a few words only, and their tokens are held against the original ones.
        and not prompt.name.startswith(("promptreps-paper", "prompteol-shot-opt-"))
    )


def shortened(prompt: Prompt) -> Prompt:
    """Leave two wordings of MetaEOL's eight, which are long."""
    forms = [
        replace(form, query=form.query[:2], document=form.document[:2]) for form in prompt.forms
    ]
    return replace(prompt, forms=tuple(forms))


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.load(save_shape(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.mark.parametrize("name", [name for name, prompt in LIBRARY.items() if free(prompt)])
def test_a_prompt_reads_what_the_slow_reference_reads(
    pair: Pair, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = pair.encoder(shortened(LIBRARY[name]))
    form = encoder.reader.form
    for role in [Role.DOCUMENT] if form.query == form.document else Role:
        got = encoder.states(TEXTS, role)
        assert far(got, pair.wanted(encoder, TEXTS, role)) <= TOLERANCE
        with monkeypatch.context() as patch:  # alone, so without padding, and without a cache
            patch.setattr(pair.backbone, "shares_prefix", False)
            assert far(encoder.states(TEXTS[1:2], role), got[1:2]) <= TOLERANCE


@dataclass(frozen=True)
class Embedder:
    """An instruction embedder as its authors feed and read it.

    Attributes:
        shape: the kind of model it is.
        query: the whole string of a query, special tokens included.
        document: that of a document.
        read: the characters whose tokens are pooled; the same for both roles.
        specials: tokens that its tokenizer has.
    """

    shape: str
    query: str
    document: str
    read: str
    specials: tuple[str, ...] = ()


ICL = ("<instruct>", "<query>", "<response>")
LLAMA_3 = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
USER = "<|start_header_id|>user<|end_header_id|>\n\n"
EMBEDDERS = {
    "e5-mistral": Embedder(
        "mistral", "<s>Instruct: {task}\nQuery: {text}</s>", "<s>{text}</s>", "</s>"
    ),
    "qwen3-embedding": Embedder(
        "qwen3",
        "<s>Instruct: {task}\nQuery:{text}<|endoftext|>",
        "<s>{text}<|endoftext|>",
        "<|endoftext|>",
        ("<|endoftext|>",),
    ),
    "gritlm": Embedder(
        "mistral", "<s><|user|>\n{task}\n<|embed|>\n{text}", "<s><|embed|>\n{text}", "{text}"
    ),
    "bge-en-icl": Embedder(
        "mistral",
        "<s><instruct>{task}\n<query>{text}\n<response></s>",
        "<s>{text}</s>",
        "</s>",
        ICL,
    ),
    "lens": Embedder(
        "mistral", "<s><instruct>{task}\n<query>{text}</s>", "<s>{text}</s>", "{text}", ICL
    ),
    "nv-embed": Embedder(
        "mistral", "<s>Instruct: {task}\nQuery: {text}</s>", "<s>{text}</s>", "{text}</s>"
    ),
    "llm2vec-llama-3": Embedder(
        "llama",
        "<s>" + USER + "{task} {text}<|eot_id|>",
        "<s>" + USER + "{text}<|eot_id|>",
        "{text}",
        LLAMA_3,
    ),
    "llm2vec-mistral": Embedder(
        "mistral", "<s>[INST] {task} {text} [/INST]", "<s>[INST] {text} [/INST]", "{text}"
    ),
    "llm2vec-qwen2": Embedder(
        "qwen2",
        "<s><|im_start|>user\n{task} {text}<|im_end|>",
        "<s><|im_start|>user\n{text}<|im_end|>",
        "{text}",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "llm2vec-gemma2": Embedder(
        "gemma2",
        "<s><start_of_turn>user\n{task} {text}<end_of_turn>",
        "<s><start_of_turn>user\n{text}<end_of_turn>",
        "{text}",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    "echo-trained": Embedder(
        "mistral",
        "<s>Instruct:{task},\nQuery:{text}\nQuery again:{text}</s>",
        "<s>Document:{text}\nDocument again:{text}</s>",
        "{text}</s>",
    ),
    "kalm": Embedder("qwen2", "<s>Instruct: {task} \n Query: {text}", "<s>{text}", ""),
}


def test_every_instruction_embedder_is_listed() -> None:
    assert set(EMBEDDERS) == {name for name, prompt in LIBRARY.items() if prompt.task}


@pytest.mark.parametrize("name", EMBEDDERS)
def test_an_instruction_embedder_is_fed_and_read_as_its_authors_do(
    name: str, tmp_path: Path
) -> None:
    known, prompt = EMBEDDERS[name], LIBRARY[name]
    pair = Pair.load(save_with(known.specials, save_shape(known.shape, tmp_path)))
    encoder = pair.encoder(prompt)
    for role, string in ((Role.QUERY, known.query), (Role.DOCUMENT, known.document)):
        for text in TEXTS:
            (row,) = encoder.fed(text, role).rows
            assert said(pair, row.ids) == string.format(task=prompt.task, text=text)
            read = positions(row, prompt.reading) + (prompt.reading.pool == "max")
            # A space before the text may be in the text's first token.
            pooled = known.read.format(text=text) or said(pair, row.ids)
            assert said(pair, [row.ids[at] for at in read]).lstrip(" ") == pooled
        got = encoder.states(TEXTS, role)
        assert far(got, pair.wanted(encoder, TEXTS, role)) <= TOLERANCE
        assert far(encoder.states(TEXTS[1:2], role), got[1:2]) <= TOLERANCE


def save_with(specials: tuple[str, ...], folder: Path) -> Path:
    """Teach a saved model more special tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if specials:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(list(specials), special_tokens=True)
        tokenizer.save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        width = max(len(tokenizer), model.config.vocab_size)
        model.resize_token_embeddings(width, mean_resizing=False)
        model.save_pretrained(folder)
    return folder


def said(pair: Pair, ids: list[int]) -> str:
    text: str = pair.backbone.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return text
