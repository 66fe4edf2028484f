import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { SimulatedClock } from "#pkg/clock/testing";
import { accessTo, advanceThrough, advanceUntilRun, clusterAt, FakeApi, LogLines, selfSigned, until } from "#pkg/k8s/testing";
import type { Cluster } from "./cluster.ts";
import { ApiError } from "./errors.ts";

const limit = { timeout: 120_000 };
let directory = "";
const server = selfSigned("k8s.test");
const client = selfSigned("client");

before(() => {
  directory = mkdtempSync(join(tmpdir(), "ingot-k8s-"));
});
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** Asks something, and @returns the client's identity as the server saw it. */
async function ask(cluster: Cluster, api: FakeApi) {
  const asked = cluster.leases.read("ns", "lease", 5_000);
  const request = await Promise.race([api.next(), asked.then(() => assert.fail("answered by nobody"))]);
  request.reply(404, {});
  await asked;
  return { headers: request.headers, peer: request.socket };
}

test("a token file is read again after a minute, and its last token stays in use when it cannot be read", limit, async () => {
  await using api = await FakeApi.start();
  const clock = new SimulatedClock();
  const log = new LogLines();
  const path = file("token", "first\n");
  await using cluster = clusterAt(accessTo(api.url, { token: { file: path } }), clock, log);
  const token = async () => (await ask(cluster, api)).headers.authorization;
  assert.equal(await token(), "Bearer first");
  writeFileSync(path, "second\n");
  clock.advanceBy(59_999);
  assert.equal(await token(), "Bearer first");
  clock.advanceBy(1);
  assert.equal(await token(), "Bearer second");
  rmSync(path);
  for (let minute = 0; minute < 3; minute++) {
    clock.advanceBy(60_000);
    assert.equal(await token(), "Bearer second");
  }
  assert.deepEqual(log.lines, ["warn cannot read credentials again, the last ones stay in use"]);
});

test("a server that no longer knows the token is asked again with what the file says now", limit, async () => {
  await using api = await FakeApi.start();
  const clock = new SimulatedClock();
  const path = file("rotated", "old");
  await using cluster = clusterAt(accessTo(api.url, { token: { file: path } }), clock);
  await ask(cluster, api);
  writeFileSync(path, "new");
  clock.advanceBy(10_000);
  const asked = cluster.hasEndpointSlices();
  (await api.next()).refuse(401, "Unauthorized");
  const again = await api.next();
  assert.equal(again.headers.authorization, "Bearer new");
  again.refuse(401, "Unauthorized");
  await assert.rejects(asked, { name: "ApiError", status: 401 });
});

test("an empty token file is no token: nobody becomes anonymous while it is written", limit, async () => {
  await using api = await FakeApi.start();
  const clock = new SimulatedClock();
  const log = new LogLines();
  const path = file("emptied", "first");
  await using cluster = clusterAt(accessTo(api.url, { token: { file: path } }), clock, log);
  await ask(cluster, api);
  writeFileSync(path, "\n");
  clock.advanceBy(60_000);
  assert.equal((await ask(cluster, api)).headers.authorization, "Bearer first");
  assert.deepEqual(log.lines, ["warn cannot read credentials again, the last ones stay in use"]);
});

test("each of several requests with a token that the server knows no longer is sent with the new one", limit, async () => {
  await using api = await FakeApi.start();
  const clock = new SimulatedClock();
  const path = file("revoked", "old");
  await using cluster = clusterAt(accessTo(api.url, { token: { file: path } }), clock);
  await ask(cluster, api);
  clock.advanceBy(10_000);
  const asked = [cluster.hasEndpointSlices(), cluster.hasEndpointSlices()];
  const sent = [await api.next(), await api.next()];
  writeFileSync(path, "new");
  for (const [index, request] of sent.entries()) {
    assert.equal(request.headers.authorization, "Bearer old");
    request.refuse(401, "Unauthorized");
    const again = await Promise.race([api.next(), asked[index]]);
    assert.ok(typeof again === "object", "not asked again");
    assert.equal(again.headers.authorization, "Bearer new");
    again.reply(404, {});
  }
  assert.deepEqual(await Promise.all(asked), [false, false]);
});

test("credentials that were never readable are an error that names where they should be", limit, async () => {
  await using api = await FakeApi.start();
  const clock = new SimulatedClock();
  await using cluster = clusterAt(accessTo(api.url, { token: { file: join(directory, "none") } }), clock);
  const asked = advanceThrough(clock, "api retry", cluster.hasEndpointSlices());
  await assert.rejects(asked, { name: "ApiError", status: 0, message: "Cannot read credentials from the test" });
});

test("a password and the impersonation are sent", limit, async () => {
  await using api = await FakeApi.start();
  const basic = { username: "me", password: "secret" };
  const impersonate = { "Impersonate-User": "other", "Impersonate-Group": ["g", "h"] };
  await using cluster = clusterAt(accessTo(api.url, { basic, impersonate }));
  const { headers } = await ask(cluster, api);
  assert.equal(headers.authorization, `Basic ${btoa("me:secret")}`);
  assert.equal(headers["impersonate-user"], "other");
  assert.equal(headers["impersonate-group"], "g, h");
});

test("an exec plugin gives the token and gets KUBERNETES_EXEC_INFO; a refused token makes it run again", limit, async () => {
  await using api = await FakeApi.start();
  const runs = file("runs", "");
  const plugin = file(
    "plugin",
    `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO $EXTRA" >> ${runs}
echo '{"kind":"ExecCredential","status":{"token":"from the plugin"}}'
`,
  );
  chmodSync(plugin, 0o755);
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, env: [{ name: "EXTRA", value: "x" }] };
  const clock = new SimulatedClock();
  const ofCluster = { authority: { file: file("exec-ca.crt", "CA") }, serverName: "inner" };
  await using cluster = clusterAt(accessTo(api.url, { ...ofCluster, exec: { ...exec, provideClusterInfo: true } }), clock);
  assert.equal((await ask(cluster, api)).headers.authorization, "Bearer from the plugin");
  clock.advanceBy(60_000);
  await ask(cluster, api);
  const lines = () => readFileSync(runs, "utf8").trim().split("\n");
  assert.equal(lines().length, 1, "the token has no end, so it is kept");
  const cluster1 = {
    server: `${api.url}/`,
    "tls-server-name": "inner",
    "insecure-skip-tls-verify": false,
    "certificate-authority-data": btoa("CA"),
  };
  const info = { apiVersion: exec.apiVersion, kind: "ExecCredential", spec: { interactive: false, cluster: cluster1 } };
  assert.equal(lines()[0], `${JSON.stringify(info)} x`);
  clock.advanceBy(10_000);
  const asked = cluster.hasEndpointSlices();
  (await api.next()).refuse(401, "Unauthorized");
  (await api.next()).reply(404, {});
  await asked;
  assert.equal(lines().length, 2);
});

test("an exec plugin that hangs is killed with what it started, and the next run counts", limit, async () => {
  await using api = await FakeApi.start();
  const group = join(directory, "group");
  const plugin = file(
    "hanging",
    `#!/bin/sh
if [ -e ${group} ]; then echo '{"status":{"token":"second run"}}'; exit; fi
echo $$ > ${group}
sleep 1000 & wait
`,
  );
  chmodSync(plugin, 0o755);
  const clock = new SimulatedClock();
  await using cluster = clusterAt(accessTo(api.url, { exec: { command: plugin } }), clock);
  const asked = cluster.hasEndpointSlices();
  await until(() => existsSync(group) && readFileSync(group, "utf8") !== "");
  const pid = Number(readFileSync(group, "utf8"));
  advanceUntilRun(clock, "credential plugin");
  await until(() => !isAlive(-pid));
  await until(() => clock.pending().includes("api retry"));
  advanceUntilRun(clock, "api retry");
  const request = await api.next();
  assert.equal(request.headers.authorization, "Bearer second run");
  request.reply(404, {});
  await asked;
});

function isAlive(processGroup: number): boolean {
  try {
    process.kill(processGroup, 0);
    return true;
  } catch {
    return false;
  }
}

const badPlugins = [
  { name: "fails", script: "echo no such role >&2; exit 3", says: /ended with exit code 3: no such role$/ },
  { name: "prints no credentials", script: "echo '{}'", says: /printed no ExecCredential with a token or a certificate$/ },
  { name: "prints without end", script: "yes", says: /printed more than 1048576 bytes$/ },
];
for (const { name, script, says } of badPlugins)
  test(`an exec plugin that ${name} is an error that says so`, limit, async () => {
    await using api = await FakeApi.start();
    const plugin = file("bad", `#!/bin/sh\n${script}\n`);
    chmodSync(plugin, 0o755);
    const clock = new SimulatedClock();
    await using cluster = clusterAt(accessTo(api.url, { exec: { command: plugin } }), clock);
    const asked = advanceThrough(clock, "api retry", cluster.hasEndpointSlices());
    await assert.rejects(asked, ({ message, cause }: Error) => {
      assert.equal(message, "Cannot read credentials from the test");
      assert.match((cause as Error).message, says);
      return true;
    });
  });

test("the server's certificate is checked against the authority, and the client's is shown", limit, async () => {
  await using api = await FakeApi.start({ cert: server.cert, key: server.key, requestCert: true, rejectUnauthorized: false });
  const material = {
    authority: { file: file("ca.crt", server.cert) },
    certificate: { file: file("client.crt", client.cert) },
    key: { data: Buffer.from(client.key) },
  };
  await using cluster = clusterAt(accessTo(api.url, material));
  const { peer } = await ask(cluster, api);
  assert.equal((peer as TLSSocket).getPeerCertificate().subject.CN, "client");
});

test("a client certificate that is replaced is used for what is asked from then on", limit, async () => {
  await using api = await FakeApi.start({ cert: server.cert, key: server.key, requestCert: true, rejectUnauthorized: false });
  const [certificate, key] = [{ file: file("a.crt", client.cert) }, { file: file("a.key", client.key) }];
  const clock = new SimulatedClock();
  await using cluster = clusterAt(accessTo(api.url, { authority: { data: Buffer.from(server.cert) }, certificate, key }), clock);
  const subject = async () => ((await ask(cluster, api)).peer as TLSSocket).getPeerCertificate().subject.CN;
  assert.equal(await subject(), "client");
  const next = selfSigned("next");
  file("a.crt", next.cert);
  file("a.key", next.key);
  clock.advanceBy(60_000);
  assert.equal(await subject(), "next");
});

test("while a certificate is there and its key is not yet, the pair of before stays in use", limit, async () => {
  await using api = await FakeApi.start({ cert: server.cert, key: server.key, requestCert: true, rejectUnauthorized: false });
  const [certificate, key] = [{ file: file("b.crt", client.cert) }, { file: file("b.key", client.key) }];
  const clock = new SimulatedClock();
  const log = new LogLines();
  const access = accessTo(api.url, { authority: { data: Buffer.from(server.cert) }, certificate, key });
  await using cluster = clusterAt(access, clock, log);
  const subject = async () => ((await ask(cluster, api)).peer as TLSSocket).getPeerCertificate().subject.CN;
  await subject();
  const next = selfSigned("next");
  file("b.crt", next.cert);
  clock.advanceBy(60_000);
  api.dropConnections();
  assert.equal(await subject(), "client");
  file("b.key", next.key);
  clock.advanceBy(60_000);
  assert.equal(await subject(), "next");
  assert.deepEqual(log.lines, ["warn cannot read credentials again, the last ones stay in use"]);
});

const trust = [
  { name: "an unknown authority is refused", more: () => ({}), refused: /self.signed/i },
  {
    name: "another authority is refused",
    more: () => ({ authority: { data: Buffer.from(client.cert) } }),
    refused: /self.signed/i,
  },
  {
    name: "a wrong name is refused",
    more: () => ({ authority: { data: Buffer.from(server.cert) }, serverName: "other.test" }),
    refused: /altnames/,
  },
  {
    name: "tls-server-name is what is checked",
    more: () => ({ authority: { data: Buffer.from(server.cert) }, serverName: "k8s.test" }),
  },
  { name: "insecure-skip-tls-verify takes any", more: () => ({ skipVerify: true }) },
];
for (const { name, more, refused } of trust)
  test(`the server's certificate: ${name}`, limit, async () => {
    await using api = await FakeApi.start({ cert: server.cert, key: server.key });
    const log = new LogLines();
    await using cluster = clusterAt(accessTo(api.url, more()), new SimulatedClock(), log);
    const informer = cluster.informer({ api: "/api/v1", plural: "nodes", project: (_, meta) => meta }, {}, { changed() {} });
    informer.start();
    if (refused === undefined) await api.next();
    else {
      await until(() => log.lines.length > 0);
      const { error } = log.fields[0] ?? {};
      assert.ok(
        error instanceof ApiError && refused.test(String((error.cause as Error).message)),
        String((error as Error).cause),
      );
    }
  });

test("the API is reached through a proxy", limit, async () => {
  const asked: string[] = [];
  const proxy = createServer((from) => {
    from.once("data", (request) => {
      const [, host, port] = /^CONNECT (\S+):(\d+) HTTP/.exec(request.toString("latin1")) ?? [];
      asked.push(`${host}:${port}`);
      const to = connectTcp(Number(port), host, () => {
        from.write("HTTP/1.1 200 OK\r\n\r\n");
        from.pipe(to).pipe(from);
      });
      for (const [socket, other] of [
        [from, to],
        [to, from],
      ] as const)
        socket.on("error", () => {}).on("close", () => other.destroy());
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  try {
    await using api = await FakeApi.start(server);
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    await using cluster = clusterAt(accessTo(api.url, { proxy: url, authority: { data: Buffer.from(server.cert) } }));
    await ask(cluster, api);
    assert.deepEqual(asked, [new URL(api.url).host]);
  } finally {
    proxy.close();
  }
});
