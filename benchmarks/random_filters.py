"""Random filters, each with the plain Python that says which metadata meet it."""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

Metadata = Mapping[str, Any]
Meets = Callable[[Metadata], bool]
RandomFilter = tuple[str, Meets]

YEARS, LANGUAGES = range(1990, 2025), ("de", "en", "fr", "pt")
TAGS = ("tax", "law", "sea", "tea", "Zoll", "x y")


def random_metadata(random: Random) -> dict[str, Any]:
    """Return the metadata of a document; any field may be missing, null or of another type."""
    data = {
        "year": random.choice([random.choice(YEARS), float(random.choice(YEARS)), 2020.5]),
        "lang": random.choice(LANGUAGES),
        "tags": random.sample(TAGS, random.randrange(4)),
        "date": f"{random.choice(YEARS)}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}",
        "open": random.random() < 0.5,
        "author": {"name": f"n{random.randrange(300)}", "odd name": random.randrange(5)},
        "serial": random.randrange(10**6),
    }
    for name in tuple(data):
        fate = random.random()
        if fate < 0.1:
            del data[name]
        elif fate < 0.15:
            data[name] = random.choice([None, 1, "de", True, ["de", 2020, None], {"name": 1}])
    return data


def random_filter(random: Random, depth: int = 3) -> RandomFilter:
    """Return a filter and what it means."""
    if depth == 0 or random.random() < 0.3:
        return _condition(random)
    kind = random.choice(["and", "or", "not"])
    first, meets_first = random_filter(random, depth - 1)
    if kind == "not":
        return f"not ({first})", lambda data: not meets_first(data)
    second, meets_second = random_filter(random, depth - 1)
    text = f"({first}) {kind} ({second})"
    if kind == "and":
        return text, lambda data: meets_first(data) and meets_second(data)
    return text, lambda data: meets_first(data) or meets_second(data)


def _condition(random: Random) -> RandomFilter:
    name, path, values = random.choice(_FIELDS)
    value = random.choice([random.choice(values), None, True, 2020, "de"])
    read = _reader(path)
    relation = random.choice(["==", "!=", "<", "<=", ">", ">=", "in", "holds"])
    if relation == "in":
        several = [random.choice(values) for _ in range(random.randrange(4))]
        some = _negated(random, f"{name} {{}}in {json.dumps(several)}")
        return some[0], lambda data: some[1] == any(_equal(read(data), each) for each in several)
    if relation == "holds":
        item = random.choice([*TAGS, value])
        some = _negated(random, f"{json.dumps(item)} {{}}in {name}")
        return some[0], lambda data: some[1] == _holds(read(data), item)
    if relation not in ("==", "!=") and (value is None or isinstance(value, bool)):
        value = random.choice(values[:1])
    if random.random() < 0.2:
        mirrored = relation.translate(str.maketrans("<>", "><"))
        return f"{json.dumps(value)} {mirrored} {name}", lambda data: _stands(
            read(data), relation, value
        )
    return f"{name} {relation} {json.dumps(value)}", lambda data: _stands(
        read(data), relation, value
    )


_FIELDS: Sequence[tuple[str, tuple[str, ...], Sequence[Any]]] = (
    ("year", ("year",), YEARS),
    ("lang", ("lang",), LANGUAGES),
    ("tags", ("tags",), TAGS),
    ("date", ("date",), ("2020-01-01", "1999", "2024-12-31")),
    ("open", ("open",), (1, True, False)),
    ("author.name", ("author", "name"), ("n1", "n20", "n299", 1)),
    ("author.`odd name`", ("author", "odd name"), (0, 3, 9)),
    ("serial", ("serial",), (500_000, 1, 999_999.5)),
    ("nowhere", ("nowhere",), (1, "a")),
)


def _negated(random: Random, text: str) -> tuple[str, bool]:
    plain = random.random() < 0.5
    return text.format("" if plain else "not "), plain


def _reader(path: Sequence[str]) -> Callable[[Metadata], Any]:
    def read(data: Any) -> Any:  # noqa: ANN401
        for name in path:
            data = data.get(name) if isinstance(data, dict) else None
        return data

    return read


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _equal(found: object, value: object) -> bool:
    return _type(found) == _type(value) and found == value


def _holds(found: object, value: object) -> bool:
    return isinstance(found, list) and any(_equal(item, value) for item in found)


def _stands(found: Any, relation: str, value: Any) -> bool:  # noqa: ANN401
    if relation in ("==", "!="):
        return _equal(found, value) == (relation == "==")
    if _type(found) != _type(value) or _type(value) not in ("number", "str"):
        return False
    return bool(getattr(operator, _NAMES[relation])(found, value))


_NAMES = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
