"""Descriptions of AWS's services are read once a process."""

import pytest
from botocore.loaders import JSONFileLoader

from xacct_assets.aws import service_models
from xacct_assets.aws.sessions import Sessions


@pytest.fixture
def files_read(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_DATA_PATH"):
        monkeypatch.delenv(name, raising=False)
    service_models.shared_loader.cache_clear()
    read = []
    load_file = JSONFileLoader.load_file

    def noted(loader, path):
        found = load_file(loader, path)
        if found is not None:
            read.append(path)
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", noted)
    yield read
    service_models.shared_loader.cache_clear()


def test_a_run_reads_no_model_that_was_read_ahead(files_read):
    service_models.read_ahead()
    assert files_read
    files_read.clear()
    sessions = Sessions("eu-central-1")
    for service in service_models.SERVICES_OF_A_RUN:
        sessions.client(service)
    assert files_read == []


def test_a_second_session_reads_no_model_again(files_read):
    Sessions("us-east-1").client("glue")
    assert files_read
    files_read.clear()
    Sessions("us-east-1").client("glue")
    assert files_read == []


def test_further_service_models_are_found(files_read, monkeypatch, tmp_path):
    folder = tmp_path / "mine" / "imaginary" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"metadata": {}, "operations": {}}')
    Sessions("us-east-1").client("sts")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "mine"))
    session, _ = Sessions("us-east-1")._new_session()
    assert "imaginary" in session.get_available_services()
