# The service as an image: `kasparro` is PID 1 and handles signals, the user is not root, and the root file system may be
# read-only. DATABASE_URL is all it needs; without one it says so and exits 2 (the embedded PostgreSQL is not in here).
#
# The base is pinned by tag, so that a build has Debian's and Python's latest security fixes. Whoever wants the same base every time pins
# it by digest too, in this one line: python:3.13-slim-bookworm@sha256:..., as
# `docker buildx imagetools inspect python:3.13-slim-bookworm` prints it.
FROM python:3.13-slim-bookworm AS base


FROM base AS build
# A package mirror's settings come as a secret, and stay in no layer: --secret id=pip.conf,src=FILE
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Locked packages as wheels. Those that come as source only are built with the locked setuptools, not the newest.
COPY requirements.lock requirements-dev.lock ./
RUN --mount=type=secret,id=pip.conf --mount=type=cache,target=/root/.cache/pip \
    sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && pip install --quiet --require-hashes --requirement build.lock \
    && pip wheel --quiet --require-hashes --no-build-isolation --wheel-dir /wheels --requirement requirements.lock

COPY setup.cfg pyproject.toml ./
COPY kasparro kasparro
RUN pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/kasparro \
    && pip --python /opt/kasparro/bin/python install --quiet --no-index --no-deps /wheels/*.whl \
    && pip --python /opt/kasparro/bin/python check


FROM base
ENV PATH=/opt/kasparro/bin:$PATH PYTHONUNBUFFERED=1
# /archives is where compose mounts CSV archives; a new volume there takes its owner from here.
RUN groupadd --gid 10001 kasparro \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kasparro \
    && install --directory --owner=kasparro --group=kasparro /archives
COPY --from=build /opt/kasparro /opt/kasparro
# The official image has no compiled standard library, and a read-only file system would never get it: every start and
# every health check would compile it again. Importing what they import compiles just that.
RUN python -c 'import kasparro.commands.serve, kasparro.commands.migrate, kasparro.commands.run, kasparro.commands.healthcheck' \
    && kasparro --version

ENV KASPARRO_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["kasparro", "healthcheck"]
ENTRYPOINT ["kasparro"]
CMD ["serve"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Kasparro" \
    org.opencontainers.image.description="A trustworthy, queryable record of crypto market quotes" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
