"""A stampede: many clients of a cache read one key that is missing, and each that finds nothing loads it and writes it.

What an application does that knows nothing of its cache but GET and SET. Times are the clients': one thread has them all, so on a busy
machine they are longer than what the server took.
"""

import asyncio
import dataclasses
import time

from support import resp


@dataclasses.dataclass
class Round:
    """What came of one time that the key was missing."""

    loads: int = 0  # clients that found nothing, and went to the database
    wrong: int = 0  # replies that are neither nil nor the value of this round
    longest: float = 0.0  # seconds from a GET to its reply


class _Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, *words):
        """The reply to a command: None for nil, the text of anything else."""
        self.writer.write(resp.encode_command(words))
        line = await self.reader.readline()
        if not line.startswith(b"$"):
            return line.rstrip()
        size = int(line[1:])
        return None if size < 0 else (await self.reader.readexactly(size + 2))[:-2]


async def _read_or_load(client, key, value, load_seconds, result):
    begin = time.monotonic()
    found = await client.ask("GET", key)
    result.longest = max(result.longest, time.monotonic() - begin)
    if found is None:
        result.loads += 1
        await asyncio.sleep(load_seconds)
        await client.ask("SET", key, value, "EX", "100")
    elif found != value.encode():
        result.wrong += 1


async def _run(port, clients, rounds, load_seconds, key):
    connected = [_Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(clients)]
    results = []
    for number in range(rounds):
        await connected[0].ask("DEL", key)
        results.append(Round())
        await asyncio.gather(*(_read_or_load(client, key, "value %d" % number, load_seconds, results[-1]) for client in connected))
    for client in connected:
        client.writer.close()
    return results


def stampede(port, clients, rounds, load_seconds, key="item:hot"):
    """A Round for each time that the key was deleted, and read by all clients at once."""
    return asyncio.run(_run(port, clients, rounds, load_seconds, key))
