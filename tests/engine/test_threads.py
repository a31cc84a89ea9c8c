"""Threads of the libraries while several threads of Python limit them at once, and in a forked process."""

import itertools
import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.engine.devices import _BLAS, CPU, TORCH_CPU, limited_threads


def blas():
    """Threads of each library that multiplies."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def torch_threads():
    import torch

    return [torch.get_num_threads()]


COUNTS = {CPU: blas, TORCH_CPU: torch_threads}


class Block(threading.Thread):
    """A thread that has limited a library until it is told to leave the block."""

    def __init__(self, device, threads):
        super().__init__()
        self.device, self.threads = device, threads
        self.entered, self.told = threading.Event(), threading.Event()
        self.start()
        assert self.entered.wait(10)

    def run(self):
        with limited_threads(self.device, self.threads):
            self.entered.set()
            self.told.wait(10)

    def leave(self):
        self.told.set()
        self.join(10)


@pytest.mark.parametrize("device", [CPU, pytest.param(TORCH_CPU, marks=pytest.mark.slow)])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_after_the_last_block_all_is_as_before_the_first(device, order):
    np.ones((200, 200)) @ np.ones((200, 200))
    before = COUNTS[device]()
    blocks = [Block(device, threads) for threads in (2, 1, 1)]
    if device == CPU:
        assert set(blas()) == {1}
    for k in order:
        blocks[k].leave()
    assert COUNTS[device]() == before
    with limited_threads(device, 1) as threads:
        assert threads == 1
    assert COUNTS[device]() == before


def test_the_smallest_limit_of_the_open_blocks_holds():
    with threadpool_limits(3, user_api="blas"), limited_threads(CPU, 2) as two:
        with limited_threads(CPU, 1) as one, limited_threads(CPU, 2) as still_one:
            within = max(blas())
        again = max(blas())
    assert (two, one, still_one, within, again) == (2, 1, 1, 1, 2)


def test_blocks_in_many_threads():
    before, barrier, found = blas(), threading.Barrier(8), []

    def work(k):
        barrier.wait()
        for _ in range(30):
            with limited_threads(CPU, 1 + k % 2) as threads:
                found.append(threads <= 1 + k % 2)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 240
    assert blas() == before


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_forgets_the_blocks_of_threads_that_it_does_not_have():
    before = blas()
    with limited_threads(CPU, max(before)):
        block = Block(CPU, 1)
        pid = os.fork()
        if pid == 0:
            try:
                free = _BLAS._lock.acquire(timeout=5)
                _BLAS._lock.release()
                with limited_threads(CPU, 1) as one:
                    pass
                os._exit(0 if (free, one, blas()) == (True, 1, before) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert set(blas()) == {1}
        block.leave()
    assert blas() == before
