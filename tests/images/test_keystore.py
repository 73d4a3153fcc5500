"""Java's keystore without the moment of its making: on keystores that the test writes byte by byte."""

import hashlib
import importlib.util
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[2] / "images/nix/keystore.py"
FIXED = 1735689600_000


def load():
    spec = importlib.util.spec_from_file_location("keystore_rewriter", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rewrite = load().rewrite


def jks(entries, magic=0xFEEDFEED, tag=2):
    """A keystore as sun.security.provider.JavaKeyStore writes it: (alias, milliseconds, certificate) each."""
    body = struct.pack(">III", magic, 2, len(entries))
    for alias, moment, certificate in entries:
        name = alias.encode()
        body += struct.pack(">IH", tag, len(name)) + name + struct.pack(">Q", moment)
        body += struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate
    password = "changeit".encode("utf-16-be")
    return body + hashlib.sha1(password + b"Mighty Aphrodite" + body).digest()  # noqa: S324


stores = st.dictionaries(st.text(max_size=20).filter(lambda s: "\0" not in s), st.binary(max_size=50), max_size=6)


@given(stores, st.randoms(), st.integers(0, 2**63))
def test_only_the_certificates_count(certificates, random, moment):
    """Order and dates leave no trace; aliases, certificates and the check sum are kept."""
    entries = [(alias, moment, content) for alias, content in certificates.items()]
    random.shuffle(entries)
    wanted = jks(sorted(((a, FIXED, c) for a, c in certificates.items()), key=lambda e: e[0].encode()))
    assert rewrite(jks(entries)) == wanted
    assert rewrite(wanted) == wanted


def test_another_certificate_gives_other_bytes():
    """The rewriting does not make all keystores alike."""
    assert rewrite(jks([("a", 1, b"one")])) != rewrite(jks([("a", 1, b"two")]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (jks([("a", 1, b"c")], magic=0x30820101), "not in the JKS format"),
        (jks([("a", 1, b"c")], tag=1), "private key"),
    ],
)
def test_what_it_does_not_know_is_refused(data, words):
    """PKCS#12 stores and private keys stop the build with a sentence."""
    with pytest.raises(SystemExit, match=words):
        rewrite(data)
