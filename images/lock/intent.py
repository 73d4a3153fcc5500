"""Intents: what we want, written by hand as TOML (debian.toml, python.toml, maven.toml).

A lock answers exactly one intent, known by the sha256 of its values: comments, blank lines and the order of
keys do not count, every name and number does.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.errors import IntentError
from images.lock.lockfile import KINDS

_SET = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Intent:
    """A parsed intent: its `kind`, where it lies, its values and their checksum."""

    kind: str
    path: Path
    values: dict[str, Any]

    @property
    def checksum(self) -> str:
        """Sha256 (hex) of the values as canonical JSON: sorted keys, no spaces, UTF-8."""
        return checksum(self.values)

    def section(self, allowed: set[str], *keys: str) -> dict[str, Any]:
        """Give the table at `keys`; other keys than `allowed` in it are refused, if any are given."""
        table: Any = self.values
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else None
        where = ".".join(keys) or "the file"
        if not isinstance(table, dict):
            raise self.error(f"{where} is not a table")
        unknown = set(table) - allowed
        if allowed and unknown:
            raise self.error(f"{where} has {sorted(unknown)}, which means nothing; known are {sorted(allowed)}")
        return table

    def words(self, *keys: str) -> list[str]:
        """Give the list of strings at `keys`, empty when it is not there. Raises IntentError otherwise."""
        found = self.section(set(), *keys[:-1]).get(keys[-1], [])
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            raise self.error(f"{'.'.join(keys)} is not a list of strings")
        return found

    def word(self, *keys: str) -> str:
        """Give the string at `keys`. Raises IntentError when there is none."""
        found = self.section(set(), *keys[:-1]).get(keys[-1])
        if not isinstance(found, str) or not found:
            raise self.error(f"{'.'.join(keys)} is not a string, or missing")
        return found

    def sets(self) -> list[str]:
        """Give the names of the sets, in the order of the file. Raises IntentError when there is none."""
        names = list(self.section(set(), "sets"))
        if not names or not all(_SET.fullmatch(name) for name in names):
            raise self.error(
                "it has no [sets.NAME] tables, or one with a name other than lower-case letters and digits"
            )
        return names

    def error(self, why: str) -> IntentError:
        """Make the error that says why this intent cannot be used."""
        return IntentError(f"The intent {self.path} cannot be used: {why}. Correct the file and run the command again.")


def read(path: Path) -> Intent:
    """Read the intent at `path`, whose name says its kind. Raises IntentError."""
    kind = path.name.removesuffix(".toml")
    if kind not in KINDS:
        raise IntentError(f"{path} is not an intent: its name is not one of {', '.join(k + '.toml' for k in KINDS)}.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IntentError(f"There is no intent at {path}. Restore it with git.") from None
    except (ValueError, OSError) as error:
        raise IntentError(f"The intent {path} is not readable TOML: {error}. Correct it and run again.") from error
    intent = Intent(kind, path, values)
    try:
        intent.checksum  # noqa: B018  dates have no place in an intent, and show only here
    except (TypeError, ValueError) as error:
        raise intent.error(f"it holds a value that JSON has no word for ({error})") from error
    return intent


def checksum(values: dict[str, Any]) -> str:
    """Sha256 (hex) of `values` as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
