"""Metadata that code reads back is namespaced, typed, and refused if it is incomplete."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.feed.metadata import ExportedFiles, LoadedRows, MetadataMissing, Problem, RawFiles

counts = st.integers(0, 2**53)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)


def as_read(metadata: dict[str, object]) -> dict[str, object]:
    """The plain values of an event's metadata, as the event log gives them back."""
    event = dg.AssetMaterialization("a", metadata=metadata)
    stored = dg.deserialize_value(dg.serialize_value(event), dg.AssetMaterialization)
    return {name: value.value for name, value in stored.metadata.items()}


@given(
    st.one_of(
        st.builds(
            RawFiles,
            files=counts,
            rows=counts,
            newest_object=times,
            empty_files=st.lists(st.text()),
        ),
        st.builds(
            LoadedRows,
            rows_read=counts,
            rows_rejected=counts,
            load_id=st.text(),
            job_run_id=st.text(),
            job_run_days=st.none() | counts,
            job_run_seconds=st.none() | st.floats(0, 1e6),
        ),
        st.builds(ExportedFiles, rows=counts, files=counts, bytes=counts),
        st.builds(Problem, problem=st.text(), is_upstream=st.booleans()),
    )
)
def test_what_is_written_is_read_back(facts: RawFiles | LoadedRows | ExportedFiles) -> None:
    assert type(facts).from_metadata(as_read(facts.to_metadata())) == facts


def test_every_key_is_in_the_namespace_and_other_entries_are_ignored() -> None:
    metadata = ExportedFiles(rows=3, files=1, bytes=20).to_metadata()
    assert set(metadata) == {"xacct/rows", "xacct/files", "xacct/bytes"}
    assert ExportedFiles.from_metadata({**metadata, "files": 7, "label": "x"}).files == 1


def test_an_event_of_another_version_is_refused_with_the_missing_key() -> None:
    with pytest.raises(MetadataMissing, match="xacct/files: another version of this code wrote it"):
        ExportedFiles.from_metadata({"xacct/rows": 3, "files": 1})
