"""How a fusion study is shown to people."""

from typing import TYPE_CHECKING

from lastword.cli.screen import counted, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.fusion.development import Development
    from eval.fusion.study import Study
    from eval.statistics.significance import Interval
    from lastword.cli.tables import Table


def show_study(development: "Development", study: "Study", measure: str) -> "list[RenderableType]":
    """Lay out a study: what it saw, each method's best, the choice, its gain, and the advice."""
    runs = study.swept.runs
    not_worse = int(study.not_worse.sum())
    return [
        f"{development.dataset}: {measure} of {counted(len(development.qrels), 'query')}, "
        f"{len(runs)} runs, {len(study.swept.settings):,} settings",
        *_odd(development),
        "Each method at its best, and how often it has the best of all in bootstrap samples:",
        _methods(study, measure),
        f"Chosen: {study.swept.text(study.chosen)}. {not_worse - 1:,} other settings are not "
        "significantly worse.",
        _weights(study),
        f"What such a choice is worth on queries it has not seen ({measure}, "
        f"{len(study.fold_choices)} folds): {study.held_out:.4f}",
        _gains(study),
        _advice(study),
    ]


def _odd(development: "Development") -> list[str]:
    """Say which queries count though nothing can be won on them, and which do not count."""
    counts = [
        (development.unanswered, "are answered by no run and score 0"),
        (development.part_answered, "are answered by some of the runs only"),
        (development.without_relevant, "have no relevant document and score 0"),
        (development.unjudged, "of the runs are not judged and left out"),
    ]
    parts = [f"{count:,} {text}" for count, text in counts if count]
    return [f"Of the queries, {'; '.join(parts)}."] if parts else []


def _methods(study: "Study", measure: str) -> "Table":
    swept = study.swept
    rows = []
    for method in swept.methods:
        at = study.best_of(method)
        of_method = [setting.method == method for setting in swept.settings]
        rows.append(
            (
                method,
                *(f"{share:.2f}" for share in swept.settings[at].shares),
                f"{swept.means[at]:.4f}",
                f"{study.wins[of_method].sum():.0%}",
                f"{study.not_worse[of_method].sum():,} of {sum(of_method):,}",
                "chosen" if at == study.chosen else "",
            )
        )
    columns = ("method", *(f">{run}" for run in swept.runs), f">{measure}", ">best in")
    return table(*columns, ">not worse", "", rows=rows)


def _weights(study: "Study") -> "Table":
    shares = study.swept.settings[study.chosen].shares
    rows = [
        (run, f"{share:.2f}", f"{low:.2f} to {high:.2f}", "")
        for run, share, (low, high) in zip(study.swept.runs, shares, study.weights, strict=True)
    ]
    return table("run", ">weight", ">in 95% of samples", "", rows=rows)


def _gains(study: "Study") -> "Table":
    rows = [
        (
            f"{gain.mean:.4f}",
            f"{gain.gain:+.4f}",
            _interval_text(gain.interval),
            f"{gain.p:.4f}",
            gain.over if at else f"{gain.over} (in use)",
        )
        for at, gain in enumerate(study.gains)
    ]
    return table(">mean", ">gain", ">95% interval", ">p", "over", rows=rows)


def _interval_text(interval: "Interval | None") -> str:
    return "" if interval is None else f"{interval.low:+.4f} to {interval.high:+.4f}"


def _advice(study: "Study") -> str:
    first, chosen = study.gains[0], study.swept.text(study.chosen)
    if study.adopt:
        return f"Use {chosen}: it holds on queries that did not choose it."
    return (
        f"Keep {first.over}: the gain of {study.swept.means[study.chosen] - first.mean:+.4f} that "
        f"the chosen weights show is {first.gain:+.4f} on queries that did not choose them "
        f"(p {first.p:.3f})."
    )
