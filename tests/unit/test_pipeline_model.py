"""The model of benchmarks/pipeline.py, where its results can be worked out by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks/pipeline.py"
PACKETS = 20_000


@pytest.fixture(scope="module")
def model() -> Any:
    """The module, which is in no package."""
    spec = importlib.util.spec_from_file_location("pipeline", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipeline"] = module  # dataclasses ask for it
    spec.loader.exec_module(module)
    return module


def rate(model: Any, *stages: Any, queues: int = 1, cores: int = 1, room: int = 32, wake: float = 0.0) -> float:
    pipeline = model.Pipeline(stages, queues=queues, cores=cores, room=room, wake=wake)
    return float(pipeline.run(PACKETS).rate)


def test_slowest_stage_limits_where_each_has_a_core(model: Any) -> None:
    stages = [model.Stage("a", 1.0), model.Stage("b", 4.0), model.Stage("c", 2.0)]
    assert rate(model, *stages, cores=3) == pytest.approx(1 / 4, rel=0.01)
    outcome = model.Pipeline(stages, queues=1, cores=3, wake=0.0).run(PACKETS)
    assert outcome.limit == "b" and outcome.busy["b"] == pytest.approx(1, rel=0.01)
    assert outcome.busy["c"] == pytest.approx(0.5, rel=0.01)


def test_stages_on_one_core_take_the_sum_of_their_times(model: Any) -> None:
    stages = [model.Stage("a", 1.0), model.Stage("b", 4.0)]
    outcome = model.Pipeline(stages, queues=1, cores=1, wake=0.0).run(PACKETS)
    assert (outcome.rate, outcome.limit) == (pytest.approx(1 / 5, rel=0.01), "cores")


def test_hardware_needs_no_core_and_one_stage_may_serve_all_queues(model: Any) -> None:
    stages = [model.Stage("program", 1.0), model.Stage("bus", 2.0, core=False, shared=True)]
    assert rate(model, *stages, cores=1) == pytest.approx(1 / 2, rel=0.01)
    assert rate(model, *stages, queues=4, cores=4) == pytest.approx(1 / 2, rel=0.01)
    alone = [model.Stage("program", 1.0), model.Stage("bus", 2.0, core=False)]
    assert rate(model, *alone, queues=4, cores=4) == pytest.approx(4 / 2, rel=0.01)


def test_wake_ups_cost_where_there_is_room_for_one_packet_only(model: Any) -> None:
    stages = [model.Stage("a", 1.0), model.Stage("b", 1.0)]
    assert rate(model, *stages, cores=2, room=1, wake=9.0) < rate(model, *stages, cores=2, room=64, wake=9.0)
