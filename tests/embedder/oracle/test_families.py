"""Every prompt of the library on small models, against the slow reference."""

from dataclasses import replace

import numpy as np
import pytest

from embedder.prompts.files import load_prompt, prompt_library
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.models import SPECIALS
from tests.shapes import SHAPES, save_shape
from tests.slow import TEXTS, TOLERANCE, Pair, far

LIBRARY = {name: load_prompt(name) for name in prompt_library()}


def fits(prompt: Prompt) -> bool:
    """Tell whether the test tokenizer has what it needs, and nothing else must be written first."""
    more = (prompt.rewrite, prompt.sample)
    sparse = prompt.reading.sparse
    data = sparse is not None and sparse.words == "nltk"  # which a machine may not have
    plain = prompt.reading.mode == "first-token" and not data
    needs = {form.needs for form in prompt.forms}
    return plain and more == (None, None) and bool(needs & {"", "chat", *SPECIALS})


def free(prompt: Prompt) -> bool:
    """Tell whether it works on any model, in one pass of it for each wording."""
    trained = bool(prompt.task) or prompt.reading.attention == "bidirectional"
    # Selection has tests of its own; demonstrations differ in a few words, and their tokens are
    # held against the original ones.
    return not trained and prompt.select is None and "-shot-" not in prompt.name and fits(prompt)


def shortened(prompt: Prompt) -> Prompt:
    """Leave two wordings of MetaEOL's eight, which are long."""
    forms = [
        replace(form, query=form.query[:2], document=form.document[:2]) for form in prompt.forms
    ]
    return replace(prompt, forms=tuple(forms))


FREE = [name for name, prompt in LIBRARY.items() if free(prompt)]
LONG = [name for name, prompt in LIBRARY.items() if fits(prompt) and "-shot-" not in name]


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.load(save_shape(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.mark.parametrize("name", FREE)
def test_a_prompt_reads_what_the_slow_reference_reads(
    pair: Pair, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = pair.encoder(shortened(LIBRARY[name]))
    form = encoder.reader.form
    for role in [Role.DOCUMENT] if form.query == form.document else Role:
        got = encoder.states(TEXTS, role)
        assert far(got, pair.wanted(encoder, TEXTS, role)) <= TOLERANCE
        with monkeypatch.context() as patch:  # alone, so without padding, and without a cache
            patch.setattr(pair.backbone, "shares_prefix", False)
            assert far(encoder.states(TEXTS[1:2], role), got[1:2]) <= TOLERANCE


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A model with a table of positions, which a sequence too long falls out of."""
    return Pair.load(save_shape("opt", tmp_path_factory.mktemp("opt")))


@pytest.mark.parametrize("name", LONG)
def test_a_long_text_is_cut_to_fit(opt: Pair, name: str) -> None:
    encoder = opt.encoder(LIBRARY[name])
    text = "Why? Do. It! " * 300
    fed = encoder.fed(text, Role.QUERY)
    assert all(row.truncated and len(row.ids) <= 512 for row in fed.wordings)
    assert np.isfinite(encoder.states([text], Role.QUERY)).all()
