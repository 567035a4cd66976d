"""Files of many shapes: the proposal is right, or asks the right thing; none is wrong silently."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from tests.support.samples.case import Case
from tests.support.samples.countries import COUNTRIES
from tests.support.samples.mistakes import MISTAKES
from tests.support.samples.shapes import SHAPES
from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.proposal import Proposal, Sample, SampleProblem, propose
from xacct_assets.feed.proposal.defs_yaml import FeedFrame, attributes, render
from xacct_assets.feed.spec import FeedSpec

CASES = [*COUNTRIES, *SHAPES, *MISTAKES]
FRAME = FeedFrame("sample", "A sample.", date(2026, 1, 1), "sample", DayLayout.PLAIN, ["a.csv"])
PROPOSED = [case for case in CASES if case.problem is None]
# Until a person has said in which encoding a file is, there are no columns.
READABLE = [case for case in PROPOSED if "encoding" not in case.asks - set(case.answers)]


def proposal_of(case: Case, **answers: str) -> Proposal:
    samples = [Sample(f"{number}.csv", data) for number, data in enumerate(case.files)]
    return propose(samples, answers)


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def test_there_are_many_shapes() -> None:
    assert len(CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)


@named(PROPOSED)
def test_the_proposal_is_right_or_asks(case: Case) -> None:
    assert {question.about for question in proposal_of(case).questions} == case.asks
    proposal = proposal_of(case, **case.answers)
    assert {name: proposal.csv.get(name) for name in case.csv} == case.csv
    columns = {column.name: column for column in proposal.columns}
    assert {
        name: (columns[name].type, columns[name].settings.get("format")) for name in case.columns
    } == case.columns
    for name, settings in case.settings.items():
        assert {field: columns[name].settings.get(field) for field in settings} == settings
    if case.key is not None:
        assert list(proposal.key) == list(case.key)
    said = "\n".join(doubt.text for doubt in proposal.doubts)
    assert [text for text in case.doubts if text not in said] == []


@named([case for case in CASES if case.problem is not None])
def test_what_is_no_feed_is_refused_with_the_reason(case: Case) -> None:
    with pytest.raises(SampleProblem, match=str(case.problem)):
        proposal_of(case)


@pytest.mark.parametrize(("name", "is_said"), [("orders", True), ("orders.csv", False)])
def test_a_name_without_a_suffix_is_said_to_take_every_file(name: str, is_said: bool) -> None:
    proposal = propose([Sample(name, b"id,name\n1,a\n2,b\n")])
    said = [doubt.text for doubt in proposal.doubts]
    assert any("every file of the folder is loaded" in text for text in said) == is_said


@pytest.mark.parametrize("given", [";", "tab", "|"])
def test_a_delimiter_that_no_row_has_is_refused_with_the_one_that_it_has(given: str) -> None:
    samples = [Sample("a.csv", b"id,name\n1,a\n2,b\n")]
    with pytest.raises(SampleProblem, match="no row has it; with , there are 2 columns"):
        propose(samples, {"delimiter": given})


@named(READABLE)
def test_the_proposed_file_is_a_valid_feed_that_says_the_same(case: Case) -> None:
    proposal = proposal_of(case, **case.answers)
    read = yaml.safe_load(render(proposal, FRAME))["attributes"]
    assert read == attributes(proposal, FRAME)
    FeedSpec.model_validate(read)
