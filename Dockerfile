# One image for the web server, the daemon, the code location and the runs of infra/orchestrator.yaml.
# Its commands are in the template's task definitions; its settings come from there too. It holds no
# credential and no name of an installation.
#
#   docker build --tag xacct .
#
# The index of both architectures: the same files whoever builds it. 3.11 as in AWS Glue 5.0.
ARG BASE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${BASE} AS wheel
# Files in the wheel get this time: the same commit gives the same wheel.
ENV SOURCE_DATE_EPOCH=1767225600 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY glue glue
COPY infra infra
COPY sql sql
COPY xacct_assets xacct_assets
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM ${BASE}
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt /tmp/install/
COPY --from=wheel /wheel /tmp/install/
# `pip check`: what is installed fits together.
RUN python -m pip install --no-cache-dir --no-compile --constraint /tmp/install/constraints.txt \
      "$(ls /tmp/install/*.whl)[orchestrator]" \
 && python -m pip check \
 && rm -r /tmp/install \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dagster
# Read by everybody, written by nobody: the root file system is read-only in the task definitions.
COPY --chmod=0444 orchestrator/dagster.yaml orchestrator/workspace.yaml /opt/dagster/
# A volume of a task keeps the owner and mode that the path has in the image (ECS guide, "Bind mounts").
VOLUME ["/tmp"]
ENV DAGSTER_HOME=/opt/dagster \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/dagster
USER 10001:10001
# A task definition names the command; without one the container says so and ends.
CMD ["python", "-c", "raise SystemExit('no command: see the task definitions in infra/orchestrator.yaml')"]
