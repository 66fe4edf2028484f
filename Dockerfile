# The image, by any builder of containers; `make image` makes the same one without. Of BUILD_IMAGE nothing is left in it: that needs
# a shell, Node 20 or later with npm, tar and xz, such as docker.io/library/node:24-trixie. Name it by digest, because a tag can be
# moved. It has no default: a digest that nobody looked up lately has known holes.
ARG BUILD_IMAGE

FROM ${BUILD_IMAGE} AS build
ARG TARGETARCH
WORKDIR /source
RUN chown 65534:65534 /source
USER 65534:65534
ENV HOME=/tmp
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
COPY . .
RUN PATH="$PWD/node_modules/.bin:$PATH" node release/root.ts /tmp/root ${TARGETARCH:-amd64}

# `make image` reads from here on, and knows the instructions in use and no others.
FROM scratch
ARG REVISION
COPY --from=build --chown=0:0 /tmp/root/system/ /
COPY --from=build --chown=0:0 /tmp/root/node/ /
COPY --from=build --chown=0:0 /tmp/root/ingot/ /
LABEL org.opencontainers.image.title="Ingot" \
      org.opencontainers.image.description="Addresses for Kubernetes Services of type LoadBalancer on bare metal" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/usr/local/bin
WORKDIR /ingot
USER 65534:65534
ENTRYPOINT ["node"]
CMD ["ingotctl.js", "help"]
