"""Samples of perf as a table of stages."""

from __future__ import annotations

import pytest

from vnetcard.bench import profile

SAMPLES = """\
         swapper     0     ffffffff81000000 pv_native_safe_halt
         swapper     0     ffffffff81000000 pv_native_safe_halt
          iperf3   100     ffffffff81000000 _copy_from_iter
          vnc-tx   200     ffffffff81000000 tun_do_read
          vnc-tx   200     ffffffff81000000 copy_to_iter
          vnc-tx   201     ffffffff81000000 schedule
          vnc-rx   201     ffffffff81000000 tun_get_user
    vnetcard-x86   200         7f0000000000 _PyEval_EvalFrameDefault
 kworker/1:2-mm_   300     ffffffff81000000 finish_task_switch.isra.0
    Web Content    400         7f0000000000 [unknown]

no sample
"""


def test_samples_are_counted_by_stage() -> None:
    found = {row["stage"]: row for row in profile.stages(SAMPLES.splitlines(), (200, 201))}
    shares = [found[stage]["share"] for stage in profile.STAGES]
    assert shares == pytest.approx([0.2, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1])
    tx = found["tx pumps: port to ring"]
    assert (tx["copies"], tx["scheduler"]) == (0.1, 0.1)
    assert tx["functions"] == ["tun_do_read", "copy_to_iter", "schedule"]
    assert found["the kernel's own threads"]["scheduler"] == 0.1


def test_stages_without_samples_are_left_out() -> None:
    assert profile.stages([], ()) == []
    (row,) = profile.stages(["swapper 0 0 idle"], ())
    assert (row["stage"], row["share"], row["functions"]) == ("idle", 1.0, ["idle"])


def test_table_fits_its_columns() -> None:
    rows = profile.stages([*SAMPLES.splitlines(), f"vnc-tx 200 0 {'long_name_' * 20}"], (200,))
    printed = list(profile.lines("tcp cubic", "vnetcard", rows))
    assert printed[0] == "tcp cubic, vnetcard: shares of all cores"
    assert all(len(line) <= profile.WIDTH for line in printed)
    assert (
        "tx pumps: port to ring                      36.4%    9.1%       9.1%  tun_do_read, copy_to_iter" in printed[4]
    )
