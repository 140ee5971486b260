"""From the front door to the kernels: how many of our files a call passes through."""

import sys
from pathlib import Path
from types import FrameType

import lastword as lw
from tests.folders import ROOT
from tests.imports import PACKAGES

MOST = 12  # files that a reader has to open to follow a search, at the most
OURS = {ROOT / package for package in PACKAGES}
KERNELS = {"near_best": "index/topk.py", "forward": "modeling_llama.py"}
TEXTS = ["green tea is steeped for three minutes", "rotate the key at night", "black rock"]


def product_files(frame: FrameType | None) -> tuple[str, ...]:
    """Return our files on the stack, innermost first."""
    files: dict[str, None] = {}
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if OURS & set(path.parents):
            files[path.relative_to(ROOT).as_posix()] = None
        frame = frame.f_back
    return tuple(files)


def stacks_of_search(path: Path) -> set[tuple[str, ...]]:
    """Search an index; return our files on the stack whenever a kernel is called."""
    stacks = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        file = KERNELS.get(code.co_name) if event == "call" else None
        if file and code.co_filename.endswith(file):
            stacks.add(product_files(frame))

    with lw.open(path) as index:
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            hits = index.search("how do I rotate a key")
        finally:
            sys.setprofile(before)
    assert hits[0].id == "1"
    return stacks


def test_a_search_reaches_its_kernels_through_few_files(tmp_path: Path) -> None:
    """From a text to a vector it once were 17 files."""
    lw.build(tmp_path / "i", TEXTS).close()
    stacks = stacks_of_search(tmp_path / "i")
    assert {files[:2] for files in stacks} >= {
        ("index/topk.py", "index/channels/dense.py"),
        ("index/topk.py", "index/channels/inverted.py"),
    }
    assert any(files[0] == "embedder/models/anatomy.py" for files in stacks)  # calls the model
    for files in stacks:
        assert files[-3:] == (
            "retrieval/retriever.py",
            "retrieval/rerank/reranking.py",  # a search may end in a second reading
            "lastword/engine.py",
        )
        assert len(files) <= MOST, files
