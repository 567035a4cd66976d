"""The job's script and libraries in the working bucket: written, recognized as ours, removed.

Each has the installation's name in its metadata. What has another name, or none, is somebody
else's and is neither overwritten nor deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xacct_assets.aws.errors import DeployFailed, NotFound
from xacct_assets.aws.s3.bucket import DIGEST, Bucket, ObjectVersion
from xacct_assets.operations.deployment.ownership import INSTALLATION_TAG
from xacct_assets.operations.deployment.plan import LIBRARIES_KEY, SCRIPT_KEY

KEYS = (SCRIPT_KEY, LIBRARIES_KEY)


class JobFiles:
    """The files of one installation's jobs.

    Args:
        bucket: the working bucket.
        suffix: of the installation.
    """

    def __init__(self, bucket: Bucket, suffix: str) -> None:
        self._bucket = bucket
        self._suffix = suffix

    def require_free(self) -> None:
        """Check that nothing of somebody else's is where the files are written.

        Releases before this one wrote no name, only the digest of the content.

        Raises:
            DeployFailed: names the object, and whose it is as far as that is known.
        """
        for key in KEYS:
            try:
                metadata = self._bucket.metadata(key)
            except NotFound:
                continue
            if metadata.get(INSTALLATION_TAG) == self._suffix or self._is_of_earlier(metadata):
                continue
            owner = metadata.get(INSTALLATION_TAG)
            raise DeployFailed(
                f"{self._bucket.url(key)} is not of installation {self._suffix}; nothing was "
                "changed",
                reason=f"installation {owner} wrote it" if owner else "somebody else wrote it",
                fix="set XACCT_PROCESSING_BUCKET to another bucket; or, if nobody needs the "
                f"object, `aws s3 rm {self._bucket.url(key)}`",
            )

    def upload(self, script: bytes, libraries: bytes) -> Mapping[str, bool]:
        """Write the files, each only if it changed; whether it was written, by its URL."""
        return {
            self._bucket.url(key): self._bucket.put_if_changed(
                key, body, {INSTALLATION_TAG: self._suffix}
            )
            for key, body in zip(KEYS, (script, libraries), strict=True)
        }

    def versions(self) -> list[ObjectVersion]:
        """The versions of the files, those of this installation only."""
        return list(self._own_versions())

    def remove(self) -> bool:
        """Delete the files, and nothing else; False if there are none."""
        versions = self.versions()
        self._bucket.delete_versions(versions)
        return bool(versions)

    def _own_versions(self) -> Iterator[ObjectVersion]:
        for key in KEYS:
            for version in self._bucket.versions(key):
                # A delete marker holds nothing. Other keys may begin with this one.
                if version.key == key and (version.is_marker or self._is_ours(version)):
                    yield version

    def _is_ours(self, version: ObjectVersion) -> bool:
        try:
            metadata = self._bucket.metadata(version.key, version.id)
        except NotFound:
            return False
        return metadata.get(INSTALLATION_TAG) == self._suffix

    @staticmethod
    def _is_of_earlier(metadata: Mapping[str, str]) -> bool:
        return INSTALLATION_TAG not in metadata and DIGEST in metadata
