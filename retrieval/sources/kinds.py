"""What kind a file is of: by how it begins, then by its suffix, then by whether it is text."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from retrieval.sources.decoding import MARKS, find_encoding
from retrieval.sources.items import Blob, Notes, ReadItems, UnreadableError
from retrieval.sources.options import SourceOptions

FormatReader = Callable[[Blob, SourceOptions, Notes], ReadItems]
HEAD = 1 << 13  # bytes by which a kind is known
_HERE = "retrieval.sources"
_READERS: Mapping[str, str] = {
    "text": f"{_HERE}.formats.plain:read_plain",
    "markdown": f"{_HERE}.formats.markdown:read_markdown",
    "rst": f"{_HERE}.formats.plain:read_rst",
    "json": f"{_HERE}.formats.json_records:read_json_file",
    "jsonl": f"{_HERE}.formats.json_records:read_json_lines",
    "table": f"{_HERE}.formats.tables:read_table",
}
_BESIDE: Mapping[str, str] = {
    "parquet": f"{_HERE}.formats.tables:read_parquet",
    "html": f"{_HERE}.formats.html:read_html",
    "pdf": f"{_HERE}.formats.pdf:read_pdf",
    "docx": f"{_HERE}.formats.docx:read_docx",
    "ole": f"{_HERE}.formats.docx:read_ole",
    "epub": f"{_HERE}.formats.epub:read_epub",
    "mail": f"{_HERE}.formats.mail:read_mail",
    "mbox": f"{_HERE}.formats.mail:read_mbox",
    "trec": f"{_HERE}.formats.trec:read_trec",
    "smart": f"{_HERE}.formats.smart:read_smart",
    "zip": f"{_HERE}.archives:read_zip",
    "tar": f"{_HERE}.archives:read_tar",
    **dict.fromkeys(("gz", "bz2", "xz", "zst"), f"{_HERE}.archives:read_packed"),
}
PLAIN = tuple(_READERS)
"""Kinds that are read in this process: no file of them can keep it busy or fill its memory."""
BESIDE = tuple(_BESIDE)
"""Kinds that are parsed by processes beside this one, which can be stopped."""
PACKED_MARKS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}
LONG = ("jsonl", "table", "mbox", "tar", "zip", "parquet", "trec", "smart")
"""Kinds of which a file holds many documents, and may be longer than one document."""
_MAGIC: Mapping[bytes, str] = {
    b"%PDF-": "pdf",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # of no members
    **PACKED_MARKS,
    b"PAR1": "parquet",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "ole",
}
_BINARY: Mapping[bytes, str] = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x7fELF": "a program",
    b"SQLite format 3\0": "an SQLite database",
    b"{\\rtf": "an RTF document",
    b"\0asm": "a WebAssembly program",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"OggS": "a sound or a film",
    b"ID3": "a sound",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"%!PS": "a PostScript document",
}
_SUFFIXES: Mapping[str, str] = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".qmd", ".rmd"), "markdown"),
    **dict.fromkeys((".rst", ".rest"), "rst"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "table"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".json", ".ipynb", ".geojson"), "json"),
    ".eml": "mail",
    ".mbox": "mbox",
    ".pdf": "pdf",
    ".docx": "docx",
    ".epub": "epub",
    ".parquet": "parquet",
    ".tar": "tar",
}
_TEXTS = (".txt", ".text", ".asc", ".log")  # which cannot be read if they are no text
_BINARY_SUFFIXES = tuple(
    ".png .jpg .jpeg .gif .bmp .ico .webp .tif .tiff .psd .mp3 .mp4 .m4a .wav .flac .ogg .avi .mov "
    ".mkv .webm .ttf .otf .woff .woff2 .so .dll .exe .o .a .lib .pyc .class .jar .iso .bin .npy "
    ".npz .pt .pth .onnx .safetensors .gguf .dat .db .sqlite .doc .xls .ppt .odt .7z .rar".split()
)
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".tgz", ".tbz2", ".txz")
_OBJECT = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{[ \t]*"[^"\n]+"[ \t]*:')
_MAILBOX = re.compile(rb"From [^\n]*\n(?:>?[A-Za-z-]+:|[ \t])[^\n]*\n")
_TREC = re.compile(
    rb"\s*(?:<[?!][^>]*>\s*)*(?:<[a-z]\w*>\s*)?<doc(?:\s[^<>]*)?>\s*(?:<[?!][^>]*>\s*)*<doc(?:no|id)>",
    re.I,
)
_SMART = re.compile(rb"\s*\.I +\S+ *\r?\n\.[A-Z] *\r?\n")
_TAR_AT = 257  # where a tar file has its mark
_ENTRIES = {b"word/": "docx", b"xl/": "a workbook of Excel", b"ppt/": "slides of PowerPoint"}


def kind_of(name: str, head: bytes) -> str:
    """Return a kind that `reader_of` knows, or a description of what is not read.

    Args:
        name: of the file.
        head: its first HEAD bytes.
    """
    suffix = _suffix(name)
    for mark, kind in _MAGIC.items():
        if head.startswith(mark) and not _is_word(mark, head):
            return _kind_of_zip(suffix, head) if kind == "zip" else kind
    for mark, description in _BINARY.items():
        if head.startswith(mark) and not _is_word(mark, head):
            return description
    is_tar = head[_TAR_AT : _TAR_AT + 5] == b"ustar"
    if many := "tar" if is_tar else collection_kind(head):
        return many
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if not suffix and _OBJECT.match(head):  # as standard input often is
        return "jsonl"
    if not suffix and _MAILBOX.match(head):  # as mail programs call them
        return "mbox"
    if suffix not in _TEXTS and not _is_text(head, suffix not in _BINARY_SUFFIXES):
        return "a file that is no text"
    return "html" if _looks_like_html(head) else "text"


def collection_kind(head: bytes) -> str:
    """Return "trec" or "smart" where a file begins as such collections do, whatever its name."""
    start = head.removeprefix(b"\xef\xbb\xbf")
    if _TREC.match(start):
        return "trec"
    return "smart" if _SMART.match(start) else ""


def reader_of(kind: str) -> FormatReader | None:
    """Return what reads files of a kind; None where nothing does."""
    place = _READERS.get(kind) or _BESIDE.get(kind)
    if place is None:
        return None
    module, _, name = place.partition(":")
    reader: Any = getattr(import_module(module), name)
    function: FormatReader = reader
    return function


def is_plain(name: str) -> bool:
    """Tell by its name alone whether a file is cheap to read, as far as its name says so."""
    suffix = _suffix(name)
    return suffix not in PACKED_SUFFIXES and _SUFFIXES.get(suffix, "text") in PLAIN


def is_archive(name: str) -> bool:
    """Tell by its name whether a file holds files."""
    return without_packing(name).lower().endswith((".zip", ".tar"))


def has_known_suffix(name: str) -> bool:
    """Tell whether a name ends as one of a file does, so that it is no name of a data set."""
    suffix = _suffix(name)
    return suffix in _SUFFIXES or suffix in (".txt", ".zip", *PACKED_SUFFIXES)


def without_packing(name: str) -> str:
    """Take the suffix of a packed file off: "a.jsonl.gz" is read as "a.jsonl"."""
    suffix = _suffix(name)
    if suffix in PACKED_SUFFIXES:
        return name[: -len(suffix)] + (".tar" if suffix.startswith(".t") else "")
    return name


def _kind_of_zip(suffix: str, head: bytes) -> str:
    """Tell documents that are zip files apart: by the suffix, else by the first members."""
    if suffix in (".docx", ".epub"):
        return suffix[1:]
    if b"mimetypeapplication/epub+zip" in head:
        return "epub"
    if b"[Content_Types].xml" in head or suffix in (".xlsx", ".pptx"):
        for mark, kind in _ENTRIES.items():
            if mark in head or (suffix[1:2].encode() == mark[:1] and suffix in (".xlsx", ".pptx")):
                return kind
    if b"mimetypeapplication/vnd.oasis.opendocument" in head:
        return "an OpenDocument file"
    return "zip"


def _is_word(mark: bytes, head: bytes) -> bool:
    """Tell whether letters that binary files begin with are the beginning of a text."""
    return mark.isalnum() and _is_text(head, guess=False)


def _is_text(head: bytes, guess: bool) -> bool:
    """Tell whether the beginning of a file is text, if need be of an encoding that is guessed."""
    try:
        return find_encoding(head) in ("utf-8", *MARKS.values()) or guess
    except UnreadableError:
        return False


def _looks_like_html(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _suffix(name: str) -> str:
    base = name.rpartition("/")[2]
    return "." + base.rpartition(".")[2].lower() if "." in base.lstrip(".") else ""
