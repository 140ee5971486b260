"""Measure by simulation how often noise is taken for gain, and gains are found.

python -m benchmarks.tuning_power [--parts noise planted ...] [--runs 400]
                                  [--only TEXT] [--seed 0] [--dry]

noise: the whole of `tune`, where no prompt is better than another (`benchmarks.tuning_noise`).
planted: the same, where one of the first prompts is better; differences have sd .2.
gates: finalists of known worth, judged in four ways. folds: searches among 40 prompts, judged by
folds in a circle and by growing ones. limits: the test and the interval where they fail.
certificate: how often the lower bound is above the truth, and where it lies.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import tuning_gates
from benchmarks.record import append
from benchmarks.tuning_noise import LAWS, Noise, tune_noise
from tuning.search.result import CHANGE

SIZES = (30, 60, 76, 100, 300)
KINDS = {"skewed": ("rare losses", 1), "binary": ("binary", 1), "clustered": ("normal", 3)}

GOAL = 0.05
Record = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Simulate what is asked for, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--parts", nargs="*", default=[*PARTS], choices=[*PARTS])
    parser.add_argument("--runs", type=int, default=400, help="of each line")
    parser.add_argument("--only", default="", help="lines whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    for part in options.parts:
        headed = False
        for name, measure in PARTS[part]():
            if options.only not in name:
                continue
            record = measure(options.runs, options.seed)
            if not headed:
                heads = [part, *record]
                sys.stdout.write(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
                headed = True
            cells = [f"{value:.3f}" if isinstance(value, float) else str(value)
                     for value in record.values()]  # fmt: skip
            sys.stdout.write(f"| {' | '.join((name, *cells))} |\n")
            sys.stdout.flush()
            if not options.dry:
                facts = {"name": f"tuning_power/{part}/{name}", "seed": options.seed}
                append({**facts, "runs": options.runs, **record})


def noise_lines() -> Iterator[tuple[str, Callable[[int, int], Record]]]:
    """Yield names of kinds of noise and numbers of queries, and what measures them."""
    for size in SIZES:
        for kind, (law, copies) in KINDS.items():

            def measure(
                runs: int, seed: int, law: str = law, copies: int = copies, size: int = size
            ) -> Record:
                return measure_noise(law, copies, size, np.arange(seed, seed + runs))

            yield f"{kind}, {size} queries", measure


def planted_lines() -> Iterator[tuple[str, Callable[[int, int], Record]]]:
    """Yield numbers of queries with a gain that one of the first prompts has."""
    for size, worth in ((128, 0.05), (224, 0.05), (808, 0.02), (60, 0.1)):

        def measure(runs: int, seed: int, size: int = size, worth: float = worth) -> Record:
            outcomes = [
                tune_noise(Noise(LAWS["wide"], size, each, worth=worth))
                for each in range(seed, seed + runs)
            ]
            taken = [outcome.verdict == CHANGE for outcome in outcomes]
            return {"accepted": float(np.mean(taken))}

        yield f"{size} queries, gain {worth:+.2f}", measure


def measure_noise(law: str, copies: int, size: int, seeds: np.ndarray) -> Record:
    """Tune on noise once for each seed; return how often a prompt was taken, and its gain."""
    accepted, gains, folded = 0, [], 0
    for seed in seeds.tolist():
        outcome = tune_noise(Noise(LAWS[law], size, seed, copies))
        folded += outcome.folded
        accepted += outcome.verdict == CHANGE
        gains.append(outcome.confirmed.gain if outcome.confirmed else 0.0)
    runs = len(gains)
    return {
        "in folds": folded / runs,
        "accepted": accepted / runs,
        "at most": GOAL + 2 * (GOAL * (1 - GOAL) / runs) ** 0.5,
        "mean gain": float(np.mean(gains)),
        "its error": float(np.std(gains) / runs**0.5),
    }


PARTS: dict[str, Callable[[], Iterator[tuple[str, Callable[[int, int], Record]]]]] = {
    "noise": noise_lines,
    "planted": planted_lines,
    "gates": tuning_gates.gate_lines,
    "folds": tuning_gates.fold_lines,
    "limits": tuning_gates.limit_lines,
    "certificate": tuning_gates.certificate_lines,
}


if __name__ == "__main__":
    main()
