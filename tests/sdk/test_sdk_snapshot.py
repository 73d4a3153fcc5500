"""Snapshots of dirty trees: everything that git would commit, and nothing of the user's touched."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samebits import repository, secretscan, snapshot
from samebits.errors import RecordError, SnapshotError
from samebits.record import SNAPSHOT_BYTES, Snapshot


def files(root):
    """What is in a tree, apart from git's own and ours: kind, permission to execute, content."""
    found = {}
    for path in sorted(Path(os.fsencode(root).decode()).rglob("*")):
        name = os.fsencode(path.relative_to(root))
        if name.split(b"/")[0] in {b".git", b".samebits"} or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        else:
            found[name] = (bool(path.stat().st_mode & 0o100), path.read_bytes())
    return found


@pytest.fixture
def changed(project):
    """A tree with every kind of change, and the head that it differs from."""
    for name in ("modified", "staged", "deleted", "renamed", "script", "becomes-a-link", "same"):
        project.write(name, f"{name}\n" * 20)
    project.write(".gitignore", "ignored\n")
    project.commit()
    project.write("modified", "other\n")
    project.write("staged", "staged\n")
    project.git("add", "staged")
    project.write("staged", "and changed again\n")
    (project.root / "deleted").unlink()
    project.git("mv", "renamed", "new-name")
    (project.root / "script").chmod(0o755)
    (project.root / "becomes-a-link").unlink()
    (project.root / "becomes-a-link").symlink_to("same")
    project.write("a folder/ünï: new\nline", "untracked\n")
    (project.root / os.fsdecode(b"\xff.bin")).write_bytes(bytes(range(256)))
    project.write("ignored", "not kept\n")
    return project, project.git("rev-parse", "HEAD")


def kept(project, head):
    """Take and pack a snapshot."""
    return snapshot.keep(str(project.root), head, snapshot.take(str(project.root), head, []))


def test_everything_that_git_would_commit_comes_back(changed, tmp_path):
    """In a clone that has the head only, the restored commit has each file as it was, and not the ignored ones."""
    project, head = changed
    done = kept(project, head)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone)], check=True)
    snapshot.restore(str(clone), head, done.snapshot, done.pack.read_bytes())
    subprocess.run(["git", "checkout", "-q", done.snapshot.commit], cwd=clone, check=True)
    expected = files(project.root)
    del expected[b"ignored"]
    assert files(clone) == expected
    assert done.snapshot.files == 7  # modified, staged, new-name, script, becomes-a-link, and two untracked ones


def test_nothing_of_the_users_is_touched(changed):
    """Index, branches, objects, tree: the same bytes before and after."""
    project, head = changed
    status = project.git("status", "--porcelain")  # refreshes the index, so first of all
    (project.root / ".samebits/snapshots").mkdir()
    before = {path: path.read_bytes() for path in (project.root / ".git").rglob("*") if path.is_file()}
    tree = files(project.root)
    kept(project, head)
    assert {path: path.read_bytes() for path in (project.root / ".git").rglob("*") if path.is_file()} == before
    assert files(project.root) == tree
    assert project.git("status", "--porcelain") == status


def test_the_same_tree_gives_the_same_commit(changed):
    """Whenever and by whom: the commit depends on the head and the tree alone."""
    project, head = changed
    first = snapshot.take(str(project.root), head, [])
    project.git("config", "user.name", "Somebody Else")
    assert snapshot.take(str(project.root), head, []) == first
    project.write("modified", "another\n")
    assert snapshot.take(str(project.root), head, []) != first


def test_runs_that_start_at_once_share_it(changed):
    """A search over many settings starts many runs on one tree in the same moment."""
    project, head = changed
    with ThreadPoolExecutor(8) as pool:
        commits = set(pool.map(lambda _: snapshot.take(str(project.root), head, []), range(16)))
    assert len(commits) == 1
    assert [path.name for path in (project.root / ".samebits/snapshots").iterdir()] == list(commits)


def test_it_works_in_a_linked_worktree(changed, tmp_path):
    """Whose index and objects lie in two places outside of it."""
    project, head = changed
    other = tmp_path / "other"
    project.git("worktree", "add", "-q", "--detach", str(other))
    (other / "modified").write_text("there\n")
    commit = snapshot.take(str(other), head, [])
    done = snapshot.keep(str(other), head, commit)
    snapshot.restore(str(project.root), head, done.snapshot, done.pack.read_bytes())
    assert project.git("show", f"{commit}:modified") == "there"


def test_what_is_left_out_is_not_in_it(changed):
    """MLflow's own store beside the program is no code."""
    project, head = changed
    project.write("mlruns/0/meta.yaml", "x\n")
    commit = snapshot.take(str(project.root), head, ["mlruns/"])
    done = snapshot.keep(str(project.root), head, commit)
    snapshot.restore(str(project.root), head, done.snapshot, done.pack.read_bytes())
    assert "mlruns" not in project.git("ls-tree", "--name-only", commit)


def test_a_tree_that_is_too_large_names_its_largest_files(changed):
    """Nothing is read of it, and the sentence says what to do with data."""
    project, head = changed
    with (project.root / "data.parquet").open("wb") as file:
        file.truncate(SNAPSHOT_BYTES + 1)
    with pytest.raises(SnapshotError, match=r"largest: data\.parquet.*samebits\.dataset"):
        snapshot.take(str(project.root), head, [])
    assert list((project.root / ".samebits/snapshots").iterdir()) == []


def test_a_repository_within_is_named(changed):
    """Of it git would keep a commit id only, which is no content."""
    project, head = changed
    inner = project.root / "vendored: lib"
    subprocess.run(["git", "init", "-q", str(inner)], check=True)
    (inner / "x").write_text("x\n")
    who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", "-C", str(inner), "add", "."], check=True)
    subprocess.run(["git", "-C", str(inner), *who, "commit", "-qm", "x"], check=True)
    with pytest.raises(SnapshotError, match="vendored: lib is a repository of its own"):
        kept(project, head)


KEY = "AKIA" + "IOSFODNN7ABCDEFG"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"x = 1\nkey = '{KEY}'\n", "AWS Access Key"),
        ("x = 1\n-----BEGIN RSA PRIVATE " + "KEY-----\n", "Private Key"),
        (f"x = 1\nkey = '{KEY}'  # pragma: allowlist secret\n", None),
        ("digest = 'd41d8cd98f00b204e9800998ecf8427e'\npassword = os.environ['PASSWORD']\n", None),
    ],
)
def test_what_looks_like_a_secret_is_not_kept(changed, text, kind):
    """The sentence has file, line and kind, and both ways out; hashes and names of variables are no secrets."""
    project, head = changed
    project.write("settings.py", text)
    commit = snapshot.take(str(project.root), head, [])
    if kind is None:
        assert snapshot.keep(str(project.root), head, commit).snapshot.commit == commit
        return
    with pytest.raises(SnapshotError, match=rf"settings\.py, line 2, looks like a secret \({kind}\).*pragma"):
        snapshot.keep(str(project.root), head, commit)
    assert snapshot.Keeper(str(project.root), head, commit).result().problem.startswith("settings.py, line 2")


def test_text_of_any_encoding_is_searched_and_binary_is_not():
    """A byte that is not UTF-8 hides nothing; what no person can read is no settings file."""
    line = f"key = '{KEY}'\n".encode()
    assert secretscan.find("a.py", b"# caf\xe9\n" + line) == secretscan.Suspect(2, "AWS Access Key")
    assert secretscan.find("a.py", b"\0" + line) is None
    assert secretscan.find("a.py", line + b" " * secretscan.TEXT_BYTES) is None


def test_unsearched_nothing_is_kept(changed, monkeypatch):
    """Without detect-secrets the content stays here, and the sentence says what is missing."""
    project, head = changed
    commit = snapshot.take(str(project.root), head, [])
    for name in [name for name in sys.modules if name.split(".")[0] == "detect_secrets"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "detect_secrets.core.plugins.util", None)
    with pytest.raises(SnapshotError, match="install detect-secrets"):
        snapshot.keep(str(project.root), head, commit)


def test_a_forked_process_has_the_snapshot_too(changed):
    """The thread that packs it stays with the parent; the child does it itself."""
    project, head = changed
    keeper = snapshot.Keeper(str(project.root), head, snapshot.take(str(project.root), head, []))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=lambda: answers.put(keeper.result().snapshot))
    child.start()
    assert answers.get(timeout=60) == keeper.result().snapshot
    child.join()


def test_a_pack_without_the_commit_is_refused(changed):
    """Whoever edits record and pack together still has to bring a commit on the recorded head."""
    project, head = changed
    done = kept(project, head)
    data = done.pack.read_bytes()
    for lie, on in ((Snapshot("e" * 40, done.snapshot.sha256, 1, 1), head), (done.snapshot, "f" * 40)):
        with pytest.raises(RecordError, match="does not hold the snapshot"):
            snapshot.restore(str(project.root), on, lie, data)


def test_old_snapshots_are_swept(changed):
    """What a run left a week ago is gone with the next snapshot, unless that run still goes on."""
    project, head = changed
    root = str(project.root)
    commits = []
    for number in range(3):
        project.write("modified", f"{number}\n")
        commits.append(snapshot.take(root, head, []))
    old, young, used = (project.root / ".samebits/snapshots" / commit for commit in commits)
    keeper = snapshot.Keeper(root, head, commits[2])
    keeper.result()
    for path, age in ((old, 8), (young, 6), (used, 8)):
        moment = path.stat().st_mtime - age * 24 * 3600
        os.utime(path, (moment, moment))
    project.write("modified", "now\n")
    snapshot.take(root, head, [])
    assert (old.exists(), young.exists(), used.exists()) == (False, True, True)
    assert keeper.result().pack.exists()


def test_parents_of_what_is_not_there_are_none(changed):
    """Asked of a commit that git does not have, the answer is not an error."""
    project, head = changed
    assert repository.parents(str(project.root), "e" * 40) == []
    assert repository.parents(str(project.root), head) == []
