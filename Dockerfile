# The final image holds the binary, the shared libraries that it is linked with, and nothing else: no
# shell, no package manager. docker/check builds it and tries it out. For arm64 on another machine
# (--platform linux/arm64) everything in the first stage is this machine's but the libraries and the
# code, so that no compiler is emulated.
FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
ARG TARGETARCH
WORKDIR /src
COPY docker/install_packages docker/packages.build docker/
RUN docker/install_packages --architecture "$TARGETARCH" docker/packages.build && \
    rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt ./
COPY core core
COPY server server
COPY docker/arm64.cmake docker/libraries docker/sbom docker/
COPY docker/deb/changelog docker/deb/
RUN cross= && \
    [ "${TARGETARCH:-$(dpkg --print-architecture)}" = "$(dpkg --print-architecture)" ] || \
        cross="-DCMAKE_TOOLCHAIN_FILE=docker/$TARGETARCH.cmake"; \
    cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOCKSTEP_TESTS=OFF \
        -DCMAKE_EXE_LINKER_FLAGS=-s $cross && \
    ninja -C build lockstep && \
    mkdir -p /image/models && \
    install build/lockstep -D /image/usr/bin/lockstep && \
    mkdir -p /image/usr/share/doc/lockstep && \
    docker/sbom build/lockstep >/image/usr/share/doc/lockstep/sbom.spdx.json && \
    docker/libraries build/lockstep | xargs cp -L --parents -t /image && \
    cp -L --parents -t /image /etc/ssl/certs/ca-certificates.crt

FROM scratch
LABEL org.opencontainers.image.title="lockstep" \
      org.opencontainers.image.description="HTTP inference server for GGUF language models on CPUs" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
# Serves the embedded model; for another one, mount a folder at /models and set LOCKSTEP_MODEL to
# /models/NAME.gguf, or LOCKSTEP_HF to a name, if it can be written to by the user below.
ENV LOCKSTEP_HOST=:: LOCKSTEP_PORT=8080 HF_HUB_CACHE=/models LOCKSTEP_CACHE_DIR=/models/.lockstep
EXPOSE 8080
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/bin/lockstep", "probe"]
ENTRYPOINT ["/usr/bin/lockstep"]
