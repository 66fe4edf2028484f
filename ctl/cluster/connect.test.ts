import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ApiServer } from "#e2e/apiserver";
import { UsageError } from "../command.ts";
import { connect, contextOf, PodAgent } from "./connect.ts";
import { KubeApi } from "./kube-api.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/** A server, and how many connections a forwarded port to it has opened. */
async function forwarded(answer: Parameters<typeof createServer>[1]) {
  const server: Server = createServer(answer as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const opened = { count: 0, streams: [] as Duplex[] };
  const agent = new PodAgent(async () => {
    opened.count++;
    const [ours, theirs] = duplexPair();
    opened.streams.push(ours);
    const socket = dial(port, "127.0.0.1");
    theirs.pipe(socket).pipe(theirs);
    ours.on("close", () => socket.destroy());
    return ours;
  });
  return {
    agent,
    opened,
    port,
    [Symbol.dispose]() {
      agent.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

test("one forwarded port serves question after question, in its order", async () => {
  using port = await forwarded((asked, answer) => answer.end(`${asked.headers.host} ${asked.url}`));
  const answers = await Promise.all(["/v1/a?b=c", "/v1/d"].map((path) => port.agent.get(path, {})));
  answers.push(await port.agent.get("/v1/e", {}));
  assert.deepEqual(
    answers.map(({ status, body }) => `${status} ${body}`),
    ["200 localhost /v1/a?b=c", "200 localhost /v1/d", "200 localhost /v1/e"],
  );
  assert.equal(port.opened.count, 1);
});

test("questions leave nothing behind at the port that they share, so that Node warns of nothing on the terminal", async () => {
  using port = await forwarded((_asked, answer) => answer.end());
  const listeners = () => port.opened.streams[0]?.eventNames().map((name) => port.opened.streams[0]?.listenerCount(name));
  await port.agent.get("/v1/first", {});
  const after = listeners();
  for (let i = 0; i < 12; i++) await port.agent.get(`/v1/${i}`, {});
  assert.deepEqual(listeners(), after);
  assert.equal(port.opened.count, 1);
});

test("a connection that ends before the answer is an error", async () => {
  using port = await forwarded((asked) => asked.socket.destroy());
  await assert.rejects(port.agent.get("/v1/a", {}));
});

test("a process that answers nothing costs one time-out of a round, whatever is asked, and is asked again in the next", async (context) => {
  let isHung = true;
  const asked: string[] = [];
  using port = await forwarded(({ url = "" }, answer) => {
    asked.push(url);
    if (!isHung) answer.end(url);
  });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const round = {};
  const answers = Promise.allSettled(["/v1/a", "/v1/b", "/v1/c"].map((path) => port.agent.get(path, round)));
  while (asked.length === 0) await setImmediate();
  context.mock.timers.tick(3_000);
  assert.deepEqual(
    (await answers).map((one) => (one.status === "rejected" ? one.reason.message : one.status)),
    Array(3).fill("no answer within 2 s"),
  );
  assert.deepEqual(asked, ["/v1/a"]);
  isHung = false;
  await assert.rejects(port.agent.get("/v1/d", round), { message: "no answer within 2 s" });
  assert.equal((await port.agent.get("/v1/d", {})).body, "/v1/d");
});

test("a process that has answered in a round may take longer for its next answer", async (context) => {
  const waiting: (() => void)[] = [];
  using port = await forwarded(({ url = "" }, answer) => {
    if (url === "/v1/small") answer.end(url);
    else waiting.push(() => answer.end(url));
  });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const round = {};
  await port.agent.get("/v1/small", round);
  const large = port.agent.get("/v1/large", round);
  while (waiting.length === 0) await setImmediate();
  context.mock.timers.tick(14_000);
  waiting[0]?.();
  assert.equal((await large).body, "/v1/large");
  const never = assert.rejects(port.agent.get("/v1/never", round), { message: "no answer within 15 s" });
  while (waiting.length === 1) await setImmediate();
  context.mock.timers.tick(15_000);
  await never;
});

test("a port that cannot be forwarded is an error that says why", async () => {
  const agent = new PodAgent(async () => {
    throw new Error('pods "x" is forbidden');
  });
  await assert.rejects(agent.get("/v1/a", {}), { message: 'pods "x" is forbidden' });
});

test("without a kubeconfig a sentence says so, and what to do; likewise without the context", () => {
  const home = mkdtempSync(join(tmpdir(), "ingotctl-"));
  const { HOME, KUBECONFIG } = process.env;
  const asked = { kubeconfig: undefined, context: undefined, systemNamespace: "metallb-system" };
  try {
    process.env.HOME = home;
    delete process.env.KUBECONFIG;
    const none =
      /^UsageError: there is no kubeconfig: put .* at ~\/\.kube\/config, or name it by KUBECONFIG or --kubeconfig FILE$/;
    assert.throws(() => contextOf(asked), none);
    assert.throws(() => new KubeApi(asked), none);
    const file = join(home, "one");
    const cluster = "clusters: [{name: c, cluster: {server: https://192.0.2.1}}]";
    writeFileSync(file, `{${cluster}, contexts: [{name: a, context: {cluster: c, namespace: n}}], current-context: b}`);
    const named = { ...asked, kubeconfig: file };
    assert.throws(
      () => contextOf(named),
      /^UsageError: the kubeconfig has no current context with a cluster: name one by --context/,
    );
    assert.throws(() => new KubeApi({ ...named, context: "x" }), /^UsageError: there is no context "x" in the kubeconfig/);
    assert.equal(contextOf({ ...named, context: "a" }).namespace, "n");
  } finally {
    Object.assign(process.env, { HOME, ...(KUBECONFIG !== undefined && { KUBECONFIG }) });
    rmSync(home, { recursive: true });
  }
});

/** Runs with these environment variables, and a folder for kubeconfigs. */
function withEnvironment(variables: Readonly<Record<string, string>>, body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  const before = { ...process.env };
  try {
    for (const [name, value] of Object.entries(variables)) process.env[name] = value.replaceAll("FOLDER", folder);
    body(folder);
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
    rmSync(folder, { recursive: true });
  }
}

/** As k3s and RKE2 write it: with one name for everything. */
function kubeconfigOf(folder: string, file: string, name: string, server: string, current = name): void {
  const cluster = { name, cluster: { server, "certificate-authority": "ca.crt" } };
  const context = { name, context: { cluster: name, user: name } };
  const user = { name, user: { token: file } };
  const config = { clusters: [cluster], contexts: [context], users: [user], "current-context": current };
  writeFileSync(join(folder, file), JSON.stringify(config));
}

test("of several files in KUBECONFIG the first to name something wins, as with kubectl, and one may be missing or empty", () => {
  withEnvironment(
    { KUBECONFIG: "FOLDER/missing:FOLDER/blank:FOLDER/comment:FOLDER/nulls:FOLDER/none:FOLDER/one:FOLDER/two:FOLDER/three" },
    (folder) => {
      writeFileSync(join(folder, "blank"), "");
      writeFileSync(join(folder, "comment"), "# clusters: []\n");
      writeFileSync(join(folder, "nulls"), "clusters: [null]\nusers: [null]\ncontexts:\n-\n");
      kubeconfigOf(folder, "none", "empty", "https://192.0.2.9", "");
      kubeconfigOf(folder, "one", "default", "https://192.0.2.1:6443");
      kubeconfigOf(folder, "two", "default", "https://192.0.2.2:6443");
      kubeconfigOf(folder, "three", "edge", "https://192.0.2.3:6443");
      const options = { kubeconfig: undefined, context: undefined };
      const config = readKubeconfig(options);
      assert.deepEqual(
        [config.getCurrentCluster()?.server, config.getCurrentCluster()?.caFile, config.getCurrentUser()?.token],
        ["https://192.0.2.1:6443", join(folder, "ca.crt"), "one"],
      );
      assert.equal(readKubeconfig({ ...options, context: "edge" }).getCurrentCluster()?.server, "https://192.0.2.3:6443");
    },
  );
});

test("a kubeconfig that can be read only once, as from a pipe, is taken whole", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  try {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    kubeconfigOf(folder, "config", "c", "https://192.0.2.1:6443");
    const writer = spawn("sh", ["-c", 'cat "$0" > "$1"', join(folder, "config"), pipe]);
    const config = readKubeconfig({ kubeconfig: pipe, context: undefined });
    assert.deepEqual([config.getCurrentCluster()?.caFile, config.getCurrentUser()?.token], [join(folder, "ca.crt"), "config"]);
    await once(writer, "exit");
    const nobody = spawn("sh", ["-c", ': > "$0"', pipe]); // A second reader of the pipe finds nothing.
    assert.equal(contextOf({ kubeconfig: pipe, context: undefined, systemNamespace: "lb" }).name, "c");
    nobody.kill();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the proxy of the environment is taken, as by kubectl, but where the kubeconfig or NO_PROXY says otherwise", () => {
  withEnvironment({ HTTPS_PROXY: "http://proxy.example:3128", NO_PROXY: "192.0.2.2" }, (folder) => {
    const proxyOf = (server: string) => {
      kubeconfigOf(folder, "config", "c", server);
      return readKubeconfig({ kubeconfig: join(folder, "config"), context: undefined }).getCurrentCluster()?.proxyUrl;
    };
    assert.equal(proxyOf("https://192.0.2.1:6443"), "http://proxy.example:3128");
    assert.equal(proxyOf("https://192.0.2.2:6443"), undefined);
    assert.equal(proxyOf("https://127.0.0.1:6443"), undefined);
  });
});

test("an API server is asked without TLS where the kubeconfig says so, and one that is no URL is a usage error", async () => {
  const server = createServer((asked, answer) => answer.end(JSON.stringify({ path: asked.url }))).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  const options = { kubeconfig: join(folder, "config"), context: undefined };
  try {
    kubeconfigOf(folder, "config", "c", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    writeFileSync(join(folder, "ca.crt"), "");
    assert.deepEqual(await new KubeApi(options).read("/version"), { type: "found", value: { path: "/version" } });
    for (const other of ["192.0.2.1:6443", "localhost:6443", "unix:/run/k8s"]) {
      kubeconfigOf(folder, "config", "c", other);
      assert.throws(
        () => new KubeApi(options),
        /^UsageError: the server of the kubeconfig's context is ".*", not an http or https URL$/,
      );
    }
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
});

test("nothing is left of a forwarded port that the API server never opens, so that the program ends", async () => {
  const pod = {
    metadata: { name: "speaker-a", labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: "n1", containers: [{ name: "speaker" }] },
    status: { phase: "Running" },
  };
  const server = createServer((_, answer) => answer.end(JSON.stringify({ items: [pod] })));
  const upgraded = once(server, "upgrade");
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  try {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    kubeconfigOf(folder, "config", "c", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    writeFileSync(join(folder, "ca.crt"), "");
    const options = { kubeconfig: join(folder, "config"), context: undefined, systemNamespace: "lb" };
    await using processes = await connect(options);
    const asked = processes.get(processes.targets[0] ?? assert.fail(), "/v1/node");
    const [, socket] = await upgraded;
    await Promise.all([once(socket.resume(), "end"), assert.rejects(asked)]);
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
});

/** Asks the only speaker of a cluster, which gives these answers. */
async function withSpeaker(
  answer: Parameters<typeof createServer>[1],
  body: (get: (path: string) => Promise<unknown>, options: { kubeconfig: string; context: string }) => Promise<void>,
): Promise<void> {
  using pod = await forwarded(answer);
  await using api = new ApiServer({ dial: async () => dial(pod.port, "127.0.0.1") });
  await api.start();
  api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "lb" } });
  const labels = { app: "metallb", component: "speaker" };
  const spec = { containers: [{ name: "speaker", image: "i" }], nodeName: "node1" };
  api.create({ apiVersion: "v1", kind: "Pod", metadata: { name: "speaker-a", namespace: "lb", labels }, spec });
  const evicted = {
    metadata: { name: "speaker-0", namespace: "lb", labels },
    spec,
    status: { phase: "Failed", reason: "Evicted" },
  };
  api.create({ apiVersion: "v1", kind: "Pod", ...evicted });
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  const kubeconfig = join(folder, "config");
  writeFileSync(kubeconfig, api.kubeconfig());
  try {
    const context = readKubeconfig({ kubeconfig, context: undefined }).getCurrentContext();
    await using processes = await connect({ kubeconfig, context, systemNamespace: "lb" });
    const [target, ...others] = processes.targets;
    assert.ok(target);
    assert.deepEqual(others, []);
    await body((path) => processes.get(target, path), { kubeconfig, context });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("remedies of processes are for the cluster that is asked, and recordings stay as they were decided", async () => {
  const said = { next: "kubectl -n metallb-system get pods" };
  await withSpeaker(
    (_asked, answer) => answer.end(JSON.stringify(said)),
    async (get, { kubeconfig, context }) => {
      const next = `kubectl --kubeconfig ${kubeconfig} --context ${context} -n lb get pods`;
      assert.deepEqual(await get("/v1/verdicts"), { next });
      assert.deepEqual(await get("/v1/recorder"), said);
    },
  );
});

test("a process that is not ready says why: that is its answer, and other failures are none", async () => {
  await withSpeaker(
    (_asked, answer) => answer.writeHead(503).end("waiting for Services\n"),
    async (get) => {
      assert.equal(await get("/readyz"), "waiting for Services\n");
      await assert.rejects(get("/v1/verdicts"), { message: "it answers 503: waiting for Services" });
    },
  );
});

test("a kubeconfig that is no YAML is not quoted: it has secrets", () => {
  withEnvironment({ KUBECONFIG: "FOLDER/config" }, (folder) => {
    writeFileSync(join(folder, "config"), "users: [{name: u, user: {token: s3cret}}\nclusters: [");
    const options = { kubeconfig: undefined, context: undefined };
    assert.throws(
      () => readKubeconfig(options),
      ({ message }: Error) => /^cannot read the kubeconfig: \S/.test(message) && !/s3cret|\n/.test(message),
    );
  });
});

test("a kubeconfig that is not there is a usage error, also for the namespace", () => {
  const options = { kubeconfig: "/nonexistent", context: undefined, systemNamespace: "metallb-system" };
  assert.throws(
    () => contextOf(options),
    (error) => error instanceof UsageError && /cannot read the kubeconfig: ENOENT/.test(error.message),
  );
});

test("where the API server does not answer, the way without it is a command that has that option", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  try {
    kubeconfigOf(folder, "config", "c", "http://127.0.0.1:1");
    const options = { kubeconfig: join(folder, "config"), context: undefined, systemNamespace: "metallb-system" };
    await assert.rejects(connect(options), /; on a node, ingotctl status --node-local asks its speaker without the API$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
