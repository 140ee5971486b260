"""What changes query rows beside words: soft tokens beside a prompt, a map of dense rows."""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from embedder.files.durable import filling
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import TextEncoder
from embedder.types import Float32Array, Representation, unit_rows


@dataclass(frozen=True, slots=True, eq=False)
class QueryAdapter:
    """Arrays that are learned or computed; None where there is no such thing.

    Attributes:
        soft: (experts, m, dim) soft tokens that are fed before everything but the BOS token.
        router: (dim, experts) weighs experts by the mean input embedding of the query.
        matrix: (dim, dim) and `offset` (dim,): a dense row becomes unit(matrix @ row + offset). In
            a search that is the row as it is compared: post-processed, where the index is.
        offset: see matrix.
        after: as soft, but fed directly after the text; there are tokens in one place only.
    """

    soft: Float32Array | None = None
    router: Float32Array | None = None
    matrix: Float32Array | None = None
    offset: Float32Array | None = None
    after: Float32Array | None = None

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if not shapes:
            raise ValueError("an adaptation adapts something; all of it is None")
        ranks = {"soft": 3, "router": 2, "matrix": 2, "offset": 1, "after": 3}
        if (
            any(len(shape) != ranks[name] for name, shape in shapes.items())
            or {"soft", "after"} <= shapes.keys()
            or (self.tokens is not None and (len(self.tokens) > 1) != (self.router is not None))
        ):
            raise ValueError(
                "expected soft or after (experts, m, dim), router (dim, experts) of several, "
                f"matrix (dim, dim), offset (dim,); got {shapes}"
            )
        if not all(np.isfinite(array).all() for array in self.arrays.values()):
            raise ValueError("an adaptation holds numbers that are not finite")

    @property
    def arrays(self) -> dict[str, Float32Array]:
        """What there is, by name."""
        named = {
            "soft": self.soft, "router": self.router, "matrix": self.matrix,
            "offset": self.offset, "after": self.after,
        }  # fmt: skip
        return {name: array for name, array in named.items() if array is not None}

    @property
    def tokens(self) -> Float32Array | None:
        """Soft tokens, wherever they are fed."""
        return self.after if self.soft is None else self.soft

    @property
    def digest(self) -> str:
        """16 hex digits of names, shapes and values."""
        digest = hashlib.sha256()
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> str:
        """Write a file into a folder; return "FILE#DIGEST" as a prompt's `adapt` names it."""
        from safetensors.numpy import save_file

        path = folder / f"adapt-{self.digest}.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(a, np.float32) for name, a in self.arrays.items()}
        with filling(folder) as new:
            save_file(arrays, new / path.name)
        return f"{path.resolve()}#{self.digest}"

    @staticmethod
    def load(named: str) -> "QueryAdapter":
        """Read what `save` returned the name of.

        Raises:
            ValueError: there is no such file, it is damaged, or its content is another.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path, _, digest = named.rpartition("#")
        if not Path(path).is_file():
            raise ValueError(f"the prompt adapts query rows by {path!r}, and there is no such file")
        try:
            adapter = QueryAdapter(
                **{name: array.astype(np.float32) for name, array in load_file(path).items()}
            )
        except (SafetensorError, TypeError) as error:
            raise ValueError(f"{path} is no adaptation: {error}") from error
        if adapter.digest != digest:
            raise ValueError(
                f"{path} holds other numbers ({adapter.digest}) than the prompt's {digest}"
            )
        return adapter

    @property
    def maps(self) -> bool:
        """Whether dense rows are mapped."""
        return self.matrix is not None or self.offset is not None

    def mapped(self, dense: Float32Array) -> Float32Array:
        """Map (n, dim) unit rows.

        Raises:
            ValueError: they have another width.
        """
        widths = {len(array) for array in (self.matrix, self.offset) if array is not None}
        if widths - {dense.shape[1]}:
            raise ValueError(
                f"the adaptation maps rows of width {min(widths)}; got rows of width "
                f"{dense.shape[1]}: it was made for another index"
            )
        if self.matrix is not None:
            dense = dense @ self.matrix.T
        if self.offset is not None:
            dense = dense + self.offset
        return unit_rows(dense)


class MappingEncoder(TextEncoder):
    """An encoder of any model whose prompt may map the dense rows of queries.

    Attributes:
        prompt: the one that is read by; None is the model's own.
    """

    prompt: Prompt | None

    @abstractmethod
    def with_prompt(self, prompt: Prompt) -> Self:
        """Return the encoder of another prompt on the same model."""

    @cached_property
    def row_map(self) -> QueryAdapter | None:
        """The map that the prompt names.

        Raises:
            ValueError: its file cannot be used, or holds soft tokens.
        """
        if self.prompt is None or not self.prompt.adapt:
            return None
        adapter = QueryAdapter.load(self.prompt.adapt)
        if adapter.tokens is not None:
            raise ValueError(
                f"prompt {self.prompt.name!r} has soft tokens, which a language model alone reads"
            )
        return adapter

    @property
    def map_facts(self) -> dict[str, str]:
        """What a fingerprint says of the map."""
        return {} if self.row_map is None else {"query_adaptation": self.row_map.digest}

    @cached_property
    def before_map(self) -> Self:
        """The encoder that reads the same and maps no rows."""
        if self.prompt is None or self.row_map is None:
            return self
        return self.with_prompt(replace(self.prompt, adapt=""))

    def map_rows(self, rows: Representation) -> Representation:
        """Map dense rows of queries as they are compared with documents."""
        if rows.dense is None or self.row_map is None:
            return rows
        return Representation(self.row_map.mapped(rows.dense), rows.sparse, rows.owner)
