"""Post-processing of dense rows: what a sample of a collection says of them, and what it changes.

Rows of a language model that was not trained to embed are nearly parallel. Each role loses its own
mean; leading principal components are taken away (all-but-the-top, Mu and Viswanath, ICLR 2018);
what is left is whitened (Su et al., arXiv 2103.15316), with a share of the largest variance added
to every one, so that weak components, of which a sample says little, stay as they are.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass, replace

import numpy as np

from embedder.types import Float32Array, Representation, Role, unit_rows

_MAGIC = b"lwpost1\n"
_HEAD = struct.Struct("<?II")  # cut, directions, width
_WIDEST = 1 << 16
_ORTHONORMAL = 1e-3
_LONGEST_MEAN = 1.001  # rows have unit length
_ROUNDING = 1e-6  # length of a unit row of which nothing is left


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PostFit:
    """A linear change of dense rows, after which they get unit length again.

    Attributes:
        means: (2, dim) float32: what documents lose, what queries lose.
        directions: (r, dim) float32, orthonormal.
        factors: (r,) float32 in [0, 1]: a row's part along each direction is multiplied by it.
        cut: rows become their parts along the directions, (r,); else what is orthogonal to
            the directions stays.
    """

    means: Float32Array
    directions: Float32Array
    factors: Float32Array
    cut: bool = False

    def __post_init__(self) -> None:
        arrays = (self.means, self.directions, self.factors)
        shapes = tuple(array.shape for array in arrays)
        if any(array.dtype != np.float32 for array in arrays) or shapes != (
            (2, self.dim),
            (len(self.factors), self.dim),
            (len(self.factors),),
        ):
            raise ValueError(
                "post-processing needs means (2, dim), directions (r, dim) and factors (r,), "
                f"all float32; got {shapes}"
            )
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("post-processing holds numbers that are not finite")
        if self.factors.size and not (self.factors.min() >= 0 and self.factors.max() <= 1):
            raise ValueError("factors of post-processing lie between 0 and 1")
        with np.errstate(over="ignore", invalid="ignore"):
            gram = self.directions @ self.directions.T
            orthonormal = np.abs(gram - np.eye(len(gram))).max(initial=0) <= _ORTHONORMAL
            lengths = np.linalg.norm(self.means.astype(np.float64), axis=1)
        if not orthonormal:
            raise ValueError("directions of post-processing must be orthonormal")
        if lengths.max() > _LONGEST_MEAN:
            raise ValueError(
                f"means of post-processing are of unit rows; got lengths {lengths.tolist()}"
            )
        if self.cut and not len(self.factors):
            raise ValueError("post-processing keeps no direction")

    @property
    def dim(self) -> int:
        """Width of rows before."""
        return int(self.means.shape[-1])

    @property
    def width(self) -> int:
        """Width of rows after."""
        return len(self.factors) if self.cut else self.dim

    def with_query_mean(self, queries: Float32Array) -> "PostFit":
        """Return the fit with the mean of other queries, given as (n, dim) unit rows."""
        mean = queries.astype(np.float64).mean(axis=0).astype(np.float32)
        return replace(self, means=np.stack([self.means[0], mean]))

    def change(self, rows: Float32Array, role: Role) -> Float32Array:
        """Change (n, dim) rows into (n, width) unit rows, or zeros where nothing is left.

        Raises:
            ValueError: rows have another width.
        """
        if rows.shape[1] != self.dim:
            raise ValueError(
                f"rows are post-processed at width {self.dim}; got rows of width {rows.shape[1]}"
            )
        moved = rows - self.means[0 if role is Role.DOCUMENT else 1]
        parts = moved @ self.directions.T  # (n, r)
        if self.cut:
            changed = parts * self.factors
        else:
            changed = moved + (parts * (self.factors - 1)) @ self.directions
        nothing = np.linalg.norm(changed, axis=1) < _ROUNDING
        changed[nothing | ~rows.any(axis=1)] = 0
        return unit_rows(changed)

    def change_rows(self, rows: Representation, role: Role) -> Representation:
        """Change the dense rows of a representation."""
        if rows.dense is None:
            return rows
        return Representation(self.change(rows.dense, role), rows.sparse, rows.owner)

    def to_text(self) -> str:
        """Write the fit so that `from_text` gives the same numbers."""
        head = _HEAD.pack(self.cut, len(self.factors), self.dim)
        arrays = (self.means, self.directions, self.factors)
        data = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
        return base64.b64encode(_MAGIC + head + data).decode()

    @staticmethod
    def from_text(text: str) -> "PostFit":
        """Read what `to_text` wrote, without trust.

        Raises:
            ValueError: it is something else.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"post-processing is not base64: {error}") from error
        start = len(_MAGIC) + _HEAD.size
        if not data.startswith(_MAGIC) or len(data) < start:
            raise ValueError("post-processing begins with other bytes than expected")
        cut, count, dim = _HEAD.unpack_from(data, len(_MAGIC))
        expected = start + 4 * (2 * dim + count * dim + count)
        if not (0 < dim <= _WIDEST and count <= dim and len(data) == expected):
            raise ValueError(
                f"post-processing of width {dim} with {count} directions takes {expected} bytes; "
                f"got {len(data)}"
            )
        numbers = np.frombuffer(data, "<f4", offset=start).astype(np.float32)
        means, directions, factors = np.split(numbers, [2 * dim, (2 + count) * dim])
        return PostFit(means.reshape(2, dim), directions.reshape(count, dim), factors, bool(cut))

    @property
    def digest(self) -> str:
        """16 hex digits of all numbers."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()[:16]
