"""The script of a job and its --extra-py-files, fetched with the credentials of the job's role."""

from __future__ import annotations

from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox import clients, emulator
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.glue.jobs.definitions import Definition


class RunFailed(Exception):
    """The run cannot go on; the text is its ErrorMessage."""


def fetch_files(
    job: Definition, arguments: dict[str, str], credentials: Credentials, folder: Path
) -> tuple[Path, list[Path]]:
    """Download the script and the extra files; check that the role can read the connections.

    Args:
        job: its definition.
        arguments: of the run.
        credentials: of the job's role.
        folder: an empty folder for the files.

    Returns:
        The script, and the paths that Python imports the extra modules from.

    Raises:
        RunFailed: naming a file or connection that the role cannot read.
    """
    region = emulator.region()
    s3 = clients.client("s3", credentials, region)
    glue = clients.client("glue", credentials, region)
    for connection in (job["Connections"] or {}).get("Connections", []):
        try:
            glue.get_connection(Name=connection)
        except (ClientError, BotoCoreError) as problem:
            raise RunFailed(f"Cannot use connection {connection}: {problem}") from problem
    extra = (arguments.get("--extra-py-files") or "").split(",")
    uris = [job["Command"]["ScriptLocation"], *(uri.strip() for uri in extra if uri.strip())]
    files = []
    for number, uri in enumerate(uris):
        # One folder per file: file names must stay, since Python finds modules by them.
        file = folder / str(number) / uri.rpartition("/")[2]
        file.parent.mkdir()
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            file.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (ClientError, BotoCoreError) as problem:
            raise RunFailed(f"Cannot read {uri} as {job['Role']}: {problem}") from problem
        files.append(file)
    script, *modules = files
    return script, [
        file if file.suffix in (".zip", ".egg", ".whl") else file.parent for file in modules
    ]
