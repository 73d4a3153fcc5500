"""Every error the image tooling raises on purpose.

    SamebitsImageError
    ├── FetchError             pinned files could not all be brought into the Nix store
    │   ├── DiskFullError      no room for them
    │   ├── FetchStoppedError  somebody asked the fetch to stop
    │   ├── FilesMissingError  some could not be had from any source
    │   ├── StoreUnusableError the Nix store refuses to be read or written
    │   └── TransferError      one attempt to read an address failed
    │       ├── CorruptError   what came is not what the lock pins
    │       ├── GoneError      the mirror says that it does not have it
    │       ├── PassingError   trying again may help
    │       └── RefusedError   trying again will not help
    ├── IntentError            an intent (images/lock/*.toml) cannot be understood
    ├── LockError              a lock file cannot be used
    │   ├── LockMissingError   it is not there
    │   ├── LockInvalidError   it is malformed, hostile, or of another format version
    │   └── LockStaleError     it answers another intent than the one beside it
    ├── MirrorUnknownError     this machine's configuration names no mirror for an archive
    ├── ResolutionError        a resolver (apt, uv, Maven) gave no answer, or one we refuse
    └── ToolMissingError       a program that has to be installed is not

A message is one paragraph: what is wrong, where, and what to do next.
Standard library only, Python 3.9 or newer.
"""


class SamebitsImageError(Exception):
    """Base of all of them: a command line prints it and exits with 1, without a traceback."""


class IntentError(SamebitsImageError):
    """An intent cannot be understood."""


class LockError(SamebitsImageError):
    """A lock file cannot be used."""


class LockMissingError(LockError):
    """The lock file is not there."""


class LockInvalidError(LockError):
    """The lock file is malformed, hostile, or of another format version."""


class LockStaleError(LockError):
    """The lock file answers another intent than the one beside it."""


class MirrorUnknownError(SamebitsImageError):
    """An archive has no mirror in this machine's configuration."""


class ResolutionError(SamebitsImageError):
    """A resolver gave no answer, or an answer that a lock must not hold."""


class ToolMissingError(SamebitsImageError):
    """A program that has to be installed is not on this machine."""


class FetchError(SamebitsImageError):
    """Pinned files could not all be brought into the Nix store."""


class DiskFullError(FetchError):
    """There is no room for the files."""


class FetchStoppedError(FetchError):
    """Somebody asked the fetch to stop."""


class FilesMissingError(FetchError):
    """Some files could not be had from any source."""


class StoreUnusableError(FetchError):
    """The Nix store refuses to be read or written."""


class TransferError(FetchError):
    """One attempt to read an address failed; the message is a clause, which the final message quotes."""


class CorruptError(TransferError):
    """What came is not what the lock pins."""


class GoneError(TransferError):
    """The mirror says that it does not have the file."""


class PassingError(TransferError):
    """Trying again may help.

    `wait`: how many seconds the server asked for, or 0. `advanced`: the try got further than the last.
    """

    def __init__(self, message: str, wait: float = 0.0, *, advanced: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.advanced = advanced


class RefusedError(TransferError):
    """Trying again will not help."""
