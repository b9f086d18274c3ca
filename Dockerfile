# syntax=docker/dockerfile:1
#
#   docker build -t portolan .
#   docker build -t portolan-pagerduty --build-arg INTEGRATION_TYPE=pagerduty .
#
# The image holds one binary, certificates of public authorities, and nothing
# else: no shell, no package manager.
#
# Why glibc on distroless/cc and not a static musl binary: the listener KAFKA
# needs OpenSSL, which distroless/cc has and keeps up to date; and glibc resolves
# names as the hosts around it do. It costs about 20 MB. The builder's Debian release has to
# be the runtime's: a binary does not start on an older glibc than it was
# linked with.

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-trixie AS build
WORKDIR /build

# For librdkafka, which the event listener KAFKA stands on. Of OpenSSL only the
# headers are of the builder: the library is that of the runtime image.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config \
    && rm -rf /var/lib/apt/lists/*

# Dependencies first, against an empty program: this layer is built again only
# when Cargo.toml or Cargo.lock changes. (The manifest names tests and
# benchmarks, so their files have to be there, though an image needs neither.)
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src tests/it benches/workloads \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/it/main.rs benches/comparison.rs benches/jq.rs benches/mapping.rs \
        benches/webhooks.rs benches/workloads/main.rs \
    && cargo build --release --locked --features kafka

# COPY keeps the files' times, and Cargo goes by them: without the touch it may
# take the empty program for the newer one.
COPY . .
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --features kafka \
    && install -D target/release/portolan /image/usr/local/bin/portolan \
    && install -d -o 65532 -g 65532 /image/tmp/ocean \
    && install -d /image/usr/local/share/ca-certificates

FROM gcr.io/distroless/cc-debian13:nonroot

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Portolan" \
      org.opencontainers.image.description="Keeps Port's software catalog in step with Statuspage, PagerDuty and Opsgenie" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image/usr/local/bin/portolan /usr/local/bin/portolan

# The one place that is written to. As a volume it stays writable under a
# read-only root file system (docker run --read-only, readOnlyRootFilesystem).
COPY --from=build --chown=65532:65532 /image/tmp/ocean /tmp/ocean
VOLUME ["/tmp/ocean"]

# Where the Helm chart mounts a certificate authority of the company's own
# (selfSignedCertificate). There is no update-ca-certificates here to merge it,
# so it is read from where it lies, beside the public ones.
COPY --from=build /image/usr/local/share/ca-certificates /usr/local/share/ca-certificates
ENV SSL_CERT_DIR="/usr/local/share/ca-certificates"

# Which integration this image stands in for. The Helm chart does not say, so an
# image made for one says it here. Left out, the variable is empty, which counts
# as unset: the type then follows from the credentials given.
ARG INTEGRATION_TYPE=""
ENV OCEAN__INTEGRATION__TYPE="${INTEGRATION_TYPE}"

# Where a config.yaml or a .env file may be mounted.
WORKDIR /app

# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
# Health checks, metrics and calls from Port, unless APPLICATION__PORT says otherwise.
EXPOSE 8000
ENTRYPOINT ["/usr/local/bin/portolan"]
CMD ["run"]
