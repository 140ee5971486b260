"""The OpenAPI document is true: schemathesis sends what it allows, and what it does not."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

import lastword as lw
from lastword.server.app import make_app
from lastword.server.messages import FILTER_FORMAT
from lastword.server.settings import ServerSettings
from tests.lastword.server.live import live

CASES = int(os.environ.get("LASTWORD_API_CASES", "40"))
"""Cases in all; a release takes 2,000."""
POSITIVE = schemathesis.GenerationMode.POSITIVE
REFUSED = (400, 404, 413, 422, 424)
"""Of what embeds texts: the document does not know a model's tokens, width and longest text."""

_fields = st.sampled_from(["year", "tag", "other.field"])
_values = st.integers(-5, 3000).map(str) | st.text("ab c", max_size=5).map(lambda text: f'"{text}"')
_conditions = st.builds("{} {} {}".format, _fields, st.sampled_from(["==", "!=", ">="]), _values)
schemathesis.openapi.format(
    FILTER_FORMAT, st.lists(_conditions, min_size=1, max_size=3).map(" and ".join)
)


@pytest.fixture(scope="module", params=[True, False], ids=["writable", "reading"])
def schema(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, llama: Path
) -> Iterator[schemathesis.BaseSchema]:
    path: Path = tmp_path_factory.mktemp("api") / "notes"
    documents = [{"id": str(at), "text": f"black tea {at}", "year": at} for at in range(20)]
    with lw.build(path, documents, model=llama) as engine:
        reranker = lw.load_reranker("prompt", engine.encoders)
        app = make_app({"notes": engine}, ServerSettings(writable=request.param), reranker)
        with live(app) as address:
            yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def test_what_the_document_says_is_so(schema: schemathesis.BaseSchema) -> None:
    results: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in results]
    assert len(operations) >= 18
    for operation in operations:
        takes = bool(operation.body or operation.path_parameters or operation.query)
        for mode in list(schemathesis.GenerationMode) if takes else [POSITIVE]:
            hold_to_document(operation, mode, max(1, CASES // (4 * len(operations))))


def hold_to_document(operation: Any, mode: schemathesis.GenerationMode, cases: int) -> None:  # noqa: ANN401
    strategy = operation.as_strategy(generation_mode=mode)
    may_refuse = "embeddings" in operation.tags and mode is POSITIVE

    @hypothesis.given(strategy)
    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def holds(case: "schemathesis.Case[Any]") -> None:
        answer = case.call_and_validate(
            excluded_checks=[positive_data_acceptance] if may_refuse else []
        )
        assert not may_refuse or answer.status_code in (200, *REFUSED)

    holds()
