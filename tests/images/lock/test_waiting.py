import io
import threading

from images.lock.waiting import Progress


class Watched(io.StringIO):
    """A stream that tells when a text has been written to it so many times."""

    def __init__(self, text, times):
        super().__init__()
        self.seen = threading.Event()
        self._text, self._times = text, times

    def flush(self):
        """See whether it is so far."""
        if self.getvalue().count(self._text) >= self._times:
            self.seen.set()


def test_a_long_step_is_repeated_with_its_time():
    """A resolver that says nothing for minutes is seen to be at work."""
    stream = Watched("so far)", 2)
    with Progress(stream, interval=0.001) as progress:
        progress.say("python: resolving")
        assert stream.seen.wait(30)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "lock: python: resolving"
    assert lines[1].startswith("lock: python: resolving (")


def test_nothing_is_said_before_the_first_step_or_after_the_end():
    """Only steps are repeated, and only while they last."""
    stream = io.StringIO()
    progress = Progress(stream, interval=0.001)
    with progress:
        pass
    assert stream.getvalue() == ""
