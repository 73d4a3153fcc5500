"""Which sources are asked, in which order, found in which configuration: with the whole command."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from images.lock.bootstrap import nar_sha256
from images.lock.lockfile import Bootstrap
from images.nixstore import recursive_path

SUPER_POM = """<project><repositories><repository>
  <id>central</id><name>Central Repository</name><url>{}</url>
</repository></repositories></project>"""


@pytest.mark.parametrize("as_address", [False, True])
def test_the_teams_cache_is_asked_before_the_mirrors(world, start_mirror, as_address):
    """SAMEBITS_CACHE, a folder or an address with sha256/<hex> files, is asked first; mirrors have the rest."""
    cached = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    other = world.maven("aws-1.0.jar", b"jar")
    cache = start_mirror()
    cache.files[f"/nix/sha256/{cached.sha256}"] = b"init" * 1000
    folder = world.folder / "team cache"
    (folder / "sha256").mkdir(parents=True)
    (folder / "sha256" / cached.sha256).write_bytes(b"init" * 1000)
    done = world.fetch(SAMEBITS_CACHE=f"{cache.url}/nix/" if as_address else str(folder))
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert world.mirror.asked(f"/debian/{cached.path}") == []
    assert len(world.mirror.asked(f"/maven2/{other.path}")) == 1
    assert bool(cache.requests) == as_address


def test_a_cache_with_other_bytes_is_passed_over(world):
    """A cache that holds something else under a hash is not believed: the mirror's file is taken."""
    pinned = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    (world.folder / "sha256").mkdir()
    (world.folder / "sha256" / pinned.sha256).write_bytes(b"evil" * 1000)
    done = world.fetch(SAMEBITS_CACHE=str(world.folder))
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents


def test_a_cache_suffices_where_no_mirror_is_configured(world):
    """An air gap: with a cache that has everything, no mirror need be known."""
    pinned = world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100, serve=False)
    (world.folder / "sha256").mkdir()
    (world.folder / "sha256" / pinned.sha256).write_bytes(b"six" * 100)
    environ = {**world.environ, "SAMEBITS_CACHE": str(world.folder)}
    del world.environ["PIP_INDEX_URL"]
    done = world.fetch(python=("-S",), SAMEBITS_CACHE=environ["SAMEBITS_CACHE"])
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents


def test_a_folder_of_wheels_is_asked_before_the_index(world):
    """PIP_FIND_LINKS: a wheel with the pinned bytes is taken from there, one with other bytes is not."""
    same = world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100)
    other = world.python("idna-3.10-py3-none-any.whl", b"idna" * 100)
    wheels = world.folder / "wheels"
    wheels.mkdir()
    (wheels / same.file).write_bytes(b"six" * 100)
    (wheels / other.file).write_bytes(b"anid" * 100)
    done = world.fetch(PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert world.mirror.asked("/simple/six/") == []
    assert len(world.mirror.asked(f"/files/{other.file}")) == 1


def test_an_extra_index_has_what_the_first_lacks(world, start_mirror):
    """PIP_EXTRA_INDEX_URL is asked for what the first index does not list."""
    pinned = world.python("ours-1.0-py3-none-any.whl", b"ours" * 10, serve=False)
    extra = start_mirror()
    listed = {"filename": pinned.file, "url": f"/w/{pinned.file}", "hashes": {"sha256": pinned.sha256}}
    extra.files["/private/simple/ours/"] = json.dumps({"files": [listed]}).encode()
    extra.files[f"/w/{pinned.file}"] = b"ours" * 10
    done = world.fetch(PIP_EXTRA_INDEX_URL=f"http://user:secret@{extra.url[7:]}/private/simple")
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert extra.asked("/private/simple/ours/")[0].headers["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert "secret" not in done.stdout + done.stderr


def test_default_registries_are_read_out_of_the_pinned_package_managers(world, deb):
    """With nothing configured and no pip at hand, the pinned .debs of pip and Maven tell the registries."""
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("org/apache/maven/model/pom-4.0.0.xml", SUPER_POM.format(f"{world.mirror.url}/maven2"))
    maven = deb(
        {"usr/share/java/maven3-model-builder-3.9.9.jar": jar.getvalue()},
        {"usr/share/java/maven3-model-builder.jar": "maven3-model-builder-3.9.9.jar"},
    )
    source = f'PyPI = PackageIndex(\n    "{world.mirror.url}/", file_storage_domain="example.invalid"\n)\n'
    pip = deb({"usr/lib/python3/dist-packages/pip/_internal/models/index.py": source.encode()})
    world.debian("libmaven3-core-java_3.9.9-1_all.deb", maven, sets=("defaults",))
    world.debian("python3-pip_25.1.1_all.deb", pip, sets=("defaults", "workspace"))
    world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100, sets=("mlflow",))
    world.maven("aws-1.0.jar", b"jar", sets=("s3a",))
    del world.environ["PIP_INDEX_URL"], world.environ["SAMEBITS_MAVEN_MIRROR"]
    done = world.fetch("--set", "mlflow", "s3a", python=("-S",))
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents


def test_without_any_configuration_the_message_says_what_to_set(world):
    """No index, no pip, no pinned pip: the error names the variables."""
    world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100)
    del world.environ["PIP_INDEX_URL"]
    done = world.fetch(python=("-S",))
    assert done.returncode == 1
    assert done.stderr == (
        "fetch: No registry is configured on this machine, and the locks pin no python3-pip, which would tell the "
        "default. Set PIP_INDEX_URL and SAMEBITS_MAVEN_MIRROR, and run the command again.\n"
    )


def test_apts_proxy_is_used_for_debian_alone(world, start_mirror):
    """Acquire::http::Proxy carries .debs; the indexes of other kinds do not go through it."""
    pinned = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000, serve=False)
    world.maven("aws-1.0.jar", b"jar")
    proxy = start_mirror()
    base = "http://debian.example.invalid/debian"
    proxy.files[f"{base}/{pinned.path}"] = b"init" * 1000
    with (world.folder / "apt.conf").open("a") as conf:
        conf.write(f'Acquire::http::Proxy "{proxy.url}";\n')
    done = world.fetch(SAMEBITS_DEBIAN_MIRROR=base)
    assert done.returncode == 0, done.stderr
    assert [request.path for request in proxy.requests] == [f"{base}/{pinned.path}"]
    assert world.stored() == world.contents


def test_the_environments_proxy_is_used_and_no_proxy_is_obeyed(world, start_mirror):
    """http_proxy carries what no_proxy does not exclude."""
    pinned = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000, serve=False)
    world.maven("aws-1.0.jar", b"jar")
    proxy = start_mirror()
    base = "http://debian.example.invalid/debian"
    proxy.files[f"{base}/{pinned.path}"] = b"init" * 1000
    login = proxy.url.replace("http://", "http://me:pass%20word@")
    done = world.fetch(SAMEBITS_DEBIAN_MIRROR=base, http_proxy=login, no_proxy="127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert [request.path for request in proxy.requests] == [f"{base}/{pinned.path}"]
    assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic bWU6cGFzcyB3b3Jk"


def test_the_bootstrap_is_unpacked_into_the_store(world, deb):
    """The executable inside the pinned .deb becomes a folder of its own in the store, under the pinned NAR hash."""
    program = b"\x7fELF busybox"
    world.debian("busybox-static_1.37.0-6_amd64.deb", deb({"usr/bin/busybox": program}), sets=("tools",))
    world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    file = "busybox-static_1.37.0-6_amd64.deb"
    pinned = nar_sha256("busybox", program)
    world.bootstrap = Bootstrap("busybox", file, "./usr/bin/busybox", pinned)
    path = recursive_path("busybox", pinned)
    assert world.fetch("--set", "base").returncode == 0
    assert world.missing(path), "it belongs to the set of its .deb"
    dry = world.fetch("--dry-run")
    assert "busybox, out of busybox-static_1.37.0-6_amd64.deb" in dry.stdout
    done = world.fetch()
    assert done.returncode == 0, done.stderr
    assert world.missing(path) == set()
    executable = world.folder / "root" / path.lstrip("/") / "busybox"
    assert executable.read_bytes() == program
    assert executable.stat().st_mode & 0o111


def test_a_bootstrap_that_is_not_the_pinned_one_never_enters_the_store(world, deb):
    """A NAR hash that the .deb's executable does not have is refused before anything is added."""
    file = "busybox-static_1.37.0-6_amd64.deb"
    world.debian(file, deb({"usr/bin/busybox": b"other"}), sets=("tools",))
    world.bootstrap = Bootstrap("busybox", file, "./usr/bin/busybox", nar_sha256("busybox", b"pinned"))
    done = world.fetch()
    assert done.returncode == 1
    assert done.stderr.startswith(
        "fetch: The ./usr/bin/busybox in busybox-static_1.37.0-6_amd64.deb is not the busybox"
    )
    assert {name.partition("-")[2] for name in world.everything_in_store()} == {file}
    assert world.leftovers == []
