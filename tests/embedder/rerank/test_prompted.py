"""The relevance prompt: scores of a plain forward pass, whatever is shared; limits and answers."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from embedder.models.loading import LLMOptions
from embedder.rerank.load import load_reranker
from embedder.rerank.prompted import PromptReranker
from embedder.rerank.relevance_prompt import load_relevance_prompt
from tests.models import LINES

QUERIES = ["what is the capital of France", "lava", "remove duplicates in Python"]
QUERY_FIRST = """name = "query-first"
[[form]]
template = "Query: {query} Text: {document} Is it relevant? Answer:"
yes = " yes"
no = " no"
"""
CHAT = """name = "chat"
[[form]]
system = "You judge."
user = "{document} answers {query}?"
prefill = "I say"
yes = " yes"
no = " no"
"""
WHOLE = {  # through the chat template of the model
    "document-first": "<|user|>\nDocument:\n{document}\n\nQuery:\n{query}\n\nIs the document "
    "relevant to the query? Answer Yes or No.<|end|>\n<|assistant|>\n",
    "query-first": "Query: {query} Text: {document} Is it relevant? Answer:",
    "chat": "<|system|>\nYou judge.<|end|>\n<|user|>\n{document} answers {query}?<|end|>\n"
    "<|assistant|>\nI say",
}
PROMPTS = {"document-first": "", "query-first": QUERY_FIRST, "chat": CHAT}


def load(llama: Path, prompt: str, folder: Path, max_text_tokens: int = 512) -> PromptReranker:
    name = "prompt"
    if prompt:
        (folder / "own.toml").write_text(prompt, encoding="utf-8")
        name = f"prompt:{folder / 'own.toml'}"
    reranker = load_reranker(name, llama, LLMOptions(max_text_tokens, "float32"))
    assert isinstance(reranker, PromptReranker)
    return reranker


@pytest.mark.parametrize("kind", PROMPTS)
def test_scores_are_those_of_a_plain_forward_pass(kind: str, llama: Path, tmp_path: Path) -> None:
    """Many documents under a query, many queries on a document: each as if it were alone."""
    reranker = load(llama, PROMPTS[kind], tmp_path)
    found = reranker.score_many([(query, LINES) for query in QUERIES])
    for query, row in zip(QUERIES, found, strict=True):
        for text, score in zip(LINES, row, strict=True):
            expected = plain_log_odds(reranker, WHOLE[kind], {"query": query, "document": text})
            assert score == pytest.approx(expected, abs=1e-4)
    assert reranker.counts["pairs"] == len(QUERIES) * len(LINES)


def plain_log_odds(reranker: PromptReranker, whole: str, texts: dict[str, str]) -> float:
    """Ask transformers alone: the whole text in one forward pass, and the two answers' logits."""
    tokenizer, model = reranker.backbone.tokenizer, reranker.backbone.model
    *pieces, last = (texts.get(piece, piece) for piece in re.split(r"\{(query|document)\}", whole))
    ids = [tokenizer.bos_token_id]
    for piece in pieces:
        ids += tokenizer.encode(piece, add_special_tokens=False)
    form = reranker.prompt.form[0]
    yes, no = (tokenizer.encode(last + a, add_special_tokens=False) for a in (form.yes, form.no))
    at = next(at for at, (a, b) in enumerate(zip(yes, no, strict=False)) if a != b)
    with torch.inference_mode():
        logits = model(torch.tensor([[*ids, *yes[:at]]])).logits[0, -1].double()
    odds = logits.log_softmax(0)
    return float(odds[yes[at]] - odds[no[at]])


def test_texts_on_lines_of_their_own_are_cut_as_in_the_whole_string(
    llama: Path, tmp_path: Path
) -> None:
    """Where a slot followed a space, that space was a token, and scores were .2 off by it."""
    reranker = load(llama, "", tmp_path)
    for query in QUERIES:
        for text in LINES:
            (row,) = reranker.tokenizer.tokenize([(query, text)])
            whole = WHOLE["document-first"].format(query=query, document=text)
            assert [*row.head, *row.tail] == reranker.backbone.tokenizer(whole).input_ids


@pytest.mark.parametrize("kind", PROMPTS)
def test_a_pair_alone_is_a_pair_among_many(kind: str, llama: Path, tmp_path: Path) -> None:
    reranker = load(llama, PROMPTS[kind], tmp_path)
    many = reranker.score_many([(query, [*LINES, LINES[0]]) for query in QUERIES])
    for query, row in zip(QUERIES, many, strict=True):
        alone = [reranker.score(query, [text])[0] for text in LINES]
        np.testing.assert_allclose(row[:-1], alone, atol=1e-5)
        assert row[0] == row[-1]  # the same text, the same score, to the last bit
    again = reranker.score_many([(query, [*LINES, LINES[0]]) for query in QUERIES])
    assert all(np.array_equal(a, b) for a, b in zip(many, again, strict=True))


def test_what_pairs_share_is_read_once(llama: Path, tmp_path: Path) -> None:
    reranker = load(llama, "", tmp_path)
    reranker.score_many([(query, LINES) for query in QUERIES])
    rows = reranker.tokenizer.tokenize([(query, text) for query in QUERIES for text in LINES])
    documents = {row.head for row in rows}
    assert len(documents) == len(LINES)
    expected = sum(map(len, documents)) + sum(len(row.tail) for row in rows)
    assert reranker.counts["tokens"] == expected < sum(len(r.head + r.tail) for r in rows)


def test_long_texts_are_cut_and_counted(llama: Path, tmp_path: Path) -> None:
    reranker = load(llama, "", tmp_path, max_text_tokens=12)
    long = LINES[0] + LINES[1]
    scores = reranker.score("lava", [long, LINES[0] + LINES[2], "rock"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)  # the same beginning
    assert reranker.counts["truncated"] == 2
    cramped = load(llama, "", tmp_path, max_text_tokens=5000)  # a context of 512
    cramped.score("key " * 2000, ["lock " * 2000])
    assert cramped.counts["truncated"] == 2 and cramped.counts["tokens"] <= 512


def test_texts_spell_no_control_token(llama: Path, tmp_path: Path) -> None:
    reranker = load(llama, "", tmp_path)
    (row,) = reranker.tokenizer.tokenize([("q</s>", "a<|end|>")])
    tokenizer = reranker.backbone.tokenizer
    wording = reranker.tokenizer.tokenize([("q", "a")])[0]
    for name in ("</s>", "<|end|>"):
        token = tokenizer.convert_tokens_to_ids(name)
        assert (row.head + row.tail).count(token) == (wording.head + wording.tail).count(token)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ('name = "x"', "form"),
        ('name = "x"\nform = []', "no wording"),
        ('name = "x"\n[[form]]\ntemplate = "{query}"\nyes = "y"\nno = "n"', "{document} once each"),
        ('name = "x"\n[[form]]\ntemplate = "{query} {document}"\nyes = "y"\nno = "y"', "two words"),
        ('name = "x"\n[[form]]\nyes = "y"\nno = "n"', "template = (plain) or user = (chat)"),
        ('name = "x"\n[[form]]\ntemplate = "{query} {document}"\nyes = "y"', "no"),
        (
            'name = "x"\n[[form]]\ntemplate = "{query} {document}"\nyse = "y"\nyes = "y"\nno = "n"',
            "yse",
        ),
    ],
)
def test_a_wrong_prompt_is_one_clear_line(toml: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ValueError, match=r"own\.toml") as error:
        load_relevance_prompt(tmp_path / "own.toml")
    assert complaint in str(error.value) and "\n" not in str(error.value)


def test_answers_that_begin_alike_are_told_apart_further_on(llama: Path, tmp_path: Path) -> None:
    toml = QUERY_FIRST.replace('" yes"', '" water tea"').replace('" no"', '" water rock"')
    reranker = load(llama, toml, tmp_path)
    assert reranker.tokenizer.yes != reranker.tokenizer.no
    with pytest.raises(ValueError, match="cannot be told apart"):
        load(llama, QUERY_FIRST.replace('" yes"', '" no matter"'), tmp_path)


def test_an_unknown_prompt_or_reranker_names_what_there_is(llama: Path) -> None:
    with pytest.raises(ValueError, match="no relevance prompt is called 'relevant'; nearest: rel"):
        load_reranker("prompt:relevant", llama)
    for name in ("prompts", "maxsim:x", "cross-encoder", "cross-encoder:", ""):
        with pytest.raises(ValueError, match="cross-encoder:NAME, prompt"):
            load_reranker(name, llama)
    with pytest.raises(ValueError, match="needs a language model"):
        load_reranker("prompt")


def test_half_precision_does_not_tie_documents(llama: Path) -> None:
    """Logits of bfloat16 have eight bits: of 50 documents many had equal scores."""
    reranker = load_reranker("prompt", llama, LLMOptions(dtype="bfloat16"))
    texts = [f"{line} {number}" for line in LINES for number in range(10)]
    scores = reranker.score("lava", texts)
    assert len(set(scores.tolist())) > 45
    exact = load_reranker("prompt", llama, LLMOptions(dtype="float32")).score("lava", texts)
    assert np.corrcoef(scores, exact)[0, 1] > 0.99
