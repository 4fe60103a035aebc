# For scripts under MicroPython: counts tasks and files, and steps into coroutines. To be imported before tasks are made.
import asyncio
import os
from asyncio import core

_create = core.create_task
_tasks = []
_wrap = None


def _create_task(coro):
    t = _create(_wrap(coro) if _wrap else coro)
    _tasks.append(t)
    return t


core.create_task = asyncio.create_task = _create_task


def wrap(wrapper):
    """The coroutine of each task made from now on goes through `wrapper` (None: no longer)."""
    global _wrap
    _wrap = wrapper


def tasks():
    """How many tasks have not ended."""
    _tasks[:] = [t for t in _tasks if not t.done()]
    return len(_tasks)


def files():
    """How many are open; 0 where that is not to be known."""
    return len(os.listdir("/proc/self/fd")) if hasattr(os, "listdir") else 0


def steps(coro, before, after):
    """A coroutine that does what `coro` does, with before() and after() called around each step from await to await."""
    er = None
    while True:
        before()
        try:
            if er is None:
                coro.send(None)
            else:
                coro.throw(er)
        except StopIteration as e:
            return e.value
        finally:
            after()
        try:
            er = yield
        except BaseException as e:
            er = e


class Cancel:
    """await Cancel(n).of(coro): coro, cancelled at its n-th await. `awaits` tells how many there were until its end."""

    def __init__(self, n):
        self.n = n
        self.awaits = -1  # the first step begins without one

    async def _cancel(self, task):
        task.cancel()

    def _step(self):
        self.awaits += 1

    def _suspended(self):
        if self.awaits + 1 == self.n:
            _create(self._cancel(core.cur_task))

    def of(self, coro):
        return _create_task(steps(coro, self._step, self._suspended))
