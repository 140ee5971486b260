"""Retrieval by each channel of the bundled model and by all together, beside BM25."""

from collections.abc import Mapping
from statistics import fmean

from benchmarks.bundled_section import Figure, Section, Subject, markdown
from benchmarks.results import COLLECTIONS, RUNS, Evaluation
from eval.measures.measures import Values, means
from eval.runs.record import Record
from eval.statistics.compare import compare
from eval.statistics.comparison import Comparison, Difference

MEASURE = "nDCG@10"
DENSE, SPARSE, GAIN, SURE = 0.56, 0.62, 0.02, 0.05
SOURCES = " ".join(f"$DATA/retrieval/{name}" for name in COLLECTIONS)


def retrieval(subject: Subject) -> Section:
    """Judge BM25, dense, sparse and all together on the four collections."""
    command = f"lastword eval retrieval {SOURCES}{subject.option}"
    folder = Evaluation("retrieval", command).run(subject.data, subject.work)
    return judged({name: folder.records[name] for name in COLLECTIONS}, command)


def judged(records: Mapping[str, Record], command: str) -> Section:
    """Say what records of several collections, each with all RUNS, come to.

    Args:
        records: collection -> its record; scifact is one of them.
        command: that made them.
    """
    comparison = compare(
        {
            run: {name: record.values[run] for name, record in records.items()}
            for run in ("bm25", "fused")
        }
    )
    every = compare({run: {"all queries": pooled(records, run)} for run in ("bm25", "fused")})
    (mean,), (pool,) = comparison.macro, every.rows
    fusion = records["scifact"].details.get("fusion") or "not known"
    scifact = records["scifact"].values
    return Section(
        "retrieval",
        f"Retrieval: {MEASURE} on {len(records)} collections",
        (
            Figure("dense alone, scifact nDCG@10", _mean(scifact["dense"]), DENSE, form=".4f"),
            Figure("sparse alone, scifact nDCG@10", _mean(scifact["sparse"]), SPARSE, form=".4f"),
            Figure(
                f"dense + sparse + BM25 less BM25, mean of {len(records)} collections",
                mean.difference, GAIN, form=".4f", note=_interval(mean),
            ),
            Figure(
                f"p of the same, paired over all {pool.items} queries",
                pool.test.p, high=SURE, form=".2g", note=f"difference {_gain(pool)}",
            ),
        ),
        (
            f"`{command}`", "", f"All together: `{fusion}`, the model's default.", "",
            *_table(records, comparison, every),
        ),
        {
            "fusion": fusion,
            "nDCG@10": {
                run: {name: _mean(record.values[run]) for name, record in records.items()}
                for run in RUNS
            },
            "mean_difference": mean.to_json(),
            "pooled_difference": pool.to_json(),
        },
    )  # fmt: skip


def pooled(records: Mapping[str, Record], run: str) -> Values:
    """Return the queries of all collections as those of one."""
    values = {
        f"{name}/{query}": value
        for name, record in records.items()
        for query, value in record.values[run][MEASURE].items()
    }
    return {MEASURE: values}


def _table(
    records: Mapping[str, Record], comparison: Comparison, every: Comparison
) -> tuple[str, ...]:
    rows = []
    for row in comparison.rows:
        record = records[row.dataset]
        cells = [f"{_mean(record.values[run]):.4f}" for run in RUNS]
        rows.append([row.dataset, str(record.size), *cells, _gain(row), f"{row.test.p:.2g}"])
    sizes = sum(record.size for record in records.values())
    over = [fmean(_mean(record.values[run]) for record in records.values()) for run in RUNS]
    mean, pool = comparison.macro[0], every.rows[0]
    pools = [_mean(pooled(records, run)) for run in RUNS]
    for name, values, row in (("mean", over, mean), ("all queries", pools, pool)):
        cells = [f"{value:.4f}" for value in values]
        rows.append([name, str(sizes), *cells, _gain(row), f"{row.test.p:.2g}"])
    return markdown(("", "queries", *RUNS, "fused - bm25, 95 % interval", "p"), rows)


def _mean(values: Values) -> float:
    return means(values)[MEASURE]


def _gain(row: Difference) -> str:
    return f"{row.difference:+.4f} {_interval(row)}"


def _interval(row: Difference) -> str:
    interval = row.interval
    return "" if interval is None else f"[{interval.low:+.4f}, {interval.high:+.4f}]"
