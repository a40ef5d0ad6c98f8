"""The queue's worker: runs jobs from the store one after the other, and can be watched and controlled meanwhile."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..claims import tidy
from ..errors import UserError
from ..job import Control, Done, Event, Failed, Job, Step, Trained, TrainsOn, Warned
from ..paths import kept_traceback
from ..text.messages import Message, message
from .awake import awake
from .database import Lease
from .ending import WITHIN, on_console_close
from .memory import MemoryReader
from .run_status import RunStatus
from .store import DONE, FAILED, INTERRUPTED, STOPPED, Entry, Store

if TYPE_CHECKING:
    from ..engine.host import Host

Listener = Callable[[Entry, Event], None]

_LOOK_EVERY = 1.0
_NOTE_EVERY = 2.0
_ATTEMPTS = 5


class Worker:
    """One thread that runs jobs. Every button returns at once.

    Attributes:
        run_status: what the running job is doing, or the last one did.
        entry: that job as it was when it began.
        problem: why no more jobs are taken, if the store failed; else None.
    """

    def __init__(self, store: Store, make_host: Callable[[], Host], listener: Listener | None = None) -> None:
        """Args:
        make_host: called once, before the first job or when :meth:`host` is called; so torch is loaded late.
        listener: called with every event of every job, in the worker's thread.
        """
        self.store = store
        self.run_status: RunStatus | None = None
        self.entry: Entry | None = None
        self.problem: Message | None = None
        self._make_host = make_host
        self._listener = listener
        self._host: Host | None = None
        self._making = threading.Lock()
        self._loading = threading.Lock()
        self._is_ready = False
        self._is_tidy = False
        self._has_continued = False
        self._prepares = False
        self._lease: Lease | None = None
        # Re-entrant: Ctrl-C interrupts its thread anywhere, and then calls stop_and_save.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._control: Control | None = None
        self._memory = MemoryReader(lambda: self._host)
        self._takes = False
        self._watches = False
        self._is_held = False
        self._closing = threading.Event()
        self._wanted: list[int] = []
        self._pressed = 0
        self._ends: float | None = None
        atexit.register(self.close)
        self._unhear = on_console_close(self.interrupt_and_wait)

    # ---- the queue --------------------------------------------------------------------------------------------------

    def start(self, *, watch: bool = False) -> None:
        """Run the waiting jobs in their order, until none waits; with ``watch`` also those that come later."""
        with self._changed:
            self._takes, self._watches, self._is_held = True, watch, False
            self._wake()

    def hold(self) -> None:
        """Take no more jobs until :meth:`start`; the running one continues."""
        with self._changed:
            self._is_held = True
            self._take_no_more()

    def _take_no_more(self) -> None:
        self._takes = False
        self._wanted.clear()
        self._changed.notify_all()

    def follow(self) -> bool:
        """Have the waiting jobs begin by themselves after the running one, unless the queue is held.

        Returns:
            Whether they will. Without a run, they wait for one, or for :meth:`start`.
        """
        with self._changed:
            if self._thread is not None and not self._is_held and not self._closing.is_set():
                self._takes = True
                self._pressed += 1  # or a thread that is just about to end would not look again
            return self._takes

    def run_now(self, number: int, *, and_queue: bool = False) -> bool:
        """Run this job next, whether or not the queue is started; one that failed or was stopped is run again.

        Args:
            and_queue: the waiting jobs begin after it, as :meth:`follow` says.

        Returns:
            Whether it begins at once. Otherwise it waits until the running job ends.

        Raises:
            UserError: it is running or done already, or there is no such job.
        """
        self.store.again(number)
        self.store.move(number, 1)
        return self._want(number, and_queue=and_queue)

    def _want(self, number: int, *, and_queue: bool) -> bool:
        with self._changed:
            begins = not self.is_running and not self._wanted
            self._wanted.append(number)
            self._wake()
            if and_queue:
                self.follow()
            return begins

    def continue_now(self, number: int, *, and_queue: bool = False) -> bool:
        """Continue this job next where its run was broken off; else as :meth:`run_now`."""
        self.store.resume(number)
        return self._want(number, and_queue=and_queue)

    def continue_broken_off(self) -> int:
        """Continue the jobs whose program ended while it ran them; the one that was broken off last comes first. Only
        once, at the start: it does nothing at a later "Reload UI".

        Returns:
            How many there are.
        """
        if self._has_continued:
            return 0
        self._has_continued = True
        found = [entry for entry in self.store.entries() if entry.status == INTERRUPTED and entry.can_continue]
        for entry in sorted(found, key=lambda entry: -(entry.ended or 0.0)):
            self.continue_now(entry.id)
        return len(found)

    @property
    def is_running(self) -> bool:
        """Whether a job is being run."""
        return self._control is not None

    @property
    def is_started(self) -> bool:
        """Whether waiting jobs are started automatically."""
        return self._takes

    @property
    def is_held(self) -> bool:
        """Whether waiting jobs are not to begin by themselves, as somebody has said so."""
        return self._is_held

    def join(self, timeout: float | None = None) -> bool:
        """Wait until there is nothing left to do. Returns False if the timeout passes first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def host(self) -> Host:
        """The host that jobs run on; any thread may call this. The first call may take seconds, to import torch."""
        with self._making:
            if self._host is None:
                self._host = self._make_host()
            return self._host

    @property
    def made_host(self) -> Host | None:
        """The same if it has been made already."""
        return self._host

    def ready_host(self) -> Host:
        """The same, with all libraries imported that a run or an image needs.

        All imports go through here: diffusers and transformers import their parts lazily, and fail where two threads
        do so at once.
        """
        with self._loading:
            host = self.host()
            if not self._is_ready:
                from ..engine import run

                del run
                host.prepare()
                self._is_ready = True
            return host

    def prepare(self) -> None:
        """Import what a run needs, once and in the background, so that the first run need not wait for it."""
        with self._changed:
            begins, self._prepares = not self._prepares, True
        if begins:
            threading.Thread(target=self._prepare, name="trainyard-prepare", daemon=True).start()

    # ---- the running job --------------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Stop the running job and save nothing. Returns whether there was one, as do all of these."""
        return self._press(Control.stop)

    def stop_and_save(self) -> bool:
        """Stop the running job and save what it has trained."""
        return self._press(Control.stop_and_save)

    def pause(self) -> bool:
        """Pause the running job after its current step and free the device's memory."""
        return self._press(Control.pause)

    def go_on(self) -> bool:
        """Resume a paused job."""
        return self._press(Control.resume)

    @property
    def is_pausing(self) -> bool:
        """Whether the running job has been asked to pause; ``run_status`` tells when it has."""
        control = self._control
        return control is not None and control.asked_to_pause

    def _press(self, button: Callable[[Control], None]) -> bool:
        with self._changed:
            if self._control is None:
                return False
            button(self._control)
            return True

    def interrupt(self) -> bool:
        """The program ends: save the running job after its current step, as interrupted, and take no more for now."""
        with self._changed:
            self._take_no_more()
            if self._ends is None:
                self._ends = time.monotonic() + WITHIN
            return self._press(Control.interrupt)

    def interrupt_and_wait(self) -> None:
        """The same, and return when the job has ended or would take too long."""
        with self._changed:
            if self.interrupt():
                self._changed.wait_for(lambda: not self.is_running, self._time_left())

    def _time_left(self) -> float:
        return WITHIN if self._ends is None else max(0.0, self._ends - time.monotonic())

    def close(self) -> None:
        """End as for :meth:`interrupt`, and take no more for good. Also called at exit."""
        with self._changed:
            self._closing.set()
            self.interrupt()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._time_left())
        if self._lease is not None and not self.is_running:
            self._lease.end()
            self._lease = None
        atexit.unregister(self.close)
        self._unhear()

    # ---- inside the thread ------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._closing.is_set():
            raise UserError("jobs.queue_is_closed")
        self._pressed += 1
        self.problem = None
        if self._thread is None:
            # A daemon, or the interpreter would wait for the end of training before it calls close().
            self._thread = threading.Thread(target=self._work, name="trainyard-queue", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        self._tidy()
        while True:
            pressed = self._pressed
            taken = self._take()
            if taken is not None:
                self._run(*taken)
                continue
            with self._changed:
                if self._takes and self._watches and not self._closing.is_set():
                    self._changed.wait(_LOOK_EVERY)  # other programs may add jobs
                elif self._closing.is_set() or (pressed == self._pressed and not self._wanted):
                    self._takes, self._thread = False, None
                    self._changed.notify_all()
                    return

    def _tidy(self) -> None:
        """Remove what dead programs left, once."""
        with self._loading:
            begins, self._is_tidy = not self._is_tidy, True
        if not begins:
            return
        tidy(self.store.folders)
        try:
            self.store.tidy()
        except UserError as error:  # whoever takes a job is told, too
            self.problem = error.whole

    def _prepare(self) -> None:
        self._tidy()
        try:
            self.ready_host()
        except Exception as error:  # noqa: BLE001 - the run will meet it again, and report it
            kept_traceback(error)

    def _take(self) -> tuple[Entry, Control] | None:
        """The next job, claimed, with its control."""
        with self._changed:
            if self._closing.is_set() or not (self._wanted or self._takes):
                return None
            number = self._wanted.pop(0) if self._wanted else None
        try:
            return self._claim(number)
        except UserError as error:
            self._give_up(error)
            return None

    def _claim(self, number: int | None) -> tuple[Entry, Control] | None:
        if self._lease is None:
            self._lease = self.store.lease()
        entry = self.store.claim(self._lease, number)
        if entry is None and number is not None:  # another process has it, or it is gone
            entry = self.store.claim(self._lease) if self._takes else None
        if entry is None:
            return None
        with self._changed:
            self._memory = MemoryReader(lambda: self._host)
            self._ends = None
            self._control, self.entry, self.run_status = Control(), entry, RunStatus(memory=self._memory.read)
            if self._closing.is_set():
                self._control.interrupt()
            return entry, self._control

    def _run(self, entry: Entry, control: Control) -> None:
        assert self.run_status is not None
        report = _Report(entry, self.run_status, self._listener, self._note, self._note_result, self._note_model)
        status, told, path = FAILED, None, None
        try:
            done = self._train(self.store.job(entry.id), control, report, entry)
            status, told, path = self._outcome(done, entry, control)
        except UserError as error:
            told = error.whole
            report.fail(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends its job, not the queue
            told = kept_traceback(error)
            report.fail(UserError(told))
        if status == FAILED and report.trained is not None:  # nothing after that takes the LoRA away
            status, path = self._status_of(report.trained, control), report.trained.path
        _tidy_up()
        try:
            self._finish(entry, status, told, path, report.step)
        except UserError as error:
            self._give_up(error)
        with self._changed:
            self._control = None
            self._changed.notify_all()

    def _train(self, job: Job, control: Control, report: _Report, entry: Entry) -> Done:
        host = self.ready_host()
        from ..engine.run import run

        self._memory.begin()
        if not entry.resume:
            self.store.forget_state(job)
        with awake():
            return run(job, host, control, report, resume=entry.resume, again=entry.runs > 1)

    def _outcome(self, done: Done, entry: Entry, control: Control) -> tuple[str, Message | None, Path | None]:
        if not done.stopped:
            return DONE, None, done.path
        # Who had stopped it without saving wanted no more of it, whatever came then.
        interrupted = control.is_interrupted and control.asked_to_save
        status, told = _end(done.steps, entry, saved=done.path is not None, interrupted=interrupted)
        return status, told, done.path

    def _note_result(self, entry: Entry, trained: Trained) -> None:
        assert self._lease is not None
        control = self._control
        told = None
        if trained.stopped:
            _, told = _end(trained.steps, entry, saved=True, interrupted=control is not None and control.is_interrupted)
        self.store.note_result(entry.id, self._lease, trained.path, message=told)

    @staticmethod
    def _status_of(trained: Trained, control: Control) -> str:
        if not trained.stopped:
            return DONE
        return INTERRUPTED if control.is_interrupted else STOPPED

    def _note(self, entry: Entry, step: Step) -> None:
        assert self._lease is not None
        self.store.note_step(entry.id, self._lease, step.number, step.total)

    def _note_model(self, entry: Entry, model: str) -> None:
        assert self._lease is not None
        self.store.note_model(entry.id, self._lease, model)

    def _finish(self, entry: Entry, status: str, told: Message | None, path: Path | None, step: int) -> None:
        """Record how a job ended, even if the store cannot be reached for a while."""
        assert self._lease is not None
        for attempt in range(_ATTEMPTS):
            try:
                self.store.finish(entry.id, self._lease, status, message=told, path=path, step=step)
                return
            except UserError:
                if attempt == _ATTEMPTS - 1:
                    self._lease.end()  # or it would seem to run for as long as this program does
                    self._lease = None
                    raise
                time.sleep(_LOOK_EVERY)

    def _give_up(self, error: UserError) -> None:
        """Hold the queue because its store fails; ``problem`` says why."""
        self.problem = error.whole
        self.hold()


def _end(step: int, entry: Entry, *, saved: bool, interrupted: bool) -> tuple[str, Message]:
    """Status and message of a job that did not come to its end."""
    if interrupted:
        key = "jobs.program_closed_and_saved" if saved else "jobs.program_closed"
    else:
        key = "jobs.stopped_and_saved" if saved else "jobs.stopped"
    return INTERRUPTED if interrupted else STOPPED, message(key, step=step, steps=entry.steps)


class _Report:
    """Passes a job's events on.

    Attributes:
        step: the last one that is done.
        trained: set when the job's LoRA is on the disk.
    """

    def __init__(
        self,
        entry: Entry,
        run_status: RunStatus,
        listener: Listener | None,
        note: Callable[[Entry, Step], None],
        note_result: Callable[[Entry, Trained], None],
        note_model: Callable[[Entry, str], None],
    ) -> None:
        self.step = 0
        self.trained: Trained | None = None
        self._entry = entry
        self._run_status = run_status
        self._listener = listener
        self._note = note
        self._note_result = note_result
        self._note_model = note_model
        self._noted = time.monotonic()
        self._failed = False

    def __call__(self, event: Event) -> None:
        self._failed = self._failed or isinstance(event, Failed)
        self._run_status(event)
        if isinstance(event, Trained):
            self.trained = event
            self._write(lambda: self._note_result(self._entry, event))
        if isinstance(event, TrainsOn):
            self._write(lambda: self._note_model(self._entry, event.name))
        if self._listener is not None:
            try:
                self._listener(self._entry, event)
            except OSError as error:  # a closed terminal must not end the run
                self._listener = None
                self(Warned("jobs.output_gone", reason=error))
        if isinstance(event, Step):
            self.step = event.number
            if time.monotonic() - self._noted > _NOTE_EVERY:
                self._noted = time.monotonic()
                self._write(lambda: self._note(self._entry, event))

    def fail(self, error: UserError) -> None:
        """Report a failure, unless the run has reported it."""
        if not self._failed:
            self(Failed(error))

    def _write(self, note: Callable[[], None]) -> None:
        try:
            note()
        except UserError as error:  # progress in the queue matters less than the run
            self._noted = float("inf")
            self(Warned("jobs.step_not_written", error=error.whole))


def _tidy_up() -> None:
    """Free the device's memory of the job that has ended; what it has left was collected by the host."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def the_held_worker() -> Worker | None:
    """The one worker of this process, if there is one yet."""
    return _HELD.get("worker")


_HELD: dict[str, Worker] = {}
_HOLDING = threading.Lock()


def held_worker(make: Callable[[], Worker]) -> Worker:
    """The one worker of this process; made at the first call.

    It is kept here because a WebUI's "Reload UI" runs the extension's script again during a run.
    """
    with _HOLDING:
        if "worker" not in _HELD:
            _HELD["worker"] = make()
        return _HELD["worker"]
