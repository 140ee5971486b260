"""Train the bundled model from a corpus folder: `python -m embedder.train --help`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from embedder.train.run import Folders, train
from embedder.train.settings import Settings


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    default = Settings()
    made = argparse.ArgumentParser(prog="python -m embedder.train", description=__doc__)
    made.add_argument(
        "--corpus",
        type=Path,
        required=True,
        help="folder with passages.jsonl.xz, pairs.jsonl.xz and perhaps extra.jsonl.xz",
    )
    made.add_argument("--out", type=Path, required=True, help="folder for the finished model")
    made.add_argument(
        "--work",
        type=Path,
        help="folder for token ids and checkpoints (default: OUT with .work behind it); "
        "a run that finds its checkpoints there goes on from them",
    )
    made.add_argument("--minutes", type=float, help="stop after this time and export")
    made.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    made.add_argument("--seed", type=int, default=default.seed)
    made.add_argument("--bag-steps", type=int, default=default.bag.steps)
    made.add_argument("--decoder-steps", type=int, default=default.decoder.steps)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 2 if the input was wrong."""
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    default = Settings()
    try:
        settings = replace(
            default,
            seed=given.seed,
            bag=replace(default.bag, steps=given.bag_steps),
            decoder=replace(default.decoder, steps=given.decoder_steps),
        )
        _use_threads(given.threads)
        work = given.work or given.out.with_name(given.out.name + ".work")
        train(Folders(given.corpus, work, given.out), settings, given.minutes)
    except (ValueError, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 2
    return 0


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


if __name__ == "__main__":
    sys.exit(main())
