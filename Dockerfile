# syntax=docker/dockerfile:1

# One image with the three programs: `api` (what it runs by default),
# `dispatcher` and `txnctl`. `make image` builds it with the stamp that
# `make build` gives. Runs as any uid, with a read-only root file system.

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT
ARG DATE
# The same flags as in the Makefile; -trimpath and no record of the working copy
# make the same bytes from the same sources anywhere.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/txn-service/txn/pkg/build.version=$VERSION -X github.com/txn-service/txn/pkg/build.commit=$COMMIT -X github.com/txn-service/txn/pkg/build.date=$DATE" \
    -o /out/ ./cmd/...

# CA certificates, time zones and a nonroot user; no shell, no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
ARG COMMIT
ARG DATE
LABEL org.opencontainers.image.title="txn" \
      org.opencontainers.image.description="Multi-tenant transaction service" \
      org.opencontainers.image.source="https://github.com/txn-service/txn" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$DATE"
COPY --from=build /out/api /out/dispatcher /out/txnctl /usr/local/bin/
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# The API; the admin ports of API and dispatcher.
EXPOSE 8080 9090 9091
# Where the container runs something else, say so: see compose.yaml. /livez, not
# /readyz: some engines restart what is unhealthy, and an outage of PostgreSQL is
# no reason to.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["api", "--healthcheck", "/livez"]
# SIGTERM finishes what is in flight: give it api.shutdown_delay, api.shutdown_grace
# and some seconds.
STOPSIGNAL SIGTERM
CMD ["api"]
