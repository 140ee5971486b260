"""`lastword demo`: index the documentation of Python's standard library, and ask it questions."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_encoders, make_encoders
from lastword.cli.options import EncoderOptions, Output, Pieces
from lastword.cli.screen import Screen, counted, one_line, shell, table, visible
from lastword.cli.tables import on_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

    from embedder.types import Encoder, Role
    from retrieval.retriever import Retriever

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
        "lastword demo --model Qwen/Qwen3-0.6B",
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
    place = out or demo_place(encoders)
    built = _built(place, encoders, screen)
    answered = _answered(place, encoders, ask or QUESTIONS, pieces)
    milliseconds = 1000 * sum(one.seconds for one in answered) / len(answered)
    data = {
        "model": reading.embedder or reading.model,
        "index": str(place),
        **built,
        "milliseconds_per_question": milliseconds,
        "questions": [asdict(one) for one in answered],
    }
    screen.result(data, *(piece for one in answered for piece in _shown(one)))
    _say_what_next(screen, place, reading, milliseconds)


def _cache_folder() -> Path:
    """Return where programs keep what they can make again, by the custom of the platform."""
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "lastword"


def demo_place(encoders: "Mapping[str, Encoder]") -> Path:
    """Name the index after all that it depends on: the library's version, encoders and fusion."""
    from embedder.encoders.specs import stored_spec

    facts = [sys.version, *(encoder.fingerprint for encoder in encoders.values())]
    facts += [stored_spec(encoder) for encoder in encoders.values()]
    key = hashlib.blake2b(repr(facts).encode(), digest_size=4).hexdigest()
    return _cache_folder() / f"demo-{key}.index"


def _built(place: Path, encoders: "Mapping[str, Encoder]", screen: Screen) -> dict[str, Any]:
    """Build the index, finish it, or use it again where it is of the same documents."""
    from eval.runs.collection_index import build_report, open_or_build
    from lastword.commands.collection.stdlib_docs import stdlib_documents
    from retrieval.options import BuildOptions

    with screen.waiting("Collecting"):
        documents = stdlib_documents()
    options = BuildOptions(cache=True)
    with screen.progress("Indexing", len(documents), "documents") as advance:
        indexed = open_or_build(lambda: iter(documents), encoders, place, options, advance)
    count = indexed.index.documents
    indexed.index.close()
    if indexed.state == "reused":
        screen.remark(f"The index of an earlier run is used: {counted(count, 'document')}.")
        return {"documents": count, "reused": True, "documents_per_second": None}
    report = build_report(place) or {}
    speed = (count - report.get("resumed", 0)) / report["seconds"] if "seconds" in report else None
    return {"documents": count, "reused": False, "documents_per_second": speed}


def _answered(
    place: Path, encoders: "Mapping[str, Encoder]", questions: Sequence[str], pieces: bool
) -> list[DemoAnswer]:
    from index.folder import Index
    from retrieval.retriever import Retriever

    with Index.open(place) as held:
        retriever = Retriever(held, encoders)
        retriever.answer({ASKED: questions[0]}, SHOWN)  # the first search loads and compiles
        return [_answer(question, retriever, encoders, pieces) for question in questions]


def _answer(
    question: str, retriever: "Retriever", encoders: "Mapping[str, Encoder]", pieces: bool
) -> DemoAnswer:
    from embedder.types import Role
    from retrieval.run import ranked

    answer = retriever.answer({ASKED: question}, SHOWN)
    runs = {"fused": answer.run, **answer.channels} if len(encoders) > 1 else answer.channels
    held = retriever.index
    best = [document for document, _ in ranked(answer.run[ASKED])[:SHOWN]]
    texts = tuple(held.document(document).text for document in best)
    reader = encoders.get("sparse")
    words: tuple[WeightedWords, WeightedWords] = ((), ())
    if reader is not None and best:
        top = held.document(best[0]).content
        words = (
            _words(reader, question, Role.QUERY, pieces),
            _words(reader, top, Role.DOCUMENT, pieces),
        )
    return DemoAnswer(
        question=question,
        ranked={name: tuple(ranked(run[ASKED])[:SHOWN]) for name, run in runs.items()},
        texts=texts,
        question_words=words[0],
        document_words=words[1],
        seconds=sum(answer.seconds.values()),
    )


def _words(reader: "Encoder", text: str, role: "Role", pieces: bool) -> WeightedWords:
    """Return the strongest words that the model chose for a text."""
    from embedder.inspect.word_columns import piece_words, whole_words

    row = reader.encode([text], role).sparse
    if row is None:
        return ()
    weights = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    return tuple((piece_words if pieces else whole_words)(reader, weights, [text])[:WORDS])


def _shown(answered: DemoAnswer) -> "list[RenderableType]":
    """Lay out one question: the best of every channel side by side, and the words."""
    from rich.text import Text

    heading = Text(f"\n{visible(answered.question)}\n", style="bold")
    shown: list[RenderableType] = [heading, _rankings(answered.ranked)]
    if answered.texts:
        best = next(iter(answered.ranked.values()))[0][0]
        shown.append(Text(f"\n{visible(f'{best}: {one_line(answered.texts[0], 160)}')}"))
    for what, words in (
        ("words for the question", answered.question_words),
        ("words for the first document", answered.document_words),
    ):
        if words:
            said = ", ".join(f"{word} {weight:.2f}" for word, weight in words)
            shown.append(Text(f"{what}: {said}", style="dim"))
    return shown


def _rankings(ranked: Mapping[str, WeightedWords]) -> "RenderableType":
    """Lay out the best of every channel side by side, or below where a terminal is narrow."""
    from rich.columns import Columns

    if not on_terminal():
        rows = [
            [str(rank), *(document for document, _ in documents)]
            for rank, documents in enumerate(zip_longest(*ranked.values(), fillvalue=("", 0.0)), 1)
        ]
        return table(">#", *ranked, rows=rows)
    across = 4 if shutil.get_terminal_size().columns >= 116 else 2
    width = min(shutil.get_terminal_size().columns, 160) // across - 2
    return Columns([_ranked_table(name, run, width) for name, run in ranked.items()], width=width)


def _ranked_table(name: str, run: WeightedWords, width: int) -> "RichTable":
    from rich.table import Table
    from rich.text import Text

    listing = Table(box=None, padding=(0, 1, 0, 0), width=width)
    listing.add_column("", justify="right")
    listing.add_column(name, overflow="fold", ratio=1)
    for rank, (document, _) in enumerate(run, start=1):
        listing.add_row(str(rank), Text(visible(document)))
    return listing


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
        screen.remark(
            "\nThis was the bundled model: it is small, so that it comes along and runs anywhere, "
            "and it\nknows little. A larger one reads better, with no other change:\n"
            "  lastword demo --model Qwen/Qwen3-0.6B"
        )
