"""Relay process that forwards a command's output to its targets and sends copies to the launcher.

It is a process of its own so that the command can continue to write after the launcher was killed. It forwards at once,
as fast as the target accepts the data. The copies never block the command: if the launcher does not keep up, older ones
are dropped and counted. The relay runs until no process has the streams open for writing, which may be long after the
command if that left a background process.

A copy is a frame: the stream's number, a kind, and a length, followed by the data for kind `DATA`.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autotrack.launch.streams import Stream

CHUNK = 1 << 16
WAITING = 8 << 20  # bytes of copies that may wait for the launcher
GRACE = 0.1  # seconds without data after which all output written before the command ended has arrived
FRAME = struct.Struct("=BBQ")
DATA, GAP, LOST = 0, 1, 2  # output; the number of bytes dropped; the number of bytes that the target did not accept


@dataclass(frozen=True)
class Relay:
    """The launcher's handle of the relay: reads frames from `copies`, and closes `control` after the command's end."""

    process: int
    copies: int
    control: int

    def frames(self, timeout: float) -> Iterator[tuple[int, int, bytes] | None]:
        """Yield stream number, kind and data of each frame, and None after each `timeout` seconds without one.

        The data of `GAP` and `LOST` is the number of bytes, as 8 bytes big-endian.
        """
        waiting = b""
        while True:
            if not select.select([self.copies], [], [], timeout)[0]:
                yield None
                continue
            data = os.read(self.copies, CHUNK * 4)
            if not data:
                return
            waiting += data
            while len(waiting) >= FRAME.size:
                stream, kind, length = FRAME.unpack_from(waiting)
                end = FRAME.size + (length if kind == DATA else 0)
                if len(waiting) < end:
                    break
                yield stream, kind, waiting[FRAME.size : end] if kind == DATA else length.to_bytes(8, "big")
                waiting = waiting[end:]


def start(streams: Sequence[Stream]) -> Relay:
    """Fork the relay process and close the outer ends of `streams` here; call while this process has one thread."""
    copies, copies_in = os.pipe()
    control, control_in = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            for descriptor in (copies, control_in, *(stream.inner for stream in streams)):
                os.close(descriptor)
            _Relay(streams, _Copies(copies_in), control).run()
        finally:
            os._exit(0)
    for descriptor in (copies_in, control, *(stream.outer for stream in streams)):
        os.close(descriptor)
    return Relay(process, copies, control_in)


class _Copies:
    """Queue of frames for the launcher; adding to it never blocks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, stream: int, data: bytes) -> None:
        """Queue a copy of `data`; if more than `WAITING` bytes are queued, the older half is replaced by gap counts."""
        with self._changed:
            if self._closed:
                return
            if self._size + len(data) > WAITING:
                self._drop()
            self._frames.append(FRAME.pack(stream, DATA, len(data)) + data)
            self._size += len(data)
            self._changed.notify()

    def _drop(self) -> None:
        dropped: Counter[tuple[int, int]] = Counter()
        while self._size > WAITING // 2:
            frame = self._frames.popleft()
            stream, kind, length = FRAME.unpack_from(frame)
            dropped[stream, GAP if kind == DATA else kind] += length
            self._size -= len(frame) - FRAME.size
        self._frames.extendleft(FRAME.pack(*about, count) for about, count in dropped.items())

    def lost(self, stream: int, count: int) -> None:
        """Queue the number of bytes that the target did not accept."""
        with self._changed:
            self._frames.append(FRAME.pack(stream, LOST, count))
            self._changed.notify()

    def close(self) -> None:
        """Accept no more copies; queued frames are still sent."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def deliver(self) -> None:
        """Send queued frames until the queue is closed and empty, or the launcher is gone; runs on its own thread."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._closed)
                if not self._frames:
                    break
                frame = self._frames.popleft()
                self._size -= len(frame) - FRAME.size
            if not _written(self._descriptor, frame):
                with self._changed:
                    self._closed = True
                    self._frames.clear()
        os.close(self._descriptor)


class _Relay:
    """The relay in its own process: a forwarding thread per stream, and one that sends the copies."""

    def __init__(self, streams: Sequence[Stream], copies: _Copies, control: int) -> None:
        self._streams = streams
        self._copies = copies
        self._control = control
        self._going = len(streams)
        self._lock = threading.Lock()

    def run(self) -> None:
        """Forward until all streams have ended; signals such as Ctrl-C are ignored, as the command handles them."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        _leave_to_others(self._streams)
        threads = [
            threading.Thread(target=self._pass_on, args=(number, stream)) for number, stream in enumerate(self._streams)
        ]
        threads.append(threading.Thread(target=self._copies.deliver))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _pass_on(self, number: int, stream: Stream) -> None:
        awaited = [stream.outer, self._control]
        copying = True
        while True:
            ready = select.select(awaited, [], [])[0]
            if stream.outer not in ready:  # `control` is closed: the command has ended; all data was forwarded
                if select.select([stream.outer], [], [], GRACE)[0]:
                    continue
                awaited.remove(self._control)
                copying = False
                self._done()
                continue
            try:
                data = os.read(stream.outer, CHUNK)
            except OSError:  # EIO of a terminal that no process has open any more
                data = b""
            if not data:
                break
            if copying:
                self._copies.put(number, data)
            if not self._deliver(number, stream, data):
                break
        for descriptor in {stream.outer, stream.target, *stream.descriptors}:
            os.close(descriptor)
        if copying:
            self._done()

    def _deliver(self, number: int, stream: Stream, data: bytes) -> bool:
        """Write to the target; False if it is closed, so that the stream is closed for the command as well."""
        try:
            return _written(stream.target, data, strict=True)
        except OSError:  # for example a full disk, which must not end the command
            self._copies.lost(number, len(data))
            return True

    def _done(self) -> None:
        with self._lock:
            self._going -= 1
            if not self._going:
                self._copies.close()


def _written(descriptor: int, data: bytes, *, strict: bool = False) -> bool:
    """Write all of `data`; False if the other end is closed. With `strict`, other errors are raised, else False too."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except (BrokenPipeError, ConnectionError):
            return False
        except OSError as error:
            if strict and error.errno not in _GONE:
                raise
            return False
    return True


_GONE = frozenset({5, 6, 9})  # EIO and ENXIO of a terminal that was closed, EBADF


def _leave_to_others(streams: Sequence[Stream]) -> None:
    """Redirect the standard descriptors that no stream uses, such as stdin, to the null device."""
    used = {descriptor for stream in streams for descriptor in stream.descriptors}
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2} - used:
        os.dup2(nowhere, descriptor, inheritable=False)
    os.close(nowhere)
