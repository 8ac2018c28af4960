import contextlib
import json
import os
import re
import signal
import socket
import threading
import time

import pytest

from dfdc.system.locks.exclusive import LockLost, LockTaken, locked
from dfdc.system.locks.heartbeats import Heartbeat, Rhythm, Sign
from dfdc.system.locks.owners import Owner
from nodes import ELSEWHERE, HERE, HOLD, LOCK, aged, python, renewing, written

FAST = Rhythm(beat=0.1, stale=1.0)
# In which nobody who is alive grows old, however busy this machine is.
CAREFUL = Rhythm(beat=0.1, stale=60.0)
# With which what has to be waited for is never waited for.
SLOW = Rhythm(beat=30.0, stale=600.0)


@pytest.fixture
def started(started):
    """The same for programs whose last arguments are a rhythm."""
    return lambda program, *arguments, rhythm=FAST: started(program, *arguments, rhythm.beat, rhythm.stale)


def enter(folder, rhythm=SLOW):
    with locked(folder, rhythm=rhythm):
        pass


def refused(folder, rhythm=SLOW):
    with pytest.raises(LockTaken) as error:
        enter(folder, rhythm)
    return str(error.value)


def took(action, *arguments):
    begin = time.monotonic()
    action(*arguments)
    return time.monotonic() - begin


def test_one_process_at_a_time(tmp_path, started):
    with locked(tmp_path, rhythm=SLOW) as lock:
        lock.check()
        assert re.fullmatch(rf"process {os.getpid()} on {re.escape(HERE)}, last heartbeat \d+ s ago", refused(tmp_path))
    enter(tmp_path)
    holder = started(LOCK + HOLD, tmp_path)
    assert f"process {holder.pid} on {HERE}" in refused(tmp_path)
    holder.communicate("\n")
    enter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock-000004.free"]


def test_a_lock_that_is_about_to_be_released_is_waited_for(tmp_path):
    with locked(tmp_path, rhythm=FAST):
        release = threading.Event()
        entered = threading.Event()

        def late():
            release.wait()
            with locked(tmp_path, patience=600, rhythm=FAST):
                entered.set()

        thread = threading.Thread(target=late)
        thread.start()
        release.set()
        assert not entered.wait(0.3)
    thread.join(600)
    assert entered.is_set()


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path, started):
    holder = started(LOCK + HOLD, tmp_path)
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # its parent has not noticed: it is a zombie
    enter(tmp_path)


def test_a_stopped_process_of_this_machine_keeps_the_lock(tmp_path, started):
    holder = started(LOCK + HOLD, tmp_path)
    holder.send_signal(signal.SIGSTOP)
    aged(tmp_path / "lock-000001", 3600)
    assert f"process {holder.pid} on {HERE}, last heartbeat 1 h 0 min ago" in refused(tmp_path)


def test_a_process_with_the_id_of_a_dead_one_is_told_apart(tmp_path):
    current = Owner.current()
    about = {"host": current.host, "boot": current.boot, "namespace": current.namespace, "process": current.process}
    written(tmp_path / "lock-000001", started=current.started, **about)
    refused(tmp_path)
    written(tmp_path / "lock-000001", started=current.started - 1, **about)
    enter(tmp_path)


@pytest.mark.parametrize("differs", [{"boot": "before"}, {"namespace": 7}, {"host": "node7"}])
def test_a_process_id_of_another_machine_says_nothing(tmp_path, differs):
    """The machine has been started anew, or it is a container, or a machine that has the same name."""
    current = Owner.current()
    dead = python("")
    dead.wait()
    about = {"host": current.host, "boot": current.boot, "namespace": current.namespace, "process": dead.pid}
    sign = Sign.read(written(tmp_path / "beat", **about))
    assert sign.dead is True
    assert Sign.read(written(tmp_path / "beat", **about | differs)).dead is None


def test_the_kernel_tells_of_a_process_in_another_container(tmp_path, started):
    """Where a process id means nothing, but both are on one kernel."""
    contained = "import dfdc.system.locks.owners as owners; owners._namespace = lambda: 7\n"
    holder = started(contained + LOCK + HOLD, tmp_path)
    assert json.loads((tmp_path / "lock-000001").read_text())["namespace"] == 7
    assert f"process {holder.pid} on" in refused(tmp_path)
    holder.kill()
    holder.wait()
    enter(tmp_path)


def test_a_living_process_of_another_machine_keeps_the_lock(tmp_path, started):
    holder = started(ELSEWHERE + LOCK + HOLD, tmp_path, rhythm=CAREFUL)
    assert refused(tmp_path, CAREFUL).startswith(f"process {holder.pid} on node7, last heartbeat ")


def test_a_dead_process_of_another_machine_loses_the_lock_when_its_heartbeat_is_old(tmp_path, started, caplog):
    caplog.set_level("INFO")
    holder = started(ELSEWHERE + LOCK + HOLD, tmp_path)
    holder.kill()
    holder.wait()
    last = (tmp_path / "lock-000001").stat().st_mtime
    enter(tmp_path, FAST)
    assert time.time() - last > 0.99 * FAST.stale
    assert f"{tmp_path} is locked (process {holder.pid} on node7, last heartbeat " in caplog.text


def test_an_old_heartbeat_is_still_watched_for_two_beats(tmp_path):
    """By the clock of another machine, its heartbeats may look old when they are new."""
    written(tmp_path / "lock-000001", age=3600)
    assert took(enter, tmp_path, FAST) >= 2 * FAST.beat

    with renewing(written(tmp_path / "lock-000003", age=3500), age=3500):
        assert refused(tmp_path, Rhythm(5.0, 60.0)).startswith("process 41 on node7, last heartbeat 58 min ")


def test_a_heartbeat_of_the_future_grows_old_too(tmp_path):
    written(tmp_path / "lock-000001", age=-3600)
    assert took(enter, tmp_path, FAST) >= FAST.stale


def test_the_age_is_by_the_clock_of_the_disk(tmp_path, monkeypatch):
    sign = Sign.read(written(tmp_path / "beat", age=20))  # by the clock of this machine, a tick ahead of the disk's
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 19 < sign.age < 80


@pytest.mark.parametrize("content", ["", "\0\0", "[]", "{}", '{"flock": 0, "host": "a"}'])
def test_a_file_that_is_only_being_written_is_somebodys(tmp_path, content):
    (tmp_path / "lock-000001").write_text(content)
    with renewing(tmp_path / "lock-000001"):
        assert refused(tmp_path, Rhythm(1.0, 600.0)).startswith("an unknown process, last heartbeat ")


def test_a_process_that_was_suspended_notices_that_the_lock_was_taken(tmp_path, started):
    program = (
        "import threading; noticed = threading.Event()\n"
        "with locked(folder, rhythm=rhythm, lost=noticed.set) as lock:\n"
        "    print('in', flush=True); noticed.wait(600)\n"
        "    try: lock.check()\n"
        "    except LockLost as error: print('lost to', error, flush=True)\n"
        "    else: print('held', flush=True)\n"
    )
    suspended = started(ELSEWHERE + LOCK + program, tmp_path)
    suspended.send_signal(signal.SIGSTOP)
    with locked(tmp_path, rhythm=FAST) as lock:
        suspended.send_signal(signal.SIGCONT)
        assert suspended.stdout.readline().startswith(f"lost to process {os.getpid()} on {HERE}, last heartbeat ")
        assert suspended.wait(600) == 0  # and it leaves the other's lock alone
        lock.check()
        assert [path.name for path in tmp_path.iterdir()] == ["lock-000002"]


def test_a_lock_whose_file_is_gone_is_lost(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with locked(folder, rhythm=FAST) as lock:
        (folder / "lock-000001").unlink()
        with pytest.raises(LockLost, match="nobody: the lock's file was removed"):
            lock.check()
        folder.rmdir()
        with pytest.raises(LockLost, match="nobody"):
            lock.check()


@pytest.mark.parametrize("left", [None, "dead here", "old elsewhere"])
def test_of_several_that_start_at_once_one_gets_the_lock(tmp_path, started, left):
    folder = tmp_path / "folder"
    folder.mkdir()
    if left == "dead here":
        dead = python("")
        dead.wait()
        current = Owner.current()
        about = {"host": current.host, "boot": current.boot, "namespace": current.namespace}
        written(folder / "lock-000005", process=dead.pid, **about)
    elif left == "old elsewhere":
        written(folder / "lock-000005", age=3600)
    program = (
        "import os, time; print('ready', flush=True)\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): pass\n"
        "try:\n"
        "    with locked(folder, rhythm=rhythm): print('in', flush=True); input()\n"
        "except LockTaken: print('taken', flush=True)\n"
    )
    # On two machines.
    rivals = [started(prelude + LOCK + program, folder, rhythm=CAREFUL) for prelude in ("", ELSEWHERE) * 3]
    (tmp_path / "go").touch()
    said = [rival.stdout.readline().strip() for rival in rivals]
    assert sorted(said) == ["in", *["taken"] * 5]


def test_never_two_are_in_while_many_take_turns_and_some_are_killed(tmp_path, started):
    folder = tmp_path / "folder"
    folder.mkdir()
    inside = tmp_path / "inside"
    inside.touch()
    program = (
        "import os, sys\n"
        f"inside = Path({str(inside)!r}); print('ready', flush=True)\n"
        "for turn in range(30):\n"
        "    with locked(folder, patience=600, rhythm=rhythm) as lock:\n"
        "        inside.write_text(str(os.getpid()))\n"
        "        lock.check()\n"
        "        if inside.read_text() != str(os.getpid()): sys.exit('two are in')\n"
        "        if turn == 20 and os.getpid() % 2: os._exit(0)\n"
    )
    rivals = [started(LOCK + program, folder, rhythm=Rhythm(0.01, 600.0)) for _ in range(5)]
    assert [rival.wait(600) for rival in rivals] == [0] * 5


def test_a_heartbeat_goes_on_until_it_ends(tmp_path):
    path = tmp_path / "beat"
    heartbeat = Heartbeat(path, FAST)
    with pytest.raises(FileExistsError):
        Heartbeat(path, FAST)
    aged(path, 3600)
    end = time.monotonic() + 600
    while Sign.read(path).age > 1800 and time.monotonic() < end:
        time.sleep(0.05)
    assert Sign.read(path).age < 1800
    assert Sign.read(path).owner == Owner.current()
    heartbeat.end()
    assert Sign.read(path) is None
    with contextlib.suppress(FileNotFoundError):
        heartbeat.end()


def test_owners_as_text():
    owner = Owner.current()
    assert (owner.host, owner.process) == (socket.gethostname(), os.getpid())
    assert owner.visible()
    assert owner.exists()
    assert Owner.parse(owner.text()) == owner
    for other in ("", "41", "[1]", '{"host": "a"}'):
        assert Owner.parse(other) is None
