"""Comparing what two runs left: which bits count, and that exactly the printed exclusions do not."""

import io
import math
import pickle
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samebits.rerun import compare, content
from samebits.store import Outputs

ROOT = "/home/ana/project"
WORKTREE = f"{ROOT}/.samebits/worktrees/0123456789ab"
HISTORY = st.lists(st.tuples(st.integers(0, 5), st.floats()), max_size=8)


def outputs(metrics=None, params=None, files=None):
    return Outputs(metrics or {}, params or {}, files or {})


def differences(old, new, **rest):
    return compare.compare(outputs({"loss": old}, **rest), outputs({"loss": new}, **rest), ROOT)


@given(HISTORY)
def test_a_history_agrees_with_itself(history):
    """NaN, infinities and signed zeros agree with themselves, in any order of logging."""
    assert differences(history, history[::-1]).identical


@given(HISTORY.filter(bool), st.data())
def test_any_other_bit_differs(history, data):
    """Replacing one value by a neighbouring one is found, at its step."""
    index = data.draw(st.integers(0, len(history) - 1))
    step, value = history[index]
    other = math.nextafter(value, math.inf) if value != math.inf and not math.isnan(value) else 0.0
    if any(s == step and v in {other, value} for i, (s, v) in enumerate(history) if i != index):
        return  # a step that still has, or already had, both values
    changed = [*history[:index], (step, other), *history[index + 1 :]]
    (found,) = differences(history, changed).metrics
    assert (found.key, found.step) == ("loss", step)


def test_the_first_difference_is_by_step_and_shows_both_values():
    """Steps count, not the order or time of logging, and a step that one run lacks shows as None."""
    found = differences([(2, 0.5), (0, 1.0), (1, 0.25)], [(0, 1.0), (1, math.nextafter(0.25, 1)), (2, 0.75)])
    (metric,) = found.metrics
    assert (metric.step, metric.old, metric.ulps) == (1, 0.25, 1)
    (metric,) = differences([(0, 1.0), (1, 2.0)], [(0, 1.0)]).metrics
    assert (metric.step, metric.old, metric.new, metric.ulps) == (1, 2.0, None, None)
    (metric,) = compare.compare(outputs({"only": [(3, 1.0)]}), outputs(), ROOT).metrics
    assert (metric.key, metric.step, metric.new) == ("only", 3, None)


def test_signed_zeros_differ_and_repeats_do_not():
    """-0.0 is not 0.0; a value that MLflow kept once instead of twice is the same."""
    assert not differences([(0, 0.0)], [(0, -0.0)]).identical
    assert differences([(0, 1.0), (0, 1.0)], [(0, 1.0)]).identical


def test_measurements_of_the_machine_are_left_out():
    """system/* metrics and our own files do not count, anything else of a similar name does."""
    old = outputs(
        {"system/cpu": [(0, 1.0)], "mean_fit_time": [(0, 1.0)]},
        files={"samebits/record.json": content.Content("a", 1, "a")},
    )
    assert compare.compare(old, outputs(), ROOT).identical
    assert not compare.compare(outputs({"systems": [(0, 1.0)]}), outputs(), ROOT).identical
    other = outputs(files={"samebits.txt": content.Content("a", 1, "a")})
    assert not compare.compare(other, outputs(), ROOT).identical


def test_params_differ_but_for_addresses_and_worktrees():
    """A printed object's address and the worktree's path are the same param; another value is not."""
    old = outputs(params={"f": "<function f at 0x7f01>", "path": f"{ROOT}/x", "n": "1"})
    new = outputs(params={"f": "<function f at 0x7f02>", "path": f"{WORKTREE}/x", "n": "2"})
    assert [one.name for one in compare.compare(old, new, ROOT).params] == ["n"]


def test_nothing_to_compare_is_told_from_nothing_different():
    """Params alone are inputs: agreeing on them is no result."""
    assert not compare.compare(outputs(params={"n": "1"}), outputs(params={"n": "1"}), ROOT).compared_results


def measured(path, data):
    path.write_bytes(data)
    return content.measure(path, ROOT)


MODEL = """\
artifact_path: {place}/artifacts
flavors:
  sklearn:
    run_id: kept because nested
mlflow_version: 3.17.2
model_id: {ids}
model_uuid: {ids}
run_id: {ids}
utc_time_created: '{time}'
"""


def test_an_mlmodel_counts_but_for_what_names_its_run(tmp_path):
    """Two MLmodel files of two runs agree; one other line, also a nested one of an excluded name, differs."""
    one = MODEL.format(place="/a", ids="m-1", time="2026-01-01")
    two = MODEL.format(place="/b", ids="m-2", time="2026-01-02")
    first, second = measured(tmp_path / "MLmodel", one.encode()), measured(tmp_path / "MLmodel", two.encode())
    assert first.stable == second.stable
    assert first.sha256 != second.sha256
    for old, new in (("3.17.2", "3.17.3"), ("kept because nested", "changed")):
        assert measured(tmp_path / "MLmodel", one.replace(old, new).encode()).stable != first.stable


def test_an_excluded_key_takes_its_continuation_lines_along():
    """YAML folds long values: what belongs to an excluded key goes with it, the next key stays."""
    assert content.stable_model(b"run_id: a\n  b\nflavors: {}\n") == b"flavors: {}\n"


@given(st.binary(max_size=200), st.binary(max_size=20))
@example(b"PK\x03\x04", b"")
@example(b"\x80\x04", b".")
def test_other_files_count_byte_for_byte(tmp_path_factory, before, after):
    """A file is equal only to itself, except that a worktree's path stands for the repository's."""
    folder = tmp_path_factory.mktemp("files")
    home, away = (before + place.encode() + b"/x" + after for place in (ROOT, WORKTREE))
    first, second = measured(folder / "a", home), measured(folder / "b", away)
    assert first.stable == second.stable
    assert first.sha256 != second.sha256
    assert measured(folder / "c", home + b"!").stable != first.stable


def test_a_searchs_table_counts_but_for_its_times(tmp_path):
    """cv_results.csv agrees whatever time it took; another score, a row more, or a broken table differs."""
    table = "params,mean_fit_time,mean_test_score\n\"{'C': 1}\",0.5,0.9\n"
    first = measured(tmp_path / "cv_results.csv", table.encode())
    assert measured(tmp_path / "cv_results.csv", table.replace("0.5", "0.6").encode()).stable == first.stable
    for other in (table.replace("0.9", "0.8"), table + table.splitlines()[1] + "\n", table + "x\n", "\xff"):
        assert measured(tmp_path / "cv_results.csv", other.encode("latin-1")).stable != first.stable
    assert measured(tmp_path / "other.csv", table.replace("0.5", "0.6").encode()).stable != \
        measured(tmp_path / "other.csv", table.encode()).stable  # fmt: skip


def test_a_searchs_picture_is_left_out_and_no_other(tmp_path):
    """estimator.html does not count where it shows a search's times; any other estimator's counts whole."""
    pictures = [f"<td>refit_time_</td><td>{time}</td>".encode() for time in (0.1, 0.2)]
    first, second = (measured(tmp_path / "estimator.html", data) for data in pictures)
    assert first.stable == second.stable
    first, second = (measured(tmp_path / "estimator.html", data[20:]) for data in pictures)
    assert first.stable != second.stable
    first, second = (measured(tmp_path / "estimator.html", place.encode()) for place in (ROOT, WORKTREE))
    assert first.stable == second.stable


def torch_archive(path, data, serial, tensor=b"\x01\x02"):
    """What torch.save writes, but for the tensors' meaning: a stored zip with a pickle inside."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("model/data.pkl", pickle.dumps(data, protocol=2))
        archive.writestr("model/data/0", tensor)
        archive.writestr("model/version", "3\n")
        archive.writestr("model/.data/serialization_id", serial)
    return content.measure(path, ROOT)


def test_torch_archives_agree_by_members_but_for_the_worktree(tmp_path):
    """Paths of different length and the hash over the members do not count; a tensor's bit and a weight's name do."""
    state = {"dirpath": f"{ROOT}/checkpoints", "weight": 0.5}
    first = torch_archive(tmp_path / "a.pth", state, "1")
    second = torch_archive(tmp_path / "a.pth", state | {"dirpath": f"{WORKTREE}/checkpoints"}, "2")
    assert first.stable == second.stable
    assert first.sha256 != second.sha256
    assert torch_archive(tmp_path / "a.pth", state, "1", b"\x01\x03").stable != first.stable
    assert torch_archive(tmp_path / "a.pth", state | {"weight": 0.25}, "1").stable != first.stable
    assert torch_archive(tmp_path / "a.pth", state | {"dirpath": "/elsewhere"}, "1").stable != first.stable


def test_other_zip_files_count_byte_for_byte(tmp_path):
    """A zip that torch did not write, or a damaged one, is compared as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes.txt", "hello")
    for data in (buffer.getvalue(), buffer.getvalue()[:-5]):
        found = measured(tmp_path / "a.zip", data)
        assert found.stable == found.sha256


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_agree_but_for_random_class_ids(tmp_path, protocol):
    """cloudpickle's ids of classes of the main program do not count; without such a class, the same text does."""
    ids = ["a9917d6993074b72b6727bdea72df2e3", "673843e3098d4dc69bd8b8955b4b5654"]
    for marker, same in (("_make_skeleton_class", True), ("anything else", False)):
        found = [measured(tmp_path / "m.pkl", pickle.dumps([marker, one, 3], protocol=protocol)) for one in ids]
        assert (found[0].stable == found[1].stable) is same
    other = measured(tmp_path / "m.pkl", pickle.dumps(["_make_skeleton_class", ids[0], 4], protocol=protocol))
    assert other.stable != measured(
        tmp_path / "m.pkl", pickle.dumps(["_make_skeleton_class", ids[0], 3], protocol=protocol)).stable  # fmt: skip


@given(st.binary(max_size=300))
def test_looking_at_a_file_never_fails(tmp_path_factory, data):
    """Anything that begins like a pickle or an archive and is none is compared as bytes, without an error."""
    path = tmp_path_factory.mktemp("files") / "file"
    for start in (b"\x80\x04_make_skeleton_class", b"PK\x03\x04", b""):
        path.write_bytes(start + data)
        assert content.measure(path, ROOT).size == len(start + data)
