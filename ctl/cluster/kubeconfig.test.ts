import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { PortForward } from "@kubernetes/client-node";
import { KubeApi } from "./kube-api.ts";

/** An API server on loopback that notes what it is asked, and a kubeconfig whose user has these fields. */
async function serverFor(userOf: (folder: string) => object) {
  const asked: IncomingMessage[] = [];
  const state = { status: 200 };
  const server = createServer((request, response) => {
    asked.push(request);
    response.writeHead(state.status).end("{}");
  });
  server.on("upgrade", (request, socket) => {
    asked.push(request);
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  const cluster = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  const config = {
    clusters: [{ name: "c", cluster }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: userOf(folder) }],
    "current-context": "c",
  };
  const kubeconfig = join(folder, "config");
  const setCluster = (more: object) => {
    Object.assign(cluster, more);
    writeFileSync(kubeconfig, JSON.stringify(config));
  };
  setCluster({});
  return {
    folder,
    state,
    setCluster,
    /** A new client each time, as in each round of `--watch`. */
    api: () => new KubeApi({ kubeconfig, context: undefined }),
    /** Names and values in turn. */
    headers: () => asked.map(({ rawHeaders }) => rawHeaders),
    lastToken: () => asked.at(-1)?.headers.authorization,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
    },
  };
}

test("the identity to act as, and the file with the token, are used for questions and for forwarded ports", async () => {
  using server = await serverFor((folder) => {
    writeFileSync(join(folder, "token"), "first\n");
    const as = { as: "other", "as-uid": "u1", "as-groups": ["g", "h"], "as-user-extra": { "example.com/team": ["t"] } };
    return { tokenFile: "token", token: "ignored", ...as };
  });
  const api = server.api();
  await api.read("/version");
  writeFileSync(join(server.folder, "token"), "second\n");
  const [stream] = duplexPair();
  await new PortForward(api.kubeconfig).portForward("lb", "speaker-a", [7472], stream, null, stream).catch(() => {});
  const wanted = [
    ["Impersonate-User", "other"],
    ["Impersonate-Uid", "u1"],
    ["Impersonate-Group", "g"],
    ["Impersonate-Group", "h"],
    ["Impersonate-Extra-example.com%2Fteam", "t"],
  ];
  const tokens = ["Bearer first", "Bearer second"];
  assert.equal(server.headers().length, 2);
  for (const [index, raw] of server.headers().entries()) {
    const all = raw.flatMap((name, at) => (at % 2 === 0 ? [`${name.toLowerCase()}: ${raw[at + 1]}`] : []));
    for (const [name = "", value] of wanted) assert.ok(all.includes(`${name.toLowerCase()}: ${value}`), name);
    assert.ok(all.includes(`authorization: ${tokens[index]}`), all.join("\n"));
  }
});

test("a long command stays with the context that was current when it began", () => {
  const folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  const kubeconfig = join(folder, "config");
  const clusters = ["a", "b"].map((name) => ({ name, cluster: { server: `https://${name}.example.com:6443` } }));
  const contexts = ["a", "b"].map((name) => ({ name, context: { cluster: name, user: "u" } }));
  const users = [{ name: "u", user: {} }];
  const use = (name: string) => writeFileSync(kubeconfig, JSON.stringify({ clusters, contexts, users, "current-context": name }));
  const server = (context?: string) => new KubeApi({ kubeconfig, context }).server;
  use("a");
  assert.equal(server(), "https://a.example.com:6443");
  use("b");
  assert.equal(server(), "https://a.example.com:6443");
  assert.equal(server("b"), "https://b.example.com:6443");
  rmSync(folder, { recursive: true });
});

/** A credential plugin that notes its runs, with what the protocol tells it. */
const plugin = (folder: string, body: string) => ({
  exec: {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "sh",
    args: ["-c", `echo "$KUBERNETES_EXEC_INFO" >> ${join(folder, "runs")}; ${body}`],
  },
});

const runsOf = (folder: string) => readFileSync(join(folder, "runs"), "utf8").trim().split("\n");

test("a credential plugin runs once until its credential expires or is refused, however often the kubeconfig is read", async () => {
  const credential = (more: string) => `{"status":{"token":"t'$(wc -l < runs)'"${more}}}`;
  using server = await serverFor((folder) => plugin(folder, `cd ${folder}; printf '%s' '${credential("")}'`));
  await Promise.all([server.api().read("/a"), server.api().read("/b")]);
  await server.api().read("/c");
  assert.equal(server.lastToken(), "Bearer t1");
  assert.deepEqual(JSON.parse(runsOf(server.folder)[0] ?? ""), {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: { interactive: false },
  });
  server.state.status = 401;
  await server.api().read("/d");
  await server.api().read("/e");
  assert.equal(server.lastToken(), "Bearer t2");
  using expired = await serverFor((folder) =>
    plugin(folder, `cd ${folder}; printf '%s' '${credential(',"expirationTimestamp":"2020-01-01T00:00:00Z"')}'`),
  );
  for (const path of ["/a", "/b"]) await expired.api().read(path);
  assert.equal(expired.lastToken(), "Bearer t2");
});

test("a credential plugin that asks for the cluster is told of its authority, also where that is a file, and of its name", async () => {
  using server = await serverFor((folder) => {
    writeFileSync(join(folder, "ca.crt"), "CA");
    const { exec } = plugin(folder, `echo '{"status":{"token":"t"}}'`);
    return { exec: { ...exec, provideClusterInfo: true } };
  });
  server.setCluster({ "certificate-authority": "ca.crt", "tls-server-name": "inner" });
  await server.api().read("/version");
  const { server: url, ...told } = JSON.parse(runsOf(server.folder)[0] ?? "").spec.cluster;
  assert.match(url, /^http:/);
  assert.deepEqual(told, {
    "tls-server-name": "inner",
    "insecure-skip-tls-verify": true, // There is no TLS.
    "certificate-authority-data": btoa("CA"),
  });
});

test("what a credential plugin that fails says is the reason", async () => {
  using server = await serverFor((folder) => plugin(folder, "echo no such >&2; echo profile >&2; exit 3"));
  const found = await server.api().read("/version");
  assert.deepEqual(found, { type: "unread", why: "Cannot run credential plugin sh: it ended with exit code 3: no such profile" });
});
