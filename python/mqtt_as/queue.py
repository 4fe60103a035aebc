# Messages on their way to the application
import asyncio


# Holds size messages; a further one takes the place of the oldest. Their places
# are there from the start: putting one in cannot fail
class MsgQueue:
    def __init__(self, size):
        self._q = [[None] * 4 for _ in range(size)]
        self._first = 0
        self._n = 0
        self._event = asyncio.Event()
        self.discards = 0

    def room(self):
        return len(self._q) - self._n

    def put(self, topic, msg, retained, properties=False):  # False: 3.1.1, which has none
        q = self._q
        size = len(q)
        if self._n == size:
            self.discards += 1
            self._first = (self._first + 1) % size
            self._n -= 1
        place = q[(self._first + self._n) % size]
        place[0] = topic
        place[1] = msg
        place[2] = retained
        place[3] = properties
        self._n += 1
        self._event.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._n:
            self._event.clear()
            await self._event.wait()
        place = self._q[self._first]
        message = tuple(place[:3] if place[3] is False else place)
        for i in range(4):
            place[i] = None
        self._first = (self._first + 1) % len(self._q)
        self._n -= 1
        return message
