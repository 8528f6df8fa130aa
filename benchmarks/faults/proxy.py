"""A TCP proxy before a server, whose connections may be slow, silent or cut: what networks do to a database.

    python -m benchmarks.faults.proxy PORT SERVER_PORT

Reads a command a line: `delay SECONDS` (of each chunk; 0: none), `silent` (nothing passes until `delay`), `cut` (reset
all connections). Writes a line for each connection: the ports from which the proxy and the client have connected.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.faults.processes import wait_until

CHUNK_BYTES = 64 * 1024
HOST = "127.0.0.1"


class DatabaseProxy:
    """The proxy as another process, controlled by its standard input."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def delay(self, delay_s: float) -> None:
        """Delay each chunk by so many seconds, from now on; ends a silence."""
        self._command(f"delay {delay_s}")

    def silence(self) -> None:
        """Let nothing pass until `delay`; connections stay open."""
        self._command("silent")

    def cut(self) -> None:
        """Reset all connections."""
        self._command("cut")

    def client_ports(self) -> dict[int, int]:
        """The client's port of each connection, by the port that the server sees."""
        rows = [line.split() for line in self._log.read_text().splitlines()]
        return {int(port): int(client_port) for port, client_port in rows}

    def _command(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextmanager
def proxied(port: int, server_port: int, *, log: Path) -> Iterator[DatabaseProxy]:
    """A proxy on `port` before the server on `server_port` while the block runs."""
    command = [sys.executable, "-m", "benchmarks.faults.proxy", str(port), str(server_port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, text=True)
    try:
        wait_until("the proxy listens", lambda: _listens(port))
        yield DatabaseProxy(process, log)
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


class _Proxy:
    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._delay_s = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def obey(self, command: str, *arguments: str) -> None:
        if command == "silent":
            self._passing.clear()
        elif command == "cut":
            for writer in self._writers:
                writer.transport.abort()
        else:
            self._delay_s = float(arguments[0])
            self._passing.set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._server_port)
        except OSError:  # it is down
            writer.transport.abort()
            return
        ports = server_writer.get_extra_info("sockname")[1], writer.get_extra_info("peername")[1]
        print(*ports, flush=True)
        self._writers |= {writer, server_writer}
        await asyncio.gather(self._copy(reader, server_writer), self._copy(server_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # reset, by either side
            while chunk := await reader.read(CHUNK_BYTES):
                await self._passing.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                writer.write(chunk)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


async def _main(port: int, server_port: int) -> None:
    proxy, commands = _Proxy(server_port), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with await asyncio.start_server(proxy.connect, HOST, port):
        while line := await commands.readline():
            proxy.obey(*line.decode().split())


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
