"""The lock of a run's folder: one holder at a time, and on Windows the same by other means."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from glassnet import lock
from glassnet.errors import ConfigError
from glassnet.lock import LOCK, check_free, locked

HOLDER = """
import sys
import threading
from contextlib import suppress
from pathlib import Path
from glassnet.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class Windows:
    """msvcrt's locks of byte ranges, and files that cannot be removed while somebody has them open."""

    LK_NBLCK = 2

    def __init__(self):
        self.locks = {}  # the handles that hold a byte, by file and place

    def locking(self, handle, mode, count):
        assert (mode, count) == (self.LK_NBLCK, 1)
        place = os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR)
        assert place[1] > os.fstat(handle).st_size  # what is locked cannot be read by others
        if place in self.locks:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.locks[place] = handle

    def close(self, handle, really=os.close):
        self.locks = {place: holder for place, holder in self.locks.items() if holder != handle}
        really(handle)

    def unlink(self, path, missing_ok=False, really=Path.unlink):
        if path.name == LOCK and any(inode == path.stat().st_ino for inode, _ in self.locks):
            raise PermissionError(errno.EACCES, "Permission denied")
        really(path, missing_ok)


@pytest.fixture(params=["flock", "msvcrt"])
def system(request, monkeypatch):
    """The lock of this system, and what would be used on Windows."""
    if request.param == "msvcrt":
        fake = Windows()
        monkeypatch.setattr(lock, "msvcrt", fake)
        monkeypatch.setattr(lock, "fcntl", None)
        monkeypatch.setattr(lock, "os", SimpleNamespace(**{**vars(os), "close": fake.close}))
        monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: fake.unlink(path, missing_ok))
    return request.param


def message(folder):
    return rf"{folder} is in use by process {os.getpid()} on {socket.gethostname()}: wait until it has ended"


def test_a_folder_has_one_holder_and_says_who_it_is(system, tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            for ask in (check_free, lambda folder: locked(folder).__enter__()):
                with pytest.raises(ConfigError, match=message(tmp_path)):
                    ask(tmp_path)
            assert json.loads((tmp_path / LOCK).read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}
        assert not (tmp_path / LOCK).exists()
        check_free(tmp_path)


def test_whoever_looks_is_in_nobodys_way(system, tmp_path):
    """Looking takes the lock for a moment."""

    def look():
        while not ended.is_set():
            with suppress(ConfigError):
                check_free(tmp_path)

    ended = threading.Event()
    (tmp_path / LOCK).write_text("{}")
    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            with locked(tmp_path):  # it is not refused
                pass
            (tmp_path / LOCK).write_text("{}")
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


def test_what_is_left_of_a_process_that_is_gone_is_taken_over(system, tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 1, "host": "elsewhere with a long name, longer than ours"}))
    check_free(tmp_path)
    with locked(tmp_path), pytest.raises(ConfigError, match=message(tmp_path)):
        check_free(tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_the_folder_is_free_after_an_error(system, tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    check_free(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_on_a_file_system_without_locks_it_goes_on(tmp_path, monkeypatch, number):
    def fail(handle, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", fail)
    with locked(tmp_path):
        check_free(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_has_not_said_yet_who_it_is_is_asked_again(tmp_path, monkeypatch):
    with locked(tmp_path):
        told = (tmp_path / LOCK).read_text()
        (tmp_path / LOCK).write_text("")
        monkeypatch.setattr(lock.time, "sleep", lambda seconds: (tmp_path / LOCK).write_text(told))
        with pytest.raises(ConfigError, match=message(tmp_path)):
            check_free(tmp_path)


def test_the_lock_goes_with_its_process(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"in use by process {process.pid} on"):
            check_free(tmp_path)
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
