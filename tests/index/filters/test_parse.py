"""The language of filters: what is read, and what errors point at."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.filters.expression import (
    AllOf,
    AnyOf,
    Compared,
    Expression,
    HasItem,
    Negated,
    OneOf,
    write_field,
)
from index.filters.parse import MAX_DEPTH, parse_filter

YEAR, LANG = Compared(("year",), ">=", 2020), Compared(("lang",), "==", "de")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('year >= 2020 and lang == "de"', AllOf((YEAR, LANG))),
        ("2020 <= year", YEAR),
        ("'de' == lang", LANG),
        ('"tax" in tags', HasItem(("tags",), "tax")),
        ('"tax" not in tags', Negated(HasItem(("tags",), "tax"))),
        ('lang in ["de", \'e"n\', null]', OneOf(("lang",), ("de", 'e"n', None))),
        ("lang in []", OneOf(("lang",), ())),
        ("not year >= 2020 or lang=='de'", AnyOf((Negated(YEAR), LANG))),
        ("not(year>=2020 or lang=='de')", Negated(AnyOf((YEAR, LANG)))),
        ("lang != 'de'", Negated(LANG)),
        ("a.b.`c d`.`not` == true", Compared(("a", "b", "c d", "not"), "==", True)),
        ("größe < -1.5e3", Compared(("größe",), "<", -1500.0)),
        ("x == null", Compared(("x",), "==", None)),
        ('x == "\\u00e9\\n"', Compared(("x",), "==", "é\n")),
        ("x == 'it\\'s \\\\'", Compared(("x",), "==", "it's \\")),
        ("a == 1 or b == 2 and c == 3", None),
    ],
)
def test_a_filter_is_read(text: str, expected: Expression | None) -> None:
    if expected is None:  # "and" binds more than "or"
        a, b, c = (Compared((name,), "==", at) for at, name in enumerate("abc", start=1))
        expected = AnyOf((a, AllOf((b, c))))
    assert parse_filter(f"  {text} ").expression == expected
    assert parse_filter(f"  {text} ").text == text


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the filter is empty; give a condition, as in 'year >= 2020'"),
        ("year >= ", "filter, at its end: expected a field, or a value: a text in quotes, .*"),
        ("year = 2020", "filter, at character 6, '= 2020': write \"==\" for equal.*"),
        ("year >= and", "filter, at character 9, 'and': expected a field, or a value: .*"),
        ("date > 2020-01-05", "filter, at character 8, '2020-01-05': .* a date is a text, in .*"),
        ("a-b == 1", "filter, at character 2, '-b == 1': names with a hyphen .* back quotes.*"),
        ("a == 1 AND b == 2", "filter, at character 8, 'AND b == 2': expected \"and\", .*"),
        ("a == True", "filter, at character 6, 'True': write \"true\", or `True` for a field .*"),
        ("a == None", "filter, at character 6, 'None': write \"null\", or `None` .*"),
        ("a == b", "filter, at character 1, 'a == b': a field is compared with .* two fields"),
        ("1 == 2", "filter, at character 1, '1 == 2': .* two values"),
        ("a < true", "filter, at character 3, '< true': only numbers and texts have an order.*"),
        ("a == [1]", "filter, at character 6, '\\[1\\]': a list goes with \"in\""),
        ("1 in 2", "filter, at character 6, '2': after \"in\" stands a field, or a list .*"),
        ("a in b", "filter, at character 1, 'a in b': before \"in\" and a field .*"),
        ("1 in [1]", "filter, at character 1, '1 in \\[1\\]': before a list stands a field"),
        ("a in [b]", "filter, at character 7, 'b\\]': a list has values; .*"),
        ("a in [1 2]", 'filter, at character 9, \'2\\]\': expected "," or "\\]"'),
        ("a in [1,", "filter, at its end: expected a field, or a value.*"),
        ("1 < a < 3", "filter, at character 7, '< 3': one comparison at a time: .*"),
        ("(a == 1", 'filter, at its end: expected "and", "or" or "\\)"'),
        ("a == 1)", "filter, at character 7, '\\)': expected .* the end"),
        ("a", 'filter, at its end: expected a comparison, as in == 2020, or "in"'),
        ("a not == 1", "filter, at character 7, '== 1': expected \"in\""),
        ("a. == 1", "filter, at character 4, '== 1': after a dot stands a name.*"),
        ("a == 'b", 'filter, at character 6, "\'b": a text ends with another quote'),
        ("`a == 1", "filter, at character 1, '`a == 1': a name in back quotes .*"),
        ("a && b", "filter, at character 3, '&& b': write \"and\""),
        ("a == 1e999", "filter, at character 6, '1e999': no value of JSON: .*"),
        ('a == "\\ud800"', "filter, at character 6, .*: no value of JSON: .*"),
        ("a == '\\q'", "filter, at character 6, .*: no value of JSON: .*"),
        ("a == 1 and " + "(" * 100, f"filter, at .*: filters are at most {MAX_DEPTH} deep"),
        ("not " * 1000, f"filter, at .*: filters are at most {MAX_DEPTH} deep"),
        ("a == 1 or\nb = 2", "filter, at character 13, '= 2': .*"),
        ("a in [1, 2, 3 4]", 'filter, at character 15, \'4\\]\': expected "," or "\\]"'),
        ("a in ['b', 'c', ]", "filter, at character 17, '\\]': expected a field, or a value.*"),
        ("a in [1, 1e999, 2]", "filter, at character 10, .*: no value of JSON: .*"),
        ('a in ["b", "\\ud800", 1]', "filter, at character 12, .*: no value of JSON: .*"),
        ("a in ['b', 'c\nd']", 'filter, at character 12, "\'c": no value of JSON: .*'),
        ("a" + ".b" * 1000 + " == 1", "filter, at character 201, .*: no field lies within .*"),
    ],
)
def test_an_error_is_one_line_that_points_at_the_place(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=rf"\A{error}\Z") as raised:
        parse_filter(text)
    assert "\n" not in str(raised.value)


@given(st.text(alphabet="ab1.\"'`()[],<>=!&| notri\\\n-é\ud800", max_size=40))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    try:
        parse_filter(text)
    except ValueError as error:
        assert str(error).startswith(("filter, at ", "the filter is empty"))
        assert "\n" not in str(error)


@given(
    st.lists(st.text(min_size=1).filter(lambda name: "`" not in name), min_size=1, max_size=3),
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
)  # fmt: skip
def test_every_field_and_value_can_be_written(names: list[str], value: object) -> None:
    text = f"{write_field(tuple(names))} == {json.dumps(value, ensure_ascii=False)}"
    assert parse_filter(text).expression == Compared(tuple(names), "==", value)  # type: ignore[arg-type]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["true", "null", "-1.5e3", r"'it\'s'", "'a\"b'", "'a,b'", r'"c\\"']),
            st.integers().map(str),
            st.text().map(json.dumps),
        ),
        max_size=12,
    ),
    st.sampled_from([",", " ,\n", ", "]),
)
def test_a_list_is_what_its_values_are_alone(written: list[str], comma: str) -> None:
    """Values that are written alike are read at once: a list of 150,000 took .6 s."""
    alone = [parse_filter(f"a == {each}").expression for each in written]
    assert parse_filter(f"a in [{comma.join(written)}]").expression == OneOf(
        ("a",), tuple(each.value for each in alone if isinstance(each, Compared))
    )


def test_what_is_no_text_and_what_is_endless_is_refused() -> None:
    with pytest.raises(TypeError, match="a filter is a str"):
        parse_filter(2020)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 1,000,000 characters"):
        parse_filter("a" * 1_000_001)
    many = parse_filter(" or ".join(f"a == {at}" for at in range(5000)))
    assert len(list(many.expression.conditions())) == 5000 and many.fields == (("a",),)
    assert re.match("a == 0", many.text)
