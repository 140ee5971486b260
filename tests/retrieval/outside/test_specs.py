"""Channels outside of an index as people write them."""

import pytest

from retrieval.outside.specs import OutsideSpec, read_spec, read_specs
from tests.one_line import check_one_line


@pytest.mark.parametrize(
    ("text", "name", "place", "options"),
    [
        ("lucene:my folder", "lucene", "my folder", {}),
        ("wiki=lucene:/a=b:c", "wiki", "/a=b:c", {}),
        ("lucene:p?language=de&k1=1.2", "lucene", "p", {"language": "de", "k1": "1.2"}),
        ("lucene:what?now?", "lucene", "what?now", {}),
        ("lucene:what?&k=1?b=0", "lucene", "what?&k=1", {"b": "0"}),
    ],
)
def test_specs_are_read(text: str, name: str, place: str, options: dict[str, str]) -> None:
    assert read_spec(text) == OutsideSpec(name, "lucene", place, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path", "expected a channel beside the index as lucene:PATH"),
        ("faiss:path", "expected a channel beside the index as lucene:PATH"),
        ("a/b=lucene:path", "expected a channel beside the index as lucene:PATH"),
        ("fused=lucene:path", "no channel can be called 'fused'"),
        ("lucene:", "names no place"),
        ("lucene:?k1=1", "names no place"),
        ("lucene:what?now", 'a path that holds "?" ends with another'),
        ("lucene:p?k1=1&k1=2", "each once"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, message: str) -> None:
    check_one_line(lambda: read_spec(text), ValueError, message)


def test_two_channels_of_one_name_need_another() -> None:
    assert list(read_specs(["lucene:a", "b=lucene:a"])) == ["lucene", "b"]
    with pytest.raises(ValueError, match="two channels are called 'lucene'; give one a name"):
        read_specs(["lucene:a", "lucene:b"])
