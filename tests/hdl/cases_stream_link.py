"""The agents' own Link around a card whose FPGA logic echoes; run by test_stream.py."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.hdl.stream_card_bench import EchoBench
from tests.hdl.stream_link_bench import StreamLinkBench
from vnetcard.link.types import LinkState


@cocotb.test()
async def link_comes_up_restarts_and_loses_nothing_unaccounted(dut: Any) -> None:
    """An unchanged host agent, and a control plane of Link and registers: every packet is received or counted lost."""
    bench = EchoBench(dut)
    await bench.reset()
    async with StreamLinkBench(bench) as links:
        host, card = links.host, links.card
        for disturbance in ("none", "host crashes", "card stops", "host stops", "card crashes", "host crashes"):
            side, what = (host if "host" in disturbance else card), disturbance.partition(" ")[2]
            if what == "crashes":
                await links.order(side, side.crash)
                await links.run_for(bench.rng.randrange(1500))
            elif what == "stops":
                await links.order(side, side.stop)
                await links.wait_state(card if side is host else host, LinkState.WAITING)
            await links.bring_up()
            await links.echoed(20)
        # A clean end of the last generation: then both figures are final.
        links.sending = False
        await links.run_for(4000)
        await links.order(card, card.stop)
        await links.order(card, card.start)
        await links.bring_up()
        await links.run_for(500)
        assert await links.violations() == {}
        assert host.ledger.total_sent == card.ledger.total_received + host.ledger.lost
        assert card.ledger.total_sent == host.ledger.total_received + card.ledger.lost
        assert await bench.get("rx_faults") == await bench.get("tx_faults") == 0
        down = await bench.get("drop_down")
        assert card.ledger.total_received == card.ledger.total_sent + down, "the echo lost one"
