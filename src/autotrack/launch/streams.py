"""Pipes and pseudo-terminals for the output of a command, so that it can be recorded and arrives unchanged."""

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
    """One output stream: the command's `descriptors` write to `inner`; data read from `outer` is written to `target`.

    If the target is a terminal, `inner` is one of the same size. stdout and stderr with the same target are one stream,
    which preserves their order.
    """

    name: StreamName
    descriptors: tuple[int, ...]
    target: int
    outer: int
    inner: int
    is_terminal: bool

    @classmethod
    def to(cls, name: StreamName, descriptors: tuple[int, ...]) -> Stream:
        """Create a stream whose target is the present target of the first of the descriptors."""
        target = descriptors[0]
        if not os.isatty(target):
            outer, inner = os.pipe()
            return cls(name, descriptors, target, outer, inner, False)
        outer, inner = os.openpty()
        attributes = termios.tcgetattr(target)
        target = os.dup(target)  # the launcher redirects its standard descriptors, and still needs the terminal's size
        attributes[_OPOST] &= ~termios.OPOST  # the outer terminal translates line feeds itself
        termios.tcsetattr(inner, termios.TCSANOW, attributes)
        stream = cls(name, descriptors, target, outer, inner, True)
        stream.resize()
        return stream

    def resize(self) -> None:
        """Set the size of the inner terminal to that of the target; does nothing for pipes."""
        if self.is_terminal:
            with suppress(OSError):
                size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(_WINSIZE))
                fcntl.ioctl(self.inner, termios.TIOCSWINSZ, size)


def reserve_standard_descriptors() -> None:
    """Open closed descriptors 0 to 2 on the null device, so that no file of the launcher gets them.

    They are not inheritable, so that the command finds them closed.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        if descriptor > 2:
            os.close(descriptor)
            return


def open_streams() -> list[Stream]:
    """A stream for each distinct target of stdout and stderr; none for a closed descriptor."""
    standard = [descriptor for descriptor in (1, 2) if os.get_inheritable(descriptor)]
    if len(standard) == 2 and os.path.sameopenfile(1, 2):
        return [Stream.to("stdout", (1, 2))]
    return [Stream.to("stdout" if descriptor == 1 else "stderr", (descriptor,)) for descriptor in standard]
