"""What `lastword info` says of the prompt that queries are read by."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from index.folder import Index
from lastword.main import main
from retrieval.open import load_encoders
from tests.tuned import make_place, setup_of
from tuning.options import TuningOptions
from tuning.outcome import apply_prompt, unmeasured_text
from tuning.setup import prepare_tuning


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("tune"))


def test_info_shows_the_query_prompt_in_force(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After --apply it still showed the documents' prompt by name, and no wording at all."""
    path = place / "some.index"
    assert main(["info", str(path), "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["channels"]["dense"]["query_prompt"]
    assert before["free"] is False and before["wordings"]
    with Index.open(path) as index:
        setup = setup_of(index, place, tmp_path)
    prompt = replace(
        setup.task.first_prompts[1].prompt,
        name="tuned", source="lastword tune", description="+0.0200 on CONFIRM, p = 0.01",
    )  # fmt: skip
    apply_prompt(path, setup, prompt, free=True)
    capsys.readouterr()
    assert main(["info", str(path), "--json"]) == 0
    channels = json.loads(capsys.readouterr().out)["channels"]
    assert channels["bm25"]["query_prompt"] is None
    after = channels["dense"]["query_prompt"]
    assert after["free"] and [*after["wordings"].values()] == [["{text}"]]
    assert after["description"] == "+0.0200 on CONFIRM, p = 0.01"
    assert main(["info", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "are read by prompt tuned, by lastword tune: +0.0200 on CONFIRM" in shown
    assert "another may take its place" in shown and shown.count("are read by prompt") == 1


def test_channels_that_were_not_measured_are_named(place: Path, tmp_path: Path) -> None:
    """A prompt tuned on dense was written for sparse too, and nothing was said of that."""
    with Index.open(place / "some.index") as index:
        data = setup_of(index, place, tmp_path).objective.data
        dense = load_encoders(index, ["dense"])
        some = prepare_tuning(index, dense, data, TuningOptions(), tmp_path)
        assert unmeasured_text(some).startswith("Measured on dense alone: what the prompt does to")
        assert unmeasured_text(setup_of(index, place, tmp_path)) == ""
