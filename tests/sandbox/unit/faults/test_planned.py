"""Which calls get a planned fault, how often, and what is logged."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.faults import Fault, FaultRefused, control
from xacct_sandbox.faults.kinds import DATABASE_OPERATIONS, KINDS
from xacct_sandbox.faults.planned import FaultPlan
from xacct_sandbox.faults.signal_file import SignalFile
from xacct_sandbox.service_errors import ServiceError

START = Fault("throttle", service="glue", operation="StartJobRun")


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plan(tmp_path: Path) -> FaultPlan:
    return FaultPlan(tmp_path / "faults.jsonl")


def _call(plan: FaultPlan, resource: str = "job", operation: str = "StartJobRun") -> str | None:
    injection = plan.inject("glue", (operation,), resource, kinds=KINDS)
    return injection.kind if injection else None


def test_an_empty_plan_injects_nothing_and_writes_nothing(plan: FaultPlan, tmp_path: Path) -> None:
    assert not plan.armed(KINDS)
    assert _call(plan) is None
    assert list(tmp_path.iterdir()) == []


def test_a_fault_is_injected_once_by_default_and_logged(plan: FaultPlan) -> None:
    [identifier] = plan.add([START])

    assert [_call(plan, "a job"), _call(plan)] == ["throttle", None]

    [entry] = plan.log()
    assert entry.pop("at").endswith("+00:00")
    assert entry == {
        "id": identifier,
        "kind": "throttle",
        "service": "glue",
        "operation": "StartJobRun",
        "resource": "a job",
    }
    [planned] = plan.document()
    assert planned == {"id": identifier, **asdict(START), "matched": 2, "injected": 1}
    assert plan.summary() == {"planned": 0, "injected": 1}
    assert not plan.armed(KINDS)


@pytest.mark.parametrize(
    ("fault", "injected"),
    [
        (START, True),
        (replace(START, service="*"), True),
        (replace(START, operation="*"), True),
        (replace(START, match="products"), True),
        (replace(START, match="orders"), False),
        (replace(START, operation="GetJobRun"), False),
        (Fault("throttle", service="s3"), False),
        (Fault("crawl_failed"), False),
    ],
    ids=lambda item: (
        f"{item.kind}-{item.service}-{item.operation}-{item.match}"
        if isinstance(item, Fault)
        else ""
    ),
)
def test_a_call_matches_by_service_operation_and_resource(
    plan: FaultPlan, fault: Fault, injected: bool
) -> None:
    plan.add([fault])
    assert (_call(plan, "xacct-products") is not None) is injected


def test_only_the_kinds_that_the_caller_can_inject_count_the_call(plan: FaultPlan) -> None:
    plan.add([START])
    assert plan.inject("glue", ("StartJobRun",), "", kinds=["slow"]) is None
    assert plan.document()[0]["matched"] == 0


def test_a_call_gets_one_fault_and_later_faults_do_not_count_it(plan: FaultPlan) -> None:
    plan.add([replace(START, kind="server_error"), replace(START, count=None)])
    assert [_call(plan) for _ in range(3)] == ["server_error", "throttle", "throttle"]
    assert [item["matched"] for item in plan.document()] == [3, 2]


def test_only_a_fault_with_a_principal_looks_the_principal_up(plan: FaultPlan) -> None:
    looked_up: list[str] = []

    def principal(arn: str) -> Callable[[], str]:
        def look_up() -> str:
            looked_up.append(arn)
            return arn

        return look_up

    def injected(arn: str) -> bool:
        fault = plan.inject("glue", ("StartJobRun",), "", kinds=KINDS, principal=principal(arn))
        return fault is not None

    plan.add([START])
    assert injected("anybody")
    assert looked_up == []
    plan.add([replace(START, principal="role/xacct-glue")])
    assert [injected("arn:user/admin"), injected("arn:role/xacct-glue-local")] == [False, True]
    assert looked_up == ["arn:user/admin", "arn:role/xacct-glue-local"]


@given(
    count=st.none() | st.integers(1, 6),
    after=st.integers(0, 6),
    probability=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**32),
    calls=st.lists(st.booleans(), max_size=40),
)
def test_count_after_and_probability_hold_for_any_sequence_of_calls(
    tmp_path_factory: pytest.TempPathFactory,
    count: int | None,
    after: int,
    probability: float,
    seed: int,
    calls: list[bool],
) -> None:
    """The model: the first ``after`` matching calls pass, each later one gets its draw."""
    plan = FaultPlan(tmp_path_factory.mktemp("plan") / "faults.jsonl")
    fault = replace(
        START, count=count, after=after, probability=probability, seed=seed, match="products"
    )
    plan.add([fault])
    chance, expected, injected = Random(seed), [], 0
    matching = 0
    for matches in calls:
        is_injected = False
        if matches:
            matching += 1
            if matching > after and injected != count:
                is_injected = probability == 1 or chance.random() < probability
        injected += is_injected
        expected.append(is_injected)

    resources = ["the products" if matches else "the orders" for matches in calls]
    actual = [_call(plan, resource) is not None for resource in resources]

    assert actual == expected
    [state] = plan.document()
    assert (state["matched"], state["injected"]) == (sum(calls), injected)
    assert len(plan.log()) == injected
    assert plan.summary()["injected"] == injected


def test_a_probability_is_kept_over_many_calls_and_a_seed_repeats_it(tmp_path: Path) -> None:
    def run(seed: int) -> list[bool]:
        plan = FaultPlan(tmp_path / f"{seed}.jsonl")
        plan.add([replace(START, count=None, probability=0.3, seed=seed)])
        return [_call(plan) is not None for _ in range(1000)]

    first = run(7)
    assert 240 < sum(first) < 360
    assert first == run(7)
    assert first != run(8)


def test_threads_share_a_count_exactly(plan: FaultPlan) -> None:
    plan.add([replace(START, count=50)])
    got: list[str | None] = []

    def calls() -> None:
        for _ in range(40):
            got.append(_call(plan))

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got.count("throttle") == 50
    assert len(plan.log()) == 50


def test_the_log_outlives_clear_and_the_daemon_and_ends_with_forget(
    plan: FaultPlan, tmp_path: Path
) -> None:
    plan.add([START])
    _call(plan)
    plan.clear()
    assert plan.document() == []

    after_restart = FaultPlan(tmp_path / "faults.jsonl")
    assert after_restart.document() == []
    assert after_restart.summary() == {"planned": 0, "injected": 1}
    assert len(after_restart.log()) == 1
    after_restart.forget()
    assert after_restart.log() == []
    assert after_restart.summary()["injected"] == 0


def test_a_line_that_a_kill_cut_short_does_not_hide_the_log(
    plan: FaultPlan, tmp_path: Path
) -> None:
    plan.add([START])
    _call(plan)
    with (tmp_path / "faults.jsonl").open("a") as file:
        file.write('{"at": "20')

    again = FaultPlan(tmp_path / "faults.jsonl")
    again.add([START])
    _call(again)

    assert [entry["kind"] for entry in again.log()] == ["throttle", "throttle"]


def test_nothing_is_planned_if_one_of_several_is_refused(plan: FaultPlan) -> None:
    with pytest.raises(FaultRefused):
        plan.add([START, Fault("no such kind")])
    assert plan.document() == []


def test_ids_are_unique(plan: FaultPlan) -> None:
    first = plan.add([START, START])
    plan.clear()
    assert not set(first) & set(plan.add([START]))


# -- the warehouse -----------------------------------------------------------------------------


def _signals(path: Path) -> set[str]:
    read = SignalFile(path)
    return {operation for operation in DATABASE_OPERATIONS if read.has(operation)}


def test_the_signal_has_exactly_the_operations_with_a_planned_fault(tmp_path: Path) -> None:
    path = tmp_path / "signal"
    plan = FaultPlan(tmp_path / "log", SignalFile(path))
    assert _signals(path) == set()
    plan.add([START])
    assert _signals(path) == set()

    plan.add([Fault("commit_lost"), Fault("job_killed_in_copy")])
    assert _signals(path) == {"Commit", "Copy"}
    plan.inject("redshift", ("Statement", "Commit"), "INSERT", kinds=KINDS)
    assert _signals(path) == {"Copy"}
    plan.add([Fault("connection_reset", operation="Begin")])
    assert _signals(path) == {"Copy", "Begin"}
    plan.clear()
    assert _signals(path) == set()


def test_the_signal_of_an_earlier_daemon_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "signal"
    FaultPlan(tmp_path / "log", SignalFile(path)).add([Fault("commit_lost")])
    FaultPlan(tmp_path / "log", SignalFile(path))
    assert _signals(path) == set()


def test_a_pause_lasts_its_seconds_and_signals_every_operation(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "signal"
    plan = FaultPlan(tmp_path / "log", SignalFile(path), clock)
    plan.add([Fault("workgroup_paused", seconds=30)])
    assert not plan.paused()

    plan.inject("redshift", ("Connect",), "admin@dev", kinds=KINDS)
    clock.now += 29
    assert plan.paused()
    assert _signals(path) == set(DATABASE_OPERATIONS)
    clock.now += 1
    assert not plan.paused()
    assert _signals(path) == set()


def test_clear_ends_a_pause(tmp_path: Path) -> None:
    plan = FaultPlan(tmp_path / "log", SignalFile(tmp_path / "signal"), Clock())
    plan.add([Fault("workgroup_paused", seconds=30)])
    plan.inject("redshift", ("Statement",), "SELECT 1", kinds=KINDS)
    plan.clear()
    assert not plan.paused()
    assert _signals(tmp_path / "signal") == set()


# -- the control endpoint ----------------------------------------------------------------------


def test_the_control_endpoint_plans_lists_and_clears(plan: FaultPlan) -> None:
    document = json.loads(json.dumps({"action": "add", "faults": [asdict(START)]}))
    ids = control.serve(plan, document)["ids"]
    assert [item["id"] for item in control.serve(plan, {"action": "plan"})["plan"]] == ids
    _call(plan)
    control.serve(plan, {"action": "clear"})
    assert control.serve(plan, {"action": "plan"}) == {"plan": []}
    assert len(control.serve(plan, {"action": "log"})["log"]) == 1
    control.serve(plan, {"action": "forget"})
    assert control.serve(plan, {"action": "log"}) == {"log": []}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"action": "add", "faults": [{"kind": "throttle", "times": 3}]}, "has no times"),
        ({"action": "add", "faults": [{"kind": "trottle"}]}, "there is no fault 'trottle'"),
        ({"action": "add", "faults": [{"service": "s3"}]}, "a fault needs a kind"),
        ({"action": "add", "faults": [{"kind": "throttle", "count": "3"}]}, "count is '3'"),
        ({"action": "add", "faults": [{"kind": "throttle", "after": True}]}, "after is True"),
        ({"action": "dance"}, "no action 'dance'"),
    ],
    ids=["field", "kind", "no-kind", "text", "truth", "action"],
)
def test_the_control_endpoint_refuses_by_name(
    plan: FaultPlan, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        control.serve(plan, request_)
    assert words in refused.value.message
    assert plan.document() == []
