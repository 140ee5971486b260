"""A run folder: the results of one configuration, read back for comparing and reporting.

config.json             everything needed to run it again, see `eval.runs.run_config`
DATASET.json            a Record: values per item, timings, tokens, memory
DATASET.RUN.trec        retrieval: the run of each channel, and the fused one
DATASET.qrels           retrieval: the judgements
DATASET.queries.jsonl   retrieval: the judged queries
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedder.files.config_file import read_json
from embedder.files.durable import replace_file
from embedder.files.typed_values import check_values
from eval.data.json_texts import read_objects
from eval.data.qrels import Qrels, read_qrels, write_qrels
from eval.runs.collection_index import manifest_digest
from eval.runs.record import SUFFIX, Record, is_record
from index.folder import Index
from index.manifest_file import MANIFEST, read_manifest
from retrieval.run import Run, read_trec, write_trec
from retrieval.source import documents_digest

CONFIG = "config.json"
_CONFIG: Mapping[str, Any] = {
    "settings": dict[str, Any],
    "versions": dict[str, Any],
    "command": tuple[Any, ...],
}
_SETTINGS: Mapping[str, Any] = {
    "datasets": tuple[str, ...],
    "channels": tuple[str, ...],
    "fusion": str | None,
}
"""Fields of a configuration that are read; they may be missing."""


@dataclass(frozen=True)
class RunFolder:
    """The results of one configuration.

    Attributes:
        path: the folder.
        config: the contents of config.json.
        records: data set -> its record, in the order of their files' names.
    """

    path: Path
    config: Mapping[str, Any]
    records: Mapping[str, Record]

    @staticmethod
    def open(path: str | Path) -> "RunFolder":
        """Read a folder that an evaluation wrote.

        Raises:
            ValueError: it is none, or a file in it is damaged.
        """
        folder = Path(path)
        folder.stat()  # what is not there is called that
        if not (folder / CONFIG).is_file():
            raise ValueError(
                f"{folder} is no run folder: it has no {CONFIG}; "
                "`lastword eval` writes one where it is told to (out)"
            )
        records = read_records(folder)
        if not records:
            raise ValueError(f"{folder} holds no finished data set yet; run its command again")
        return RunFolder(folder, read_config(folder), records)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    def run(self, dataset: str, name: str | None = None) -> Run:
        """Return a TREC run of a data set, by default the one that counts.

        Every judged query is in it, perhaps with nothing: the format has no room for those.

        Raises:
            ValueError: there is no such run.
        """
        record = self._record(dataset)
        name = name or record.counted
        path = self.path / f"{record.stem}.{name}.trec"
        if name not in record.values or not path.is_file():
            raise ValueError(
                f"{self.path} has no run {name!r} of {dataset}; there is {', '.join(record.values)}"
            )
        run = read_trec(path)
        return {query_id: run.get(query_id, {}) for query_id in next(iter(record.main.values()))}

    def qrels(self, dataset: str) -> Qrels:
        """Return the judgements of a data set."""
        return read_qrels(self.path / f"{self._record(dataset).stem}.qrels")

    def queries(self, dataset: str) -> dict[str, str]:
        """Return the judged queries of a data set."""
        path = self.path / f"{self._record(dataset).stem}.queries.jsonl"
        queries = {}
        for place, query in read_objects(path):
            if not (isinstance(query.get("_id"), str) and isinstance(query.get("text"), str)):
                raise ValueError(f"{place}: expected a query as _id and text")
            queries[query["_id"]] = query["text"]
        return queries

    def index_path(self, dataset: str) -> Path | None:
        """Return the path of its index; None where it is gone, or holds other documents."""
        details = self._record(dataset).details
        path = Path(str(details.get("index") or ""))
        if not (path / MANIFEST).is_file():
            return None
        source = details.get("source")  # records from before it was kept lack it
        if not isinstance(source, dict) or details.get("index_holds") == manifest_digest(
            read_manifest(path)
        ):
            return path
        with Index.open(path) as index:  # merged since, or made again of other documents
            return path if documents_digest(index.stream()) == source.get("documents") else None

    def _record(self, dataset: str) -> Record:
        if dataset not in self.records:
            raise ValueError(
                f"{self.path} has no data set {dataset!r}; it has {', '.join(self.records)}"
            )
        return self.records[dataset]


@dataclass(frozen=True)
class RetrievalRecordFiles:
    """A retrieval record with its runs, judgements and queries."""

    record: Record
    runs: Mapping[str, Run]
    qrels: Qrels
    queries: Mapping[str, str]

    def write(self, folder: Path) -> Record:
        """Write the files of one data set; the record comes last: where it is, all are.

        Returns:
            The record as written; where ids were escaped, its details count them as "escaped_ids".
        """
        folder.mkdir(parents=True, exist_ok=True)
        stem = self.record.stem
        escaped_counts = [write_qrels(self.qrels, folder / f"{stem}.qrels")]
        for name, run in self.runs.items():
            path = folder / f"{stem}.{name}.trec"
            escaped_counts.append(write_trec(run, path, tag=f"lastword-{name}"))
        lines = [
            json.dumps({"_id": query_id, "text": text}, ensure_ascii=True) + "\n"
            for query_id, text in self.queries.items()
        ]
        replace_file(folder / f"{stem}.queries.jsonl", "".join(lines).encode())
        record = self.record
        if max(escaped_counts):
            details = {**record.details, "escaped_ids": max(escaped_counts)}
            record = replace(record, details=details)
        record.write(folder)
        return record


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json.

    Raises:
        ValueError: it holds no JSON object.
    """
    path = folder / CONFIG
    config = read_json(path, finite=False)
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected a JSON object; got {type(config).__name__}")
    try:
        check_values(config, _CONFIG)
        check_values(config.get("settings", {}), _SETTINGS, "settings")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return config


def read_records(folder: Path) -> dict[str, Record]:
    """Read the records of a folder: data set -> record; JSON of other kinds is passed over."""
    paths = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if path.name != CONFIG]
    records = [Record.read(path) for path in paths if is_record(path)]
    return {record.dataset: record for record in records}
