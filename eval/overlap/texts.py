"""Texts that must not overlap: of evaluation sets by path or name, and of training files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from embedder.files.config_file import parse_object
from embedder.files.lines import read_lines
from embedder.files.name_lists import first_repeated
from embedder.progress import Progress, added
from eval.data.collections import Collection, open_collection, open_collections
from eval.data.downloads import BeirDownload, IrDataset
from eval.data.labelled import read_labelled
from eval.data.local import is_beir_folder
from eval.data.mteb_pairs import NAMES, open_pairs
from eval.data.pairs import PairSet, read_pairs
from eval.data.tables import SUFFIX, column_names
from eval.data.zips import BeirZip

TextKind = Literal["query", "document", "sentence"]

_TRAINING_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.xz")
_IDS = ("id", "_id", "docid", "positive_id")
_FIELDS = ("query", "positive", "negatives")
_TEXT_FIELDS = {"title", "text", *_FIELDS}  # null in them is no text, and no mistake


class Text(NamedTuple):
    """An evaluation text; the id of a sentence is the number of its row."""

    kind: TextKind
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A named set and how its texts are read, each time anew."""

    name: str
    texts: Callable[[], Iterator[Text]]


@dataclass(frozen=True, slots=True)
class TrainingPlace:
    """Where a training text stands: path, line from 1, id ("" where there is none), field."""

    file: str
    line: int
    id: str
    field: str


def open_sets(sources: Iterable[str]) -> tuple[list[EvaluationSet], list[Path]]:
    """Find evaluation sets; a folder that is no set is searched to the bottom.

    Args:
        sources: BEIR folders, .tsv files of sentence pairs or labelled sentences, folders that
            hold such, folders of plain text, or names of BEIR and of MTEB's STS sets.

    Returns:
        the sets in order, and the files in folders that hold no set and were passed over.

    Raises:
        ValueError: a source is or holds no set, or two sets have the same name.
    """
    passed_over: list[Path] = []
    sets = [evaluation_set for source in sources for evaluation_set in _opened(source, passed_over)]
    names = [evaluation_set.name for evaluation_set in sets]
    if (repeated := first_repeated(names)) is not None:
        raise ValueError(
            f"two of the evaluation sets are called {repeated!r}; rename one, or leave it"
        )
    return sets, passed_over


def training_files(sources: Iterable[Path]) -> list[Path]:
    """Return files themselves, and the .jsonl, .jsonl.gz and .jsonl.xz files of folders by name.

    Raises:
        OSError: a source is not there, or cannot be read.
        ValueError: a folder holds none, or a file is given twice.
    """
    files: list[Path] = []
    for source in sources:
        source.stat()  # raises for a path that is not there
        inside = [source] if source.is_file() else sorted(source.iterdir())
        matching = [path for path in inside if path.name.endswith(_TRAINING_SUFFIXES)]
        if source.is_dir() and not matching:
            raise ValueError(f"{source} holds no {', '.join(_TRAINING_SUFFIXES)} files")
        files += matching or inside
    if (repeated := first_repeated(files)) is not None:
        raise ValueError(f"{repeated} is given twice")
    return files


def read_training(files: Sequence[Path], progress: Progress) -> Iterator[tuple[TrainingPlace, str]]:
    """Stream the texts of training files: title with text, query, positive, each negative.

    Args:
        files: JSON lines, compressed or not by their suffix.
        progress: called with the number of bytes of the files read.

    Raises:
        ValueError: a line is no UTF-8, no JSON object or has no text; names the line. Blank
            lines are passed over.
    """
    done = 0
    for path in files:
        for place, line in read_lines(path, partial(added, progress, done)):
            yield from _record_texts(line, place, path)
        done += path.stat().st_size
        progress(done)


def _opened(source: str, passed_over: list[Path]) -> list[EvaluationSet]:
    path = Path(source)
    if path.is_dir() and not is_beir_folder(path):
        skipped: list[Path] = []
        if sets := list(_below(path, skipped, set())):
            passed_over += skipped
            return sets
    elif path.is_dir():
        return [_beir_folder(path)]
    elif path.suffix == SUFFIX and path.is_file():
        if table := _table(path):
            return [table]
        raise ValueError(
            f"{path}: expected a first line with score, sentence1, sentence2, or with label and "
            f"text; got {', '.join(column_names(path))[:100]}"
        )
    elif not path.exists() and source.lower() in {name.lower() for name in NAMES}:
        return [_pairs(pair_set) for pair_set in open_pairs(source)]
    return [_named(collection) for collection in open_collections([source])]


def _below(folder: Path, passed_over: list[Path], searched: set[Path]) -> Iterator[EvaluationSet]:
    """Yield the sets below a folder; a link that leads back to it, or above, is passed over."""
    searched.add(folder.resolve())
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_beir_folder(path):
            yield _beir_folder(path)
        elif path.is_dir() and path.resolve() not in searched:
            yield from _below(path, passed_over, searched)
        elif path.suffix == SUFFIX and (table := _table(path)):
            yield table
        else:
            passed_over.append(path)


def _table(path: Path) -> EvaluationSet | None:
    """Open a file of pairs or of labelled sentences; None where its columns are others."""
    named = column_names(path)
    if "score" in named and "sentence1" in named:
        return _pairs(read_pairs(path))
    if "label" not in named:
        return None
    items = read_labelled(path).items
    return EvaluationSet(path.stem, lambda: _sentences(items))


def _pairs(pair_set: PairSet) -> EvaluationSet:
    items = [(pair.first, pair.second) for pair in pair_set.pairs]
    return EvaluationSet(pair_set.name, lambda: _sentences(items))


def _sentences(items: Iterable[tuple[str, ...]]) -> Iterator[Text]:
    """Yield every sentence once, under the number of the first row that has it."""
    rows: dict[str, int] = {}
    for row, item in enumerate(items, start=1):
        for sentence in item:
            rows.setdefault(sentence, row)
    return (Text("sentence", f"row {row}", sentence) for sentence, row in rows.items())


def _beir_folder(path: Path) -> EvaluationSet:
    splits = sorted(file.stem for file in (path / "qrels").glob(f"*{SUFFIX}"))
    collection = open_collection(path)
    judged = [open_collection(path, split) for split in splits] or [collection]
    return EvaluationSet(collection.name, lambda: _collection_texts(collection, judged))


def _named(collection: Collection) -> EvaluationSet:
    judged: list[Collection] = []  # a folder or file of plain text has documents only
    if isinstance(collection, BeirDownload):
        beir_set = collection.beir_set
        judged = [BeirDownload(beir_set, split) for split in beir_set.splits]
    elif isinstance(collection, BeirZip):
        judged = [BeirZip(collection.file, split) for split in collection.splits()]
    elif isinstance(collection, IrDataset) and collection.is_judged:
        judged = [collection]
    return EvaluationSet(collection.name, lambda: _collection_texts(collection, judged))


def _collection_texts(collection: Collection, judged: Sequence[Collection]) -> Iterator[Text]:
    queries: dict[str, str] = {}
    for split in judged:
        queries |= split.queries()
    for query_id, text in queries.items():
        yield Text("query", query_id, text)
    for document in collection.documents():
        yield Text("document", document.id, document.content)


def _record_texts(line: str, location: str, path: Path) -> Iterator[tuple[TrainingPlace, str]]:
    record = parse_object(line, location)
    document_id = next((str(record[name]) for name in _IDS if record.get(name) is not None), "")
    fields = [("text", _title_and_text(record, location))]
    fields += [(field, text) for field in _FIELDS for text in _strings(record.get(field), location)]
    texts = [(field, text) for field, text in fields if text is not None]
    if not texts and not record.keys() & _TEXT_FIELDS:
        raise ValueError(
            f"{location}: expected text in title, text, {', '.join(_FIELDS)}; got none"
        )
    number = int(location.rpartition(":")[2])
    for field, text in texts:
        yield TrainingPlace(str(path), number, document_id, field), text


def _title_and_text(record: Mapping[str, Any], location: str) -> str | None:
    """Join them as a document's are when it is encoded; None where neither is there."""
    parts = [record[name] for name in ("title", "text") if record.get(name) is not None]
    wrong = next((part for part in parts if not isinstance(part, str)), None)
    if wrong is not None:
        raise ValueError(f"{location}: expected text as title and text; got {wrong!r:.60}")
    return " ".join(parts) if parts else None


def _strings(value: object, location: str) -> Iterator[str]:
    """Yield the texts of a field: a string, an object with title or text, or a list of these."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, location)
    elif value is not None:
        text = _title_and_text(value, location) if isinstance(value, dict) else None
        if text is None:
            raise ValueError(f"{location}: expected text or a list of texts; got {value!r:.60}")
        yield text
