"""What the command fuse reads: run files by name, or a run folder, with judgements or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.files.name_lists import first_repeated

if TYPE_CHECKING:
    from eval.fusion.development import Development
    from eval.runs.run_folder import RunFolder
    from retrieval.run import Run

_SEPARATORS = ",:="  # of a fusion as it is written


@dataclass(frozen=True, slots=True)
class FuseSources:
    """Where runs and judgements are.

    Attributes:
        runs: run files, perhaps as NAME=FILE, or one run folder.
        dataset: of run files, what judges them; of a run folder, which of its data sets.
        qrels: instead, a file that judges run files.
        split: of the dataset that judges run files.
    """

    runs: Sequence[str]
    dataset: str = ""
    qrels: Path | None = None
    split: str = ""

    @property
    def folder(self) -> Path | None:
        """The run folder, None where there are run files."""
        return Path(self.runs[0]) if len(self.runs) == 1 and Path(self.runs[0]).is_dir() else None


def load_development(sources: FuseSources) -> "Development":
    """Read runs and the development judgements to choose a fusion on.

    Raises:
        ValueError: fewer than two runs, no judgements, or those of a reported split.
    """
    from eval.fusion.development import from_folder, judged_by_dataset, judged_by_file

    if sources.folder is not None:
        if sources.qrels is not None:
            raise ValueError("a run folder has judgements; --qrels judges run files")
        return from_folder(*_folder(sources.folder, sources.dataset))
    if bool(sources.dataset) == (sources.qrels is not None):
        raise ValueError(
            "to sweep run files, give their judgements: either --qrels FILE, or --dataset FOLDER "
            "and --split"
        )
    runs = read_runs(FuseSources(sources.runs))
    if sources.qrels is not None:
        return judged_by_file(runs, sources.qrels)
    return judged_by_dataset(runs, sources.dataset, sources.split)


def read_runs(sources: FuseSources) -> "dict[str, Run]":
    """Read run files, or the channels' runs of a run folder.

    Raises:
        ValueError: fewer than two, or two of one name.
    """
    from eval.fusion.development import folder_runs
    from retrieval.run import read_trec

    if sources.folder is not None:
        return folder_runs(*_folder(sources.folder, sources.dataset))
    paths = [_placed(name) for name in sources.runs]
    names = [name for name, _ in paths]
    if repeated := first_repeated(names):
        raise ValueError(f"two runs are called {repeated!r}; call one otherwise: NAME=FILE")
    if len(names) < 2:
        raise ValueError(f"fusing needs at least two runs; got {', '.join(names) or 'none'}")
    return {name: read_trec(path) for name, path in paths}


def _placed(text: str) -> tuple[str, Path]:
    """Read NAME=FILE, or FILE, whose stem is the name."""
    name, equals, file = text.partition("=")
    path = Path(text)
    if equals and not path.exists():
        path = Path(file)
    else:
        name = path.stem
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a run folder is given alone, without other runs")
    if not name or name == "k" or any(mark in name for mark in _SEPARATORS):
        raise ValueError(
            f"a fusion could not be written with a run called {name!r}: a name has none of "
            f"{' '.join(_SEPARATORS)} and is not k, which is rrf's; call it otherwise: NAME=FILE"
        )
    return name, path


def _folder(place: Path, dataset: str) -> "tuple[RunFolder, str]":
    from eval.runs.run_folder import RunFolder

    folder = RunFolder.open(place)
    if not dataset and len(folder.records) > 1:
        raise ValueError(f"{place} holds {', '.join(folder.records)}; say which one with --dataset")
    return folder, dataset or next(iter(folder.records))
