import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ApiServer } from "#e2e/apiserver";
import { connect, contextOf } from "./cluster/connect.ts";
import { KubeApi } from "./cluster/kube-api.ts";
import { commands } from "./commands.ts";
import { clusterProcesses, manyServices } from "./dashboard/testing/cluster.ts";
import { run } from "./run.ts";
import { fakeIo } from "./testing/ingotctl.ts";

// Alone: the warnings of Node are those of the whole process.

const nodes = Array.from({ length: 100 }, (_, index) => `n${index + 1}`);
const processes = clusterProcesses(() => ({ nodes, services: manyServices(20, nodes), silent: {} }));
const [system, small] = ["metallb-system", "small"];
const byPort = new Map<number, string>(); // of a connection -> pod
const files = { file: "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}]\n" };

/** Each command, as it is typed, so that a new one is tried, too. */
const typed: Readonly<Record<string, readonly string[]>> = {
  status: ["status"],
  services: ["services -A", "services --problems"],
  explain: [
    "explain svc/web-1",
    "explain 10.0.0.1",
    "explain node/n7",
    "explain peer/10.0.0.1",
    "explain pool/lan",
    "explain config",
  ],
  check: ["check"],
  doctor: ["doctor", "doctor --wire"],
  probe: ["probe 10.0.0.1"],
  pools: ["pools"],
  nodes: ["nodes"],
  peers: ["peers"],
  members: ["members"],
  owner: ["owner 10.0.0.1"],
  history: ["history 10.0.0.1"],
  "support-bundle": ["support-bundle bundle.tar.gz"],
  dashboard: ["dashboard"],
  diff: ["diff file"],
  apply: ["apply file"],
  drain: ["drain n1"],
  uncordon: ["uncordon n1"],
  simulate: ["simulate lose n1"],
  validate: ["validate file"],
  replay: ["replay file"],
  convert: ["convert file", "convert --cluster=metallb"],
  "router-config": ["router-config --for=frr"],
  takeover: ["takeover --check"],
  version: ["version"],
  completion: ["completion bash"],
};

/** What asks each process most. The others have a dozen speakers: Node warns of more than ten listeners. */
const ofAll = ["status", "services -A", "doctor", "support-bundle bundle.tar.gz"];

suite("the terminal of ingotctl, beside a controller and 100 speakers behind an API server", () => {
  const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
  const kubeconfig = join(folder, "config");
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  const server = createServer((asked, answer) => {
    const target = processes.targets.find(({ pod }) => pod === byPort.get(asked.socket.remotePort ?? 0));
    assert.ok(target, "the connection is of no Pod");
    processes.get(target, asked.url ?? "").then(
      (body) => answer.end(typeof body === "string" ? body : JSON.stringify(body)),
      () => answer.writeHead(404).end(),
    );
  });
  const api = new ApiServer({
    async dial({ metadata: { name } }) {
      const socket = dial((server.address() as AddressInfo).port, "127.0.0.1");
      await once(socket, "connect");
      byPort.set(socket.localPort ?? 0, name);
      return socket;
    },
  });

  before(async () => {
    process.on("warning", note);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await api.start();
    api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: system } });
    api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: small } });
    const some = processes.targets.slice(0, 13);
    const pods = [...processes.targets.map((one) => [system, one] as const), ...some.map((one) => [small, one] as const)];
    for (const [namespace, { program, pod: name, node: nodeName }] of pods) {
      const labels = { app: "metallb", component: program };
      const spec = { containers: [{ name: program, image: "i" }], nodeName };
      const metadata = { name, namespace, labels };
      api.create({ apiVersion: "v1", kind: "Pod", metadata, spec, status: { phase: "Running" } });
    }
    for (const name of nodes) api.create({ apiVersion: "v1", kind: "Node", metadata: { name } });
    writeFileSync(kubeconfig, api.kubeconfig());
  });
  after(async () => {
    process.off("warning", note);
    server.close();
    server.closeAllConnections();
    await api[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** Runs a command with the real cluster access. */
  async function asked(args: string, config: string) {
    const io = fakeIo({ files });
    const cluster = {
      connect,
      api: async (options: ConstructorParameters<typeof KubeApi>[0]) => new KubeApi(options),
      context: async (options: Parameters<typeof contextOf>[0]) => contextOf(options),
    };
    const [name = ""] = args.split(" ");
    const has = (option: string) => Object.hasOwn(commands.get(name)?.options ?? {}, option);
    const takesCluster = has("kubeconfig") && args !== "convert file";
    const words = [
      ...args.split(" "),
      ...(takesCluster && config !== "" ? ["--kubeconfig", config] : []),
      ...(has("system-namespace") && !ofAll.includes(args) ? ["--system-namespace", small] : []),
    ];
    const status = await run(words, { ...io, cluster });
    await setImmediate(); // Warnings come on the next tick.
    return { status, takesCluster, ...io.printed };
  }

  test("every command is tried", () => assert.deepEqual(Object.keys(typed), [...commands.keys()]));

  for (const args of Object.values(typed).flat())
    test(`${args}: Node warns of nothing, and nothing is a stack trace`, async () => {
      warnings.length = 0;
      const { out, err } = await asked(args, kubeconfig);
      assert.deepEqual(warnings, []);
      assert.doesNotMatch(err + out, /^ +at .*:\d+:\d+|Warning:|no answer within/m);
    });

  for (const args of Object.values(typed).flat())
    test(`${args}: without a kubeconfig one sentence says so, and what to do`, async (context) => {
      const { HOME, KUBECONFIG } = process.env;
      context.after(() => Object.assign(process.env, { HOME, ...(KUBECONFIG !== undefined && { KUBECONFIG }) }));
      process.env.HOME = folder;
      delete process.env.KUBECONFIG;
      const { out, err, status, takesCluster } = await asked(args, "");
      if (!takesCluster) return;
      const says =
        /there is no kubeconfig: put the one of your cluster where kubectl looks for it, at ~\/\.kube\/config, or name it by /g;
      assert.equal((out + err).match(says)?.length, 1, out + err);
      assert.notEqual(status, 0);
      if (!["check", "takeover"].includes(args.split(" ")[0] ?? "")) assert.equal(err.split("\n").length, 2, err);
    });

  test("the program as it is started prints nothing but its answer", async () => {
    const child = spawn(fileURLToPath(new URL("main.ts", import.meta.url)), ["status", "--kubeconfig", kubeconfig]);
    const printed = { out: "", err: "" };
    child.stdout.on("data", (text) => (printed.out += text));
    child.stderr.on("data", (text) => (printed.err += text));
    await once(child, "close");
    assert.equal(printed.err, "");
    assert.equal(printed.out.match(/^speaker /gm)?.length, 100, printed.out);
  });
});
