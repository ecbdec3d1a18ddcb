"""Sends each packet back where it came from, and counts meanwhile.  python3 asyncio_echo.py /run/card"""

import asyncio
import sys

from vnetcard import AsyncPortClient


async def main(path: str) -> None:
    """Echo until the agent goes; print a line per second with packets."""
    count = 0

    async def report() -> None:
        seen = 0
        while True:
            await asyncio.sleep(1)
            if count > seen:
                print(f"{count - seen} packets/s", flush=True)
                seen = count

    async with await AsyncPortClient.open(path, timeout=10) as port:
        print("connected", flush=True)
        reporter = asyncio.create_task(report())
        async for packet in port:
            await port.send(packet)
            count += 1
        reporter.cancel()
    print(f"the agent has gone after {count} packets", flush=True)


asyncio.run(main(sys.argv[1]))
