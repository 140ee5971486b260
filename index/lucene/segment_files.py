"""A Lucene index in a segment's channel folder, opened at once and given to Java late."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.lucene.jvm import java_class, java_errors
from index.channels.inversion import invert
from index.channels.postings import Postings
from index.channels.weighting import Weighting
from index.lucene.narrowed import bit_set
from index.lucene.row_file import RowFile
from index.lucene.writing import SCALE, open_directory
from index.storage.checksums import CURE, FileRecord, open_own
from index.storage.layout import LUCENE_FILE

_OPEN_FILES = Path("/dev/fd")  # on Linux and macOS: files of this process, named or not
_SEGMENT = "(Lorg/apache/lucene/index/SegmentInfo;IIJJJ[B)V"


class LuceneRows:
    """Rows of one segment that `build_lucene` wrote.

    A channel that is not searched need not be read, nor Java started; and a file that is held open
    outlives its name, should a merge remove it. Lucene trusts what it reads, so every file is
    compared with its checksum before, and Java reads what was compared.

    Args:
        folder: holds the files.
        weighting: what they were built by.
        shape: rows and columns.
        files: name -> what each file must be; those of Lucene are taken.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """

    def __init__(
        self,
        folder: Path,
        weighting: Weighting,
        shape: tuple[int, int],
        files: Mapping[str, FileRecord],
    ) -> None:
        self.rows, self._columns = shape
        self._folder = folder
        self._scale = SCALE if weighting.kind == "impacts" else 1
        self._row_file = RowFile.open(folder, self.rows)
        self._records = {name: file for name, file in files.items() if LUCENE_FILE.fullmatch(name)}
        self._lock = Lock()
        self._reader: Any = None
        self._files: dict[str, BinaryIO] = {}
        try:
            for name in self._records:
                self._files[name] = open_own(folder / name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files, and Lucene's reader of them."""
        with self._lock:
            self._close_files()
            if self._reader is not None:
                self._reader.close()

    def to_csr(self, keep: NDArray[np.bool_] | None = None) -> csr_matrix:
        """Return the rows that are held, float32, cut to those that are True in `keep`.

        Impacts are those that Lucene has, in whole hundredths.
        """
        rows = self.rows_from(0, self.rows)
        return rows if keep is None else csr_matrix(rows[keep])

    def rows_from(self, start: int, stop: int) -> csr_matrix:
        """Return rows start to stop - 1, as `to_csr` has them, without reading the others."""
        return self._scaled(self._row_file.read(self._columns, start, stop))

    def read(self, rows: NDArray[np.int64]) -> csr_matrix:
        """Return some rows in the order given, as `to_csr` has them."""
        return self._scaled(self._row_file.take(self._columns, rows))

    def to_postings(self) -> Postings:
        """Return the rows by their terms, in memory."""
        return invert(self.to_csr())

    def frequencies(self, row: int) -> dict[int, int]:
        """Return Lucene's frequency of each column in a row."""
        numbers = self._row_file.read(self._columns, row, row + 1)
        return dict(zip(numbers.indices.tolist(), numbers.data.tolist(), strict=True))

    def reader(self, live: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401 - a Java object
        """Return Lucene's reader of the rows, without those that are False in `live`.

        Args:
            live: (rows,) that counts when the reader is made: by the first call.

        Raises:
            ValueError: a file is damaged, or Java cannot be had.
        """
        with self._lock:
            if self._reader is None:
                self._reader = self._open(live)
                self._close_files()
        return self._reader

    def _open(self, live: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
        for name, file in self._files.items():
            self._records[name].check_open(file, self._folder / name)
        with java_errors(f"{self._folder} is damaged"):
            with TemporaryDirectory(prefix="lastword-lucene-") as place:
                for name, file in self._files.items():
                    (Path(place) / name).symlink_to(_OPEN_FILES / str(file.fileno()))
                directory = open_directory(Path(place))
                if live is not None:
                    directory = _without(directory, live)
                reader = java_class("org.apache.lucene.index.DirectoryReader").open(directory)
            if reader.maxDoc() != self.rows:
                raise ValueError(
                    f"{self._folder} is damaged: the manifest has {self.rows} rows; Lucene has "
                    f"{reader.maxDoc()}; {CURE}"
                )
        return reader

    def _scaled(self, numbers: csr_matrix) -> csr_matrix:
        data = (numbers.data / self._scale).astype(np.float32)
        return csr_matrix((data, numbers.indices, numbers.indptr), shape=numbers.shape)

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()


def _without(directory: Any, live: NDArray[np.bool_]) -> Any:  # noqa: ANN401
    """Return a directory over another one, in which documents are deleted; it is in memory."""
    infos = java_class("org.apache.lucene.index.SegmentInfos")
    before = infos.readLatestCommit(directory)
    if not before.size():
        return directory
    overlay = java_class("org.apache.lucene.store.FileSwitchDirectory")(
        java_class("java.util.HashSet")(java_class("java.util.Arrays").asList("", "liv")),
        java_class("org.apache.lucene.store.ByteBuffersDirectory")(),
        directory,
        True,
    )
    bits = bit_set(live)
    segment, deleted = before.info(0), int((~live).sum())
    context = java_class("org.apache.lucene.store.IOContext").DEFAULT
    codec = segment.info.getCodec()
    codec.liveDocsFormat().writeLiveDocs(bits, overlay, segment, deleted, context)
    changed = java_class("org.apache.lucene.index.SegmentCommitInfo")(
        segment.info, deleted, 0, 1, -1, -1, segment.getId(), signature=_SEGMENT
    )
    after = infos(java_class("org.apache.lucene.util.Version").LATEST.major)
    after.add(changed)
    after.commit(overlay)
    return overlay
