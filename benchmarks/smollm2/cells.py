"""The figures of the study, one line for each prompt and data set, with what they were read on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.record import surroundings
from benchmarks.smollm2.parts import PARTS
from embedder.files.config_file import read_json
from eval.measures.measures import means
from eval.runs.record import Record
from eval.runs.run_folder import CONFIG, read_records
from eval.statistics.compare import compare

FILE = Path(__file__).with_name("cells.jsonl")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one prompt reaches on one data set.

    Attributes:
        part: of the study.
        prompt: its name.
        dataset: its name.
        runs: channel or "fused" -> mean of the measure that counts.
        difference: of the run that counts, less the baseline prompt's; None for the baseline.
        interval: of that difference, 95%.
        p: of a sign-flip test of that difference, not corrected.
        items: queries or pairs.
        machine: what read the texts.
        dtype: of the weights.
        commit: of the program.
    """

    part: str
    prompt: str
    dataset: str
    runs: Mapping[str, float]
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    items: int
    machine: str
    dtype: str
    commit: str


def record_cells(part: str, out: Path) -> None:
    """Put the run folders of a part into the file.

    Each cell takes the place of the one of its part, prompt and data set, and no other's: those
    that were read elsewhere stay. One with the figures of before keeps the commit that gave them.
    Differences are to the baseline of the same run.

    Args:
        part: of the study.
        out: its folder, with run folders two levels below.
    """
    fresh = {(cell.prompt, cell.dataset): cell for cell in _judge(part, out)}
    cells = []
    for cell in read_cells():
        new = fresh.pop((cell.prompt, cell.dataset), cell) if cell.part == part else cell
        cells.append(cell if replace(new, commit=cell.commit) == cell else new)
    cells += fresh.values()
    lines = [json.dumps(asdict(cell), ensure_ascii=False) for cell in cells]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_cells() -> list[Cell]:
    """Read the file."""
    if not FILE.is_file():
        return []
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    return [Cell(**{**row, "interval": row["interval"] and tuple(row["interval"])}) for row in rows]


def _judge(part: str, out: Path) -> list[Cell]:
    folders = {path.parent.name: path.parent for path in sorted(out.glob(f"*/*/{CONFIG}"))}
    records = {prompt: read_records(folder) for prompt, folder in folders.items()}
    baseline = PARTS[part].baseline
    if baseline not in records:
        raise ValueError(f"{part}: its baseline {baseline} was not run into {out}")
    cells = []
    for prompt in sorted(records, key=lambda name: (name != baseline, name)):
        origin = _origin(folders[prompt])
        for dataset in (Path(name).stem for name in PARTS[part].datasets):
            record, reference = records[prompt].get(dataset), records[baseline].get(dataset)
            if record is not None and reference is not None:
                compared = None if prompt == baseline else reference
                cells.append(_cell((part, prompt, dataset), record, compared, origin))
    return cells


def _origin(folder: Path) -> tuple[str, str, str]:
    """Return what read the texts, in which dtype, and the commit of the program now."""
    facts = read_json(folder / CONFIG)
    dtype = facts["settings"]["fingerprint"]["dtype"]
    return facts["accelerator"] or facts["machine"], dtype, str(surroundings()["commit"])


def _cell(
    place: tuple[str, str, str],
    record: Record,
    reference: Record | None,
    origin: tuple[str, str, str],
) -> Cell:
    measure = next(iter(record.measures))
    runs = {name: means(values)[measure] for name, values in record.values.items()}
    difference, interval, p = None, None, None
    if reference is not None:
        systems = {"baseline": reference, "prompt": record}
        values = {name: {record.dataset: system.main} for name, system in systems.items()}
        (row,) = compare(values, measure).rows
        difference, p = row.difference, row.test.p
        interval = (row.interval.low, row.interval.high) if row.interval else None
    return Cell(*place, runs, difference, interval, p, record.size, *origin)
