"""Which package indexes pip is set up for, and what indexes answer."""

from __future__ import annotations

import gzip
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.connection import Client
from images.errors import CorruptError, GoneError, RefusedError
from images.mirrors import pipconfig
from images.mirrors.projectpage import IndexFile, find, parse, version_of
from images.mirrors.python import SimpleIndex, configured
from images.route import DIRECT, Route

NAMES = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc", "Zs", "Zl", "Zp"]),
    min_size=1,
).filter(lambda name: name not in (".", ".."))
DIGESTS = st.one_of(st.just(""), st.text("0123456789abcdef", min_size=64, max_size=64))
FILES = st.lists(st.tuples(NAMES, DIGESTS), max_size=5)


@settings(deadline=None)
@given(files=FILES)
def test_json_and_html_say_the_same(files):
    """The same files, in either of the index's two languages, are read alike, whatever their names."""
    url = "https://index.example.invalid/simple/x/"
    as_json = json.dumps(
        {
            "files": [
                {
                    "filename": name,
                    "url": f"../../f/{quote(name)}",
                    "hashes": {"sha256": digest} if digest else {},
                }
                for name, digest in files
            ]
        }
    )
    anchors = "".join(
        f'<a class="x" href="{html.escape(f"../../f/{quote(name)}" + (f"#sha256={digest}" if digest else ""))}">'
        f"{html.escape(name)}</a><br>\n"
        for name, digest in files
    )
    expected = [IndexFile(name, f"https://index.example.invalid/f/{quote(name)}", digest) for name, digest in files]
    assert parse(url, as_json) == expected
    for item in expected:
        assert find(url, as_json, item.file) == next(other for other in expected if other.file == item.file)
    assert find(url, as_json, "absent") is None
    assert parse(url, f"<!doctype html><html><body>{anchors}</body></html>") == expected


def test_a_pages_base_and_odd_pages():
    """<base> is honoured; JSON that is not an index page is refused; a page without links lists nothing."""
    page = '<base href="https://files.example.invalid/d/"><a href="a.whl#md5=00"> a.whl </a>'
    assert parse("http://x.invalid/a/", page) == [IndexFile("a.whl", "https://files.example.invalid/d/a.whl", "")]
    for odd in ("{", '{"files": 3}', '{"files": [{"url": "x"}]}', '{"message": "no"}'):
        with pytest.raises(RefusedError, match="is no page of a package index"):
            parse("http://x.invalid/a/", odd)
    assert parse("http://x.invalid/a/", "") == []


def test_an_index_tells_the_files_of_a_project(mirror, pin):
    """The page of a project is asked for in JSON, and tells each of its files."""
    page = '<a href="a-1.0-py3-none-any.whl">a-1.0-py3-none-any.whl</a><a href="a-2.0.tar.gz">a-2.0.tar.gz</a>'
    mirror.files["/simple/a/"] = page.encode()
    index = SimpleIndex(Client(2.0), f"{mirror.url}/simple", DIRECT)
    wheel = pin("a-1.0-py3-none-any.whl", b"x")
    assert [place.url for place in index.places(wheel)] == [f"{mirror.url}/simple/a/a-1.0-py3-none-any.whl"]
    assert index.places(pin("a-2.0.tar.gz", b"x"))
    with pytest.raises(GoneError, match="/simple/a/ does not list it"):
        index.places(pin("a-3.0.tar.gz", b"x"))
    assert index.offers(wheel) == "the index has a-1.0-py3-none-any.whl of this version now"
    assert mirror.connections == 1
    assert mirror.requests[0].headers["Accept"].startswith("application/vnd.pypi.simple.v1+json, ")


def test_one_file_is_found_in_a_page_that_names_it_elsewhere_too():
    """The object of the file itself is taken, wherever else its name stands, and however its keys are ordered."""
    wanted = {"hashes": {"sha256": "0" * 64}, "url": "w.whl", "filename": "w.whl", "core-metadata": {"a": {}}}
    decoy = {"filename": "x.whl", "url": "x.whl", "hashes": {}, "note": "w.whl"}
    page = json.dumps({"name": "w.whl", "files": [decoy, wanted], "meta": {"filename": "w.whl"}})
    assert find("http://x.invalid/a/", page, "w.whl") == IndexFile("w.whl", "http://x.invalid/a/w.whl", "0" * 64)


def test_compressed_pages_are_read(mirror, misbehave, pin):
    """A gzip answer is unpacked, and a broken one is no page."""
    page = b'<a href="a.whl">a-1.0-py3-none-any.whl</a>'
    gzipped = {"Content-Encoding": "gzip"}
    mirror.always["/a/"] = misbehave(body=gzip.compress(page), headers=gzipped)
    index = SimpleIndex(Client(2.0), mirror.url, DIRECT)
    assert index.places(pin("a-1.0-py3-none-any.whl", b"x"))


def test_a_listed_file_with_another_sha256_is_corrupt(mirror, pin):
    """What the index says about a file is compared with the lock before anything is downloaded."""
    mirror.files["/a/"] = f'<a href="a.whl#sha256={"f" * 64}">a-1.0-py3-none-any.whl</a>'.encode()
    with pytest.raises(CorruptError, match="lists it with the sha256 ffff"):
        SimpleIndex(Client(2.0), mirror.url, DIRECT).places(pin("a-1.0-py3-none-any.whl", b"x"))


def test_versions_in_file_names():
    """Wheels and sdists tell their version, other files none."""
    assert version_of("numpy-2.5.0-cp313-cp313-manylinux_2_28_x86_64.whl") == "2.5.0"
    assert version_of("x-1.0-2-py3-none-any.whl") == "1.0"
    assert version_of("presto-python-client-0.8.4.tar.gz") == "0.8.4"
    assert version_of("README") == version_of("odd.whl") == ""


def pip_settings(tmp_path, environ=None, **files):
    """Read the settings of a machine with these configuration files."""
    places = {"machine": "etc/pip.conf", "user": "home/.config/pip/pip.conf", "old": "home/.pip/pip.conf"}
    for key, text in files.items():
        path = tmp_path / places[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return pipconfig.read({"HOME": str(tmp_path / "home"), **(environ or {})}, tmp_path)


def test_pips_files_in_pips_order(tmp_path):
    """The user's file goes before the machine's, and a command's section before the global one."""
    found = pip_settings(
        tmp_path,
        machine="[global]\nindex-url = https://machine.example.invalid/simple\nproxy = proxy.invalid:1\n"
        "[install]\nextra-index-url =\n  https://a.example.invalid\n  https://b.example.invalid\n",
        old="[global]\nindex_url = https://old.example.invalid/simple\n",
        user="[global]\nindex-url = https://user.example.invalid/%(x)s/simple\ntrusted-host = user.example.invalid\n",
    )
    assert found.index == "https://user.example.invalid/%(x)s/simple"
    assert found.extra == ("https://a.example.invalid", "https://b.example.invalid")
    assert found.route(found.index) == Route(proxy="proxy.invalid:1", trusted=True)
    assert found.route(found.extra[0]).trusted is False


def test_the_environment_goes_before_files(tmp_path):
    """PIP_ and UV_ variables replace what files say; certificates come from either."""
    conf = "[global]\nindex-url = https://file.example.invalid/simple\ncert = /file.pem\n"
    environ = {"UV_DEFAULT_INDEX": "https://uv.example.invalid/simple"}
    assert pip_settings(tmp_path, environ, machine=conf).index == "https://uv.example.invalid/simple"
    environ["PIP_INDEX_URL"] = "https://env.example.invalid/simple"
    environ["PIP_CERT"] = "/env.pem"
    environ["UV_INDEX"] = "ours=https://named.example.invalid/simple https://plain.example.invalid/a?b=c"
    found = pip_settings(tmp_path, environ, machine=conf)
    assert found.index == "https://env.example.invalid/simple"
    assert found.cert == "/env.pem"
    assert found.extra == ("https://named.example.invalid/simple", "https://plain.example.invalid/a?b=c")
    assert pip_settings(tmp_path, {"REQUESTS_CA_BUNDLE": "/r.pem"}, machine="[global]\n").cert == "/r.pem"


def test_pip_config_file_adds_or_switches_off(tmp_path):
    """PIP_CONFIG_FILE names one more file, or with /dev/null none at all; broken files are passed over."""
    conf = "[global]\nindex-url = https://file.example.invalid/simple\n"
    own = tmp_path / "own.conf"
    own.write_text("[download]\nindex-url = https://own.example.invalid/simple\n")
    assert (
        pip_settings(tmp_path, {"PIP_CONFIG_FILE": str(own)}, machine=conf).index
        == "https://own.example.invalid/simple"
    )
    assert pip_settings(tmp_path, {"PIP_CONFIG_FILE": "/dev/null"}, machine=conf).index == ""
    own.write_text("index-url without a section")
    assert pip_settings(tmp_path, {"PIP_CONFIG_FILE": str(own)}).index == "https://file.example.invalid/simple"


def test_no_index_means_folders_only(tmp_path):
    """PIP_NO_INDEX leaves the folders of find-links, of which only those that exist count."""
    (tmp_path / "wheels").mkdir()
    links = f"{tmp_path}/wheels file://{tmp_path}/wheels /nonexistent https://x.example.invalid/w"
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "PIP_CONFIG_FILE": "/dev/null"}
    found = configured(Client(2.0), environ, lambda: pytest.fail("no default was to be looked for"), tmp_path)
    assert [repr(source) for source in found] == [f"WheelFolder('{tmp_path}/wheels')"] * 2


def test_an_index_in_a_folder(tmp_path, pin):
    """A file: index, as air-gapped machines have, is read like any other."""
    (tmp_path / "simple/a").mkdir(parents=True)
    (tmp_path / "simple/a/index.html").write_text('<a href="../../a-1.0.tar.gz">a-1.0.tar.gz</a>')
    index = SimpleIndex(Client(2.0), f"file://{tmp_path}/simple", DIRECT)
    assert [place.url for place in index.places(pin("a-1.0.tar.gz", b"x"))] == [f"file://{tmp_path}/a-1.0.tar.gz"]
    with pytest.raises(GoneError):
        index.places(pin("b-1.0.tar.gz", b"x"))
