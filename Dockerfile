# Bases are named by digest: a tag can be moved. They have no default, because a digest that nobody looked up lately has known holes;
# docs/operations.md says how to look them up.
#   BUILD_IMAGE  anything with npm and a shell, such as docker.io/library/node:24-bookworm-slim@sha256:...
#   RUN_IMAGE    glibc and libstdc++, such as gcr.io/distroless/cc-debian12@sha256:...
ARG BUILD_IMAGE
ARG RUN_IMAGE

FROM ${BUILD_IMAGE} AS build
WORKDIR /source
RUN chown 65534:65534 /source
USER 65534:65534
ENV HOME=/tmp
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN PATH="$PWD/node_modules/.bin:$PATH" node build.ts

# What the image runs besides the bundles: Node itself, by the checksum of the lock file.
FROM ${BUILD_IMAGE} AS run
WORKDIR /source
RUN chown 65534:65534 /source
USER 65534:65534
ENV HOME=/tmp
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && cp -L node_modules/.bin/node /source/node

FROM ${RUN_IMAGE}
COPY --from=run /source/node /usr/local/bin/node
COPY --from=build /source/dist /ingot
WORKDIR /ingot
USER 65534:65534
ENTRYPOINT ["node", "--enable-source-maps"]
CMD ["ingotctl.js", "help"]
