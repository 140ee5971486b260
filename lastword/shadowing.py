"""Our top-level packages come before files of the same name that lie beside a user's script.

`embedder`, `index`, `retrieval`, `eval` and `tuning` are names that users give to files of their
own. Python looks beside the script first, so `import lastword` loads the packages that lie beside
itself, before anything else can be found under their names.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

PACKAGES = ("embedder", "index", "retrieval", "eval", "tuning")
_ROOT = Path(__file__).resolve().parent.parent  # the folder that holds `lastword`


def load_own_packages() -> None:
    """Load every package of ours under its name.

    Raises:
        ImportError: A module of such a name is loaded already, and it is none of ours.
    """
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is None:
            _load(name)
        elif not _is_ours(module, name):
            raise ImportError(
                f"expected {name!r} to be lastword's package, got {_place(module)}: "
                f"rename that file, or import lastword before it",
                name=name,
            )


def _load(name: str) -> None:
    hidden = PathFinder.find_spec(name)  # what `import` alone would load
    spec = PathFinder.find_spec(name, [str(_ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"expected lastword's package {name!r} in {_ROOT}: install it again")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if hidden is not None and hidden.origin and Path(hidden.origin).resolve() != _own_file(name):
        _explain_missing_names(module, hidden.origin)


def _explain_missing_names(module: ModuleType, hidden: str) -> None:
    """Say, where a name is looked up that only the hidden file may have, which file is hidden."""
    inner = module.__dict__.get("__getattr__")

    def look_up(name: str) -> object:
        if inner is not None:
            try:
                return inner(name)
            except AttributeError:
                pass
        message = f"lastword's package {module.__name__!r} has no {name!r}, and it hides {hidden}"
        raise AttributeError(f"{message}: rename that file", name=name, obj=module)

    module.__dict__["__getattr__"] = look_up


def _is_ours(module: ModuleType, name: str) -> bool:
    origin = getattr(module, "__file__", None)
    return origin is not None and Path(origin).resolve() == _own_file(name)


def _own_file(name: str) -> Path:
    return _ROOT / name / "__init__.py"


def _place(module: ModuleType) -> str:
    folders = list(getattr(module, "__path__", []))
    return str(getattr(module, "__file__", None) or (folders[0] if folders else module))
