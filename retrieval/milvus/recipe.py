"""What a collection says of itself: the channels of its index, as properties and as a schema."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from embedder.files.config_file import fill, parse_json
from index.manifest import Ingest, Manifest
from retrieval.milvus.connection import MilvusCollection
from retrieval.milvus.facts import FACTS

PROPERTY = "lastword.index"
FORMAT = 1
"""Version of the fields and of the property; raise it when a reader would misread older ones."""
LONGEST = 65_535
"""Bytes of a text field, the most that Milvus has."""
FILLER = 4_294_967_294
"""Column of rows without a word, which Milvus refuses; the highest that it has."""
_TEXTS = ("id", "digest", "title", "text")
_NUMBERS = ("row", "rows", "start", "end")
_OBJECTS = ("metadata", FACTS)
FIELDS = ("key", *_TEXTS, *_NUMBERS, *_OBJECTS)
_LONGEST_RECIPE = 1 << 20  # bytes: Milvus keeps properties in etcd, whose requests are short

DenseIndex = Literal["hnsw", "ivf", "flat"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the rows of a collection were made, and how they are searched.

    Attributes:
        index: content of a manifest without segments.
        dense_index: of dense channels.
        moved: channel -> columns of two terms that would be one column of Milvus, as text, and
            where each is now; see `retrieval.milvus.columns`.
        documents: that were pushed; 0 while a push is under way.
        digest: of all entities; "" while a push is under way.
        format: see `FORMAT`.
    """

    index: Mapping[str, Any]
    dense_index: DenseIndex
    moved: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    documents: int = 0
    digest: str = ""
    format: int = FORMAT

    @staticmethod
    def of(manifest: Manifest, dense_index: DenseIndex) -> "Recipe":
        """Return the recipe of an index, before anything was pushed."""
        plain = replace(
            manifest, generation=0, next_segment=1, segments=(), ingest=None, sources=None
        )
        return Recipe(json.loads(json.dumps(plain.to_json())), dense_index)

    def manifest(self) -> Manifest:
        """Return what an index folder would say; unfinished while a push is under way.

        Raises:
            ValueError: the recipe is none of an index.
        """
        manifest = Manifest.from_json(dict(self.index), "the recipe of the collection")
        if manifest.segments or manifest.sources or manifest.ingest:
            raise ValueError("the recipe of the collection names files")
        return manifest if self.digest else replace(manifest, ingest=Ingest("build", "{}", ""))

    def to_properties(self) -> dict[str, str]:
        """Return what the collection keeps.

        Raises:
            ValueError: it is longer than Milvus keeps.
        """
        names = ("format", "index", "dense_index", "moved", "documents", "digest")
        text = json.dumps({name: getattr(self, name) for name in names}, ensure_ascii=False)
        if (size := len(text.encode())) > _LONGEST_RECIPE:
            raise ValueError(
                f"what the index says of its encoders is {size:,} bytes, and a collection keeps "
                f"at most {_LONGEST_RECIPE:,}: its prompts, post-processing or words are too many"
            )
        return {PROPERTY: text}

    @staticmethod
    def read(place: object, properties: Mapping[str, str]) -> "Recipe":
        """Read what a server keeps, perhaps a stranger's.

        Raises:
            ValueError: it is no recipe, or one of another version.
        """
        text = properties.get(PROPERTY)
        if text is None:
            raise ValueError(f"{place} was not made by lastword push: it has no {PROPERTY}")
        where = f"{place}, its property {PROPERTY}"
        if len(text) > _LONGEST_RECIPE:
            raise ValueError(f"{where}: longer than {_LONGEST_RECIPE:,} characters")
        data = parse_json(text, where, encodable=True)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"{where}: expected format {FORMAT}; push the index with this version")
        recipe = fill(Recipe, data, where)
        columns = [at for moved in recipe.moved.values() for pair in moved.items() for at in pair]
        if recipe.documents < 0 or not all(str(at).isdecimal() for at in columns):
            raise ValueError(f"{where}: numbers are whole and not below 0")
        recipe.manifest()
        return recipe


def field_of(channel: str) -> str:
    """Return the field in which a channel's rows are; its name may hold hyphens."""
    return channel.replace("-", "_")


def check_channels(manifest: Manifest) -> None:
    """Refuse an index that a collection cannot hold.

    Raises:
        ValueError: says which channel, and why.
    """
    names = [field_of(name) for name in manifest.channels]
    for name, spec in manifest.channels.items():
        if field_of(name) in FIELDS or names.count(field_of(name)) > 1 or not name[0].isalpha():
            raise ValueError(f"channel {name!r} cannot have a field of its own in Milvus")
        if spec.form == "lucene":
            raise ValueError(
                f"channel {name!r} is kept and scored by Lucene, which Milvus does not do; index "
                f"with the native engine to push it"
            )
        if spec.dim is None:
            raise ValueError(f"channel {name!r} holds no rows yet; add documents first")


def create_collection(collection: MilvusCollection, recipe: Recipe) -> None:
    """Make an empty collection for an index."""
    types, manifest = collection.types, recipe.manifest()
    from pymilvus import MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", types.VARCHAR, is_primary=True, max_length=LONGEST)
    for name in _TEXTS:
        schema.add_field(name, types.VARCHAR, max_length=LONGEST)
    for name in _NUMBERS:
        schema.add_field(name, types.INT64)
    for name in _OBJECTS:
        schema.add_field(name, types.JSON)
    for name, spec in manifest.channels.items():
        if spec.kind == "dense":
            schema.add_field(field_of(name), types.FLOAT_VECTOR, dim=spec.dim)
        else:
            schema.add_field(field_of(name), types.SPARSE_FLOAT_VECTOR)
    collection.create(schema, recipe.to_properties())


def index_collection(collection: MilvusCollection, recipe: Recipe) -> None:
    """Make the indexes that a collection lacks, perhaps since a push was killed; and load it."""
    for name, spec in recipe.manifest().channels.items():
        dense = spec.kind == "dense"
        collection.index(field_of(name), *(_DENSE[recipe.dense_index] if dense else _SPARSE))
    collection.load()


_SPARSE = ("SPARSE_INVERTED_INDEX", {"inverted_index_algo": "DAAT_MAXSCORE"})
_DENSE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "hnsw": ("HNSW", {"M": 32, "efConstruction": 200}),
    "ivf": ("IVF_FLAT", {"nlist": 1024}),
    "flat": ("FLAT", {}),
}


def search_settings(recipe: Recipe, kind: str, limit: int) -> dict[str, int]:
    """Return how thoroughly a channel is searched for so many hits."""
    if kind != "dense" or recipe.dense_index == "flat":
        return {}
    return {"ef": max(2 * limit, 200)} if recipe.dense_index == "hnsw" else {"nprobe": 128}


def check_schema(collection: MilvusCollection, recipe: Recipe) -> None:
    """Refuse a collection whose fields are not those of its recipe.

    Raises:
        ValueError: a field is missing or of another type or width.
    """
    fields, _ = collection.describe()
    types = collection.types
    expected = {field_of(n): s for n, s in recipe.manifest().channels.items()}
    for name in (*FIELDS, *expected):
        if name not in fields:
            raise ValueError(f"{collection.place} has no field {name}; push the index again")
    for name, spec in expected.items():
        dense = spec.kind == "dense"
        kind = types.FLOAT_VECTOR if dense else types.SPARSE_FLOAT_VECTOR
        width = fields[name]["params"].get("dim") if dense else None
        if fields[name]["type"] != kind or (dense and int(width or 0) != spec.dim):
            raise ValueError(
                f"{collection.place}: field {name} is not what its recipe says; push again"
            )
