# soakd on a bare Debian 12, built as anybody would: docs/grafana.md. The build takes some minutes.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        git make gcc libc6-dev python3 python3-venv cargo-web rustc-web ca-certificates && rm -rf /var/lib/apt/lists/*
COPY . /opt/soakd
WORKDIR /opt/soakd
RUN make build
ENTRYPOINT [".venv/bin/soakd"]
