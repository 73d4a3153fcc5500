"""Everything Samebits refuses, in one tree.

SamebitsError
├── UsageError        the command line makes no sense
├── RepositoryError   git: no repository, a commit that is gone, a worktree that cannot be made
├── ClosureError      a closure manifest that is unreadable or does not match its own ids
├── RecordError       a record that is malformed, hostile or from a newer version
├── RunError          no such run, several such runs, a run nobody recorded
├── StoreError        the tracking store cannot be reached or does not answer
├── DatasetError      a dataset that is missing or unreadable
├── SnapshotError     a dirty tree whose content is not kept, and why
└── RerunError        the repeated program itself failed, or made no run to compare

Each message is one paragraph: what happened, where, and what to do next.
"""

from __future__ import annotations


class SamebitsError(Exception):
    """Base of all errors; `exit_code` is what the command line ends with (3: no verdict was reached)."""

    exit_code = 3


class UsageError(SamebitsError):
    """The command line makes no sense."""


class RepositoryError(SamebitsError):
    """Git has no repository here, lacks a commit, or cannot make a worktree."""


class ClosureError(SamebitsError):
    """A closure manifest is unreadable, or its ids do not follow from its contents."""


class RecordError(SamebitsError):
    """A record is malformed, hostile, or from a newer version."""


class RunError(SamebitsError):
    """No such run, several such runs, or one without a record."""


class StoreError(SamebitsError):
    """The tracking store cannot be reached, or refuses."""


class DatasetError(SamebitsError):
    """A dataset is missing or unreadable."""


class SnapshotError(SamebitsError):
    """The content of a dirty tree is not kept."""


class RerunError(SamebitsError):
    """The repeated program failed, or made no run that could be compared."""
