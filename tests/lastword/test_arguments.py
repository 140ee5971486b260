"""A wrong argument is one line that names it, in the words of Python and before any work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lastword as lw
from embedder.arguments import check_fields
from embedder.checkpoints.trust import ModelAccess
from embedder.models.loading import LLMOptions
from eval.statistics.comparison import CompareOptions
from eval.tasks.retrieval import JudgeOptions
from tests.eval.tasks.test_beir import write_collection
from tests.one_line import check_one_line
from tuning.options import TuningOptions

WRONG: Any = 3  # of a type that no argument has
EMPTY: Any = ""
QUERIES = {"q": "tea"}
QRELS = {"q": {"0": 1}}
RUN = {"q": {"0": 1.0}}


class NoEncoder:
    """Has the methods of an encoder, which give something else."""

    fingerprint = "{}"

    def encode(self, texts: object, role: object) -> int:
        return len(str(texts))


NO_ENCODER: Any = NoEncoder()
NO_SUCH_KIND: Any = {"dense": WRONG}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("arguments")
    lw.build(place / "i", ["green tea", "black rock"], "bm25").close()
    write_collection(place / "tiny")
    return place


BUNDLED = lw.load_encoder("bundled")
ROWS = BUNDLED.encode_document(["green tea", "black rock"])
WORDS = BUNDLED.encode_document("green tea", channel="sparse")

CALLS: list[tuple[Callable[[Path], object], type[Exception], str]] = [
    (lambda p: lw.open(WRONG), TypeError, "path must be a str or a Path; got int"),
    (lambda p: lw.open(""), ValueError, "path must be a str or a Path; got an empty one"),
    (lambda p: lw.open(p / "i", WRONG), TypeError, "channels must be a list of names; got 3"),
    (lambda p: lw.open(p / "i", "bm25"), TypeError, "channels must be a list of names; got 'bm25'"),
    (
        lambda p: lw.open(p / "i", ["x"]),
        ValueError,
        "channels takes some of the index's bm25, each",
    ),
    (lambda p: lw.open(p / "i", fusion=WRONG), TypeError, "fusion must be a str; got int"),
    (
        lambda p: lw.open(p / "i", depth=WRONG / 2),
        TypeError,
        "depth must be a whole number; got 1.",
    ),
    (lambda p: lw.open(p / "i", depth=True), TypeError, "depth must be a whole number; got True"),
    (lambda p: lw.open(p / "i", depth=0), ValueError, "a depth of at least 1"),
    (lambda p: lw.open(p / "i", access=WRONG), TypeError, "access must be ModelAccess(...); got"),
    (lambda p: lw.open_retriever(WRONG), TypeError, "path must be a str or a Path; got int"),
    (lambda p: lw.open_retriever(p / "i", "bm25"), TypeError, "channels must be a list of names"),
    (lambda p: lw.build(WRONG, ["a"]), TypeError, "path must be a str or a Path; got int"),
    (lambda p: lw.build("", ["a"]), ValueError, "path must be a str or a Path; got an empty one"),
    (lambda p: lw.build(None, "", "bm25"), ValueError, "documents must be a path or a name, or a"),
    (
        lambda p: lw.build(None, ["a"], prompt=WRONG),
        TypeError,
        "prompt must be a name, a path that",
    ),
    (lambda p: lw.build(None, ["a"], BUNDLED, "prompteol"), ValueError, "encoders have theirs"),
    (
        lambda p: lw.build(None, ["a"], EMPTY),
        ValueError,
        "model must be a name or a folder; got an",
    ),
    (
        lambda p: lw.build(None, ["a"], NO_SUCH_KIND),
        TypeError,
        "channel 'dense' must be an encoder",
    ),
    (lambda p: lw.build(None, ["a"], {WRONG: BUNDLED}), TypeError, "the name of a channel must be"),
    (
        lambda p: lw.build(None, ["a"], {"dense": NO_ENCODER}),
        TypeError,
        "the result of NoEncoder.encode must be a Representation; got int",
    ),
    (
        lambda p: lw.build(None, ["a"], options=WRONG),
        TypeError,
        "options must be BuildOptions(...)",
    ),
    (
        lambda p: lw.BuildOptions(window=WRONG / 2),
        TypeError,
        "window must be a whole number; got 1.",
    ),
    (lambda p: lw.BuildOptions(cache=WRONG), TypeError, "cache must be True or False; got 3"),
    (
        lambda p: lw.BuildOptions(passages=WRONG),
        TypeError,
        "passages must be Passages(...) or a str or None",
    ),
    (
        lambda p: lw.BuildOptions(channels=NO_SUCH_KIND),
        TypeError,
        "channels must be a dict of str -> ChannelOptions(...); got {'dense': 3}",
    ),
    (lambda p: ModelAccess(device=WRONG), TypeError, "device must be a str; got 3"),
    (lambda p: LLMOptions(max_text_tokens=True), TypeError, "max_text_tokens must be a whole numb"),
    (lambda p: JudgeOptions(measures=EMPTY), TypeError, "measures must be a list of str; got ''"),
    (
        lambda p: CompareOptions(level=2),
        ValueError,
        "level must be above 0 and below 1, e.g. 0.95; got 2",
    ),
    (lambda p: TuningOptions(budget=WRONG), TypeError, "budget must be a str; got 3"),
    (lambda p: lw.load_encoder(WRONG), TypeError, "model must be a name or a folder; got int"),
    (
        lambda p: lw.load_encoder("bm25", WRONG),
        TypeError,
        "prompt must be a name, a path that ends",
    ),
    (
        lambda p: lw.load_encoder("bm25", options=WRONG),
        TypeError,
        "options must be LLMOptions(...)",
    ),
    (lambda p: lw.load_encoder("bm25", channels="dense"), TypeError, "channels must be a list of"),
    (
        lambda p: lw.load_encoder("bundled", channels=["dense"] * 2),
        ValueError,
        "gives dense, sparse",
    ),
    (
        lambda p: lw.load_encoder("bm25", texts="a"),
        TypeError,
        "texts must be several texts; got str",
    ),
    (
        lambda p: lw.load_prompt(WRONG),
        TypeError,
        "prompt must be a name, a path that ends in .toml",
    ),
    (lambda p: BUNDLED.encode_query("\ud83d"), ValueError, "text 1 is not legal Unicode"),
    (lambda p: BUNDLED.encode_document(NO_SUCH_KIND), TypeError, "texts must be one text or a lis"),
    (lambda p: BUNDLED.encode_query("a", EMPTY), ValueError, "channel is dense or sparse; got ''"),
    (lambda p: BUNDLED.similarity(ROWS, WRONG), TypeError, "expected rows (n, dim) of an encoder"),
    (lambda p: BUNDLED.similarity(ROWS, ROWS.astype(str)), TypeError, "got ndarray of <U32"),
    (
        lambda p: BUNDLED.decode(ROWS),
        TypeError,
        "rows must be sparse rows (csr_matrix); got ndarray",
    ),
    (lambda p: BUNDLED.decode(WORDS, -1), ValueError, "top_k must be at least 1; got -1"),
    (lambda p: BUNDLED.decode(WORDS, True), TypeError, "top_k must be a whole number; got True"),
    (
        lambda p: BUNDLED.decode(WORDS, texts=WRONG),
        TypeError,
        "an encoder takes a list of texts; got",
    ),
    (lambda p: lw.evaluate(WRONG), TypeError, "source must be a path or a name; got int"),
    (lambda p: lw.evaluate(""), ValueError, "source must be a path or a name; got an empty one"),
    (
        lambda p: lw.evaluate(p / "tiny", indexes=WRONG),
        TypeError,
        "indexes must be a str or a Path",
    ),
    (
        lambda p: lw.evaluate(p / "tiny", options=WRONG),
        TypeError,
        "options must be JudgeOptions(...)",
    ),
    (lambda p: lw.compare(WRONG, p), TypeError, "expected an Evaluation or a run folder; got int"),
    (lambda p: lw.compare(p, p, WRONG), TypeError, "measure must be a name; got int"),
    (lambda p: lw.compare(p, p, options=WRONG), TypeError, "options must be CompareOptions(...)"),
    (lambda p: lw.compare(p, p), ValueError, "is no run folder: it has no config.json"),
    (lambda p: lw.tune(WRONG, QUERIES, QRELS), TypeError, "index must be an open index, or its"),
    (
        lambda p: lw.tune(p, WRONG, QRELS),
        TypeError,
        "queries must be a dict of id -> text, or a file",
    ),
    (lambda p: lw.tune(p, {"q": WRONG}, QRELS), TypeError, "query 'q' must be a str; got int"),
    (
        lambda p: lw.tune(p, {WRONG: "tea"}, QRELS),
        TypeError,
        "the id of a query must be a str; got",
    ),
    (lambda p: lw.tune(p, QUERIES, WRONG), TypeError, "qrels must be a dict of query -> document"),
    (
        lambda p: lw.tune(p, QUERIES, {"q": WRONG}),
        TypeError,
        "gains of query 'q' must be a dict of",
    ),
    (
        lambda p: lw.tune(p, QUERIES, {"q": {"0": EMPTY}}),
        TypeError,
        "the gain of document '0' of query 'q' must be a whole number; got ''",
    ),
    (lambda p: lw.tune(p, QUERIES, QRELS, WRONG), TypeError, "budget must be a str; got 3"),
    (lambda p: lw.tune(p, QUERIES, QRELS, out=WRONG), TypeError, "out must be a folder"),
    (
        lambda p: lw.tune(p, QUERIES, QRELS, options=WRONG),
        TypeError,
        "options must be TuningOptions",
    ),
    (lambda p: lw.evaluate_run(WRONG, QRELS), TypeError, "run must be a dict of query -> document"),
    (lambda p: lw.evaluate_run(RUN, WRONG), TypeError, "qrels must be a dict of query -> document"),
    (
        lambda p: lw.evaluate_run(RUN, QRELS, "AP"),
        TypeError,
        "measures must be a list of names; got",
    ),
    (
        lambda p: lw.evaluate_run({"q": WRONG}, QRELS),
        TypeError,
        "scores of query 'q' must be a dict",
    ),
    (
        lambda p: lw.evaluate_run({"q": {"0": EMPTY}}, QRELS),
        TypeError,
        "scores of query 'q' must be numbers: could not convert string to float: ''",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), CALLS, ids=[call[2][:40] for call in CALLS])
def test_a_wrong_argument_is_one_line_without_options_of_the_command(
    call: Callable[[Path], object], error: type[Exception], message: str, place: Path
) -> None:
    """Many were AttributeErrors from deep inside, named --channels, or were taken as they came."""
    check_one_line(lambda: call(place), error, message)
    with pytest.raises(error) as caught:
        call(place)
    assert "--" not in str(caught.value)


def test_what_is_right_is_taken(place: Path) -> None:
    one: Any = np.float32(1)
    two: Any = np.int64(2)
    with lw.open(place / "i", ["bm25"], "rrf", two, ModelAccess()) as index:
        assert index.search("tea")[0].id == "0"
    check_fields(JudgeOptions(measures=["AP"], out=place))  # type: ignore[arg-type]
    check_fields(lw.BuildOptions(passages=None, channels={}))
    bm25 = lw.load_encoder("bm25")
    assert bm25.decode(bm25.encode_query("tea"), texts="tea") == [("tea", 1.0)]
    assert lw.evaluate_run({"q": {"0": one}}, {"q": {"0": two}}, ("AP",)) == {"AP": {"q": 1.0}}
