"""A reader of Lucene's of which only some documents are found, for the length of a search."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.lucene.jvm import java_class

_SEGMENT_READER = "org.apache.lucene.index.SegmentReader"
_SHARING = (  # made over what another reader of the segment has open, with other live documents
    "(Lorg/apache/lucene/index/SegmentCommitInfo;Lorg/apache/lucene/index/SegmentReader;"
    "Lorg/apache/lucene/util/Bits;Lorg/apache/lucene/util/Bits;IZ)V"
)
_READERS = "([Lorg/apache/lucene/index/IndexReader;)V"


@contextmanager
def narrowed_reader(reader: Any, kept: NDArray[np.bool_]) -> Iterator[Any]:  # noqa: ANN401
    """Give a reader in which all documents but some are deleted; called within `java_errors`.

    Lucene counts deleted documents in its statistics, so that scores stay what they are, and
    leaves them out before it chooses the best. Nothing is written: the readers of segments share
    the open files of those that they are made from.

    Args:
        reader: Java's, over segments on disk; its documents may be deleted already.
        kept: (reader.maxDoc(),) True where a document may be found; none that is deleted.
    """
    from jnius import cast

    kind = java_class(_SEGMENT_READER)
    # Java would let its own package alone call this; JNI asks for no permission.
    kind.__javaconstructor__ = ((_SHARING, False),)
    opened = []
    try:
        leaves, start = reader.leaves(), 0
        for at in range(leaves.size()):
            leaf = cast(_SEGMENT_READER, leaves.get(at).reader())
            mask = kept[start : start + leaf.maxDoc()]
            start += len(mask)
            bits, count = bit_set(mask).asReadOnlyBits(), int(mask.sum())
            opened.append(kind(leaf.getSegmentInfo(), leaf, bits, bits, count, False))
        yield java_class("org.apache.lucene.index.MultiReader")(*opened, signature=_READERS)
    finally:
        for each in opened:
            each.decRef()


def bit_set(mask: NDArray[np.bool_]) -> Any:  # noqa: ANN401
    """Return Java's FixedBitSet of a mask."""
    words = np.packbits(mask, bitorder="little")
    words = np.concatenate([words, np.zeros(-len(words) % 8, np.uint8)]).view("<i8")
    return java_class("org.apache.lucene.util.FixedBitSet")(words.tolist(), len(mask))
