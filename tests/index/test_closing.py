"""What an index that is closed keeps open: nothing."""

from pathlib import Path

import pytest

from embedder.types import Role
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from tests.synthetic import SignEncoder, documents


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors by /proc")
def test_closing_an_index_closes_the_files_of_faiss(tmp_path: Path) -> None:
    """Each segment's file stayed open until a first search, or until Python collected it."""
    kept_as = {"dense": ChannelOptions("dense", factory="HNSW8")}
    options = BuildOptions(kept_as, segment_documents=20)
    build_index(documents(100), {"dense": SignEncoder()}, tmp_path / "i", options)
    rows = SignEncoder().encode(["amber"], Role.QUERY)
    before = open_files()
    kept = []
    for at in range(4):
        with Index.open(tmp_path / "i") as index:
            if at % 2:
                index.search("dense", rows, 3)
            mapped = open_files()
        kept.append(index)  # arrays stay mapped, and hold a descriptor each
        assert mapped - open_files() == (5 if at % 2 else 10)  # documents; and FAISS, unless read
    kept.clear()
    del index
    assert open_files() == before
