"""The output of a command: where it goes, and through what, so that it can be kept and arrives unchanged."""

from __future__ import annotations

import fcntl
import os
import termios
from contextlib import suppress
from dataclasses import dataclass

from autotrack.launch.console import StreamName

_WINSIZE = 8  # bytes of a terminal's size: rows, columns and pixels
_OPOST = 1  # the index of the output modes among a terminal's attributes


@dataclass(frozen=True)
class Stream:
    """One way out: `descriptors` of the command lead into `inner`; what comes out of `outer` belongs into `target`.

    Where the target is a terminal, so is `inner`, of the same size. stdout and stderr that lead to the same place are
    one stream, or their order would be lost.
    """

    name: StreamName
    descriptors: tuple[int, ...]
    target: int
    outer: int
    inner: int
    is_terminal: bool

    @classmethod
    def to(cls, name: StreamName, descriptors: tuple[int, ...]) -> Stream:
        """A stream that leads to where the first of the descriptors leads now."""
        target = descriptors[0]
        if not os.isatty(target):
            outer, inner = os.pipe()
            return cls(name, descriptors, target, outer, inner, False)
        outer, inner = os.openpty()
        attributes = termios.tcgetattr(target)
        target = os.dup(target)  # the launcher gives its standard descriptors away, and still needs the size
        attributes[_OPOST] &= ~termios.OPOST  # the terminal itself makes of a line feed what it has to
        termios.tcsetattr(inner, termios.TCSANOW, attributes)
        stream = cls(name, descriptors, target, outer, inner, True)
        stream.resize()
        return stream

    def resize(self) -> None:
        """Give the inner terminal the size of the outer one."""
        if self.is_terminal:
            with suppress(OSError):
                size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(_WINSIZE))
                fcntl.ioctl(self.inner, termios.TIOCSWINSZ, size)


def reserve_standard_descriptors() -> None:
    """Keep what is closed of stdin, stdout and stderr from being taken by a file of ours; a command finds it closed."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        if descriptor > 2:
            os.close(descriptor)
            return


def open_streams() -> list[Stream]:
    """A stream for each place that stdout and stderr lead to; none for what is closed."""
    standard = [descriptor for descriptor in (1, 2) if os.get_inheritable(descriptor)]
    if len(standard) == 2 and os.path.sameopenfile(1, 2):
        return [Stream.to("stdout", (1, 2))]
    return [Stream.to("stdout" if descriptor == 1 else "stderr", (descriptor,)) for descriptor in standard]
