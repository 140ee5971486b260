"""Tune the bundled model's query prompt on real collections, and say what came of it.

python -m benchmarks.tuning [--data FOLDER] [--only scifact ...] [--channels all dense]
                            [--budget 2M-tokens] [--dry]

scifact is tuned on its training queries; cranfield and cisi have one set of queries, which is
split. Gains are those on CONFIRM, which no search has seen; where nothing got that far, those of
the best finalist on SELECT, marked so. Indexes and runs are kept in runs/tuning.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.record import append

DATA = Path("../shared/data/retrieval")
RUNS = Path("runs/tuning")
SETS = {"scifact": "train", "cranfield": "test", "cisi": "test"}
CHANNELS = {"all": "", "dense": "dense"}


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--channels", nargs="*", default=list(CHANNELS), choices=list(CHANNELS))
    parser.add_argument("--budget", default="2M-tokens")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"no collections at {options.data}: give --data")
    rows = []
    for name in options.only:
        for channels in options.channels:
            record = tuned(options.data / name, channels, options.budget)
            rows.append(row(record))
            if not options.dry:
                append(record)
    heads = (
        "collection",
        "channels",
        "default",
        "on",
        "best found",
        "gain",
        "95 %",
        "p",
        "verdict",
    )
    sys.stdout.write(f"| {' | '.join((*heads, 'tokens', 's'))} |\n|{'---|' * (len(heads) + 2)}\n")
    sys.stdout.write("".join(f"| {' | '.join(cells)} |\n" for cells in rows))


def tuned(collection: Path, channels: str, budget: str) -> dict[str, Any]:
    """Tune on one collection; return what is written down."""
    name = collection.name
    index, judged = RUNS / f"{name}.index", RUNS / "judged" / f"{name}-tuning.tsv"
    if not (index / "manifest.json").exists():
        _lastword("index", str(collection), "--out", str(index), "--on-empty", "skip")
    # Under a name of its own: one that is a test split's is refused, and here it is split.
    judged.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(collection / "qrels" / f"{SETS[name]}.tsv", judged)
    files = ["--queries", str(collection / "queries.jsonl"), "--qrels", str(judged)]
    out = RUNS / f"{name}-{channels}-{budget}"
    if (out / "journal.jsonl").exists():
        shutil.rmtree(out)
    began = time.perf_counter()
    words = ["tune", str(index), *files, "--budget", budget, "--out", str(out)]
    words += ["--channels", CHANNELS[channels]] if CHANNELS[channels] else []
    outcome = _lastword(*words)
    seconds = time.perf_counter() - began
    on = "confirm" if outcome["confirmed"] else "select"
    best = outcome["confirmed"] or max(
        outcome["selected"], key=lambda tested: tested["gain"], default=None
    )
    prompt = _prompts(outcome)
    dry = _lastword(*words, "--dry-run")
    return {
        "name": "tuning",
        "collection": name,
        "channels": channels,
        "budget": budget,
        "verdict": outcome["verdict"],
        "on": on,
        "made_by": f"{best['made_by']}: {best['how']}" if best else "",
        "default_ndcg10": best["default"] if best else None,
        "gain_ndcg10": best["gain"] if best else None,
        "interval": best["interval"] if best else None,
        "p": best["p"] if best else None,
        "certified_above": best["bound"] if best else None,
        "queries": outcome["queries"],
        "proposals": len(outcome["proposals"]),
        "search_means": prompt,
        "tokens": outcome["spent"]["tokens"],
        "times_fewer_tokens": dry["times_fewer_than_reading_documents_again"],
        "seconds": seconds,
    }


def row(record: dict[str, Any]) -> tuple[str, ...]:
    """Return a line of the table."""
    reach = record["interval"]
    known = record["gain_ndcg10"] is not None
    return (
        record["collection"],
        record["channels"],
        f"{record['default_ndcg10']:.4f}" if known else "-",
        record["on"].upper(),
        record["made_by"],
        f"{record['gain_ndcg10']:+.4f}" if known else "-",
        f"{reach['low']:+.4f} to {reach['high']:+.4f}" if reach else "-",
        f"{record['p']:.3f}" if known else "-",
        record["verdict"],
        f"{record['tokens']:,}",
        f"{record['seconds']:.0f}",
    )


def _prompts(outcome: dict[str, Any]) -> dict[str, float]:
    """Return the best mean on SEARCH of each maker."""
    best: dict[str, float] = {}
    for proposal in outcome["proposals"]:
        if proposal["decision"] == "raced to the end":
            name = "default" if proposal["how"] == "default" else proposal["made_by"]
            best[name] = max(best.get(name, 0.0), proposal["mean"])
    return best


def _lastword(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    done = subprocess.run(
        [sys.executable, "-m", "lastword", *arguments, "--json", "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
