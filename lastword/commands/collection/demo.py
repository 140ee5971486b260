"""`lastword demo`: index the documentation of Python's standard library, and ask it questions."""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer

from embedder.checkpoints.named_models import SMOLLM2
from embedder.files.cache_folder import cache_folder
from lastword.cli.command import command
from lastword.cli.encoders import describe_encoders, make_encoders
from lastword.cli.options import EncoderOptions, Output, Pieces
from lastword.cli.screen import Screen, counted, one_line, shell, table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from embedder.types import Encoder, Role
    from lastword.engine import SearchEngine

app = Typer()

# Chosen so that the first answer answers them, whatever way channels are fused.
QUESTIONS = (
    "how do I open a web page in the browser",
    "how do I unpack a zip archive",
    "how do I cache the results of a function",
    "what is the greatest common divisor of two numbers",
)
SHOWN = 5  # documents per question and channel
WORDS = 8  # words of the model per text
ASKED = "question"  # its id in the runs

WeightedWords = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """What one question found.

    Attributes:
        question: as it was asked.
        ranked: "fused" and every channel -> (document id, score), best first.
        texts: of the best documents of the first run.
        question_words: the model's words for the question, with weights, strongest first.
        document_words: the same for the best document.
        seconds: wall time of encoding, searching and fusing.
    """

    question: str
    ranked: Mapping[str, WeightedWords]
    texts: tuple[str, ...]
    question_words: WeightedWords
    document_words: WeightedWords
    seconds: float


@command(
    app,
    [
        "lastword demo",
        "lastword demo --model smollm2",
        'lastword demo --ask "pick a random element"',
    ],
)
def demo(
    reading: EncoderOptions,
    output: Output,
    ask: Annotated[
        list[str] | None, Option(help="A question of yours, instead of ours; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for the index; a cache folder by default.")
    ] = None,
    pieces: Pieces = False,
) -> None:
    """Index the documentation of Python's standard library, and ask it some questions.

    The first run encodes several thousand texts; later runs use the same index again.
    """
    screen = Screen(output)
    screen.remark("Documents: the documentation strings of this machine's Python standard library.")
    with screen.waiting("Loading the model"):
        encoders = make_encoders(reading)
    screen.remark(f"Encoder: {describe_encoders(encoders)}.")
    place, questions = out or demo_place(encoders), ask or QUESTIONS
    engine, built = _open_or_build(place, encoders, screen)
    with engine:
        engine.search(questions[0])  # the first search loads and compiles
        answers = [_answer(question, engine, pieces) for question in questions]
    milliseconds = 1000 * sum(answer.seconds for answer in answers) / len(answers)
    data = {
        "model": reading.embedder or reading.model,
        "index": str(place),
        **built,
        "milliseconds_per_question": milliseconds,
        "questions": [asdict(answer) for answer in answers],
    }
    screen.result(data, *(piece for answer in answers for piece in _layout(answer)))
    _say_what_next(screen, place, reading, milliseconds)


def demo_place(encoders: "Mapping[str, Encoder]") -> Path:
    """Name the index after all that it depends on: Python's version, the format, the encoders."""
    from embedder.encoders.specs import stored_spec
    from index.manifest_file import FORMAT

    facts = [sys.version, FORMAT, *(encoder.fingerprint for encoder in encoders.values())]
    facts += [stored_spec(encoder) for encoder in encoders.values()]
    key = hashlib.blake2b(repr(facts).encode(), digest_size=4).hexdigest()
    return cache_folder() / f"demo-{key}.index"


def _open_or_build(
    place: Path, encoders: "Mapping[str, Encoder]", screen: Screen
) -> "tuple[SearchEngine, dict[str, Any]]":
    """Build the index, finish it, or use it again where it is of the same documents."""
    from eval.runs.collection_index import build_report, open_or_build
    from lastword.commands.collection.stdlib_docs import stdlib_documents
    from lastword.engine import SearchEngine
    from retrieval.options import BuildOptions
    from retrieval.retriever import Retriever

    with screen.waiting("Collecting"):
        documents = stdlib_documents()
    options = BuildOptions(cache=True)
    with screen.progress("Indexing", len(documents), "documents") as advance:
        indexed = open_or_build(lambda: iter(documents), encoders, place, options, advance)
    engine = SearchEngine(Retriever(indexed.index, encoders))
    count = len(engine)
    if indexed.state == "reused":
        screen.remark(f"The index of an earlier run is used: {counted(count, 'document')}.")
        return engine, {"documents": count, "reused": True, "documents_per_second": None}
    report = build_report(place) or {}
    speed = (count - report.get("resumed", 0)) / report["seconds"] if "seconds" in report else None
    return engine, {"documents": count, "reused": False, "documents_per_second": speed}


def _answer(question: str, engine: "SearchEngine", pieces: bool) -> DemoAnswer:
    from embedder.types import Role
    from lastword.hits import list_hits
    from retrieval.run import ranked

    result = engine.retriever.answer({ASKED: question}, SHOWN)
    hits = list_hits(result, {ASKED: question}, engine.retriever)[ASKED]
    runs = {"fused": result.run} if len(engine.channels) > 1 else {}
    reader = engine.encoders.get("sparse")
    words: list[WeightedWords] = [(), ()]
    if reader is not None and hits:
        texts = ((question, Role.QUERY), (hits[0].document.content, Role.DOCUMENT))
        words = [_words(reader, text, role, pieces) for text, role in texts]
    return DemoAnswer(
        question=question,
        ranked={
            name: tuple(ranked(run[ASKED])[:SHOWN])
            for name, run in (runs | dict(result.channels)).items()
        },
        texts=tuple(hit.text for hit in hits),
        question_words=words[0],
        document_words=words[1],
        seconds=sum(hits.seconds.values()),
    )


def _words(reader: "Encoder", text: str, role: "Role", pieces: bool) -> WeightedWords:
    """Return the strongest words that the model chose for a text."""
    from embedder.inspect.word_columns import piece_words, whole_words

    row = reader.encode([text], role).sparse
    if row is None:
        return ()
    weights = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    return tuple((piece_words if pieces else whole_words)(reader, weights, [text])[:WORDS])


def _layout(answer: DemoAnswer) -> "list[RenderableType]":
    """Lay out one question: the best of every channel side by side, and the words."""
    from rich.text import Text

    ranks = enumerate(zip_longest(*answer.ranked.values(), fillvalue=("", 0.0)), 1)
    rows = [[str(rank), *(document for document, _ in documents)] for rank, documents in ranks]
    parts: list[RenderableType] = [
        Text(f"\n{visible(answer.question)}\n", style="bold"),
        table(">#", *answer.ranked, rows=rows),
    ]
    if answer.texts:
        best = next(iter(answer.ranked.values()))[0][0]
        parts.append(Text(f"\n{visible(f'{best}: {one_line(answer.texts[0], 160)}')}"))
    for title, words in (
        ("words for the question", answer.question_words),
        ("words for the first document", answer.document_words),
    ):
        if words:
            weighted = ", ".join(f"{word} {weight:.2f}" for word, weight in words)
            parts.append(Text(f"{title}: {weighted}", style="dim"))
    return parts


def _say_what_next(
    screen: Screen, place: Path, reading: EncoderOptions, milliseconds: float
) -> None:
    screen.remark(
        f"\n{milliseconds:.0f} ms per question, the model's reading of it included.\n"
        "\nTo try next:\n"
        f'  {shell("lastword", "search", place)} "pick a random element"\n'
        f'  {shell("lastword", "explain", place)} "pick a random element" random.Random.choice\n'
        "  lastword index YOUR_FOLDER -o my.index"
    )
    if reading == EncoderOptions():
        brings = "" if SMOLLM2.find_file() else f"  {SMOLLM2.command}\n"
        screen.remark(
            "\nThis was the bundled model: it is small, so that it comes along and runs anywhere, "
            "and it\nknows little. A real language model, which nobody trained to search, takes "
            "minutes over\nthese documents, once:\n"
            f"{brings}  lastword demo --model {SMOLLM2.name}"
        )
