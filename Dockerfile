# The services' images, one target each: docker build --target allocate -t hwp-allocate .
# Plain enough for the legacy builder: no BuildKit syntax. BASE can name a mirror's or a local image.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# The lock is a constraint for the packages and for the build back end, not a list to install: it
# holds the developers' tools, too.
ENV PIP_CONSTRAINT=/src/requirements.lock PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python3 -m venv /opt/hwp
COPY pyproject.toml requirements.lock README.md ./

# Without the sources first: hatchling then packs nothing, pip installs what it depends on, and
# that layer stays until the lock changes.
FROM build AS server-packages
RUN /opt/hwp/bin/pip install --quiet ".[server]"
COPY . .
RUN /opt/hwp/bin/pip install --quiet --no-deps --force-reinstall .

# A resource manager knows no Redis, so its image has no Redis client.
FROM build AS manager-packages
RUN /opt/hwp/bin/pip install --quiet ".[manager,ssh]"
COPY . .
RUN /opt/hwp/bin/pip install --quiet --no-deps --force-reinstall .

FROM ${BASE} AS service
# The folder for the resource manager's journal: a volume mounted there takes over its owner.
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin hwp \
    && install -d -o hwp -g hwp /var/lib/hwprovisioner
ENV PATH=/opt/hwp/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/hwp
STOPSIGNAL SIGTERM

FROM service AS allocate
COPY --from=server-packages /opt/hwp /opt/hwp
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
    CMD ["hwp", "health", "--address", "127.0.0.1:8080"]
CMD ["hwp-allocate"]

FROM service AS heartbeat
COPY --from=server-packages /opt/hwp /opt/hwp
EXPOSE 7080
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
    CMD ["hwp", "health", "--address", "127.0.0.1:7080"]
CMD ["hwp-heartbeat"]

FROM service AS resourcemanager
COPY --from=manager-packages /opt/hwp /opt/hwp
EXPOSE 9080
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
    CMD ["hwp", "health", "--address", "127.0.0.1:9080"]
CMD ["hwp-resourcemanager"]
