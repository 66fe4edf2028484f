FROM node:24.21.0-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json ./
RUN npm install --no-save --no-audit --no-fund
COPY . .
RUN node build.ts

FROM gcr.io/distroless/cc-debian12
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /source/dist /ingot
WORKDIR /ingot
USER 65534:65534
ENTRYPOINT ["node", "--enable-source-maps"]
CMD ["ingotctl.js", "help"]
