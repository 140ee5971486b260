"""A devset as a folder: queries, judgements, and how they were made."""

import json
from pathlib import Path
from typing import Any, TypeGuard, get_args

from embedder.files.config_file import read_json
from embedder.files.durable import replace_file
from embedder.files.json_file import write_json
from eval.data.qrels import read_qrels, write_qrels
from eval.data.queries import read_queries
from eval.synthesis.devset import Devset, Style
from eval.synthesis.devset_styles import MadeDevset

QUERIES, QRELS, FACTS = "queries.jsonl", "qrels/devset.tsv", "devset.json"


def write_devset(made: MadeDevset, folder: Path, asked: Any = None) -> int:  # noqa: ANN401 - JSON
    """Write queries and judgements as `lastword tune` reads them.

    Args:
        made: the devset.
        folder: created where it is absent.
        asked: all that decides the devset, by which `read_devset` knows it again.

    Returns:
        The number of ids that were escaped in the judgements.
    """
    (folder / QRELS).parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"_id": query_id, "text": text}) + "\n"
        for query_id, text in made.devset.queries.items()
    ]
    replace_file(folder / QUERIES, "".join(lines).encode())
    escaped = write_qrels(made.devset.qrels, folder / QRELS)
    how = {"style": made.style, "tried": made.tried, "spent": dict(made.spent), "asked": asked}
    write_json(folder / FACTS, {**made.devset.counts, **how})
    return escaped


def read_devset(folder: Path, asked: Any) -> MadeDevset | None:  # noqa: ANN401 - JSON
    """Read a devset back; None where there is none, or one that was asked for otherwise.

    Raises:
        ValueError: a file was damaged.
    """
    if not (folder / FACTS).is_file():
        return None
    facts = read_json(folder / FACTS)
    if not isinstance(facts, dict) or facts.get("asked") != json.loads(json.dumps(asked)):
        return None
    tried, spent = _read_counts(facts.get("tried")), facts.get("spent")
    style = facts.get("style")
    if style not in tried or not _are_amounts(spent):
        raise ValueError(f"{folder / FACTS} does not say what was made; remove {folder}")
    queries, qrels = read_queries(folder / QUERIES), read_qrels(folder / QRELS)
    if queries.keys() != qrels.keys():
        raise ValueError(f"the queries of {folder} are not those that are judged; remove {folder}")
    return MadeDevset(style, Devset(queries, qrels, tried[style]), tried, spent)


def _read_counts(tried: object) -> dict[Style, dict[str, int]]:
    """Return the counts of each style that was tried; none where they are not such."""
    if not isinstance(tried, dict) or not all(isinstance(one, dict) for one in tried.values()):
        return {}
    if tried.keys() - get_args(Style):
        return {}
    return tried if all(map(_are_amounts, tried.values())) else {}


def _are_amounts(amounts: object) -> TypeGuard[dict[str, int]]:
    """Tell whether these are numbers by name, of what was counted."""
    return isinstance(amounts, dict) and all(
        isinstance(amount, int) and amount >= 0 for amount in amounts.values()
    )
