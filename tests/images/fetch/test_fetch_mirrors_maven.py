"""Where Maven's central repository is, read out of settings.xml; what defaults the package managers tell."""

from __future__ import annotations

import pytest

from images import debfile
from images.connection import Client
from images.errors import CorruptError, MirrorUnknownError
from images.mirrors import defaults, maven
from images.route import Route

SETTINGS = """<settings xmlns="http://settings.example.invalid/1.0.0">
  <proxies><proxy><active>{active}</active><host>proxy.example.invalid</host><port>3128</port>
    <nonProxyHosts>*.inside.example.invalid|localhost</nonProxyHosts></proxy></proxies>
  <servers><server><id>ours</id><username>me</username><password>${{env.MAVEN_PASSWORD}}</password></server></servers>
  <mirrors>
    <mirror><id>block</id><mirrorOf>*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror>
    <mirror><id>pattern</id><mirrorOf>external:*</mirrorOf><url>https://pattern.example.invalid/m2</url></mirror>
    <mirror><id>ours</id><mirrorOf>{of}</mirrorOf><url>https://m2.inside.example.invalid/central</url></mirror>
  </mirrors>
</settings>"""


def home(tmp_path, text: str) -> dict[str, str]:
    """Write these settings for a user; give its environment."""
    (tmp_path / ".m2").mkdir(exist_ok=True)
    (tmp_path / ".m2/settings.xml").write_text(text)
    return {"HOME": str(tmp_path), "MAVEN_PASSWORD": "pass word"}


def test_a_mirror_of_exactly_central_goes_first(tmp_path):
    """As with Maven: the exact name before patterns, blocked never; its server's login and proxy apply."""
    environ = home(tmp_path, SETTINGS.format(of="central", active="true"))
    expected = Route(proxy="", user="me", password="pass word")  # noqa: S106  nonProxyHosts says: none
    assert maven.from_settings(environ, tmp_path) == ("https://m2.inside.example.invalid/central", expected)


def test_patterns_and_proxies(tmp_path):
    """A pattern that covers central is taken when none is exact, through the active proxy."""
    environ = home(tmp_path, SETTINGS.format(of="other", active="true"))
    proxied = Route(proxy="http://proxy.example.invalid:3128")
    assert maven.from_settings(environ, tmp_path) == ("https://pattern.example.invalid/m2", proxied)
    environ = home(tmp_path, SETTINGS.format(of="other", active="false"))
    assert maven.from_settings(environ, tmp_path) == ("https://pattern.example.invalid/m2", Route())


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        ("*", True),
        ("central", True),
        ("external:*", True),
        ("a, central", True),
        ("*,!a", True),
        ("*,!central", False),
        ("external:http:*", False),
        ("a,b", False),
        ("", False),
    ],
)
def test_mirror_of(pattern, covers):
    """Which patterns of mirrorOf mean the central repository."""
    assert maven.mirrors_central(pattern) is covers


def test_broken_settings_are_passed_over(tmp_path):
    """Settings that are no XML, or are not there, leave the default."""
    assert maven.from_settings(home(tmp_path, "<settings"), tmp_path) == ("", Route())
    found = maven.configured(Client(1.0), {"HOME": "/nonexistent"}, lambda: "https://default.invalid/m2/", tmp_path)
    assert [repr(source) for source in found] == ["MavenRepository('https://default.invalid/m2')"]


def test_debs_that_tell_no_default_are_an_error_that_names_the_variable(tmp_path, deb):
    """A pip or Maven of another shape is not guessed about."""
    path = tmp_path / "x.deb"
    path.write_bytes(deb({"usr/share/java/maven3-model-builder.jar": b"no zip"}))
    with pytest.raises(MirrorUnknownError, match="Set PIP_INDEX_URL"):
        defaults.index_of_pip_deb(path)
    with pytest.raises(MirrorUnknownError, match="Set SAMEBITS_MAVEN_MIRROR"):
        defaults.repository_of_maven_deb(path)


def test_members_of_a_deb(tmp_path, deb):
    """Files are found with and without ./, through relative and absolute links, and loops end."""
    links = {"a/relative": "../b/file", "a/absolute": "/b/file", "loop": "loop"}
    path = tmp_path / "x.deb"
    path.write_bytes(deb({"b/file": b"content"}, links))
    for name in ("b/file", "./b/file", "a/relative", "./a/absolute"):
        assert debfile.read_member(path, name) == b"content"
    with pytest.raises(CorruptError, match="lacks b/other"):
        debfile.read_member(path, "b/other")
    with pytest.raises(CorruptError, match="links that lead nowhere"):
        debfile.read_member(path, "loop")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"!<arch>\n", b"!<arch>\n" + b"data.tar.xz".ljust(60) + b"no xz"])
def test_what_is_no_deb_is_corrupt(tmp_path, content):
    """Any other file is refused with its name, and no foreign exception leaks."""
    path = tmp_path / "x.deb"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"x\.deb cannot be read as a \.deb"):
        debfile.read_member(path, "a")
