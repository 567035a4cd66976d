"""A run of a feed that is not deployed: the first asset that needs it fails with one line."""

import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.aws.errors import NotFound

DAY = "2026-01-02"
LINE = "feed products is not deployed: xacct deploy"


def failed_steps(result: object) -> set[str]:
    return {event.step_key for event in result.all_events if event.is_step_failure}  # type: ignore[attr-defined]


def test_the_crawl_fails_with_the_line_and_nothing_else_is_tried(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.undeploy()
    result = pipeline.run(DAY, checks=True)
    assert failed_steps(result) == {"products__catalog_table"}
    assert pipeline.failures(result) == LINE
    assert (state.count("crawl"), state.count("job")) == (1, 0)


def test_a_stack_that_was_rolled_back_is_named_with_its_status(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.undeploy()
    state.absent.clear()
    state.stacks.add_feed("products", state.settings.suffix, "ROLLBACK_COMPLETE")
    assert pipeline.failures(pipeline.run(DAY)) == (
        "feed products is not deployed (its stack xacct-feed-products-"
        f"{state.settings.suffix} is ROLLBACK_COMPLETE): xacct deploy"
    )


def test_without_tables_no_job_run_is_started(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land(DAY)
    state.drop_tables()
    result = pipeline.run(DAY)
    assert failed_steps(result) == {"products__staging_table"}
    assert "deployed in part (there is no table public.products, no table" in (
        pipeline.failures(result)
    )
    assert state.count("job") == 0


def test_tables_that_vanish_before_the_transformation_are_named(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.hooks["job ended"] = AwsState.drop_tables
    result = pipeline.run(DAY)
    assert failed_steps(result) == {"products__fact_table"}
    assert pipeline.failures(result).endswith(": xacct deploy")


def test_the_check_of_an_export_names_what_is_not_deployed(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success
    state.undeploy()
    assert LINE in pipeline.failures(pipeline.check_export())


def test_a_crawler_that_somebody_deleted_gets_a_fix_that_works(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.fail("crawl", NotFound("glue:ListCrawls failed", resource=state.crawler))
    message = pipeline.failures(pipeline.run(DAY))
    assert "its crawler xacct-" in message
    assert "aws cloudformation delete-stack --stack-name xacct-feed-products-" in message


@pytest.mark.parametrize("denied", [set(), {"DescribeStacks"}], ids=["seen", "unseen"])
def test_another_failure_is_reported_as_it_is(
    pipeline: InMemoryPipeline, state: AwsState, denied: set[str]
) -> None:
    state.land(DAY)
    state.stacks.denied = denied
    state.fail("crawl", NotFound("table products_raw.products is gone", fix="find it"))
    message = pipeline.failures(pipeline.run(DAY))
    assert message == "table products_raw.products is gone.\n  fix: find it"
