# mqtt_async takes from here what it gets from `network` and `machine` on a board, and from getaddrinfo() in readable form.
import asyncio
import socket


def unique_id():
    return b"bench"


def is_awaitable(f):
    return f.__class__.__name__ == "generator"


async def open_connection(address):
    family, host, port = socket.sockaddr(address)[:3]
    return (await asyncio.open_connection(socket.inet_ntop(family, host), port))[0]


class STA_IF:
    @staticmethod
    def isconnected():
        return True
