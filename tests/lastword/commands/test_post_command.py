"""A prompt with [post], by the commands and from Python, on the bundled model."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.encoders.llm import LLMEncoder
from index.manifest_file import read_manifest, write_manifest
from lastword.main import main
from tuning.choose_proposers import ProposerMaterial, choose_proposers
from tuning.first_prompts import space_of
from tuning.objectives.judged_queries import JudgedQueries

WORDS = "tea key rock lava cat road lamp rain ship bell corn glass".split()


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "post.toml"
    path.write_text((BUNDLED_MODEL / "prompt.toml").read_text() + "\n[post]\n")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [
        json.dumps({"_id": f"d{at}", "text": f"the {first} beside a {second} by the {third} door"})
        for at, (first, second, third) in enumerate(
            (WORDS[at % 12], WORDS[at // 12], WORDS[at * 5 % 12]) for at in range(40)
        )
    ]
    path.write_text("\n".join(lines))
    return path


def said(capsys: pytest.CaptureFixture[str], *asked: object) -> Any:  # noqa: ANN401 - JSON
    assert main([*map(str, asked), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_index_says_what_was_done_to_its_rows(
    prompt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.index"
    said(capsys, "index", source, "-o", path, "--prompt", prompt)
    post = said(capsys, "info", path)["channels"]["dense"]["post"]
    assert (post["from_width"], post["to_width"]) == (512, 512) and len(post["digest"]) == 16
    assert said(capsys, "info", path)["channels"]["sparse"]["post"] is None
    found = said(capsys, "search", path, "lamp beside the rain", "--channels", "dense")["hits"]
    told = said(
        capsys, "explain", path, "lamp beside the rain", found[0]["id"], "--channels", "dense"
    )
    assert told["score"] == pytest.approx(found[0]["score"], abs=1e-5)
    assert told["post"] == {"dense": post["digest"]}
    assert main(["info", str(path)]) == 0 and "post-processed" in capsys.readouterr().out
    more = tmp_path / "more.jsonl"
    more.write_text('{"_id": "new", "text": "a quiet lamp"}')
    said(capsys, "add", path, more)
    said(capsys, "merge", path)
    assert said(capsys, "info", path)["channels"]["dense"]["post"] == post
    said(capsys, "merge", path, "--refit")
    assert said(capsys, "info", path)["channels"]["dense"]["post"]["digest"] != post["digest"]
    with lw.open(path) as index:
        assert index.search("a quiet lamp", k=1)[0].id == "new"


def test_an_index_too_small_for_a_fit_says_so_later_too(
    prompt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was said once, when it was made; afterwards it looked as if no [post] was asked for."""
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(source.read_text().splitlines()[:3]))
    for more, expected in (([], ", Flat "), (["--prompt", prompt], ", not post-processed yet ")):
        path = tmp_path / f"{len(more)}.index"
        said(capsys, "index", few, "-o", path, *more)
        assert main(["info", str(path)]) == 0 and expected in capsys.readouterr().out


def test_gradients_do_not_go_through_it(prompt: Path, source: Path) -> None:
    """Rows of documents are processed, and those of queries are not before they are searched."""
    with lw.build(None, source, prompt=prompt) as index:
        held = index.retriever.index
        encoder = index.retriever.encoders["dense"]
        assert isinstance(encoder, LLMEncoder)
        data = JudgedQueries({"q": "lamp"}, {"q": {"d6": 1}})
        space = space_of(encoder, ["query"], ["dense"], "")
        material = ProposerMaterial(held, encoder, data, space, source.parent)
        with pytest.raises(ValueError, match="post-processes its dense rows"):
            _ = material.gradients
        makers = choose_proposers(material, "auto", "")
        assert not {"grad", "soft"} & makers.keys()
        baselines = makers["baselines"]
        assert isinstance(baselines, partial)
        (untried,) = baselines.keywords["untried"]
        assert untried.startswith("grad and soft: ") and "do not go" in untried


def test_tuning_says_what_an_older_index_lacks(
    prompt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, queries, qrels = (tmp_path / name for name in ("my.index", "q.jsonl", "dev.tsv"))
    said(capsys, "index", source, "-o", path, "--prompt", prompt)
    asked = [json.dumps({"_id": f"q{at}", "text": f"the {WORDS[at]}"}) for at in range(6)]
    queries.write_text("\n".join(asked))
    answers = "".join(f"q{at}\td{at}\t1\n" for at in range(6))
    qrels.write_text(f"query-id\tcorpus-id\tscore\n{answers}")
    tuning = ["tune", str(path), "--queries", str(queries), "--qrels", str(qrels), "--dry-run"]
    assert main(tuning) == 0 and "pseudo-queries" not in capsys.readouterr().err
    manifest = read_manifest(path)
    dense = replace(manifest.channels["dense"], pseudo_queries=())
    write_manifest(path, replace(manifest, channels={**manifest.channels, "dense": dense}))
    assert main(tuning) == 0
    assert "channel 'dense' keeps no pseudo-queries" in capsys.readouterr().err


def test_equal_texts_are_told(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = tmp_path / "same.jsonl"
    same.write_text("".join(f'{{"_id": "s{at}", "text": "one text"}}\n' for at in range(20)))
    assert main(["index", str(same), "-o", str(tmp_path / "i"), "--prompt", str(prompt)]) == 0
    assert "dense: post-processing left nothing of 20 texts" in capsys.readouterr().err


def test_python_builds_searches_and_adds(prompt: Path, source: Path) -> None:
    with lw.build(None, source, prompt=prompt) as index:
        assert index.retriever.index.channels["dense"].post is not None
        index.add([{"id": "new", "text": "a quiet lamp"}])
        assert index.search("a quiet lamp", k=1)[0].id == "new"


def test_without_a_collection_rows_are_unprocessed_and_that_is_said(
    prompt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["embed", "--role", "query", "--input", str(source), "--out", str(tmp_path / "v.npz")]
    assert main([*asked, "--prompt", str(prompt)]) == 0
    assert "Rows are unprocessed: [post] of prompt" in capsys.readouterr().err
    assert main(asked) == 0
    assert "unprocessed" not in capsys.readouterr().err


def test_sentences_are_processed_by_their_own_set_and_that_is_said(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{at % 5}\ta {WORDS[at]} here\tthe {WORDS[at * 5 % 12]} there" for at in range(12)]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(["score\tsentence1\tsentence2", *lines]))
    assert main(["eval", "sts", str(path), "--prompt", str(prompt)]) == 0
    assert "fitted to the sentences of each set itself (transductive" in capsys.readouterr().err


def test_figures_with_and_without_are_of_two_indexes(
    prompt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reused by its label alone, an index without [post] would answer for one with it."""
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(source.read_text())
    (beir / "queries.jsonl").write_text('{"_id": "q", "text": "the lamp"}')
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td6\t1\n")
    made = tmp_path / "indexes"
    for wording in ([], ["--prompt", prompt]):
        out = tmp_path / f"run{len(wording)}"
        said(capsys, "eval", "retrieval", beir, *wording, "--indexes", made, "--out", out)
    assert len(list(made.glob("*/*.index"))) == 2


def test_too_few_documents_are_told(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text('{"_id": "a", "text": "tea"}')
    assert main(["index", str(few), "-o", str(tmp_path / "i"), "--prompt", str(prompt)]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "dense: 1 row stayed as read, since the index began with too few texts" in err
