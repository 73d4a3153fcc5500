"""What could not be fetched, in words: which files, what the mirrors have now, how to relock.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from images.errors import GoneError, TransferError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from images.delivery import Failure
    from images.download import Source

_MOST_TOLD = 10
_MOST_NAMED = 3


def explain(failures: Sequence[Failure], sources: Mapping[str, Sequence[Source]]) -> str:
    """Give the paragraph about files that could not be had, and what the mirrors have in their stead."""
    gone = [failure for failure in failures if isinstance(failure.error, GoneError)]
    other: dict[str, list[str]] = {}
    for failure in failures:
        if not isinstance(failure.error, GoneError):
            other.setdefault(str(failure.error), []).append(failure.wanted.artifact.file)
    sentences = []
    if gone:
        told = [_tell(failure, sources[failure.wanted.kind]) for failure in gone[:_MOST_TOLD]]
        names = sorted({failure.wanted.artifact.name for failure in gone[:_MOST_TOLD]})
        only = names[0] if len(names) == 1 else f'"{" ".join(names)}"'
        sentences.append(
            f"Gone from every source that this machine knows: {'; '.join(told)}{_more(gone, _MOST_TOLD)}. "
            f"Mirrors drop what is superseded: relock with `make lock ONLY={only}`, or set SAMEBITS_CACHE to "
            "a cache that still has it."
        )
    for reason, files in list(other.items())[:_MOST_TOLD]:
        named = ", ".join(files[:_MOST_NAMED]) + _more(files, _MOST_NAMED)
        sentences.append(f"Could not be fetched: {named}: {reason}.")
    if len(other) > _MOST_TOLD:
        sentences.append(f"{len(other) - _MOST_TOLD} more could not be fetched for other reasons.")
    sentences.append(f"The other files are in the store; the same command then fetches the {len(failures)} missing.")
    return " ".join(sentences)


def _tell(failure: Failure, sources: Sequence[Source]) -> str:
    artifact = failure.wanted.artifact
    for source in sources:
        with contextlib.suppress(TransferError):
            offers = source.offers(artifact)
            if offers:
                return f"{artifact.file} ({offers})"
    return f"{artifact.file} ({failure.error})"


def _more(items: Sequence[object], told: int) -> str:
    return f" and {len(items) - told} more" if len(items) > told else ""
