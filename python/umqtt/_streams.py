# What umqtt.simple puts in the place of a socket where there is need.
# MIT licence: see LICENSE.
import io


# An object of the application's with read(n) and write(data), as a stream
class Stream(io.IOBase):
    def __init__(self, sock):
        self.sock = sock

    def readinto(self, buf):
        data = self.sock.read(len(buf))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf):
        n = self.sock.write(bytes(buf))  # It may keep them
        return len(buf) if n is None else n


# A socket from which the first two bytes of a packet are read that nobody has asked the client for: who
# finds the first one with wait_msg() reads on from here
class Rest:
    unread = True

    def __init__(self, client, second):
        self.client = client
        self.sock = client.sock
        self.second = second

    def read(self, n=-1):
        client = self.client
        client.sock = self.sock
        client._core.close()
        client._opened = None
        data = bytes((self.second,))
        if n < 0 or n > 1:
            data += self.sock.read(n - 1 if n > 0 else n) or b""
        return data

    def __getattr__(self, name):
        return getattr(self.sock, name)
