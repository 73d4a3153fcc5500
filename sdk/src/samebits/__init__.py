"""Samebits: record what makes a run repeatable, run it again, compare bit by bit.

`autolog()` records every MLflow run of this process; `dataset(path)` names a file the run depends on.
Importing this package loads neither MLflow nor anything else outside the standard library.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own, without the cost of importing typing
if TYPE_CHECKING:
    from samebits.session import autolog, dataset

__all__ = ["__version__", "autolog", "dataset"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the recorder at first use, so that `import samebits` stays free."""
    if name in {"autolog", "dataset"}:
        from samebits import session

        return getattr(session, name)
    raise AttributeError(f"module 'samebits' has no attribute {name!r}")
