"""Whether a file holds what looks like a secret: by the rules of detect-secrets, where that is installed.

Its rules for random-looking strings are left out: in a research tree these are hashes and data.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from samebits.errors import SnapshotError

LEFT_OUT = frozenset({"Base64HighEntropyString", "HexHighEntropyString"})
TEXT_BYTES = 1024 * 1024
BEGINNING = 8192


@dataclass(frozen=True)
class Suspect:
    """The first line that looks like a secret, and which kind of secret."""

    line: int
    kind: str


def find(name: str, content: bytes) -> Suspect | None:
    """The first suspect in a text file called `name`; binary files, and those above 1 MiB, are not searched.

    Raises SnapshotError where detect-secrets is not installed: unsearched, a tree is not kept.
    """
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
        from detect_secrets.core.scan import scan_file
        from detect_secrets.settings import transient_settings
    except ImportError as error:
        raise SnapshotError(
            "nothing here can search it for secrets; install detect-secrets, or enter the workspace, which has it"
        ) from error
    if len(content) > TEXT_BYTES or b"\0" in content[:BEGINNING]:
        return None
    rules = {rule.__name__ for rule in get_mapping_from_secret_type_to_class().values()} - LEFT_OUT
    with tempfile.TemporaryDirectory(prefix="samebits-") as folder:
        path = os.path.join(folder, os.path.basename(name))
        with open(path, "wb") as file:
            file.write(content.decode(errors="replace").encode())  # it looks at UTF-8 only
        with transient_settings({"plugins_used": [{"name": rule} for rule in sorted(rules)]}):
            found = [Suspect(secret.line_number, secret.type) for secret in scan_file(path)]
    return min(found, key=lambda suspect: suspect.line, default=None)
