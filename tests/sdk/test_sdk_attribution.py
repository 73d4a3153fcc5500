"""Dimensions and verdicts: exactly what is known to differ is blamed, and nothing else."""

import dataclasses

import pytest
from samebits import record as records
from samebits.rerun import attribution, verdict
from samebits.rerun.attribution import Dimension
from samebits.rerun.compare import Comparison, Difference, MetricDifference
from samebits.rerun.plan import Reason

ROOT = "/home/ana/project"
OTHER = "b" * 40


def image(closure_id="1", content_id="1"):
    return records.ClosureUsed("image", None, "w", "x86_64-linux", "/nix/store/r", f"sha256:{closure_id * 64}",
                               f"sha256:{content_id * 64}", None, None)  # fmt: skip


BASE = records.Record(
    run=records.Run("s", 1, "FINISHED", None),
    code=records.Code("a" * 40, "a" * 40, None, "exec", [], [], 0, []),
    entry=records.Entry("script", "t.py", ["python", "t.py"], ["python", "t.py"], ["--x"], "."),
    environment={"OMP_NUM_THREADS": records.Variable("2", "samebits")},
    seed=records.Seed(1, "exec", "1", {"random": "autolog"}),
    datasets=[records.Dataset("rows", "data/rows.txt", in_repository=True, kind="file", sha256="0" * 64, size=1, files=1)],
    closure=image(), numerics={"cpu.model": "A"}, modules=records.Modules(1, []),
    python="cpython 3.13.5", samebits="0.1.0",
)  # fmt: skip


def changed(section, **fields):
    return dataclasses.replace(BASE, **{section: dataclasses.replace(getattr(BASE, section), **fields)})


def states(new, old=BASE):
    return {one.name: one.state for one in attribution.dimensions(old, new, ROOT) if one.state != "same"}


DIRTY = {"commit": "dirty", "changed": [".M t.py"], "changed_total": 1}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE, {}),
        (changed("run", session="t", rerun_of="x", ordinal=1), {}),
        (changed("code", commit=OTHER, head=OTHER), {"code": "differs"}),
        (changed("code", **DIRTY), {"code": "differs"}),
        (changed("code", **{**DIRTY, "changed": [".M data/rows.txt"]}), {}),
        (changed("code", **{**DIRTY, "changed_total": 300}), {"code": "differs"}),
        (changed("code", commit="none", head=None), {"code": "unknown"}),
        (changed("modules", repository=0), {"code": "unknown"}),
        (changed("modules", outside=[f"{ROOT}/lib/part.py"]), {"code": "unknown"}),
        (changed("modules", outside=["/usr/share/lib.py"]), {}),
        (dataclasses.replace(BASE, datasets=[]), {"data": "differs"}),
        (dataclasses.replace(BASE, datasets=[dataclasses.replace(BASE.datasets[0], sha256="1" * 64)]),
         {"data": "differs"}),
        (dataclasses.replace(BASE, closure=image("2", "2")), {"closure": "differs"}),
        (dataclasses.replace(BASE, closure=image("1", "2")), {"closure": "differs"}),
        (dataclasses.replace(BASE, closure=image("2", "1")), {}),
        (dataclasses.replace(BASE, closure=records.ClosureUsed("none", "venv")), {"closure": "unknown"}),
        (changed("seed", value=2), {"seed": "differs"}),
        (changed("seed", hash_seed="2"), {"seed": "differs"}),
        (changed("seed", applied={}), {"seed": "differs"}),
        (dataclasses.replace(BASE, numerics={"cpu.model": "B"}), {"numerics": "differs"}),
        (dataclasses.replace(BASE, environment={}), {"numerics": "differs"}),
        (dataclasses.replace(BASE, python="cpython 3.13.6"), {"numerics": "differs"}),
        (changed("entry", arguments=["--y"]), {"arguments": "differs"}),
    ],
)  # fmt: skip
def test_each_recorded_difference_lands_in_its_dimension(new, expected):
    """One changed part of the record shows in its own dimension and in no other."""
    assert states(new) == expected


def test_two_dirty_trees_cannot_be_told_apart_without_their_content():
    """Where both runs were dirty and neither was kept, the code is unknown, not the same."""
    dirty = changed("code", **DIRTY)
    assert states(dirty, dirty) == {"code": "unknown"}


def test_a_dirty_tree_is_its_snapshot():
    """A rerun at the snapshot's commit has the run's code; another snapshot, or none, is other code."""
    one, other = (records.Snapshot(letter * 40, "0" * 64, 1, 1) for letter in "cd")
    dirty = changed("code", **DIRTY, snapshot=one)
    assert states(changed("code", commit=one.commit, head=one.commit), dirty) == {}
    assert states(dirty, dirty) == {}
    assert states(changed("code", **DIRTY, snapshot=other), dirty) == {"code": "differs"}
    assert states(changed("code", **DIRTY), dirty) == {"code": "differs"}
    assert states(changed("code", commit=OTHER, head=OTHER), dirty) == {"code": "differs"}
    assert states(BASE, dirty) == {"code": "differs"}


def test_a_worktrees_path_in_the_arguments_is_the_repositorys():
    """An argument that the rerun moved into its worktree is the same argument."""
    old = changed("entry", arguments=[f"--x={ROOT}/a"])
    assert states(changed("entry", arguments=[f"--x={ROOT}/.samebits/worktrees/0123456789ab/a"]), old) == {}


SAME = Comparison(3, 1, 1, 1)
OTHERWISE = Comparison(3, 1, 0, 1, metrics=[MetricDifference("loss", 2, 0.5, 0.25)],
                       files=[Difference("m.txt", "a", "b")])  # fmt: skip
NOTHING = Comparison(0, 0, 1, 0)


def dimension(name, state):
    return Dimension(name, state, f"{name} says why")


@pytest.mark.parametrize(
    ("comparison", "found", "between", "word", "blamed"),
    [
        (SAME, [], None, "IDENTICAL", []),
        (SAME, [], SAME, "IDENTICAL", []),
        (SAME, [dimension("numerics", "differs")], None, "IDENTICAL", []),
        (SAME, [dimension("closure", "unknown")], None, "INCONCLUSIVE", ["closure"]),
        (SAME, [dimension("code", "differs"), dimension("data", "differs")], None, "INCONCLUSIVE", ["code", "data"]),
        (SAME, [], OTHERWISE, "DIFFERENT", ["nondeterminism"]),
        (NOTHING, [], None, "INCONCLUSIVE", ["results"]),
        (OTHERWISE, [], None, "DIFFERENT", ["nondeterminism (likely)"]),
        (OTHERWISE, [], OTHERWISE, "DIFFERENT", ["nondeterminism"]),
        (OTHERWISE, [], SAME, "DIFFERENT", ["unrecorded"]),
        (OTHERWISE, [dimension("numerics", "differs")], None, "DIFFERENT", ["numerics"]),
        (OTHERWISE, [dimension("seed", "differs")], OTHERWISE, "DIFFERENT", ["seed", "nondeterminism"]),
        (OTHERWISE, [dimension("data", "differs"), dimension("closure", "unknown")], None, "DIFFERENT", ["data"]),
        (OTHERWISE, [dimension("closure", "unknown")], None, "DIFFERENT", ["closure"]),
    ],
)
def test_the_verdict_claims_what_was_shown(comparison, found, between, word, blamed):
    """Word and attribution for each combination of results, dimensions and repetitions."""
    judged = verdict.judge(comparison, found, between, [])
    assert (judged.word, judged.attributed_to) == (word, blamed)
    assert judged.exit_code == {"IDENTICAL": 0, "DIFFERENT": 1, "INCONCLUSIVE": 2}[word]
    for one in found:
        assert f"{one.name} says why" in judged.sentence + "".join(judged.notes)
    assert judged.sentence.endswith(".")


def test_a_difference_is_shown_with_its_step_values_and_distance():
    """The sentence of DIFFERENT names metric, step, both values, their distance, and the files."""
    sentence = verdict.judge(OTHERWISE, [], None, []).sentence
    assert "metric 'loss' first differs at step 2: 0.5 then, 0.25 now, 4503599627370496 ulp apart" in sentence
    assert "1 file differs (m.txt)" in sentence


def test_a_refusal_gives_every_reason():
    """All refusals of a plan are in the verdict, each dimension once."""
    judged = verdict.refused([Reason("data", "gone"), Reason("data", "changed"), Reason("code", "dirty")], ["n"])
    assert (judged.exit_code, judged.attributed_to, judged.notes) == (2, ["data", "code"], ["n"])
    assert judged.sentence == "nothing was executed. data: gone; data: changed; code: dirty."
