"""A whole document as people read it: printed, or in the pager where it is longer than a screen."""

import json
import os
import pydoc
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

from lastword.cli.tables import on_terminal, visible

if TYPE_CHECKING:
    from index.documents import Document


def whole_document(document: "Document") -> str:
    """Write id, title, metadata and text in lines; control characters stay as they are."""
    heading = f"{document.id}: {document.title}" if document.title else document.id
    metadata = [f"{name}: {_shown(value)}" for name, value in document.metadata.items()]
    return "\n".join([heading, *metadata, "", document.text])


def document_facts(document: "Document") -> dict[str, Any]:
    """Return a document as JSON."""
    parts = {"id": document.id, "title": document.title, "text": document.text}
    return parts | {"metadata": dict(document.metadata)}


def show_pages(text: str) -> None:
    """Write a text of any origin, in the pager where it does not fit on the screen."""
    shown = visible(text, keep="\n\t")
    columns, lines = shutil.get_terminal_size()
    rows = sum(1 + len(line) // columns for line in shown.split("\n"))
    if on_terminal() and rows >= lines and _has_pager():
        pydoc.pager(shown)
    else:
        sys.stdout.write(f"{shown}\n")


def _has_pager() -> bool:
    """Tell whether the pager that is asked for is there: pydoc shows nothing without it."""
    asked = os.environ.get("MANPAGER") or os.environ.get("PAGER") or ""  # as pydoc chooses
    try:
        words = shlex.split(asked)
    except ValueError:  # a quote that does not end
        return False
    name = next((word for word in words if "=" not in word), "")  # behind LESS=-R and the like
    return not asked.strip() or shutil.which(name) is not None


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
