"""`samebits doctor`: a line a check, and 3 exactly when one says FAIL."""


def states(result):
    return {line.split()[1]: line.split()[0] for line in result.out.splitlines()}


def test_a_sound_workspace_is_all_ok(project):
    """Inside a closure, in a clean repository, with a store: every line is ok and the exit code 0."""
    project.write("x.py", "")
    project.commit()
    result = project.samebits("doctor")
    assert (result.code, set(states(result).values())) == (0, {"ok"}), result.out


def test_what_is_missing_warns_with_the_next_step(project):
    """No closure, a dirty tree, no store yet, foreign libraries: warnings, and still 0."""
    project.write("x.py", "")
    project.commit()
    project.write("new.py", "")
    del project.environ["SAMEBITS_CLOSURE"]
    result = project.samebits("doctor", LD_PRELOAD="", LD_LIBRARY_PATH="/opt/lib",
                              MLFLOW_TRACKING_URI=f"sqlite:///{project.root}/absent.db")  # fmt: skip
    assert result.code == 0
    found = states(result)
    assert (found["closure"], found["git"], found["mlflow"], found["purity"]) == ("warn",) * 4
    assert "nix run .#workspace-cpu" in result.out
    assert "commit first" in result.out


def test_what_cannot_work_fails(project, tmp_path):
    """A damaged manifest, no repository, an unreachable server, a home that is not there: FAIL and 3."""
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    for name, environ in (
        ("closure", {"SAMEBITS_CLOSURE": str(broken)}),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}),
        ("home", {"HOME": str(tmp_path / "absent")}),
        ("git", {}),  # no commit yet
    ):
        result = project.samebits("doctor", **environ)
        assert (result.code, states(result)[name]) == (3, "FAIL")
