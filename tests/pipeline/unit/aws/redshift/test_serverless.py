"""A role is attached beside the namespace's own roles, and only that role is detached."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fakes.modelled_client import ModelledClient, client_error
from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.redshift.serverless import Serverless

ROLE, OTHER = "arn:aws:iam::222222222222:role/ours", "arn:aws:iam::222222222222:role/p/theirs"


class FakeNamespace:
    """One namespace, whose roles are shown with their state, as AWS does."""

    def __init__(self, roles: list[str], style: str = "{}") -> None:
        self.roles = roles
        self._style = style
        self._statuses = ["MODIFYING", "AVAILABLE"]
        self.client = ModelledClient(
            "redshift-serverless",
            get_namespace=self._get,
            update_namespace=self._update,
            get_workgroup=self._get_workgroup,
        )

    def _get(self, namespaceName: str) -> dict[str, Any]:
        if namespaceName != "team-ns":
            raise client_error("ResourceNotFoundException")
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {
            "namespace": {
                "namespaceName": "team-ns",
                "namespaceArn": "arn:team",
                "status": status,
                "iamRoles": [self._style.format(role) for role in self.roles],
                "adminUsername": "boss",
            }
        }

    def _update(self, namespaceName: str, iamRoles: list[str]) -> dict[str, Any]:
        self.roles = iamRoles
        self._statuses = ["MODIFYING", "AVAILABLE"]
        return {"namespace": {"namespaceName": "team-ns"}}

    def _get_workgroup(self, workgroupName: str) -> dict[str, Any]:
        if workgroupName != "team-wg":
            raise client_error("ResourceNotFoundException")
        return {
            "workgroup": {
                "workgroupName": "team-wg",
                "workgroupArn": "arn:wg",
                "namespaceName": "team-ns",
                "endpoint": {"address": "wg.example", "port": 5440},
            }
        }


def serverless(fake: FakeNamespace) -> Serverless:
    return Serverless(fake.client, sleep=lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["{}", "IamRole(applyStatus=in-sync, iamRoleArn={})"])
@pytest.mark.parametrize("before", [[], [OTHER], [OTHER, OTHER + "2"]])
def test_after_attaching_and_detaching_the_roles_are_as_they_were(
    before: list[str], style: str
) -> None:
    fake = FakeNamespace(list(before), style)
    assert serverless(fake).attach_role("team-ns", ROLE)
    assert fake.roles == [*before, ROLE]
    assert not serverless(fake).attach_role("team-ns", ROLE)
    assert serverless(fake).detach_role("team-ns", ROLE)
    assert fake.roles == before
    assert not serverless(fake).detach_role("team-ns", ROLE)
    assert len(fake.client.named("update_namespace")) == 2


def test_a_role_with_a_similar_name_is_another_role() -> None:
    fake = FakeNamespace([ROLE + "2"])
    assert serverless(fake).attach_role("team-ns", ROLE)
    assert serverless(fake).detach_role("team-ns", ROLE)
    assert fake.roles == [ROLE + "2"]


def test_a_workgroup_is_described_with_its_address() -> None:
    found = serverless(FakeNamespace([])).workgroup("team-wg")
    assert (found.arn, found.namespace, found.host, found.port) == (
        *("arn:wg", "team-ns", "wg.example", 5440),
    )


@pytest.mark.parametrize("kind", ["workgroup", "namespace"])
def test_what_is_not_there_is_named(kind: str) -> None:
    with pytest.raises(NotFound, match=f"{kind} none"):
        getattr(serverless(FakeNamespace([])), kind)("none")
