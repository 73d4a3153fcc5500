"""python.toml to a lock: uv's own resolver on a folder of small wheels."""

import hashlib
import io
import tarfile

import pytest

from images.errors import IntentError, ResolutionError, ToolMissingError
from images.lock import intent, lockfile, python
from images.lock.uv import Uv

INTENT = """
python = "3.13"
platform = "x86_64-manylinux_2_40"
provided = ["engine==2.6.0"]
[sets.server]
packages = ["server"]
[sets.work]
on = "server"
packages = ["trainer", "Plot_Ter"]
[sets.build]
packages = ["wheelwright"]
[sets.data]
dependencies = false
packages = ["dataset"]
"""


@pytest.fixture
def wanted(tmp_path):
    """Give the intent above."""
    path = tmp_path / "python.toml"
    path.write_text(INTENT)
    return intent.read(path)


@pytest.fixture
def filled(wheels):
    """Fill the folder of wheels with what the intent needs, and give the function that adds more."""
    wheels("server", "1.0", "common>=1")
    wheels("common", "1.5")
    wheels("common", "2.0")
    wheels("trainer", "1.0", "engine>=2", "common<2")
    wheels("trainer", "2.0", "engine>=3")
    wheels("engine", "2.6.0", "gpu-driver")
    wheels("engine", "3.0")
    wheels("gpu-driver", "12")
    wheels("plot-ter", "1.0")
    wheels("wheelwright", "1.0", "common")
    wheels("dataset", "0.1", "common")
    return wheels


def resolve(wanted, keep=None, only=()):
    """Resolve silently."""
    return python.resolve(wanted, keep, only, lambda _: None)


def held(lock):
    """Say which version of what is in which sets."""
    return {(item.name, item.version): item.sets for item in lock.artifacts}


def test_sets_on_each_other_agree_and_provided_packages_stay_out(filled, wanted):
    """One resolution for server and work; what is provided bounds versions, but neither it nor its needs are locked."""
    assert held(resolve(wanted)) == {
        ("common", "1.5"): ("server",),
        ("common", "2.0"): ("build",),
        ("dataset", "0.1"): ("data",),
        ("plot-ter", "1.0"): ("work",),
        ("server", "1.0"): ("server",),
        ("trainer", "1.0"): ("work",),
        ("wheelwright", "1.0"): ("build",),
    }


def test_size_and_hash_are_the_files_own(filled, wanted, tmp_path):
    """What the lock says of a wheel is true of its bytes, and the lock can be written and read."""
    lock = resolve(wanted)
    for item in lock.artifacts:
        content = (tmp_path / "wheels" / item.file).read_bytes()
        assert (item.size, item.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    lockfile.write(tmp_path / "python.lock.json", lock)
    assert lockfile.load(tmp_path / "python.lock.json") == lock


def test_the_best_wheel_is_chosen(filled, wanted):
    """Built for the interpreter goes before pure Python, and what needs a newer glibc is left."""
    filled("server", "1.0", "common>=1", tag="cp313-cp313-manylinux_2_28_x86_64")
    filled("server", "1.0", "common>=1", tag="cp313-cp313-manylinux_2_99_x86_64")
    filled("server", "1.0", "common>=1", tag="cp312-cp312-manylinux_2_28_x86_64")
    files = [item.file for item in resolve(wanted).artifacts if item.name == "server"]
    assert files == ["server-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"]


def test_only_named_packages_come_as_source_distributions(filled, wanted, tmp_path):
    """A package is locked as its sdist if the intent says so, and one without wheels is no answer otherwise."""
    metadata = b"Metadata-Version: 2.2\nName: dataset\nVersion: 0.1\n"
    with tarfile.open(tmp_path / "wheels" / "dataset-0.1.tar.gz", "w:gz") as packed:
        for name, content in (
            ("PKG-INFO", metadata),
            ("pyproject.toml", b"[project]\nname='dataset'\nversion='0.1'\n"),
        ):
            entry = tarfile.TarInfo(f"dataset-0.1/{name}")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    wanted.values["sources"] = ["dataset"]
    assert "dataset-0.1.tar.gz" in [item.file for item in resolve(wanted).artifacts]
    (tmp_path / "wheels" / "dataset-0.1-py3-none-any.whl").unlink()
    wanted.values["sources"] = []
    with pytest.raises(ResolutionError, match="dataset"):
        resolve(wanted)


def test_only_keeps_every_other_version_and_file(filled, wanted):
    """Newer versions of others, and better wheels of the same version, wait for a whole refresh."""
    before = resolve(wanted)
    filled("plot-ter", "2.0")
    filled("server", "2.0")
    filled("trainer", "1.0", "engine>=2", "common<2", tag="cp313-cp313-manylinux_2_28_x86_64")
    after = {item.name: item.file for item in resolve(wanted, before, {"plot-ter"}).artifacts}
    assert after["plot-ter"] == "plot_ter-2.0-py3-none-any.whl"
    assert after["server"] == "server-1.0-py3-none-any.whl"
    assert after["trainer"] == "trainer-1.0-py3-none-any.whl"
    whole = {item.name: item.file for item in resolve(wanted).artifacts}
    assert whole["server"] == "server-2.0-py3-none-any.whl"
    assert whole["trainer"] == "trainer-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"


def test_only_fails_when_the_others_cannot_stay(filled, wanted):
    """A new version that needs another one moved is an error that speaks of --only."""
    before = resolve(wanted)
    wanted.values["sets"]["work"]["packages"].append("needy")
    filled("needy", "1", "common>1.6")
    with pytest.raises(ResolutionError, match="--only"):
        resolve(wanted, before, {"needy"})


def test_no_answer_gives_uvs_reasons(filled, wanted):
    """What cannot be resolved is said in uv's words."""
    wanted.values["sets"]["build"]["packages"].append("no-such-thing")
    with pytest.raises(ResolutionError, match="no-such-thing"):
        resolve(wanted)


def test_a_package_only_for_other_machines_is_refused(filled, wanted):
    """A release without a file that fits is an error, not a gap in the lock."""
    wanted.values["sets"]["data"]["packages"] = ["foreign"]
    filled("foreign", "1", tag="cp313-cp313-win_amd64")
    with pytest.raises(ResolutionError, match="foreign"):
        resolve(wanted)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"3.13"', '"three"', "three"),
        ("manylinux_2_40", "musllinux_1_2", "musllinux"),
        ('on = "server"', 'on = "attic"', "attic"),
        ("provided", "supplied", "supplied"),
        ("[sets.data]\ndependencies", "[sets.data]\ndependency", "dependency"),
    ],
)
def test_a_wrong_python_intent_says_what_is_wrong_with_it(tmp_path, old, new, complaint):
    """Each mistake is named before uv is asked anything."""
    path = tmp_path / "python.toml"
    path.write_text(INTENT.replace(old, new))
    with pytest.raises(IntentError, match=complaint):
        resolve(intent.read(path))


def test_a_machine_without_uv_is_told_so(monkeypatch, tmp_path):
    """uv is needed, and the error says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    with pytest.raises(ToolMissingError, match="pip install uv"):
        Uv(tmp_path, "3.13", "x86_64-manylinux_2_40", [])


def index_page(files, *, sizes=True, hashes=True):
    """Write a project's page as a simple index does, in HTML."""
    lines = []
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f'<a href="{path.name}{f"#sha256={digest}" if hashes else ""}">{path.name}</a>')
    return "<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>"


@pytest.fixture
def index(wheels, serve, tmp_path, monkeypatch):
    """Give a function that serves one wheel by an index without sizes, with or without hashes, set up in pip.conf."""

    def start(*, hashes):
        folder = tmp_path / "simple" / "lonely"
        folder.mkdir(parents=True)
        wheel = wheels("lonely", "1.0").rename(folder / "lonely-1.0-py3-none-any.whl")
        (folder / "index.html").write_text(index_page([wheel], hashes=hashes))
        config = tmp_path / "pip.conf"
        config.write_text(f"[global]\nindex-url = {serve(tmp_path / 'simple')}\n")
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
        path = tmp_path / "python.toml"
        path.write_text('python = "3.13"\nplatform = "x86_64-manylinux_2_40"\n[sets.one]\npackages = ["lonely"]\n')
        return intent.read(path), wheel

    return start


def test_pips_index_is_asked_and_sizes_come_from_the_server(index):
    """uv does not read pip's configuration by itself, and a plain HTML index tells no sizes: both are made up for."""
    wanted, wheel = index(hashes=True)
    (item,) = resolve(wanted).artifacts
    assert item.size == wheel.stat().st_size


def test_the_lock_holds_no_address(index):
    """Nothing of the index's address gets into the text of the lock."""
    wanted, _ = index(hashes=True)
    text = lockfile.render(resolve(wanted))
    assert "127.0.0.1" not in text
    assert "://" not in text


def test_an_index_without_hashes_gives_no_unchecked_lock(index):
    """Without a hash from the index there is either a true one, made from the file itself, or an error."""
    wanted, wheel = index(hashes=False)
    try:
        (item,) = resolve(wanted).artifacts
    except ResolutionError as error:
        assert "sha256" in str(error)
    else:
        assert item.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
