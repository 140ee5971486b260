"""Measure the bundled model, or one that may take its place, beside the goals of its issue.

    python -m benchmarks.bundled [--model FOLDER] [--data FOLDER] [--out FILE] [--only NAME,...]

Names are size, speed, retrieval, sts, prompts, tp and minilm. Retrieval, similarity and prompts
go on in run folders, which belong to the weights: what is finished is not judged again. The page
shows the last measurement of each name; those of other weights are not on it.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.bundled_cost import size, speed
from benchmarks.bundled_minilm import minilm, minilm_held, side_by_side
from benchmarks.bundled_prompts import sensitivity, sts
from benchmarks.bundled_retrieval import retrieval
from benchmarks.bundled_section import Section, Subject, markdown
from benchmarks.bundled_tp import prepending
from benchmarks.record import append, surroundings
from embedder.checkpoints.bundled import BUNDLED_NAME

ROOT = Path(__file__).resolve().parents[1]
MEASURES: Mapping[str, Callable[[Subject], Section]] = {
    "size": size,
    "speed": speed,
    "retrieval": retrieval,
    "sts": sts,
    "prompts": sensitivity,
    "tp": prepending,
    "minilm": minilm,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, write it down, and write the page."""
    args = _arguments(arguments)
    names = [name.strip() for name in args.only.split(",") if name.strip()]
    if unknown := [name for name in names if name not in MEASURES]:
        raise SystemExit(f"--only takes some of {','.join(MEASURES)}; got {', '.join(unknown)}")
    if not (args.data / "retrieval").is_dir():
        raise SystemExit(f"skipped: there are no evaluation data at {args.data}; give --data")
    try:
        subject = Subject(args.model, args.data, args.runs)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    console = Console(stderr=True)
    for name in names or MEASURES:
        console.print(f"Measuring {name} of {subject.model} ({subject.digest})")
        section = replace(MEASURES[name](subject), taken=_conditions())
        section.write(_section_folder(subject))
        append(section.record(subject))
        for figure in section.figures:
            console.out("  ", " | ".join(figure.cells), highlight=False)
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "benchmarks.bundled", *words])
    args.out.write_text(page(subject, _sections(subject), command), encoding="utf-8")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default=BUNDLED_NAME, help="a folder; by default the bundled")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/bundled")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/bundled.md")
    parser.add_argument("--only", default="", help="names, with commas; by default all")
    arguments: argparse.Namespace = parser.parse_args(words)
    return arguments


def _conditions() -> dict[str, object]:
    """Say where and when, and how busy the machine was: 1 a core that is always at work."""
    return {**surroundings(), "load_average": round(os.getloadavg()[1], 2)}


def _section_folder(subject: Subject) -> Path:
    return subject.work / "sections"


def _sections(subject: Subject) -> dict[str, Section]:
    """Return what is measured of these weights, and what MiniLM was judged on so far."""
    paths = {name: _section_folder(subject) / f"{name}.json" for name in MEASURES}
    sections = {name: Section.read(path) for name, path in paths.items() if path.is_file()}
    return sections | {"minilm": minilm_held(subject)}


def page(subject: Subject, sections: Mapping[str, Section], command: str) -> str:
    """Write the page: all figures first, then each section."""
    figures = [figure for section in sections.values() for figure in section.figures]
    goals = [figure.reached for figure in figures if figure.reached is not None]
    config = json.loads((subject.place / "config.json").read_text(encoding="utf-8"))
    shape = [
        f"{label} {config[key]:,}"
        for label, key in (
            ("blocks", "num_hidden_layers"), ("width", "hidden_size"), ("vocabulary", "vocab_size")
        )
        if key in config
    ]  # fmt: skip
    place = surroundings()
    lines = [
        "# The bundled model, measured",
        "",
        f"`{command}`",
        "",
        f"Model {subject.model} ({subject.digest}: {', '.join(shape)}); {place['machine']}, "
        f"{place['cores']} cores; commit {place['commit']}, {place['date']}. "
        f"{sum(goals)} of {len(goals)} goals are reached.",
        "",
        *markdown(("figure", "goal", "measured", "reached"), [figure.cells for figure in figures]),
    ]
    if missing := [name for name in MEASURES if name not in sections]:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    for name, section in sections.items():
        lines += ["", f"## {section.title}", ""]
        if section.taken:
            lines += [
                f"`--only {name}`, commit {section.taken['commit']}, {section.taken['date']}, "
                f"load average {section.taken['load_average']}.",
                "",
            ]
        lines += section.lines
    return "\n".join([*lines, "", *side_by_side(sections)]) + "\n"


if __name__ == "__main__":
    main()
