"""One file at a time: resuming, checking, trying again; against a real server on this machine."""

from __future__ import annotations

import io
import itertools
import resource
import socket
import threading

import pytest

from images.connection import Client
from images.download import Downloader, Place
from images.errors import CorruptError, DiskFullError, FetchError, GoneError, PassingError, RefusedError
from images.patience import Patience
from images.progress import Meter
from images.route import Route

CONTENT = bytes(range(256)) * 4000


class Fixed:
    """A source with one place for everything."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        """Name the server, which outages are counted by."""
        return self.url

    def places(self, _artifact):
        """Give the one place."""
        return [Place(self.url)]

    def offers(self, _artifact):
        """Know nothing."""
        return ""


class Waits(threading.Event):
    """A stop event that remembers for how long it was waited on, and does not wait: the seam for time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout=None):
        """Note the seconds."""
        self.seconds.append(timeout)
        return self.is_set()


@pytest.fixture
def stop():
    """Give the event that the downloads under test wait on between tries."""
    return Waits()


@pytest.fixture
def downloader(tmp_path, stop):
    """Give a downloader into the test's folder that gives up on a server after a second."""
    meter = Meter(io.StringIO())
    patience = Patience(stop, lambda _: None)
    return Downloader(tmp_path / "partial", Client(1.0), meter, patience, stop)


@pytest.fixture
def pinned(pin, mirror, tmp_path):
    """Pin a file of a megabyte, and put it on the server."""
    (tmp_path / "partial").mkdir()
    mirror.files["/file"] = CONTENT
    return pin("aws-1.0.jar", CONTENT)


def part(tmp_path, pinned):
    """Give the path of the partial file."""
    return tmp_path / "partial" / f"{pinned.sha256}.part"


def ranges(mirror, path="/file"):
    """Give the Range headers of the requests, in their order."""
    return [request.headers.get("Range") for request in mirror.asked(path)]


def test_a_file_gets_its_store_name_when_it_is_checked(downloader, mirror, pinned, tmp_path):
    """The result lies under its store name in a folder named by its sha256, and no partial file is left."""
    path = downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert path == tmp_path / "partial" / pinned.sha256 / pinned.store
    assert path.read_bytes() == CONTENT
    assert not part(tmp_path, pinned).exists()


@pytest.mark.parametrize("have", [1, 262_144, 262_145, len(CONTENT) - 1])
def test_a_partial_file_is_resumed(downloader, mirror, pinned, tmp_path, have):
    """Only what is missing is asked for."""
    part(tmp_path, pinned).write_bytes(CONTENT[:have])
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == [f"bytes={have}-"]


def test_a_complete_partial_file_needs_no_server(downloader, pinned, tmp_path):
    """What was complete when a run was stopped is checked and taken."""
    part(tmp_path, pinned).write_bytes(CONTENT)
    assert downloader.download(pinned, [Fixed("http://127.0.0.1:1/")]).read_bytes() == CONTENT


def test_a_partial_file_longer_than_the_file_is_thrown_away(downloader, mirror, pinned, tmp_path):
    """A partial file that cannot be a beginning is fetched anew."""
    part(tmp_path, pinned).write_bytes(CONTENT + b"more")
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == [None]


def test_a_server_without_range_sends_all_again(downloader, mirror, misbehave, pinned, tmp_path):
    """When Range is ignored, the partial file is written from its beginning."""
    part(tmp_path, pinned).write_bytes(b"wrong beginning")
    mirror.plan["/file"] = [misbehave(ignore_range=True)]
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == ["bytes=15-"]


def test_each_break_resumes_where_the_last_one_was(downloader, mirror, misbehave, pinned, stop):
    """More breaks than tries are no failure, as long as each try gets further."""
    mirror.plan["/file"] = [misbehave(cut_after=100_000) for _ in range(8)]
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == [None, *(f"bytes={number}00000-" for number in range(1, 9))]
    assert len(stop.seconds) == 8
    assert all(0.3 < seconds < 0.7 for seconds in stop.seconds), "each advance begins the waits anew"


def test_a_server_that_never_gets_further_is_given_up(downloader, mirror, misbehave, pinned, stop):
    """Breaks at the same place count as failures: five tries, with waits that double."""
    mirror.always["/file"] = misbehave(cut_after=100_000, ignore_range=True)
    with pytest.raises(RefusedError, match=r"/file broke off after 100000 of 1024000 bytes"):
        downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert len(mirror.asked("/file")) == 5
    for before, after in itertools.pairwise(stop.seconds):
        assert 2 * 0.75 / 1.25 < after / before < 2 * 1.25 / 0.75


def test_a_stalled_server_is_left_and_resumed(downloader, mirror, misbehave, pinned):
    """Silence in the middle of a file ends after the timeout, and the rest is asked for."""
    mirror.plan["/file"] = [misbehave(stall_after=200_000)]
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == [None, f"bytes={200_000 // 65536 * 65536}-"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_statuses_are_tried_again(downloader, mirror, misbehave, pinned, status):
    """What a server says while it has trouble is not the last word."""
    mirror.plan["/file"] = [misbehave(status=status), misbehave(status=status)]
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert len(mirror.asked("/file")) == 3


def test_retry_after_is_obeyed_up_to_a_minute(downloader, mirror, misbehave, pinned, stop):
    """The server's own wait goes before ours, in seconds or as a date, but an hour is not waited."""
    later = "Fri, 31 Dec 2199 23:59:59 GMT"
    mirror.plan["/file"] = [misbehave(status=503, headers={"Retry-After": after}) for after in ("7", later, "junk")]
    downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert stop.seconds[:2] == [7.0, 60.0]
    assert 1.5 <= stop.seconds[2] <= 2.5


@pytest.mark.parametrize(("status", "kind"), [(404, GoneError), (410, GoneError), (403, RefusedError)])
def test_final_statuses_are_not_tried_again(downloader, mirror, misbehave, pinned, status, kind):
    """A file that is not there, or forbidden, is asked for once."""
    mirror.always["/file"] = misbehave(status=status)
    with pytest.raises(kind, match=f"answered {status}"):
        downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert len(mirror.asked("/file")) == 1


def test_another_size_is_refused_without_reading_it(downloader, mirror, pinned, tmp_path):
    """A mirror that announces another size has another file; a byte more than pinned is never written."""
    mirror.files["/file"] = CONTENT + b"!"
    with pytest.raises(RefusedError, match="has 1024001 bytes where the lock pins 1024000"):
        downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_file_shorter_than_what_is_here_is_refused(downloader, mirror, pinned, tmp_path):
    """A mirror whose file ends before the partial file does has another file."""
    part(tmp_path, pinned).write_bytes(CONTENT[:900_000])
    mirror.files["/file"] = CONTENT[:500_000]
    with pytest.raises(RefusedError, match="has 500000 bytes where the lock pins 1024000"):
        downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    assert list((tmp_path / "partial").iterdir()) == []


def test_bytes_damaged_on_the_way_once_are_mended(downloader, mirror, misbehave, pinned):
    """A wrong sha256 is met with one download from scratch."""
    mirror.plan["/file"] = [misbehave(body=b"!" + CONTENT[1:])]
    assert downloader.download(pinned, [Fixed(f"{mirror.url}/file")]).read_bytes() == CONTENT
    assert ranges(mirror) == [None, None]


def test_the_next_source_is_asked_when_one_fails(downloader, mirror, misbehave, pinned):
    """Gone, corrupt, unreachable and nonsensical sources are passed over."""
    mirror.files["/corrupt"] = CONTENT[::-1]
    sources = ["gone", "corrupt", "file"]
    tried = [Fixed("http://127.0.0.1:1/x"), Fixed("gopher://127.0.0.1/x")]
    tried += [Fixed(f"{mirror.url}/{name}") for name in sources]
    assert downloader.download(pinned, tried).read_bytes() == CONTENT


def test_gone_is_said_only_when_all_sources_say_so(downloader, mirror, pinned):
    """One unreachable source among those that lack a file means: perhaps there."""
    with pytest.raises(GoneError):
        downloader.download(pinned, [Fixed(f"{mirror.url}/a"), Fixed(f"{mirror.url}/b")])
    with pytest.raises(RefusedError, match="cannot be reached") as caught:
        downloader.download(pinned, [Fixed(f"{mirror.url}/a"), Fixed("http://127.0.0.1:1/b")])
    assert not isinstance(caught.value, GoneError)


def test_a_dead_host_is_soon_left_alone(downloader, pin, pinned, stop):
    """After three files the host is not asked again: what is left fails at once."""
    for number in range(6):
        with pytest.raises(RefusedError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
            downloader.download(pin(f"file{number}", b"x"), [Fixed("http://127.0.0.1:1/x")])
    assert len(stop.seconds) == 3 * 4


def test_a_full_disk_leaves_no_part_of_the_file(downloader, mirror, pinned, tmp_path):
    """A write that the system refuses for want of room deletes the partial file and is told as such."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(DiskFullError, match=r"The disk is full: aws-1.0.jar does not fit"):
            downloader.download(pinned, [Fixed(f"{mirror.url}/file")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(downloader, mirror, pinned, tmp_path):
    """Any other refusal names the folder and what to change."""
    part(tmp_path, pinned).mkdir()
    with pytest.raises(FetchError, match="cannot be written"):
        downloader.download(pinned, [Fixed(f"{mirror.url}/file")])


def test_connections_are_kept_and_replaced(mirror):
    """One thread needs one connection for many files; one that the server closed meanwhile is no failure."""
    client = Client(2.0)
    mirror.files["/a"] = b"a"
    buffer = memoryview(bytearray(10))

    def read() -> bytes:
        answer = client.open(f"{mirror.url}/a")
        count = answer.readinto(buffer)
        assert answer.readinto(buffer[count:]) == 0
        answer.close()
        return bytes(buffer[:count])

    assert [read() for _ in range(5)] == [b"a"] * 5
    with pytest.raises(GoneError):
        client.open(f"{mirror.url}/nothing")
    read()
    assert mirror.connections == 1
    for connection in client._all:
        connection.sock.shutdown(socket.SHUT_WR)  # what the server's end then looks like: closed while idle
    assert read() == b"a"
    assert mirror.connections == 2


def test_redirects_are_followed_without_the_password(mirror, start_mirror, misbehave):
    """A redirect to another host is followed, does not get the mirror's password, and may not go in circles."""
    other = start_mirror()
    other.files["/real"] = b"bytes"
    target = other.url.replace("127.0.0.1", "localhost") + "/real"
    mirror.always["/moved"] = misbehave(status=302, headers={"Location": target})
    mirror.always["/circle"] = misbehave(status=301, headers={"Location": "/circle"})
    client = Client(2.0)
    answer = client.open(mirror.url.replace("//", "//user:secret@") + "/moved")
    assert answer.url == target
    assert mirror.requests[0].headers["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert "Authorization" not in other.requests[0].headers
    client.open(f"{mirror.url}/moved", Route(user="me", password="word"))  # noqa: S106
    assert mirror.requests[-1].headers["Authorization"] == "Basic bWU6d29yZA=="
    assert "Authorization" not in other.requests[-1].headers
    with pytest.raises(RefusedError, match=r"/circle redirects without end"):
        client.open(f"{mirror.url}/circle")


def test_a_netrc_login_is_used(mirror, tmp_path, monkeypatch):
    """~/.netrc has the password of a mirror whose address has none."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror.files["/a"] = b"a"
    Client(2.0).open(f"{mirror.url}/a")
    assert mirror.requests[0].headers["Authorization"] == "Basic bWU6d29yZA=="


def test_a_closed_client_opens_no_more(mirror):
    """After close_all a thread that still wants to read gets an error, and no connection."""
    client = Client(2.0)
    client.close_all()
    with pytest.raises(PassingError, match="stopped"):
        client.open(f"{mirror.url}/a")
    assert mirror.connections == 0


def test_unusable_proxies_and_names_are_final(monkeypatch):
    """A SOCKS proxy and a name that does not exist are said at once."""
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(RefusedError, match="use an HTTP proxy"):
        Client(2.0).open("http://host.example.invalid/")
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises((RefusedError, PassingError), match=r"host\.example\.invalid"):
        Client(2.0).open("http://host.example.invalid/")


def test_corrupt_is_a_transfer_error():
    """Callers that pass over failing sources see corruption as one of the reasons."""
    assert issubclass(CorruptError, FetchError)
