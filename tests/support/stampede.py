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
    reads: int = 0  # of `expiries`
    loading: int = 0  # clients that load now, and the most that did together
    together: int = 0


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


async def _read_on(client, key, end, ttl_ms, load_seconds, result):
    while time.monotonic() < end:
        begin = time.monotonic()
        found = await client.ask("GET", key)
        result.longest = max(result.longest, time.monotonic() - begin)
        result.reads += 1
        if found is None:
            result.loads += 1
            result.loading += 1
            result.together = max(result.together, result.loading)
            await asyncio.sleep(load_seconds)
            await client.ask("SET", key, "value", "PX", ttl_ms)
            result.loading -= 1
        elif found != b"value":
            result.wrong += 1
        await asyncio.sleep(0.005)


async def _run_on(port, clients, seconds, ttl_ms, load_seconds, key):
    connected = [_Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(clients)]
    await connected[0].ask("GET", key)
    await asyncio.sleep(load_seconds)
    await connected[0].ask("SET", key, "value", "PX", ttl_ms)
    result = Round()
    end = time.monotonic() + seconds
    await asyncio.gather(*(_read_on(client, key, end, str(ttl_ms), load_seconds, result) for client in connected))
    for client in connected:
        client.writer.close()
    return result


def expiries(port, clients, seconds, ttl_ms, load_seconds, key="item:hot"):
    """What came of a key that all clients read all the time, that lives for ttl_ms, and that who finds nothing loads: one Round."""
    return asyncio.run(_run_on(port, clients, seconds, str(ttl_ms), load_seconds, key))
