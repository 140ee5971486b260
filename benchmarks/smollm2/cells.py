"""The figures of the study, one line for each prompt and data set, with what they were read on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.record import surroundings
from benchmarks.smollm2.parts import PARTS
from eval.measures.measures import means
from eval.runs.record import Record
from eval.runs.run_folder import read_records
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


def record_cells(part: str, out: Path, dtype: str, machine: str = "") -> None:
    """Put the run folders of a part into the file, in place of what it has of that part."""
    facts = surroundings()
    origin = (machine or str(facts["machine"]), dtype, str(facts["commit"]))
    cells = [cell for cell in read_cells() if cell.part != part]
    cells += _judge(part, out, origin)
    lines = [json.dumps(asdict(cell), ensure_ascii=False) for cell in cells]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_cells() -> list[Cell]:
    """Read the file."""
    if not FILE.is_file():
        return []
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    return [Cell(**{**row, "interval": row["interval"] and tuple(row["interval"])}) for row in rows]


def _judge(part: str, out: Path, origin: tuple[str, str, str]) -> list[Cell]:
    folders = {path.parent.name: path.parent for path in sorted(out.glob("*/*/config.json"))}
    records = {prompt: read_records(folder) for prompt, folder in folders.items()}
    baseline = _baseline(part, list(records))
    datasets = [Path(name).stem for name in PARTS[part].datasets]
    cells = []
    for prompt in sorted(records, key=lambda name: (name != baseline, name)):
        for dataset in (name for name in datasets if name in records[prompt]):
            record = records[prompt][dataset]
            reference = records[baseline].get(dataset) if prompt != baseline else None
            cells.append(_cell((part, prompt, dataset), record, reference, origin))
    return cells


def _baseline(part: str, prompts: list[str]) -> str:
    library = PARTS[part].library
    first = library[0] if library else next(prompt.name for prompt in PARTS[part].prompts())  # type: ignore[misc]
    if first not in prompts:
        raise ValueError(f"{part}: its baseline {first} was not run")
    return first


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
