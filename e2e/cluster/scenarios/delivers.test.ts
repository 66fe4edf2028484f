import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { config, InstalledCluster } from "./installed.ts";

// Nodes whose kernels bring no packets to Pods: another node answers for their addresses, and clients hardly notice.
let web: string;
let connections = 0;

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 3 });
  await on.deploy(3);
  for (const [index, { name }] of on.cluster.nodes.entries()) {
    const podCIDRs = [`10.244.${index + 1}.0/24`, `fd00:244:${index + 1}::/64`];
    await on.kubectl("patch", "node", name, "-p", JSON.stringify({ spec: { podCIDR: podCIDRs[0], podCIDRs } }));
  }
  await on.install(config);
  web = await on.serve("web");
  return on;
});

/** Connects every 50 ms until `act` is done. @returns the longest time without a connection, in milliseconds */
async function outage(on: InstalledCluster, address: string, act: () => Promise<void>): Promise<number> {
  const program = [process.execPath, resolve(import.meta.dirname, "connections.ts"), address];
  const client = on.cluster.client.daemon(`connections${++connections}`, program);
  const lines = async () => (await readFile(client.log, "utf8")).split("\n");
  try {
    await waitFor("connections", async () => (await lines()).includes("connecting"), patience);
    await act();
  } finally {
    await client.stop("SIGTERM");
  }
  return Number((await lines()).find((line) => /^\d+$/.test(line)));
}

/** What the speaker of a node says of it. */
async function signs(on: InstalledCluster, node: string): Promise<string[]> {
  const { body } = await on.cluster.node(node).host.get("http://127.0.0.1:7472/metrics");
  return [...body.matchAll(/ingot_data_path_fault\{sign="(\w+)"\} 1/g)].map(([, sign]) => sign ?? "");
}

/** Breaks the data path of the owner. @returns it */
async function moves(on: InstalledCluster, what: string, sign: string, damage: (node: string) => Promise<void>): Promise<string> {
  const owner = await on.owner(web);
  const lost = await outage(on, web, async () => {
    await damage(owner);
    // Another sign may outlive it.
    const said = waitFor(`${owner} to say ${sign}`, async () => (await signs(on, owner)).includes(sign), patience);
    await Promise.all([said, on.ownerOtherThan(owner, web).then(() => on.answer(web))]);
  });
  console.log(`${what}: ${lost} ms without a connection`);
  return owner;
}

/** What it takes until the speaker knows Services that answer. */
const known = (on: InstalledCluster, node: string) =>
  waitFor(
    "tests of connections",
    async () => {
      const rules = await on.cluster.node(node).host.run(["sh", "-c", "conntrack -L -d 10.96.0.1 2>/dev/null | wc -l"]);
      return Number(rules) > 0;
    },
    patience,
  );

step("a Service whose backend refuses connections, and one whose backend does not answer, move nothing", async (on) => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "tenant" } };
  await on.apply(namespace);
  const owner = await on.owner(web);
  const ready = { conditions: { ready: true }, nodeName: owner };
  for (const [name, address] of [
    ["refuses", on.cluster.node(owner).host.ipv4],
    ["hangs", "172.30.0.99"],
  ] as const) {
    const ports = [{ name: "http", port: 80, targetPort: 9, protocol: "TCP" }];
    await on.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "tenant" },
      spec: { type: "LoadBalancer", ports },
    });
    await on.apply({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace: "tenant", labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 9, protocol: "TCP" }],
      endpoints: [{ addresses: [address], ...ready }],
    });
  }
  const lost = await outage(on, web, () => new Promise((resolve) => setTimeout(resolve, 20_000)));
  console.log(`backends that refuse or hang: ${lost} ms without a connection`);
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(await signs(on, owner), []);
});

let first: string;

step("kube-proxy is killed and started again: nothing moves", async (on) => {
  const owner = await on.owner(web);
  await known(on, owner);
  const lost = await outage(on, web, async () => {
    await on.cluster.node(owner).kill("kube-proxy");
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await on.cluster.node(owner).revive("kube-proxy");
  });
  console.log(`kube-proxy restarted: ${lost} ms without a connection`);
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(await signs(on, owner), []);
});

step("kube-proxy of the owner is killed, and its rules are flushed: another node answers", async (on) => {
  first = await moves(on, "kube-proxy killed, rules flushed", "noConnection", async (node) => {
    await on.cluster.node(node).kill("kube-proxy");
    await on.cluster.node(node).host.run(["nft", "flush", "ruleset"]);
  });
  await on.cluster.node(first).revive("kube-proxy");
});

step("the bridge of the Pods is gone: another node answers", async (on) => {
  const node = await moves(on, "Pod bridge gone", "noPodRoute", async (node) => {
    await on.cluster.node(node).host.run(["ip", "link", "set", "cni0", "down"]);
  });
  await on.cluster.node(node).host.run(["ip", "link", "set", "cni0", "up"]);
  await waitFor(`${web} at ${first} again`, async () => (await on.owner(web)) === first, patience);
});

/** Lets the speaker be read where the table of connections is full. */
const untrackedMetrics = ["output", "prerouting"]
  .flatMap((hook) => [
    `add chain inet untracked ${hook} { type filter hook ${hook} priority raw; }`,
    ...["sport", "dport"].map((side) => `add rule inet untracked ${hook} tcp ${side} 7472 notrack`),
  ])
  .reduce((all, line) => `${all}; ${line}`, "add table inet untracked");

step("the table of connections is full: another node answers", async (on) => {
  await moves(on, "conntrack full", "conntrackFull", async (node) => {
    await on.cluster.node(node).host.run(["nft", untrackedMetrics]);
    const program = [process.execPath, resolve(import.meta.dirname, "fill-conntrack.ts")];
    await on.cluster.node(node).host.run(program);
  });
});
