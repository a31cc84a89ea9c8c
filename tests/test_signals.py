"""SIGTERM as an exception: where it is taken, and that it is given back."""

import os
import signal
import threading
import time

import pytest

from glassnet.signals import TerminatedError, terminable


def test_sigterm_is_raised_once_and_given_back():
    with pytest.raises(TerminatedError), terminable():  # noqa: PT012 - the signal comes somewhere within
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_sigterm_ends_the_process():
    pid = os.fork()
    if pid == 0:
        with terminable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
            except TerminatedError:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM


def test_whoever_has_taken_it_keeps_it():
    def mine(number, frame):
        came.append(number)

    came = []
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_it_is_left_alone():
    found = []

    def ask():
        with terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [before]
