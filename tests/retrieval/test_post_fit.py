"""Post-processing against plain numpy; bytes that are not believed."""

import base64

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.prompts.method_rules import PostRules
from embedder.role import Role
from embedder.types import Float32Array, unit_rows
from index.channels.post_fit import PostFit
from retrieval.post_fitting import SHRINKAGES, RowSample, choose_shrinkage, fit_post


def rows(n: int, dim: int, seed: int, mean: float = 1.0) -> Float32Array:
    """Return nearly parallel unit rows whose components have unlike variances."""
    rng = np.random.default_rng(seed)
    spread = 0.5 ** np.arange(dim)
    turned = np.linalg.qr(np.random.default_rng(7).normal(size=(dim, dim)))[0]
    return unit_rows((mean + (rng.normal(size=(n, dim)) * spread) @ turned).astype(np.float32))


def sample(n: int = 200, dim: int = 12) -> RowSample:
    return RowSample(rows(n, dim, 1), rows(n, dim, 2, mean=0.8))


def about_means(given: RowSample) -> np.ndarray:
    sides = [side.astype(np.float64) for side in (given.documents, given.queries)]
    return np.concatenate([side - side.mean(axis=0) for side in sides])


def test_each_role_loses_its_own_mean() -> None:
    given = sample()
    fit = fit_post(given, PostRules(whiten=False))
    for role, side in ((Role.DOCUMENT, given.documents), (Role.QUERY, given.queries)):
        expected = unit_rows(side - side.mean(axis=0))
        np.testing.assert_allclose(fit.change(side, role), expected, atol=1e-5)


def test_whitening_is_that_of_the_covariance() -> None:
    given = sample()
    centred = about_means(given)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    matrix = vectors / np.sqrt(values + 0.01 * values[-1]) @ vectors.T
    side = given.queries
    expected = (side - side.mean(axis=0)) @ matrix
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    got = fit_post(given, PostRules(shrinkage=0.01)).change(side, Role.QUERY)
    assert np.abs(got - expected).max() < 0.02  # directions of little variance are left alone
    assert (got * expected).sum(axis=1).min() > 0.999


def test_removed_components_are_gone_and_nothing_else() -> None:
    given = sample()
    _, vectors = np.linalg.eigh(about_means(given).T @ about_means(given))
    fit = fit_post(given, PostRules(remove=2, whiten=False, center=False))
    got = fit.change(given.documents, Role.DOCUMENT)
    assert np.abs(got @ vectors[:, -2:]).max() < 1e-5
    left = given.documents @ vectors[:, :-2]
    expected = left / np.linalg.norm(left, axis=1, keepdims=True)
    np.testing.assert_allclose(got @ vectors[:, :-2], expected, atol=1e-4)


def test_a_cut_keeps_the_leading_components() -> None:
    given = sample()
    _, vectors = np.linalg.eigh(about_means(given).T @ about_means(given))
    fit = fit_post(given, PostRules(remove=1, whiten=False, dim=4))
    got = fit.change(given.documents, Role.DOCUMENT)
    assert (fit.width, got.shape) == (4, (200, 4))
    parts = (given.documents - given.documents.mean(axis=0)) @ vectors[:, -5:-1]
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    np.testing.assert_allclose(got @ got.T, parts @ parts.T, atol=1e-4)


def test_by_hand() -> None:
    """(3, 4) / 5 less (0.6, 0) is (0, 0.8), of which half stays: its direction is (0, 1)."""
    fit = PostFit(
        np.array([[0.6, 0.0], [0.0, 0.0]], np.float32),
        np.array([[1.0, 0.0]], np.float32),
        np.array([0.5], np.float32),
    )
    one = np.array([[0.6, 0.8], [0.0, 0.0]], np.float32)
    assert fit.change(one, Role.DOCUMENT).tolist() == [[0.0, 1.0], [0.0, 0.0]]
    query = fit.change(one[:1], Role.QUERY)[0]  # (0.3, 0.8) of length sqrt(0.73)
    np.testing.assert_allclose(query, np.array([0.3, 0.8]) / np.sqrt(0.73), rtol=1e-6)


def test_auto_finds_documents_by_held_out_queries() -> None:
    """What tells documents apart lies in weak components here, so that strong whitening wins."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(200, 2)) * 5
    own = rng.normal(size=(200, 10)) * 0.3
    other = rng.normal(size=(200, 2)) * 5
    sides = [np.hstack([common, own]).astype(np.float32) for common in (shared, other)]
    given = RowSample(unit_rows(sides[0]), unit_rows(sides[1]))
    assert choose_shrinkage(given, PostRules()) == SHRINKAGES[-1]
    chosen = fit_post(given, PostRules())
    assert chosen.digest == fit_post(given, PostRules(shrinkage=SHRINKAGES[-1])).digest


def test_auto_whitens_no_more_than_it_must() -> None:
    """Queries that are their documents find them however rows are whitened."""
    side = unit_rows(np.random.default_rng(0).normal(size=(100, 300)).astype(np.float32))
    assert choose_shrinkage(RowSample(side, side), PostRules()) == SHRINKAGES[0]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(16, 40),
    st.integers(1, 9),
    st.integers(0, 2),
    st.sampled_from([0, 3]),
    st.booleans(),
    st.floats(1e-4, 10),
)
def test_what_is_written_is_read(
    n: int, dim: int, remove: int, kept: int, whiten: bool, shrinkage: float
) -> None:
    given = sample(n, dim)
    rules = PostRules(remove=remove, dim=kept, whiten=whiten, shrinkage=shrinkage)
    try:
        fit = fit_post(given, rules)
    except ValueError as error:
        assert "components" in str(error) and remove + kept > dim - 1
        return
    again = PostFit.from_text(fit.to_text())
    assert (again.digest, again.width, again.cut) == (fit.digest, fit.width, fit.cut)
    changed = fit.change(given.queries, Role.QUERY)
    assert np.array_equal(again.change(given.queries, Role.QUERY), changed)
    lengths = np.linalg.norm(changed, axis=1)
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-3))
    for at in (0, n - 1) if dim > remove + 3 else ():  # alone as among others
        alone = fit.change(given.queries[at : at + 1], Role.QUERY)
        np.testing.assert_allclose(alone[0], changed[at], atol=1e-4)


HUGE = np.array([3e38, -3e38, 3e38] * 8, np.float32).tobytes()  # whose products are NaN


def written() -> bytes:
    return base64.b64decode(fit_post(sample(), PostRules()).to_text())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "other bytes"),
        (b"lwpost2\n" + written()[8:], "other bytes"),
        (written()[:-1], "bytes; got"),
        (written() + b"\0", "bytes; got"),
        (written()[:-4] + np.float32(np.nan).tobytes(), "not finite"),
        (written()[:-4] + np.float32(1.5).tobytes(), "between 0 and 1"),
        (written()[:9] + b"\xff" * 8 + written()[17:], "bytes; got"),
        (written()[:17] + np.float32(3e38).tobytes() + written()[21:], "of unit rows; got lengths"),
        (written()[:113] + HUGE + written()[113 + len(HUGE) :], "orthonormal"),
        (written()[:120] + np.float32(9).tobytes() + written()[124:], "orthonormal"),
    ],
)
def test_bytes_are_not_believed(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PostFit.from_text(base64.b64encode(data).decode())
    with pytest.raises(ValueError, match="base64"):
        PostFit.from_text("*" + base64.b64encode(written()).decode())


def test_too_small_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"15; it needs at least 16: take a prompt"):
        fit_post(sample(15), PostRules())
    with pytest.raises(ValueError, match="rows of width 5"):
        fit_post(sample(), PostRules()).change(rows(3, 5, 0), Role.QUERY)
