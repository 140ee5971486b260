"""The kept directions of an LM head, against numpy's singular value decomposition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedder.methods import embed_filter as spectral
from embedder.methods.embed_filter import filter_basis
from embedder.prompts.method_rules import FilterRules

WIDTH = 12


def head(rows: int = 100, seed: int = 0) -> torch.Tensor:
    """Draw a head whose singular values lie well apart, as those of a trained one do."""
    noise = np.random.default_rng(seed)
    scales = 1.5 ** np.arange(WIDTH)[::-1]
    mixed = np.linalg.qr(noise.standard_normal((WIDTH, WIDTH)))[0]
    return torch.from_numpy(noise.standard_normal((rows, WIDTH)) * scales @ mixed).float()


@pytest.mark.parametrize(
    ("rule", "span"),
    [
        (FilterRules(2, 5), (2, 7)),
        (FilterRules(0, 12), (0, 12)),
        (FilterRules(0.25, 0.5), (3, 9)),
        (FilterRules(1, 0.5), (1, 7)),
        (FilterRules(0.5, 1), (6, 7)),
        (FilterRules(0.0, 1.0), (0, 12)),
        (FilterRules(0.3, 0.7), (4, 12)),
    ],
)
def test_the_basis_is_the_middle_of_the_singular_vectors(
    rule: FilterRules, span: tuple[int, int]
) -> None:
    weights = head()
    expected = np.linalg.svd(weights.double().numpy())[2][span[0] : span[1]].T
    found = filter_basis(weights, rule)
    assert rule.span(WIDTH) == span
    assert found.dtype == torch.float32 and found.shape == expected.shape
    for column, other in zip(found.numpy().T, expected.T, strict=True):
        assert np.abs(column).max() == column.max()  # the sign that was promised
        assert np.allclose(column, other * np.sign(column @ other), atol=1e-6)


def test_the_head_is_added_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = filter_basis(head(), FilterRules(2, 5))
    monkeypatch.setattr(spectral, "_ROWS", 7)
    assert torch.allclose(filter_basis(head(), FilterRules(2, 5)), whole, atol=1e-7)


def test_a_parameter_in_half_precision_is_read_in_double() -> None:
    weights = torch.nn.Parameter(head().bfloat16())
    found = filter_basis(weights, FilterRules(1, 6))
    assert not found.requires_grad
    assert torch.equal(found, filter_basis(weights.detach().double(), FilterRules(1, 6)))


@given(st.integers(0, 99), st.integers(0, WIDTH - 1), st.integers(1, WIDTH))
def test_distances_after_projection_are_those_in_the_subspace(
    seed: int, skip: int, dim: int
) -> None:
    dim = min(dim, WIDTH - skip)
    columns = filter_basis(head(30, seed), FilterRules(skip, dim)).double()
    states = torch.from_numpy(np.random.default_rng(seed).standard_normal((6, WIDTH)))
    inside = states @ columns @ columns.T  # the states' shadows in the full space
    assert torch.allclose(columns.T @ columns, torch.eye(dim, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(
        torch.cdist(states @ columns, states @ columns), torch.cdist(inside, inside)
    )


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5000))
def test_fractions_that_fit_are_never_refused_for_their_rounding(
    skip: float, dim: float, width: int
) -> None:
    skip, dim = skip * (1 - dim), dim
    if dim * width < 1 or skip == 1:
        return
    start, end = FilterRules(skip, dim).span(width)
    assert 0 <= start < end <= width
    assert abs(end - start - dim * width) <= 1


@pytest.mark.parametrize(
    ("skip", "dim"),
    [
        (-1, 3),
        (0, 0),
        (0, 0.0),
        (0, 1.5),
        (1.0, 3),
        (float("nan"), 3),
        (True, 3),
        (0, float("inf")),
    ],
)
def test_impossible_rules_are_refused(skip: float, dim: float) -> None:
    with pytest.raises(ValueError, match=r"(skip|dim) must be"):
        FilterRules(skip, dim)


def test_rules_that_a_model_cannot_serve_are_refused() -> None:
    with pytest.raises(ValueError, match="ask for 13 directions, but the model has 12"):
        filter_basis(head(), FilterRules(8, 5))
    with pytest.raises(ValueError, match="keeps none"):
        FilterRules(0, 0.01).span(12)


def test_heads_that_are_no_finite_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="without quantising"):
        filter_basis(torch.zeros(4, 4, dtype=torch.int8), FilterRules(0, 1))
    with pytest.raises(ValueError, match="not finite"):
        filter_basis(torch.full((4, 4), float("nan")), FilterRules(0, 1))
