"""What commands that judge collections share: a look through them, options, progress."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import Screen
from lastword.cli.sources import Survey, look_through, tell_escaped, tell_rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedder.types import Encoder
    from eval.data.collections import Collection
    from eval.runs.record import Record
    from eval.tasks.retrieval import JudgeOptions


@dataclass(frozen=True, slots=True)
class SurveyedCollections:
    """Collections that can be judged, each with what a look through it found.

    Attributes:
        surveys: name of a collection -> what a look through it found.
        screen: where progress and remarks are shown.
    """

    collections: Sequence["Collection"]
    surveys: Mapping[str, Survey]
    screen: Screen

    @staticmethod
    def read(collections: Sequence["Collection"], screen: Screen) -> "SurveyedCollections":
        """Look through collections: what is broken must not cost hours of encoding.

        Raises:
            ValueError: a file is broken, or there is nothing to judge by.
        """
        surveys = {}
        for collection in collections:
            collection.queries()
            judged = collection.qrels()
            surveys[collection.name] = look_through(collection, screen, judged=judged)
        return SurveyedCollections(collections, surveys, screen)

    def without(self, names: Mapping[str, object]) -> "SurveyedCollections":
        """Leave out the collections of some names."""
        collections = [
            collection for collection in self.collections if collection.name not in names
        ]
        return replace(self, collections=collections)

    @contextmanager
    def watch(self, collection: "Collection", queries: int) -> Iterator["Callable[[int], None]"]:
        """Show how many documents and queries of a collection have been read."""
        from embedder.progress import added, watching

        total = self.surveys[collection.name].documents or 0
        heading = f"Reading {collection.name}"
        with (
            self.screen.progress(heading, total + queries, "texts") as advance,
            watching(partial(added, advance, total), queries),
        ):
            yield advance

    def tell(self, records: Sequence["Record"], out: Path) -> None:
        """Show what was remarkable about the sources, after they were judged into a folder."""
        for record in records:
            self.surveys[record.dataset].tell(self.screen)
            tell_rebuilt(record.dataset, record.details["index_state"], self.screen)
            tell_escaped(record.details.get("escaped_ids", 0), out, self.screen)


def judge_options(
    channels: "Mapping[str, object]", fusion: str, measures: Sequence[str], out: Path
) -> "JudgeOptions":
    """Return how collections are judged; "auto" is the way that the prompts of channels say."""
    from eval.tasks.retrieval import JudgeOptions
    from retrieval.fusion_choice import fusion_for

    build = replace(JudgeOptions().build, cache=True)
    fusion = fusion_for(fusion, channels)
    return JudgeOptions(fusion=fusion, measures=tuple(measures), out=out, build=build)


def encoder_settings(encoders: Mapping[str, "Encoder"]) -> dict[str, Any]:
    """Return what the settings of every run say of its encoders, as JSON."""
    from embedder.encoders.specs import stored_spec

    return {
        "recipes": {name: json.loads(stored_spec(encoder)) for name, encoder in encoders.items()},
        "fingerprints": {
            name: json.loads(encoder.fingerprint) for name, encoder in encoders.items()
        },
    }
