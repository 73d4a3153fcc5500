import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.lock.wheels import Target

TARGET = Target.parse("3.13", "x86_64-manylinux_2_40")


@pytest.mark.parametrize(
    "better_first",
    [
        ["a-1-cp313-cp313-manylinux_2_28_x86_64.whl", "a-1-cp313-abi3-manylinux_2_28_x86_64.whl"],
        ["a-1-cp313-cp313-manylinux_2_28_x86_64.whl", "a-1-cp313-cp313-manylinux_2_17_x86_64.whl"],
        [
            "a-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp313-cp313-linux_x86_64.whl",
        ],
        ["a-1-cp312-abi3-manylinux2014_x86_64.whl", "a-1-cp39-abi3-manylinux2014_x86_64.whl"],
        ["a-1-cp32-abi3-manylinux1_x86_64.whl", "a-1-py3-none-manylinux2014_x86_64.whl"],
        ["a-1-py3-none-manylinux2014_x86_64.whl", "a-1-py3-none-any.whl"],
        ["a-1-py313-none-any.whl", "a-1-py3-none-any.whl"],
        ["a-1-2-py3-none-any.whl", "a-1-1-py3-none-any.whl"],
        ["a-1-1-py3-none-any.whl", "a-1-py3-none-any.whl"],
        ["a-1-py2.py3-none-any.whl", "a-1.tar.gz"],
    ],
)
def test_the_order_of_preference(better_first):
    """The first of each pair wins, however they are listed."""
    assert TARGET.best(better_first) == better_first[0]
    assert TARGET.best(better_first[::-1]) == better_first[0]


@pytest.mark.parametrize(
    "file",
    [
        "a-1-cp312-cp312-manylinux2014_x86_64.whl",
        "a-1-cp314-abi3-manylinux2014_x86_64.whl",
        "a-1-cp313-cp313t-manylinux2014_x86_64.whl",
        "a-1-cp313-cp313-manylinux_2_41_x86_64.whl",
        "a-1-cp313-cp313-manylinux_2_28_aarch64.whl",
        "a-1-cp313-cp313-musllinux_1_2_x86_64.whl",
        "a-1-py2-none-any.whl",
        "a-1.whl",
        "a-1.exe",
    ],
)
def test_files_that_do_not_fit_are_never_chosen(file):
    """Another interpreter, ABI, glibc, machine or kind of file is no choice."""
    assert TARGET.best([file]) is None


@pytest.mark.parametrize(("python", "platform"), [("3", "x86_64-manylinux_2_40"), ("3.13", "linux"), ("4.1", "x")])
def test_a_target_that_makes_no_sense_is_none(python, platform):
    """What cannot be read as a target is not guessed at."""
    assert Target.parse(python, platform) is None


def test_no_tag_is_given_twice():
    """Each tag has one rank."""
    tags = list(TARGET.tags())
    assert len(tags) == len(set(tags))


@given(st.lists(st.text(alphabet="acp3.-_w1hl", max_size=30)))
def test_any_names_give_an_answer(files):
    """Odd file names are passed over, never stumbled on."""
    assert TARGET.best(files) in {None, *files}
