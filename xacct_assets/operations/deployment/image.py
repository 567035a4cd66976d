"""The image of Dagster's tasks: which may be deployed, and how it gets into its repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xacct_assets.aws.stack_reading import describe_stack

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.settings import Settings

#: Template parameter of infra/orchestrator.yaml.
PARAMETER = "Image"
_IMAGE = re.compile(
    r"[^\s/@:]+(?::[0-9]+)?(?:/[^\s/@:]+)+(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_MOVING = ("latest", "main", "master", "stable", "dev", "prod", "production")


def problem_of(image: str) -> str | None:
    """Why an image is not deployed; None if it may be.

    A tag that moves would let a restart change what runs, and a rollback would not be one.
    """
    match = _IMAGE.fullmatch(image)
    if match is None or not (match["tag"] or match["digest"]):
        return (
            f"{image!r} is not REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST; give the image as "
            "`docker push` printed it"
        )
    if match["digest"] is None and match["tag"] in _MOVING:
        return (
            f"the tag {match['tag']} moves from image to image; give one that stays, such as the "
            "commit's, or the digest (@sha256:…)"
        )
    return None


def how_to_give_one(settings: Settings, sessions: Sessions) -> list[str]:
    """The commands that build, push and deploy an image; none if one is deployed."""
    stack = describe_stack(sessions.client("cloudformation"), settings.stack_orchestrator)
    if stack is None or stack.parameters.get(PARAMETER) or "RepositoryUri" not in stack.outputs:
        return []
    uri = stack.outputs["RepositoryUri"]
    return [
        "Dagster's tasks have no image yet. In a checkout, with Docker and rights in account B:",
        f"  image={uri}:$(git rev-parse --short=12 HEAD)",
        "  docker build --platform linux/amd64 --tag $image .",
        f"  aws ecr get-login-password --region {settings.region} | "
        f"docker login --username AWS --password-stdin {uri.partition('/')[0]}",
        "  docker push $image",
        "  xacct deploy --image $image",
    ]
