"""The option --feedback, and what is said of queries that it could not change."""

from collections.abc import Mapping
from typing import Annotated

from typer import Option

from lastword.cli.screen import Screen, counted

FeedbackText = Annotated[
    str,
    Option(
        metavar="METHOD",
        help="Add to each query what its first documents say: rm3 (channels of words) or rocchio "
        '(all), perhaps with settings: "rm3:documents=5,weight=0.7", '
        '"rocchio:beta=1,from=fused".',
    ),
]


def tell_unexpanded(unexpanded: Mapping[str, int], screen: Screen, heading: str = "") -> None:
    """Say how many queries were searched as they were, for they found nothing to learn from."""
    for channel, queries in unexpanded.items():
        if queries:
            screen.remark(
                f"{heading}{channel}: {counted(queries, 'query')} searched without feedback: "
                "nothing was found first, or no term of it may be added."
            )
