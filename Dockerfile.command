# The command service. Build with docker or buildah, from the repository's root:
#   docker build -f Dockerfile.command -t ari-proxy-command:0.1.0 .
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
COPY requirements/build.txt requirements/services.txt /build/
# What has no wheel is built with the locked setuptools. All goes to a folder of its own instead of a
# virtual environment: whatever Python the base image has, it is found by PYTHONPATH.
RUN ["python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", \
     "--root-user-action=ignore", "--require-hashes", "-r", "/build/build.txt"]
RUN ["python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", \
     "--root-user-action=ignore", "--require-hashes", "--no-build-isolation", \
     "--target=/app", "-r", "/build/services.txt"]
# Twelve of the thirteen megabytes of uvloop's wheel are for debuggers.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils && \
    strip --strip-unneeded /app/uvloop/*.so
# Of typer's colours no service makes use: they need not be compiled ahead.
RUN find /app/pygments -name __pycache__ -exec rm -r {} +
COPY services/ari_proxy /app/ari_proxy
RUN ["python3", "-m", "compileall", "-q", "/app/ari_proxy"]
# The command of all documentation: `kubectl exec deployment/… -- ari-proxy doctor`.
RUN mkdir -p /app/bin && \
    printf '#!/bin/sh\nexec python3 -m ari_proxy "$@"\n' >/app/bin/ari-proxy && \
    chmod 755 /app/bin/ari-proxy

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="ari-proxy-command" \
      org.opencontainers.image.description="Commands from a message bus to Asterisk's ARI" \
      org.opencontainers.image.licenses="Apache-2.0"
# The root is read-only in Kubernetes: nothing is compiled at run time.
ENV PYTHONPATH=/app PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /app /app
USER 65532:65532
EXPOSE 9797
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3", "-m", "ari_proxy"]
CMD ["command"]
