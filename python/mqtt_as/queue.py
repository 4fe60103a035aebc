# Messages on their way to the application
import asyncio


# Holds size messages; a further one takes the place of the oldest
class MsgQueue:
    def __init__(self, size):
        self._q = [None] * size
        self._first = 0
        self._n = 0
        self._event = asyncio.Event()
        self.discards = 0

    def room(self):
        return len(self._q) - self._n

    def put(self, *message):
        q = self._q
        size = len(q)
        if self._n == size:
            self.discards += 1
            self._first = (self._first + 1) % size
            self._n -= 1
        q[(self._first + self._n) % size] = message
        self._n += 1
        self._event.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._n:
            self._event.clear()
            await self._event.wait()
        first = self._first
        message = self._q[first]
        self._q[first] = None
        self._first = (first + 1) % len(self._q)
        self._n -= 1
        return message
