"""A look through a source before a model is loaded."""

from typing import TYPE_CHECKING

from lastword.display import Screen, counted

if TYPE_CHECKING:
    from eval.datasets import Collection

STEP = 1000  # documents between two movements of the bar


def look_through(collection: "Collection", screen: Screen) -> int:
    """Count the documents of a source: a broken line is better found now than hours later.

    A BEIR set that is fetched by name is not read twice; its number is known.
    """
    from eval.beir_names import BEIR
    from eval.datasets import BeirDownload

    if isinstance(collection, BeirDownload):
        return BEIR[collection.name].documents
    total = 0
    with screen.progress("Looking through", None, "documents") as advance:
        for _ in collection.documents():
            total += 1
            if total % STEP == 0:
                advance(total)
    ignored = getattr(collection, "ignored", 0)
    if ignored:
        screen.remark(f"{collection.name}: passed over {counted(ignored, 'file')} of other kinds.")
    return total
