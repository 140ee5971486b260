"""A library of TOML files: those in a folder have names, others are found by their paths."""

import difflib
from pathlib import Path

from embedder.arguments import check_kind


def library_names(library: Path) -> list[str]:
    """Return the names of the files in the folder of a library."""
    return sorted(path.stem for path in library.glob("*.toml"))


def find_file(name: str | Path, library: Path, noun: str) -> Path:
    """Return the file of a library by name, or one of the user's by a path that ends in .toml.

    Args:
        name: or path.
        library: folder of the library.
        noun: what a file holds, for messages.

    Raises:
        TypeError: it is neither a text nor a path.
        ValueError: there is none.
    """
    check_kind(name, str | Path, noun, f"a name, a path that ends in .toml, or a {noun}")
    path = Path(name)
    if path.suffix != ".toml":
        known = library_names(library)
        if str(name) not in known:
            near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or known
            raise ValueError(
                f"no {noun} is called {str(name)!r}; nearest: {', '.join(near)} "
                "(one of your own is a path that ends in .toml)"
            )
        path = library / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"no {noun} file at {path}")
    return path
