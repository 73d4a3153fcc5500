import hashlib
import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.errors import IntentError
from images.lock import intent

WORDS = st.text(min_size=1, max_size=10)
VALUES = st.recursive(
    st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def read(folder, text, name="debian.toml"):
    """Write and read an intent."""
    path = folder / name
    path.write_text(text)
    return intent.read(path)


def test_comments_blanks_and_the_order_of_keys_do_not_count(tmp_path):
    """The checksum is of the values, so a lock outlives a better comment."""
    plain = read(tmp_path, 'a = "1"\nb = ["x", "y"]\n[c]\nd = 2\ne = 3\n')
    other = read(tmp_path, '# why\nb = [\n  "x", # this\n  "y",\n]\n\na = \'1\'\n[c]\ne = 3\nd = 2 # two\n')
    assert plain.checksum == other.checksum


@given(
    st.dictionaries(WORDS, VALUES, max_size=5),
    st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"])),
)
def test_any_comment_leaves_the_checksum(values, comment):
    """Whatever a comment says, and wherever keys stand, only values count."""
    lines = [f"{quoted(key)} = {inline(value)}" for key, value in values.items()]
    texts = ["\n".join(lines), "\n".join(f"# {comment}\n{line}  # {comment}" for line in reversed(lines))]
    sums = {intent.checksum(tomllib.loads(text)) for text in texts}
    assert len(sums) == 1


def inline(value):
    """Write a value as TOML does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(text):
    """Write a string as a TOML basic string."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


@pytest.mark.parametrize("change", ['a = "2"', "a = 1", 'b = "1"', 'a = "1"\nc = "1"'])
def test_every_value_and_name_counts(tmp_path, change):
    """Another value, another type, another name or one more of them is another intent."""
    assert read(tmp_path, change).checksum != read(tmp_path, 'a = "1"').checksum


def test_the_checksum_is_what_the_format_says():
    """Canonical JSON: sorted keys, no spaces, UTF-8; so that anybody can compute it again."""
    expected = hashlib.sha256('{"a":1,"b":["é"]}'.encode()).hexdigest()
    assert intent.checksum({"b": ["é"], "a": 1}) == expected


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "\0", "a = 1979-05-27", "a = nan"])
def test_what_is_no_intent_is_an_intent_error(tmp_path, text):
    """Broken TOML, and values that no checksum can be made of."""
    with pytest.raises(IntentError, match=r"debian\.toml"):
        read(tmp_path, text)


def test_an_intent_is_known_by_its_name(tmp_path):
    """Other files are not taken for intents, and a missing one is named."""
    with pytest.raises(IntentError, match=r"npm\.toml"):
        read(tmp_path, "", "npm.toml")
    with pytest.raises(IntentError, match=r"maven\.toml"):
        intent.read(tmp_path / "maven.toml")


def test_tables_words_and_sets_are_checked(tmp_path):
    """Asking for what is not there, or of another type, names the place."""
    wanted = read(tmp_path, 'a = 1\nlist = ["x", 1]\n[t]\nword = "w"\n[sets.Bad]\n')
    assert wanted.word("t", "word") == "w"
    assert wanted.words("t", "none") == []
    for ask in (
        lambda: wanted.section(set(), "a"),
        lambda: wanted.section({"b"}, "t"),
        lambda: wanted.words("list"),
        lambda: wanted.word("a"),
        wanted.sets,
        read(tmp_path, "a = 1").sets,
    ):
        with pytest.raises(IntentError, match="Correct the file"):
            ask()
