"""Instruction embedders with tokenizers as published: exact strings, one end token, what is read.

The strings and pooled tokens are those of the authors' code; [[ ]] stand around what is pooled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.sbert import SbertEncoder
from embedder.models.loading import LLMOptions
from embedder.models.pooling import read_positions
from embedder.prompts.files import format_prompt, load_prompt, parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.models import LINES, load_llm
from tests.shapes import save_shape

QUERY, DOCUMENT = "how hot is magma", 'The lava flows down; "cold" rock.'
ASK = "Given a web search query, retrieve relevant passages that answer the query"
LENS_ASK = "Given a query, retrieval relevant passages that answer the query."
OPTIONS = LLMOptions(dtype="float32", device="cpu")
BOS = {"llama": "<s>", "mistral": "<s>", "gemma2": "<s>", "qwen2": "", "qwen3": ""}
SPECIALS = [
    "<instruct>", "<query>", "<response>", "<|embed|>", "<|endoftext|>", "<|eot_id|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|im_start|>", "<|im_end|>",
    "<start_of_turn>", "<end_of_turn>",
]  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A kind of model, what it is fed of QUERY and of DOCUMENT, and the token that ends both."""

    shape: str
    query: str
    document: str
    end: str = ""


LLAMA_3 = "<s><|start_header_id|>user<|end_header_id|>\n\n"
KNOWN = {
    "e5-mistral": Known(
        "mistral",
        f"<s>Instruct: {ASK}\nQuery: {QUERY}[[</s>]]",
        f"<s>{DOCUMENT}[[</s>]]",
        "</s>",
    ),
    "qwen3-embedding": Known(
        "qwen3",
        f"Instruct: {ASK}\nQuery:{QUERY}[[<|endoftext|>]]",
        f"{DOCUMENT}[[<|endoftext|>]]",
        "<|endoftext|>",
    ),
    "kalm": Known("qwen2", f"[[Instruct: {ASK} \n Query: {QUERY}]]", f"[[{DOCUMENT}]]"),
    "gritlm": Known(
        "mistral",
        f"<s><|user|>\n{ASK}\n<|embed|>\n[[{QUERY}]]",
        f"<s><|embed|>\n[[{DOCUMENT}]]",
    ),
    "bge-en-icl": Known(
        "mistral",
        f"<s><instruct>{ASK}\n<query>{QUERY}\n<response>[[</s>]]",
        f"<s>{DOCUMENT}[[</s>]]",
        "</s>",
    ),
    "lens": Known(
        "mistral",
        f"<s><instruct>{LENS_ASK}\n<query>[[{QUERY}]]</s>",
        f"<s>[[{DOCUMENT}]]</s>",
        "</s>",
    ),
    "nv-embed": Known(
        "mistral",
        f"<s>Instruct: {ASK}\nQuery: [[{QUERY}</s>]]",
        f"<s>[[{DOCUMENT}</s>]]",
        "</s>",
    ),
    "llm2vec-llama-3": Known(
        "llama",
        f"{LLAMA_3}{ASK}: [[{QUERY}]]<|eot_id|>",
        f"{LLAMA_3}[[{DOCUMENT}]]<|eot_id|>",
        "<|eot_id|>",
    ),
    "llm2vec-mistral": Known(
        "mistral",
        f"<s>[INST] {ASK}: [[{QUERY}]] [/INST]",
        f"<s>[INST] [[{DOCUMENT}]] [/INST]",
    ),
    "llm2vec-qwen2": Known(
        "qwen2",
        f"<|im_start|>user\n{ASK}: [[{QUERY}]]<|im_end|>",
        f"<|im_start|>user\n[[{DOCUMENT}]]<|im_end|>",
        "<|im_end|>",
    ),
    "llm2vec-gemma2": Known(
        "gemma2",
        f"<s><start_of_turn>user\n{ASK}: [[{QUERY}]]<end_of_turn>",
        f"<s><start_of_turn>user\n[[{DOCUMENT}]]<end_of_turn>",
        "<end_of_turn>",
    ),
    "instructor": Known(  # any causal model will do
        "llama",
        f"<s>Represent the question for retrieving supporting documents: [[{QUERY}]]",
        f"<s>Represent the document for retrieval: [[{DOCUMENT}]]",
    ),
}
Load = Callable[..., LLMEncoder]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folders: dict[str, Path] = {}

    def loaded(prompt: Prompt, shape: str, ends: str = "") -> LLMEncoder:
        """Load a model of a shape; its tokenizer puts `ends` after every text."""
        if shape not in folders:
            folders[shape] = save_shape(shape, tmp_path_factory.mktemp(shape))
        folder = folders[shape]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(SPECIALS, special_tokens=True)
        used = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BOS[shape], ends)]
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS[shape]} $A {ends}".strip(), special_tokens=[one for one in used if one[0]]
        )
        tokenizer.save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        if model.get_input_embeddings().num_embeddings < len(tokenizer):
            model.resize_token_embeddings(len(tokenizer))
            model.save_pretrained(folder)
        return load_llm(folder, prompt, OPTIONS)

    return loaded


def pooled(tokenizer: PreTrainedTokenizerBase, ids: list[int], marked: str) -> list[int]:
    """Find the tokens that share a character with what [[ ]] marks, by spelling out each token."""
    start, stop = marked.index("[["), marked.index("]]") - 2
    found, at = [], 0
    for place, one in enumerate(ids):
        length = len(tokenizer.decode([one]))
        if at < stop and at + length > start:
            found.append(place)
        at += length
    return found


@pytest.mark.parametrize("appended", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_the_string_the_end_and_what_is_pooled(load: Load, name: str, appended: bool) -> None:
    known, prompt = KNOWN[name], load_prompt(name)
    if appended and not known.end:
        return  # such tokenizers append nothing
    encoder = load(prompt, known.shape, known.end if appended else "")
    tokenizer = encoder.backbone.tokenizer
    both = (Role.QUERY, QUERY, known.query), (Role.DOCUMENT, DOCUMENT, known.document)
    for role, text, marked in both:
        (row,) = encoder.fed(text, role).wordings
        assert tokenizer.decode(row.ids) == marked.replace("[[", "").replace("]]", "")
        if known.end:
            end = tokenizer.convert_tokens_to_ids(known.end)
            assert row.ids.count(end) == 1 and row.ids[-1] == end
        want = pooled(tokenizer, row.ids, marked)
        if prompt.reading.pool == "max":
            want = [place - 1 for place in want]
        assert read_positions(row, prompt.reading).tolist() == want


def test_lens_reads_from_query_to_the_last_but_two(load: Load) -> None:
    """Their mask is [place of <query> : -2], since each place speaks of the token after it."""
    encoder = load(load_prompt("lens"), "mistral")
    (row,) = encoder.fed(QUERY, Role.QUERY).wordings
    first = row.ids.index(encoder.backbone.tokenizer.convert_tokens_to_ids("<query>"))
    got = read_positions(row, encoder.prompt.reading).tolist()
    assert got == list(range(first, len(row.ids) - 2))
    (row,) = encoder.fed(DOCUMENT, Role.DOCUMENT).wordings
    got = read_positions(row, encoder.prompt.reading).tolist()
    assert got == list(range(len(row.ids) - 2))


def test_examples_may_be_written_into_a_prompt(load: Load) -> None:
    """The few-shot form of bge-en-icl: solved examples before the query, parted by blank lines."""
    shown = (
        "<instruct>{task}\\n<query>what is lava\\n<response>molten rock\\n\\n"
        "<instruct>{task}\\n<query>who is cold\\n<response>winter\\n\\n"
    )
    zero = '"<instruct>{task}\\n<query>{text}'
    toml = format_prompt(load_prompt("bge-en-icl")).replace(zero, zero[0] + shown + zero[1:])
    encoder = load(parse_prompt(toml), "mistral")
    (row,) = encoder.fed(QUERY, Role.QUERY).wordings
    head = f"<s><instruct>{ASK}\n<query>what is lava\n<response>molten rock\n\n"
    head += f"<instruct>{ASK}\n<query>who is cold\n<response>winter\n\n"
    want = f"{head}<instruct>{ASK}\n<query>{QUERY}\n<response></s>"
    assert encoder.backbone.tokenizer.decode(row.ids) == want
    assert read_positions(row, encoder.prompt.reading).tolist() == [len(row.ids) - 1]


def save_instructor(folder: Path) -> Path:
    """Save a tiny T5 encoder that leaves its prompt out of the mean, as INSTRUCTOR does."""
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.Strip(left=False, right=True)  # as the T5 tokenizers do
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator([*LINES, "Represent the question, the document for: "], trainer)
    inner.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder / "t5")
    torch.manual_seed(0)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    T5EncoderModel(T5Config(vocab_size=len(tokenizer), **shape)).save_pretrained(folder / "t5")
    return save_pooled(folder / "t5", folder / "instructor", 16)


def save_pooled(folder: Path, to: Path, width: int) -> Path:
    pooling = Pooling(width, "mean", include_prompt=False)
    SentenceTransformer(modules=[Transformer(str(folder)), pooling]).save(str(to))
    return to


def mean(folder: Path, string: str, unpooled: str) -> np.ndarray:
    """Average the states of what comes after `unpooled`, which is seen all the same."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    encoder = getattr(model, "encoder", model).eval()
    ids = tokenizer(string, return_tensors="pt").input_ids
    skipped = [one for one in tokenizer(unpooled).input_ids if unpooled and one != 1]  # but </s>
    with torch.no_grad():
        states = encoder(input_ids=ids).last_hidden_state[0, len(skipped) :]
    row: np.ndarray = torch.nn.functional.normalize(states.mean(0), dim=0).numpy()
    return row


def test_instructor_pools_the_text_and_its_end(tmp_path: Path) -> None:
    folder = save_instructor(tmp_path)
    encoder = SbertEncoder.load(str(folder), prompt=load_prompt("instructor"))
    for role, prompt in (
        (Role.QUERY, "Represent the question for retrieving supporting documents:"),
        (Role.DOCUMENT, "Represent the document for retrieval:"),
    ):
        rows = encoder.encode([QUERY, DOCUMENT, ""], role).dense  # of several lengths: padded
        assert rows is not None
        for row, text in zip(rows, (QUERY, DOCUMENT, ""), strict=True):
            want = mean(tmp_path / "t5", f"{prompt} {text}", prompt)
            assert np.abs(row - want).max() < 1e-5


def test_a_text_that_leaves_nothing_to_pool_is_read_with_its_prompt(tmp_path: Path) -> None:
    """GritLM's tokenizer puts nothing after a text: an empty one would give a row of zeros."""
    save_shape("mistral", tmp_path / "mistral")
    (tmp_path / "mistral" / "chat_template.jinja").unlink()
    folder = save_pooled(tmp_path / "mistral", tmp_path / "gritlm", 32)
    encoder = SbertEncoder.load(str(folder), prompt=load_prompt("gritlm"))
    rows = encoder.encode([DOCUMENT, ""], Role.DOCUMENT).dense
    assert rows is not None
    head = "<|embed|>\n"
    want = mean(tmp_path / "mistral", head + DOCUMENT, head), mean(tmp_path / "mistral", head, "")
    assert np.abs(rows - np.stack(want)).max() < 1e-5
