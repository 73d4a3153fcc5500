"""Where Debian's archive is, read out of real shapes of apt's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.errors import MirrorUnknownError
from images.mirrors import aptsources, debian

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """# written by an installer
Types: deb deb-src
URIs: http://mirror.example.invalid/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example.invalid/debian-security
Suites: bookworm-security
Components:
 main
# a comment amid a stanza
 contrib

Types: deb
Enabled: no
URIs: http://disabled.example.invalid/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://sources.example.invalid/debian
Suites: trixie
Components: main
"""
ONE_LINE = """
# deb http://commented.example.invalid/debian bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example.invalid/debian trixie main # a comment
deb-src http://sources.example.invalid/debian trixie main
deb http://mirror.example.invalid/debian-security trixie-security main
deb http://old.example.invalid/debian-security buster/updates main
"""
UBUNTU = """
deb http://ubuntu.example.invalid/ubuntu noble main universe
deb http://ubuntu.example.invalid/ubuntu noble-security main
"""
THIRD_PARTIES = """
deb https://docker.example.invalid/linux/debian bookworm stable
deb https://node.example.invalid/node_20.x nodistro main
deb https://php.example.invalid/php bookworm main
"""


def machine(root: Path, **files: str) -> Path:
    """Lay out a root folder with apt's files; `sources_list` stands for sources.list and so on."""
    names = {"sources_list": "sources.list", "debian_sources": "sources.list.d/debian.sources"}
    for key, text in files.items():
        path = root / "etc/apt" / names.get(key, f"sources.list.d/{key}.list")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def put(root: Path, path: str, text: str) -> None:
    """Write one more file of the machine."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_deb822_sources(tmp_path):
    """Stanzas are read with continuation lines and comments; disabled and source-only ones do not count."""
    assert aptsources.archives(machine(tmp_path, debian_sources=DEB822)) == {
        "debian": ["http://mirror.example.invalid/debian"],
        "debian-security": ["http://security.example.invalid/debian-security"],
    }


def test_one_line_sources(tmp_path):
    """The old format, with options, comments and media that cannot be fetched from."""
    assert aptsources.archives(machine(tmp_path, sources_list=ONE_LINE)) == {
        "debian": ["http://mirror.example.invalid/debian"],
        "debian-security": [
            "http://mirror.example.invalid/debian-security",
            "http://old.example.invalid/debian-security",
        ],
    }


def test_other_vendors_archives_are_not_debians(tmp_path):
    """Ubuntu's suites are not Debian's, and third parties only count where nothing says debian."""
    assert aptsources.archives(machine(tmp_path / "a", sources_list=UBUNTU)) == {
        "debian": [],
        "debian-security": [],
    }
    both = machine(tmp_path / "b", sources_list=ONE_LINE, third=THIRD_PARTIES)
    assert aptsources.archives(both)["debian"] == ["http://mirror.example.invalid/debian"]


def test_a_company_mirror_under_another_name_is_taken(tmp_path):
    """A mirror whose path does not say debian is known by its suite and component."""
    line = "deb https://me:secret@artifacts.example.invalid/apt-remote trixie main\n"
    root = machine(tmp_path, sources_list=line)
    assert aptsources.archives(root)["debian"] == ["https://me:secret@artifacts.example.invalid/apt-remote"]
    assert debian.bases({}, root)["debian-security"] == [
        "https://me:secret@artifacts.example.invalid/apt-remote-security"
    ]


def test_a_list_of_mirrors_in_a_file_is_followed(tmp_path):
    """Cloud images name their mirrors in a file of their own; local trees are addresses too."""
    put(
        tmp_path,
        "etc/apt/mirrors/debian.list",
        "# ours\nhttp://a.example.invalid/debian\tpriority:1\n\nfile:/srv/debian\n",
    )
    root = machine(tmp_path, sources_list="deb mirror+file:/etc/apt/mirrors/debian.list trixie main\n")
    assert aptsources.archives(root)["debian"] == ["http://a.example.invalid/debian", "file:///srv/debian"]
    lost = machine(tmp_path / "b", sources_list="deb mirror+file:/etc/apt/mirrors/lost.list trixie main\n")
    assert aptsources.archives(lost)["debian"] == []


def test_the_environment_goes_first(tmp_path):
    """SAMEBITS_DEBIAN_MIRROR replaces apt's, the security archive being beside it unless named as well."""
    root = machine(tmp_path, debian_sources=DEB822)
    environ = {"SAMEBITS_DEBIAN_MIRROR": "http://ours.example.invalid/pub/debian/"}
    assert debian.bases(environ, root) == {
        "debian": ["http://ours.example.invalid/pub/debian"],
        "debian-security": ["http://ours.example.invalid/pub/debian-security"],
    }
    environ["SAMEBITS_DEBIAN_SECURITY_MIRROR"] = "http://ours.example.invalid/sec"
    assert debian.bases(environ, root)["debian-security"] == ["http://ours.example.invalid/sec"]


def test_ubuntu_falls_back_on_what_its_debian_tools_know(tmp_path):
    """Without Debian in apt's sources, python-apt's description of it or debootstrap tells the address."""
    info = (
        "Suite: sid\nBaseURI: https://tool.example.invalid/debian/\n\nSuite: x\nBaseURI: https://sec.example.invalid/\n"
    )
    with_template = machine(tmp_path / "a", sources_list=UBUNTU)
    put(with_template, "usr/share/python-apt/templates/Debian.info", info)
    assert debian.bases({}, with_template) == {
        "debian": ["https://tool.example.invalid/debian"],
        "debian-security": ["https://tool.example.invalid/debian-security"],
    }
    with_debootstrap = machine(tmp_path / "b", sources_list=UBUNTU)
    script = '#!/bin/sh\nset -e\nDEF_MIRROR="http://boot.example.invalid/debian"\nDEF_HTTPS_MIRROR="x"\n'
    put(with_debootstrap, "usr/sbin/debootstrap", script)
    assert debian.bases({}, with_debootstrap)["debian"] == ["http://boot.example.invalid/debian"]


def test_ubuntu_without_those_tools_is_told_what_to_do(tmp_path):
    """The error names the variable and the packages; Ubuntu's own debootstrap default is not Debian."""
    root = machine(tmp_path, sources_list=UBUNTU)
    put(root, "usr/sbin/debootstrap", 'DEF_MIRROR="http://boot.example.invalid/ubuntu"\n')
    with pytest.raises(MirrorUnknownError, match=r"Set SAMEBITS_DEBIAN_MIRROR .* `apt-get install debootstrap`"):
        debian.bases({}, root)


def test_apts_proxies():
    """The most specific proxy counts, DIRECT means none, and https goes through the http proxy as with apt."""
    dump = (
        'APT "";\nAcquire::http "";\nAcquire::http::Proxy "http://proxy.example.invalid:3128";\n'
        'Acquire::http::Proxy::near.example.invalid "DIRECT";\nAcquire::ftp::Proxy "http://ftp.example.invalid";\n'
    )
    found = aptsources.parse_proxies(dump)
    assert aptsources.proxy_for("http://far.example.invalid/debian", found) == "http://proxy.example.invalid:3128"
    assert aptsources.proxy_for("https://far.example.invalid/debian", found) == "http://proxy.example.invalid:3128"
    assert aptsources.proxy_for("http://near.example.invalid/debian", found) == ""
    assert aptsources.proxy_for("http://far.example.invalid/debian", {}) is None
