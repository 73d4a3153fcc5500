"""maven.toml to a lock. Maven itself is the seam: a stand-in on PATH that answers as Maven's plugin does.

Maven downloads its own plugins first, so that the real one cannot run without the network.
"""

import hashlib
import os
import stat
from xml.etree import ElementTree as ET

import pytest

from images.errors import IntentError, ResolutionError, ToolMissingError
from images.lock import intent, maven

INTENT = """
[beside]
package = "sparky"
jar = "hadoop-client-api"
[sets.s3a]
packages = ["org.example:storage"]
"""
SHIPPED = ["sparky-4/jars/hadoop-client-api-3.5.0.jar", "sparky-4/jars/slf4j-api-2.0.17.jar", "sparky-4/README"]

# Writes what it was asked into seen/, puts three jars into the private repository, and lists them.
STAND_IN = """#!/bin/sh
set -e
mkdir -p {seen}
printf '%s\\n' "$@" > {seen}/arguments
for word in "$@"; do case "$word" in
  -Dmaven.repo.local=*) repository="${{word#*=}}" ;;
  -DoutputFile=*) output="${{word#*=}}" ;;
  */settings.xml) cp "$word" {seen}/settings.xml ;;
  */pom.xml) cp "$word" {seen}/pom.xml ;;
esac; done
{body}
"""
ANSWER = """
add() {
  mkdir -p "$repository/$2"; printf '%s' "$1" > "$repository/$2/$3"
  echo "   $1:$repository/$2/$3$4" >> "$output"
}
echo >> "$output"
echo "The following files have been resolved:" >> "$output"
add org.example:storage:jar:3.5.0:compile org/example/storage/3.5.0 storage-3.5.0.jar ' -- module storage (auto)'
add software.example:bundle:jar:2.35.4:runtime software/example/bundle/2.35.4 bundle-2.35.4.jar ''
add org.slf4j:slf4j-api:jar:2.0.1:compile org/slf4j/slf4j-api/2.0.1 slf4j-api-2.0.1.jar ''
add org.example:native:jar:linux-x86_64:1.0:runtime org/example/native/1.0 native-1.0-linux-x86_64.jar ''
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Give a function that puts a stand-in for mvn with this body on PATH; give the folder of what it has seen."""
    monkeypatch.delenv("SAMEBITS_MAVEN_MIRROR", raising=False)

    def place(body):
        folder, seen = tmp_path / "bin", tmp_path / "seen"
        folder.mkdir()
        program = folder / "mvn"
        program.write_text(STAND_IN.format(seen=seen, body=body))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return seen

    return place


@pytest.fixture
def wanted(tmp_path):
    """Give the intent above."""
    path = tmp_path / "maven.toml"
    path.write_text(INTENT)
    return intent.read(path)


def resolve(wanted, shipped=SHIPPED):
    """Resolve silently."""
    return maven.resolve(wanted, "0" * 64, shipped, lambda _: None)


def test_jars_that_are_shipped_already_are_left_out(stand_in, wanted):
    """What Maven resolves becomes the lock, less what the package beside it has in any version."""
    stand_in(ANSWER)
    found = {item.name: (item.version, item.path, item.sets) for item in resolve(wanted).artifacts}
    assert found == {
        "org.example:native": ("1.0", "org/example/native/1.0/native-1.0-linux-x86_64.jar", ("s3a",)),
        "org.example:storage": ("3.5.0", "org/example/storage/3.5.0/storage-3.5.0.jar", ("s3a",)),
        "software.example:bundle": ("2.35.4", "software/example/bundle/2.35.4/bundle-2.35.4.jar", ("s3a",)),
    }


def test_sizes_and_hashes_are_those_of_mavens_files(stand_in, wanted):
    """Maven's repository knows no sha256: it is computed from what Maven downloaded and checked."""
    stand_in(ANSWER)
    item = resolve(wanted).artifacts[1]
    content = b"org.example:storage:jar:3.5.0:compile"
    assert (item.size, item.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_version_asked_for_is_that_of_the_shipped_jar(stand_in, wanted):
    """The pom names the package with the version of the jar that it goes beside."""
    seen = stand_in(ANSWER)
    resolve(wanted)
    pom = ET.parse(seen / "pom.xml")
    dependency = {item.tag: item.text for item in pom.getroot().find("dependencies/dependency")}
    assert dependency == {"groupId": "org.example", "artifactId": "storage", "version": "3.5.0"}


def test_maven_is_told_to_fail_on_checksums_and_to_keep_to_itself(stand_in, wanted):
    """Checksums are strict, and neither the user's repository nor the plugin's version is left to chance."""
    seen = stand_in(ANSWER)
    resolve(wanted)
    arguments = (seen / "arguments").read_text().split("\n")
    assert "--strict-checksums" in arguments
    assert any(word.startswith("-Dmaven.repo.local=") for word in arguments)
    assert any(word.startswith("org.apache.maven.plugins:maven-dependency-plugin:3.") for word in arguments)
    assert "--settings" not in arguments


def test_a_named_mirror_is_used_for_everything(stand_in, wanted, monkeypatch):
    """SAMEBITS_MAVEN_MIRROR means for the lock what it means for the fetch."""
    seen = stand_in(ANSWER)
    monkeypatch.setenv("SAMEBITS_MAVEN_MIRROR", "https://mirror.example.invalid/maven?a=1&b=2")
    resolve(wanted)
    settings = ET.parse(seen / "settings.xml")
    mirror = {item.tag: item.text for item in settings.getroot().find("mirrors/mirror")}
    assert (mirror["mirrorOf"], mirror["url"]) == ("*", "https://mirror.example.invalid/maven?a=1&b=2")


def test_mavens_complaint_is_passed_on_without_addresses(stand_in, wanted):
    """A failure says why in Maven's words, less where the repository is."""
    stand_in(
        "echo '[ERROR] Could not transfer a:b:jar:1 from/to central (https://repository.example.invalid/x)'; exit 1"
    )
    with pytest.raises(ResolutionError, match="Could not transfer a:b:jar:1") as caught:
        resolve(wanted)
    assert "example.invalid" not in str(caught.value)


def test_an_answer_that_cannot_be_read_is_an_error(stand_in, wanted):
    """No list, or a list with nothing in it, is not taken for a lock without jars."""
    stand_in("true")
    with pytest.raises(ResolutionError, match="Maven"):
        resolve(wanted)


def test_a_list_with_nothing_in_it_is_an_error(stand_in, wanted):
    """Maven says nothing was resolved, although something was asked for."""
    stand_in('echo "   none" > "$output"')
    with pytest.raises(ResolutionError, match="Maven"):
        resolve(wanted)


def test_a_machine_without_maven_is_told_so(wanted, monkeypatch, tmp_path):
    """mvn is needed, and the error says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install maven"):
        resolve(wanted)


def test_a_package_without_the_named_jar_is_an_intent_error(wanted):
    """There is no version to ask for when the jar that tells it is not shipped."""
    with pytest.raises(IntentError, match="hadoop-client-api"):
        resolve(wanted, ["sparky-4/jars/slf4j-api-2.0.17.jar"])
