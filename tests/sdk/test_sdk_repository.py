"""What git is asked: commit, changed files of every kind, and nothing that touches the user's repository."""

import subprocess

import pytest
from samebits import repository
from samebits.errors import RepositoryError

NAME = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]


@pytest.fixture
def tree(tmp_path):
    """A repository with one commit; returns its folder."""
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "kept.py").write_text("1\n" * 30)
    (folder / "gone.py").write_text("2\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def git(folder, *arguments):
    done = subprocess.run(["git", *NAME, "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_clean_tree_is_its_commit(tree):
    """Without changes the state is the commit; the first commit identifies the repository."""
    state = repository.read_state(tree)
    head = git(tree, "rev-parse", "HEAD")
    assert (state.commit, state.head, state.changed, state.roots) == (head, head, [], [head])
    assert state.root == str(tree)


def test_every_kind_of_change_is_dirty(tree):
    """Edited, staged, renamed, deleted and untracked files are listed, with names as they are."""
    git(tree, "mv", "kept.py", "moved to.py")
    (tree / "gone.py").unlink()
    (tree / "new\nline é.py").write_text("")
    state = repository.read_state(tree)
    assert state.commit == "dirty"
    assert set(state.changed) == {"R. moved to.py", ".D gone.py", "? new\nline é.py"}
    assert state.changed_total == 3


def test_names_that_are_not_utf8_survive(tree):
    """A file name of arbitrary bytes is listed with surrogate escapes."""
    (tree / b"\xff.py".decode(errors="surrogateescape")).write_text("")
    assert repository.read_state(tree).changed == ["? \udcff.py"]


def test_mlflows_own_store_makes_no_tree_dirty(tree):
    """Untracked mlruns/ and mlflow.db are listed apart; a tracked file of that name still counts."""
    (tree / "sub" / "mlruns").mkdir(parents=True)
    (tree / "sub" / "kept.py").write_text("")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "second")
    (tree / "sub" / "mlruns" / "x").write_text("")
    (tree / "mlflow.db").write_text("")
    state = repository.read_state(tree)
    assert state.commit == state.head
    assert set(state.store_files) == {"sub/mlruns/", "mlflow.db"}
    git(tree, "add", "mlflow.db")
    assert repository.read_state(tree).commit == "dirty"


def test_a_long_list_is_cut_and_counted(tree):
    """At most 200 changed files are listed, all are counted."""
    for number in range(250):
        (tree / f"{number}.py").write_text("")
    state = repository.read_state(tree)
    assert (len(state.changed), state.changed_total) == (200, 250)


def test_before_the_first_commit_there_is_none(tmp_path):
    """An unborn branch has no commit to record, and the state says so."""
    git(tmp_path, "init", "-q")
    assert repository.read_state(tmp_path).commit == "none"


def test_outside_of_a_repository_the_error_says_what_to_do(tmp_path):
    """No repository is a RepositoryError with the next step."""
    with pytest.raises(RepositoryError, match="git init"):
        repository.read_state(tmp_path)


def test_without_git_the_error_says_so(tree, monkeypatch):
    """A missing git program is told from a missing repository."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RepositoryError, match="not installed"):
        repository.read_state(tree)


def test_a_git_environment_of_another_repository_plays_no_part(tree, tmp_path, monkeypatch):
    """GIT_DIR, as git sets it for its hooks, does not lead elsewhere."""
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert repository.read_state(tree).root == str(tree)


def test_looking_does_not_write(tree):
    """The index stays byte for byte, even where git would refresh it."""
    (tree / "kept.py").touch()
    before = (tree / ".git" / "index").read_bytes()
    repository.read_state(tree)
    assert (tree / ".git" / "index").read_bytes() == before


def test_a_shallow_clone_has_no_identity(tree, tmp_path):
    """The first commit of a shallow clone is no first commit, so none is recorded."""
    (tree / "kept.py").write_text("")
    git(tree, "commit", "-q", "-a", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tree}", "shallow")
    assert repository.read_state(tmp_path / "shallow").roots == []


def test_files_of_a_commit_are_counted(tree):
    """A file is one, a folder all below it, what the commit lacks is none; globs are names."""
    (tree / "sub").mkdir()
    for name in ("a", "b"):
        (tree / "sub" / name).write_text("")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "second")
    found = [repository.count_files(str(tree), "HEAD", path) for path in ("kept.py", "sub", "sub/a", "absent", "*.py")]
    assert found == [1, 2, 1, 0, 0]


def test_commits_and_submodules_are_looked_up(tree):
    """Known and unknown commits are told apart; a tree without submodules has none."""
    assert repository.has_commit(str(tree), git(tree, "rev-parse", "HEAD"))
    assert not repository.has_commit(str(tree), "0" * 40)
    assert not repository.has_submodules(str(tree), "HEAD")


def test_our_folder_is_invisible_to_git(tree):
    """.samebits does not make the tree dirty, and an existing one is left as it is."""
    folder = repository.state_folder(str(tree))
    (folder / "x").write_text("")
    assert repository.read_state(tree).commit != "dirty"
    (folder / ".gitignore").write_text("*\n# mine\n")
    repository.state_folder(str(tree))
    assert "mine" in (folder / ".gitignore").read_text()
