"""Prompts: TOML round trip, content hash, errors that name the file."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.prompts.files import format_prompt, load_prompt, parse_prompt, prompt_library
from embedder.prompts.method_rules import PostRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template

PLAIN = "[query]\ntemplate = 'q {text}'\n[document]\ntemplate = 'd {text}'\n"


@pytest.mark.parametrize("name", prompt_library())
def test_library_prompts_survive_toml(name: str) -> None:
    prompt = load_prompt(name)
    assert parse_prompt(format_prompt(prompt)) == prompt
    assert prompt.name == name and prompt.source and prompt.description


def test_paper_prompts_keep_the_two_characters_backslash_n() -> None:
    text = load_prompt("promptreps-paper").forms[0].document[0].text
    assert "\\n\\nPassage" in text and "\n" not in text
    assert text.endswith('The word is: "')


# No brace: Hypothesis reads constants out of our own code, and once put "{reversed}" where no
# slot may stand. What a slot does there is for the tests of templates.
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="{"), max_size=30)


@given(before=words, after=words, prefill=words, top=st.integers(1, 500), layer=st.integers(-9, 9))
def test_any_prompt_survives_toml(
    before: str, after: str, prefill: str, top: int, layer: int
) -> None:
    turn = Template(f"{before}{{text}}{after}", "", prefill, chat=True)
    plain = Template(f"{after}{{text}}")
    reading = ReadoutRules(layer=layer, sparse=SparseRules(top=top))
    prompt = Prompt("p", (PromptVariant("f", (turn,), (plain,), "chat"),), reading)
    assert parse_prompt(format_prompt(prompt)) == prompt
    whole = Template(f"{before}{{text}}", tokens="whole")
    prompt = Prompt("p", (PromptVariant("f", (turn, plain, whole), (plain, whole)),), reading)
    assert parse_prompt(format_prompt(prompt)) == prompt


def test_wordings_of_any_kinds_stand_in_tables_of_one_name() -> None:
    both = "[[both]]\nuser = 'u {text}'\n[[both]]\ntemplate = '{text} t'\ntokens = 'whole'\n"
    (form,) = parse_prompt("name = 'p'\n" + both).forms
    assert form.query == form.document
    assert form.query == (
        Template("u {text}", chat=True),
        Template("{text} t", tokens="whole"),
    )


def test_post_processing_is_a_table_and_changes_the_hash() -> None:
    plain = parse_prompt(text := 'name = "p"\n' + PLAIN)
    assert plain.hash == "21328b661a19fd5f"  # as it was before there was [post]
    assert "post" not in format_prompt(plain)
    prompt = parse_prompt(text + "[post]\nremove = 2\nshrinkage = 1\n")
    assert prompt.post == PostRules(remove=2, shrinkage=1.0)
    assert parse_prompt(text + "[post]\n").post == PostRules()
    assert parse_prompt(format_prompt(prompt)) == prompt != plain
    assert prompt.hash != plain.hash
    assert prompt.reading_only(dense=False, sparse=True).post is None


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("shrinkage = 'much'", "post.shrinkage must be a number or one of 'auto'; got 'much'"),
        ("shrinkage = 0", "post.shrinkage lies between 0.0001 and 1000, or is auto; got 0"),
        ("count = 15", "post.count lies between 16 and 10000; got 15"),
        ("whiten = false\ncenter = false", "post does nothing"),
        ("whitten = true", "unknown key post.whitten"),
    ],
)
def test_a_wrong_rule_of_post_processing_is_named(rules: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_prompt(f'name = "p"\n{PLAIN}[post]\n{rules}\n')


def test_hash_is_of_content_not_of_names() -> None:
    one = parse_prompt("name = 'a'\ndescription = 'x'\n" + PLAIN)
    other = parse_prompt("name = 'b'\n" + PLAIN)
    worded = parse_prompt("name = 'a'\n" + PLAIN.replace("q {", "Q {"))
    assert one.hash == other.hash != worded.hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("{text}", "", 1), "[query] a template must hold {text} exactly once"),
        (PLAIN.replace("{text}", "{Text} {text}", 1), "no slot {Text}; did you mean {text}?"),
        (PLAIN.replace("{text}", "{text} { place_holder }"), "did you mean {placeholder}?"),
        ("[both]\nuser = '{text}'\nsystem = 'about {task}'\n", "{task} stands in system"),
        (PLAIN + "[sparse]\ntopp = 3\n", "unknown key sparse.topp; did you mean top?"),
        (PLAIN + "[read]\nmode = 'second'\n", "read.mode must be one of"),
        (PLAIN + "[read]\ndense = false\n[sparse]\nenabled = false\n", "got neither"),
        ("[query]\ntemplate = '{text}'\n", "[document] is missing"),
        ("[[form]]\nname = 'a'\n[form.query]\ntemplate = '{text}'\n", "[form.document] is missing"),
        ("[[form]]\n[form.both]\ntemplate = '{text}'\n", "form.name is missing"),
        (
            PLAIN.replace("template = 'q", "prefill = 'x'\ntemplate = 'q"),
            "[query] does not know prefill without user",
        ),
        ("[both]\nuser = '{text}'\ntemplate = '{text}'\n", "[both] needs one of template"),
        ("[both]\ntemplates = []\n", "both.templates is empty"),
        ("[query\n", "not TOML"),
        ("form = 'x'\n", "form must be tables, each [[form]]; got 'x'"),
        ("form = [1]\n", "form must be a table, [form]; got 1"),
        (PLAIN + "[both]\ntemplate = '{text}'\n", "[both] stands for query and document"),
        (
            PLAIN + "[[form]]\nname = 'a'\n[form.both]\ntemplate = '{text}'\n",
            "[query] stands beside [[form]]",
        ),
        (
            "[[form]]\nname = 'a'\nneed = 'chat'\n[form.both]\ntemplate = '{text}'\n",
            "unknown key form.need; did you mean needs?",
        ),
        (
            "[[form]]\nname='a'\n[form.both]\ntemplate='{text}'\n[form.query]\ntemplate='{text}'\n",
            "[form.both] stands for query and document",
        ),
        ("[both]\ntemplate = 5\n", "both.template must be a text; got 5"),
        ("[both]\ntemplates = 'a {text}'\n", "must be a list in brackets; got 'a {text}'"),
        ("both = 'x'\n", "both must be a table, [both]; got 'x'"),
        ("task = ['a']\n" + PLAIN, "task must be a text; got ['a']"),
        ("source = 2020-01-01\n" + PLAIN, "source must be a text; got 2020-01-01"),
        ("tsk = 'a'\n" + PLAIN, "unknown key tsk; did you mean task?"),
        ("forms = []\n" + PLAIN, "unknown key forms; did you mean form?"),
        ("reading = {layer = 1}\n" + PLAIN, "unknown key reading"),
        ("use = 'x'\n" + PLAIN, "use must be one of 'retrieval', 'similarity'; got 'x'"),
        ("fusion = 5\n" + PLAIN, "fusion must be a text; got 5"),
        ("fusion = 'half and half'\n" + PLAIN, 'fusion must read like "rrf"'),
        ("fusion = 'minmax:'\n" + PLAIN, "fusion needs settings like dense=0.5"),
        ("fusion = 'minmax:dense'\n" + PLAIN, "fusion needs settings like dense=0.5"),
        ("fusion = 'minmax:a=1,a=2'\n" + PLAIN, "fusion must read like"),
        ("fusion = 'rrf:k=nan'\n" + PLAIN, "got 'k=nan'"),
        (PLAIN + "[read]\nlayer = 'top'\n", "read.layer must be a number"),
        (PLAIN + "[read]\nlayer = ['a']\n", "read.layer must be a number"),
        (PLAIN + "[read]\nlayer = 1.5\n", "read.layer as a fraction of depth"),
        (PLAIN + "[read]\nlayer = nan\n", "read.layer must be a finite number; got nan"),
        (PLAIN + "[read]\nunit = 'no'\n", "read.unit must be true or false; got 'no'"),
        (PLAIN + "[read]\nsparse = 5\n", "unknown key read.sparse"),
        (PLAIN + "[read]\ngenerated_tokens = 1000000\n", "lies between 1 and 1000"),
        ("read = 5\n" + PLAIN, "read must be a table, [read]; got 5"),
        (PLAIN + "[sparse]\nenabled = 'no'\n", "sparse.enabled must be true or false"),
        (PLAIN + "[sparse]\nmerge_forms = 'no'\n", "sparse.merge_forms must be true or false"),
        (PLAIN + "[sparse]\ntop = 'many'\n", "sparse.top must be a whole number; got 'many'"),
        (PLAIN + "[sparse]\ntop = 0\n", "sparse.top lies between 1 and"),
        (PLAIN + "[sparse]\nexpansion = -1\n", "sparse.expansion lies between 0 and"),
        (PLAIN + "[sparse]\nscale = 9223372036854775807\n", "sparse.scale lies between 0 and"),
        (PLAIN + "[sparse]\nstop_words = '../english'\n", "sparse.stop_words must be one of"),
        (PLAIN + "[sparse]\nenabled = false\ntop = 'x'\n", "sparse.top must be a whole number"),
        (PLAIN + "[select]\nask = 5\n", "select.ask must be a text; got 5"),
        (PLAIN + "[select]\nask = ' '\n", "[select] ask must hold a prompt"),
        (PLAIN + "[filter]\nskip = 1\n", "filter.dim is missing"),
        (PLAIN + "[contrast]\ntemplate = '{text}'\nblock = 'x'\n", "contrast.block must be a"),
        (PLAIN + "[contrast]\ntemplate = '{text}'\nstrength = 'x'\n", "strength must be a number"),
        (PLAIN + "[contrast]\ntemplate = '{text}'\nstrength = nan\n", "must be a finite number"),
        (PLAIN + "[contrast]\ntemplate = '{text}'\nstrength = 1e30\n", "lies between -1000 and"),
        (PLAIN + "[contrast]\nblock = 1\n", "[contrast] needs one of template"),
        (PLAIN + "[contrast]\ntemplates = ['{text}', '{text} a']\n", "takes one template; got 2"),
        (PLAIN + "[sample]\nseed = -1\n", "sample.seed lies between 0 and"),
        (PLAIN + "[rewrite]\nper_instruction = 0\n", "rewrite.per_instruction lies between 1"),
        (PLAIN + "[example]\ntext = 'a'\nword = 'b'\n", "example must be a list"),
        (PLAIN + "[[example]]\ntext = 'a'\nwrd = 'b'\n", "example (item 1).wrd; did you mean"),
    ],
)
def test_a_wrong_prompt_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\n" + text)
    with pytest.raises(ValueError, match=r"mine\.toml") as caught:
        load_prompt(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 300])
def test_a_name_can_be_shown(name: str) -> None:
    with pytest.raises(ValueError, match="name must be at most 200 characters"):
        parse_prompt(f"name = {json.dumps(name)}\n{PLAIN}")
    with pytest.raises(ValueError, match="prompt: name is missing"):
        parse_prompt(PLAIN)


def test_a_prompt_file_may_begin_with_a_mark_and_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = f"name = 'mine'\n# \u00e9\n{PLAIN}"
    path.write_bytes(text.encode("utf-8-sig"))
    assert load_prompt(path).name == "mine"
    for encoding, said in (
        ("latin-1", "perhaps Latin-1: byte 0xe9 in line 2"),
        ("utf-16", "UTF-16"),
    ):
        path.write_bytes(text.encode(encoding))
        with pytest.raises(ValueError, match=said) as caught:
            load_prompt(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_what_a_prompt_adapts_by_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"name = 'mine'\nadapt = 'a.safetensors#00'\n{PLAIN}")
    assert load_prompt(path).adapt == str(tmp_path.resolve() / "a.safetensors#00")
    assert parse_prompt(path.read_text()).adapt == "a.safetensors#00"


def test_an_unknown_name_gets_near_ones() -> None:
    with pytest.raises(ValueError, match="nearest: promptreps"):
        load_prompt("promptrep")
    with pytest.raises(ValueError, match="no prompt file at"):
        load_prompt("nowhere.toml")
