"""A look through a source before a model is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lastword.display import Screen, counted

if TYPE_CHECKING:
    from eval.datasets import Collection
    from eval.local import BeirFolder, TextFolder

OnEmpty = Literal["error", "skip", "keep"]
STEP = 1000  # documents between two movements of the bar


def look_through(collection: "Collection", screen: Screen, on_empty: OnEmpty = "keep") -> int:
    """Count the documents of a source: a broken line is better found now than hours later.

    A BEIR set that is fetched by name is not read twice; its number is known.

    Args:
        collection: to be indexed.
        screen: what was passed over is told there.
        on_empty: whether a document without title and text is an error.

    Raises:
        ValueError: there are no documents, or one is empty and may not be; names file and line.
    """
    from eval.beir_names import BEIR
    from eval.datasets import BeirDownload
    from eval.local import BeirFolder, TextFolder

    if isinstance(collection, BeirDownload):
        return BEIR[collection.name].documents
    assert isinstance(collection, BeirFolder | TextFolder)
    total, empty = 0, 0
    with screen.progress("Looking through", None, "documents") as advance:
        for place, document in collection.placed():
            if not document.content:
                _check_empty(document.id, place, on_empty)
                empty += 1
            total += 1
            if total % STEP == 0:
                advance(total)
    if not total:
        raise ValueError(f"{collection.path} holds no documents")
    _tell_passed_over(collection, screen)
    if empty and on_empty == "keep":
        screen.remark(f"{collection.name}: {counted(empty, 'document')} without title and text.")
    return total


def tell_escaped(escaped: int, path: Path, screen: Screen) -> None:
    """Say that ids in a TREC file are not spelled as they are."""
    if escaped:
        screen.remark(
            f"{path}: {counted(escaped, 'id')} with white space or the like; there a space is "
            "written %20, which lastword undoes when it reads the file."
        )


def _check_empty(document_id: str, place: str, on_empty: OnEmpty) -> None:
    if on_empty == "error":
        raise ValueError(
            f"{place}: document {document_id!r} has neither title nor text; leave such documents "
            "out or keep them: --on-empty skip or keep"
        )


def _tell_passed_over(collection: "BeirFolder | TextFolder", screen: Screen) -> None:
    counts = {
        "of other kinds": getattr(collection, "ignored", 0),
        "behind broken links": getattr(collection, "broken", 0),
    }
    for what, count in counts.items():
        if count:
            screen.remark(f"{collection.name}: passed over {counted(count, 'file')} {what}.")
    repeated = getattr(collection, "repeated", 0)
    if repeated:
        screen.remark(
            f"{collection.name}: passed over {counted(repeated, 'folder')} behind links that "
            f"{'is' if repeated == 1 else 'are'} read under another name."
        )
