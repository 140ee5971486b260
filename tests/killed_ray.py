"""Build an index on a Ray cluster, in a process that can be killed.

Run as a program it is that process: `python -m tests.killed_ray INDEX ADDRESS`. At its end it
writes what the workers encoded, what came from the cache, and what was committed before.
"""

import json
import sys
from pathlib import Path

import lastword as lw
from retrieval.build import build_index
from retrieval.options import BuildReport
from tests.synthetic import documents

TEXTS, SEGMENT, WINDOW = 240, 60, 10  # windows are full, so that a file holds just so many texts


def build(path: Path, ray: lw.RayOptions | None) -> BuildReport:
    """Build, or go on."""
    encoder = lw.load_encoder("bundled")
    encoders = {"dense": encoder, "sparse": encoder, "bm25": lw.load_encoder("bm25")}
    options = lw.BuildOptions(segment_documents=SEGMENT, window=WINDOW, ray=ray)
    return build_index(documents(TEXTS), encoders, path, options)


if __name__ == "__main__":
    report = build(Path(sys.argv[1]), lw.RayOptions(sys.argv[2], workers=2))
    facts = {
        "encoded": sum(worker.texts for worker in report.workers),
        "reused": report.counts["dense"].get("reused", 0),
        "resumed": report.resumed,
    }
    sys.stdout.write(json.dumps(facts))
