"""`autotrack run`: starts a command, forwards output, signals and exit code, and records a run of kind "job".

The launcher owns the run; Python processes that the command starts add facts to it (`startup`, `job`). Recording never
changes how the command interacts with its terminal, nor its signals or exit code.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autotrack._guard import guarded
from autotrack.environment.redaction import redact_mapping
from autotrack.events import Console as ConsoleEvent
from autotrack.events import Failure, FinalStatus
from autotrack.launch import relay as relay_module
from autotrack.launch import waiting
from autotrack.launch.command import NOT_EXECUTABLE, NOT_FOUND, Command, CommandError
from autotrack.launch.console import ConsoleBuffer
from autotrack.launch.relay import Relay
from autotrack.launch.streams import Stream, open_streams, reserve_standard_descriptors
from autotrack.recording import messages
from autotrack.recording.collector import collector, configure
from autotrack.recording.lifecycle import ending, environment_capture, job, names
from autotrack.recording.lifecycle.start import start_run
from autotrack.recording.run import Run, _now
from autotrack.schedulers import status_of_termination

SITE = Path(__file__).with_name("site")
_FLUSH_EVERY = 0.5
_PATIENCE = 0.05


@dataclass(frozen=True)
class LaunchOptions:
    """Options of `autotrack run` for one command, in addition to the settings."""

    experiment: str | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    sinks: tuple[str, ...] = ()
    console: bool = True


def launch(words: Sequence[str], options: LaunchOptions) -> int:
    """Run a command and record it; returns its exit code, or ends this process by the signal that ended the command.

    `CommandError` if the command cannot be started. If autotrack is off, the command replaces this process.
    """
    reserve_standard_descriptors()
    command = Command.of(words)
    if not collector().settings.enabled:
        _become(command)
    changes: dict[str, object] = {"sinks": options.sinks} if options.sinks else {}
    if not options.console:
        changes["capture"] = {**collector().settings.capture, "console": False}
    if changes:
        configure(changes)
    launcher = Launcher(command, options)
    return waiting.end_like(launcher.run())


def _become(command: Command) -> None:
    try:
        os.execv(command.program, command.words)
    except OSError as error:
        raise _cannot_start(command, error) from error


class Launcher:
    """Starts one command, waits for its end, and records it."""

    def __init__(self, command: Command, options: LaunchOptions) -> None:
        self.command = command
        self.options = options
        self.signals = waiting.Signals()
        self.streams: list[Stream] = []

    def run(self) -> int:
        """Run the command to its end; returns its wait status. `CommandError` if it cannot be started."""
        with self.signals.held():
            relay = None
            if collector().settings.captures("console"):
                self.streams = open_streams()
                relay = relay_module.start(self.streams) if self.streams else None
            run = self._open_run()
            meeting = job.Meeting(run.collector.place, run.id)
            with guarded("meeting the programs of the command"):
                meeting.open()
            try:
                process = self._spawn(run, meeting)
            except OSError as error:
                refused = _cannot_start(self.command, error)
                meeting.close()
                run.finish("failed", failure=refused, exit_code=refused.code)
                raise refused from error
            console = ConsoleReader(run, self.streams, relay) if relay is not None else None
            self._let_go()
            status = self.signals.wait_for(process, self._resize)
            if relay is not None and console is not None:
                for stream in self.streams:
                    if stream.is_terminal:
                        os.close(stream.inner)
                os.close(relay.control)
                while not console.ended(_PATIENCE) and not self.signals.is_told_to_go():
                    pass
        self._finish(run, meeting, status)
        return status

    def _open_run(self) -> Run:
        owner = collector()
        owner.open_journal()
        environment_capture.stand_for(owner, self._launched())
        settings, name = owner.settings, self.command.name
        return start_run(
            self.options.name or settings.name or names.numbered(owner.place, name),
            experiment=self.options.experiment or settings.experiment or name,
            tags=self.options.tags,
            kind="job",
        )

    def _launched(self, program: job.Program | None = None) -> environment_capture.Launched:
        facts = self.command.facts()
        if program is not None:
            facts |= {"python": program.python, "implementation": program.implementation}
            facts |= {"executable": program.executable, "pid": program.pid}
            if program.virtualenv:
                facts["virtualenv"] = program.virtualenv
        safe, masked = redact_mapping(facts)
        return environment_capture.Launched(self.command.script, safe, tuple(masked))

    def _spawn(self, run: Run, meeting: job.Meeting) -> int:
        """Start the command, with signals and process group as without autotrack; returns its pid."""
        actions = [
            (os.POSIX_SPAWN_DUP2, stream.inner, descriptor)
            for stream in self.streams
            for descriptor in stream.descriptors
        ]
        environment = self._environment(run, meeting)

        def start(program: str, words: tuple[str, ...]) -> int:
            return os.posix_spawn(
                program, words, environment,
                file_actions=actions, setsigmask=self.signals.before, setsigdef=waiting.RESTORED,
            )  # fmt: skip

        try:
            return start(self.command.program, self.command.words)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            return start("/bin/sh", ("/bin/sh", self.command.program, *self.command.words[1:]))  # as shells do

    def _environment(self, run: Run, meeting: job.Meeting) -> dict[str, str]:
        """The environment of the command: this process's, plus the variables by which its Pythons join the run."""
        owner = run.collector
        environment = {name: value for name, value in os.environ.items() if name != "AUTOTRACK_NAME"}
        paths = [str(SITE), *filter(None, [environment.get("PYTHONPATH")])]
        return environment | {
            "PYTHONPATH": os.pathsep.join(paths), "AUTOTRACK": "1", "AUTOTRACK_QUIET": "1",
            "AUTOTRACK_DIR": str(owner.place.path), "AUTOTRACK_EXPERIMENT": run.experiment,
            job.ID: run.id, job.NAME: run.name, job.FOLDER: str(meeting.folder),
            **({"AUTOTRACK_SINKS": ",".join(owner.settings.sinks)} if owner.settings.sinks else {}),
        }  # fmt: skip

    def _let_go(self) -> None:
        """Close this process's ends of the command's input and output, so that only the command holds them open."""
        for stream in self.streams:
            if not stream.is_terminal:  # a terminal stays open, to be resized
                os.close(stream.inner)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)

    def _resize(self) -> None:
        for stream in self.streams:
            stream.resize()

    def _finish(self, run: Run, meeting: job.Meeting, status: int) -> None:
        with guarded("asking the programs of the command"):
            self._hear(run, meeting)
        outcome, code, failure = self._outcome(status, meeting)
        owner = run.collector
        ending.wait_for_background(owner)
        meeting.close()
        run.finish(outcome, failure=failure, exit_code=code)
        if os.WIFSIGNALED(status):  # `end_like` ends this process by a signal, without its exit handlers
            ending.Ending(owner).finish_all("finished")

    def _outcome(self, status: int, meeting: job.Meeting) -> tuple[FinalStatus, int | None, Failure | None]:
        """Status, exit code (128 plus the number for a signal) and failure of the run, from the wait status."""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            name = waiting.name_of(number)
            failure = Failure(type=name, message=f"the command was ended by {name} (signal {number})")
            return _ended_by(number), 128 + number, failure
        code = os.WEXITSTATUS(status)
        if code == 0:
            return "finished", 0, None
        failures = meeting.failures()
        if failures or self.signals.asked_to_end is None:
            return "failed", code, failures[-1] if failures else None
        return _ended_by(self.signals.asked_to_end), code, None

    def _hear(self, run: Run, meeting: job.Meeting) -> None:
        """Record which Python the command used, and report Pythons that could not be recorded."""
        programs, strangers = meeting.programs(), meeting.strangers()
        if programs:
            with guarded("describing the command"):
                launched = self._launched(programs[0])
                run.collector.background.submit("the process", lambda: environment_capture.describe(run, launched))
        for path in strangers:
            run.report("launch", f"{path} has no autotrack: what it trained was not recorded")
        if programs or strangers:
            return
        if self.command.blocking:
            flags = " ".join(self.command.blocking)
            run.report("launch", f"{flags} keeps start-up code out of Python: what it trained was not recorded")
        elif self.command.is_python:
            run.report("launch", "the Python of the command did not take part: what it trained was not recorded")
        else:
            run.report("launch", "the command started no Python that could take part", level="info")


class ConsoleReader:
    """Thread that records the copies of the output from the relay."""

    def __init__(self, run: Run, streams: Sequence[Stream], relay: Relay) -> None:
        self._run = run
        self._streams = streams
        self._relay = relay
        self._thread = threading.Thread(target=self._work, name="autotrack-console", daemon=True)
        self._thread.start()

    def ended(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end of the output; returns whether all of it has been recorded."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        with guarded("keeping the console"):
            console = ConsoleBuffer(self._emit, self._tell)
            due = time.monotonic() + _FLUSH_EVERY
            lost: Counter[str] = Counter()
            for frame in self._relay.frames(_FLUSH_EVERY):
                if time.monotonic() >= due:
                    console.flush()
                    due = time.monotonic() + _FLUSH_EVERY
                if frame is None:
                    continue
                number, kind, data = frame
                stream = self._streams[number].name
                if kind == relay_module.DATA:
                    console.feed(stream, data)
                elif kind == relay_module.GAP:
                    console.gap(stream, int.from_bytes(data, "big"))
                else:
                    lost[stream] += int.from_bytes(data, "big")
            console.finish()
            for name, count in lost.items():
                self._tell(f"{count:,} bytes of {name} could not be written where they belong")

    def _emit(self, stream: str, text: str) -> None:
        self._run.emit(ConsoleEvent(run=self._run.id, time=_now(), stream=stream, text=text))  # type: ignore[arg-type]

    def _tell(self, message: str) -> None:
        self._run.report("console", message)
        messages.count_missing(self._run.id, 1)


def _ended_by(number: int) -> FinalStatus:
    """The status for an ending signal: "preempted" for a scheduler's signals inside a scheduled job, else "killed"."""
    return status_of_termination(os.environ) if number in waiting.SCHEDULERS else "killed"


def _cannot_start(command: Command, error: OSError) -> CommandError:
    code = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
    return CommandError(f"{command.words[0]} cannot be started: {error.strerror}", code)
