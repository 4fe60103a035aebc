"""Several clients in one program: no one harms another, and connect, disconnect and close in any order leave nothing."""

import pytest
from fixtures.client import end

STEPS = 600

SCRIPT = """
    import probe
    from random import choice, getrandbits, seed

    mqtt_as.client._backoff = lambda n: 30 if n else 0  # ms

    class Station:
        def __init__(self, n):
            self.n = n
            self.up = False  # as the application was told
            self.wanted = False  # as it was asked for
            self.outages = 0  # that it has not been told of yet
            self.events = []
            self.got = []
            self.sent = 0
            c = dict(config)
            c.update(client_id="client%d" % n, mqttv5=n % 2 == 1, queue_len=4 * (n // 2 % 2))
            c.update(subs_cb=self.message, wifi_coro=self.wifi, connect_coro=self.connected)
            self.client = MQTTClient(c)
            if self.client.queue:
                for coro in self.consume(), self.watch(self.client.up, True), self.watch(self.client.down, False):
                    asyncio.create_task(coro)

        def message(self, topic, msg, retained, properties=None):
            assert topic == b"to/%d" % self.n, (self.n, topic)
            self.got.append(int(msg))

        async def consume(self):
            async for message in self.client.queue:
                self.message(*message)

        async def wifi(self, up):
            self.told(up)

        async def connected(self, client):
            assert client is self.client

        async def watch(self, event, up):
            while True:
                await event.wait()
                event.clear()
                self.told(up)

        def told(self, up):
            self.events.append(up)

        # What the application may be told: up after a connection that it or the client made, down after an outage
        def expect(self, *events):
            assert self.events == list(events), (self.n, self.events, events)
            del self.events[:]

        async def connect(self):
            was = self.client.isconnected()
            await self.client.connect()
            assert self.client.isconnected()
            await asyncio.sleep_ms(5)
            self.expect(*() if was else (True,))
            self.wanted = True

        async def disconnect(self):
            await self.client.disconnect()
            await self.ended()

        async def close(self):
            self.client.close()
            await self.ended()

        async def ended(self):
            assert not self.client.isconnected()
            await asyncio.sleep_ms(5)
            self.expect()
            self.wanted = False

        async def outage(self):
            if self.wanted:
                self.client._reconnect()
                await until(lambda: len(self.events) == 2)
                await until(self.client.isconnected)
                self.expect(False, True)

        async def ended_in_an_outage(self):
            if self.wanted:
                self.client._reconnect()
                if getrandbits(1):
                    await asyncio.sleep_ms(getrandbits(3))
                await choice((self.client.disconnect, self.closing))()
                await asyncio.sleep_ms(60)  # a keeper that lives would have reconnected
                assert not self.client.isconnected()
                # it may have come to tell of the outage, even to mend it
                assert self.events in ([], [False], [False, True]), self.events
                del self.events[:]
                self.wanted = False

        async def closing(self):
            self.client.close()

        async def cancelled(self):
            task = asyncio.create_task(self.client.connect())
            await asyncio.sleep_ms(getrandbits(2))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            if self.client.isconnected() or self.wanted:
                await until(self.client.isconnected)
                self.wanted = True
            await asyncio.sleep_ms(5)
            assert self.events in ([], [True]), self.events
            del self.events[:]

        async def both(self):
            tasks = [asyncio.create_task(self.client.connect()) for _ in range(2)]
            for t in tasks:
                await t
            self.wanted = True
            await asyncio.sleep_ms(5)
            assert self.events in ([], [True]), self.events
            del self.events[:]

        async def echo(self):
            if self.wanted:
                await self.client.subscribe("to/%d" % self.n, 2)
                for qos in range(3):
                    self.sent += 1
                    await self.client.publish("to/%d" % self.n, str(self.sent), qos=qos)
                    await until(lambda: self.got)
                    assert self.got == [self.sent], (self.n, self.got, self.sent)
                    del self.got[:]

    # Nobody else noticed anything
    def undisturbed(stations):
        for s in stations:
            assert s.client.isconnected() == s.wanted, s.n
            s.expect()

    async def main(client):
        seed(int(sys.argv[1]))
        stations = [Station(n) for n in range(4)]
        steps = "connect disconnect close outage ended_in_an_outage cancelled both echo connect echo".split()
        used = []
        for n in range(int(sys.argv[2])):
            s = choice(stations)
            step = choice(steps)
            was = s.wanted
            try:
                await getattr(s, step)()
                undisturbed(stations)
            except Exception:
                print("step", n, step, "of client", s.n, "connected before:", was)
                raise
            if n % 25 == 24:
                for s in stations:
                    await s.client.disconnect()
                    s.wanted = False
                await asyncio.sleep_ms(100)
                undisturbed(stations)
                gc.collect()
                now = probe.tasks(), probe.files(), gc.mem_alloc()
                print("used", *now)
                used.append(now)
                assert now[:2] == used[0][:2], used
        # what is dead may be taken for alive, now more of it, now less
        heap = [u[2] for u in used]
        half = len(heap) // 2
        assert sorted(heap[half:])[half // 2] - sorted(heap[:half])[half // 2] < 12_000, heap
        print("walked")
"""


@pytest.mark.parametrize("seed", range(4))
def test_random_walk(clients, broker, probe, seed):
    p = clients.start(broker, SCRIPT, seed, STEPS, config={"response_time": 3}, env=probe)
    p.expect("walked", timeout=100)
    end(p)
    assert "rotocol" not in broker.log
