import assert from "node:assert/strict";
import { patience, podPrefixes } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import type { InstalledCluster } from "./installed.ts";
import { makeTenant, outage, type PathFault, pathFaults, signs, startDual } from "./path-faults.ts";

// Nodes whose kernels bring no packets to Pods: another node answers for their addresses, and clients hardly notice.
let web: string;

const step = steps(() =>
  startDual((address) => {
    web = address;
  }),
);

/** Breaks the data path of the owner. @returns it, and how to mend it */
async function moves(
  on: InstalledCluster,
  { name, sign, begin }: PathFault,
): Promise<{ owner: string; undo: () => Promise<void> }> {
  const owner = await on.owner(web);
  let undo = async () => {};
  const lost = await outage(on, web, async () => {
    undo = await begin(on, owner);
    // Another sign may outlive it.
    const said = waitFor(`${owner} to say ${sign}`, async () => (await signs(on, owner)).includes(sign ?? ""), patience);
    await Promise.all([said, on.ownerOtherThan(owner, web).then(() => on.answer(web))]);
  });
  console.log(`${name}: ${lost} ms without a connection`);
  return { owner, undo };
}

/** The time until the speaker knows Services that answer. */
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
  const owner = await on.owner(web);
  await makeTenant(on, owner);
  const lost = await outage(on, web, () => new Promise((resolve) => setTimeout(resolve, 20_000)));
  console.log(`backends that refuse or hang: ${lost} ms without a connection`);
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(await signs(on, owner), []);
});

/** A Local Service, of whose Pod on the owner kube-proxy hears no more: the address moves. */
async function movesWhereProxyIsBehind(on: InstalledCluster): Promise<void> {
  const names = on.cluster.nodes.map(({ name }) => name);
  const ports = [{ name: "http", port: 80, targetPort: 9, protocol: "TCP" }];
  const spec = { type: "LoadBalancer", externalTrafficPolicy: "Local", ports };
  await on.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "local", namespace: "default" }, spec });
  const slice = (node: string, labels: Readonly<Record<string, string>> = {}) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `local-${node}`, namespace: "default", labels: { "kubernetes.io/service-name": "local", ...labels } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 9, protocol: "TCP" }],
    endpoints: [{ addresses: [on.cluster.node(node).host.ipv4], conditions: { ready: true }, nodeName: node }],
  });
  for (const name of names) await on.apply(slice(name));
  const address = await waitFor("an address of local", () => on.addressOf("local"), patience);
  const owner = await on.owner(address);
  // It has said that it has a Pod: the speaker asks each second.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  await on.apply(slice(owner, { "service.kubernetes.io/service-proxy-name": "other" })); // kube-proxy does not look at such.
  await on.ownerOtherThan(owner, address);
  await on.kubectl("delete", "service", "local");
}

step("kube-proxy of the owner does not know of the Pod of a Local Service there: another node with one answers", async (on) => {
  await movesWhereProxyIsBehind(on);
});

step(
  "so does another node where kube-proxy listens on the nodes' own addresses alone, as it does in mode nftables",
  async (on) => {
    for (const node of on.cluster.nodes) await node.setNodePortAddresses("primary");
    await movesWhereProxyIsBehind(on);
  },
);

let first: string;

step("kube-proxy is killed and started again: nothing moves", async (on) => {
  const owner = await on.owner(web);
  await known(on, owner);
  const lost = await outage(on, web, async () => void (await pathFaults.proxyRestarted.begin(on, owner)));
  console.log(`kube-proxy restarted: ${lost} ms without a connection`);
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(await signs(on, owner), []);
});

step("kube-proxy of the owner is killed, and its rules are flushed: another node answers", async (on) => {
  const { owner, undo } = await moves(on, pathFaults.rulesGone);
  first = owner;
  await undo();
});

step("the bridge of the Pods is gone: another node answers, also after the speaker there has started again", async (on) => {
  const { owner, undo } = await moves(on, pathFaults.bridgeDown);
  const lost = await outage(on, web, async () => {
    await on.killPod(await on.podOn(owner, "speaker"));
    await waitFor(`the new speaker of ${owner} to say so`, async () => (await signs(on, owner)).includes("noPodRoute"), patience);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  });
  console.log(`the speaker there starts again: ${lost} ms without a connection`);
  assert.notEqual(await on.owner(web), owner);
  await undo();
  await waitFor(`${web} at ${first} again`, async () => (await on.owner(web)) === first, patience);
});

step("the table of connections is full: another node answers", async (on) => {
  const { undo } = await moves(on, pathFaults.conntrackFull);
  await undo();
});

step("a speaker that starts on a node which reaches no Pods of other nodes leaves addresses where they are", async (on) => {
  // Endpoints of the tenant's Services are no Pods.
  await on.kubectl("-n", "tenant", "delete", "service", "--all");
  await on.kubectl("delete", "service", "web");
  const pods = await on.get("pods", "-l", "app=web");
  const names = ["one", "two", "three"]; // Namespaces, as it takes three.
  const served = async (without = "") => {
    const those = pods.filter(({ spec }) => spec?.nodeName !== without);
    const endpoints = those.map(({ spec, status }) => ({
      addresses: [status?.podIP],
      conditions: { ready: true },
      nodeName: spec?.nodeName,
    }));
    for (const namespace of names)
      await on.apply({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        addressType: "IPv4",
        endpoints,
        metadata: { name: "web", namespace, labels: { "kubernetes.io/service-name": "web" } },
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      });
  };
  for (const namespace of names) {
    await on.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const ports = [{ name: "http", port: 80, protocol: "TCP" }];
    await on.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace },
      spec: { type: "LoadBalancer", ports },
    });
  }
  await served();
  const first = ["-n", "one", "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"];
  const address = await waitFor("an address", () => on.kubectl(...first), patience);
  await on.answer(address);
  const node = await on.owner(address);
  await served(node);
  const { host } = on.cluster.node(node);
  const others = on.cluster.nodes.flatMap(({ name }, index) => (name === node ? [] : podPrefixes(index + 1).ipv4));
  const lost = await outage(on, address, async () => {
    for (const pods of others) await host.run(["ip", "route", "replace", "blackhole", pods]);
    await on.killPod(await on.podOn(node, "speaker"));
    const next = await on.ownerOtherThan(node, address);
    let isSaid = false;
    for (const end = Date.now() + patience.timeout; !isSaid && Date.now() < end; ) {
      assert.equal(await on.owner(address), next);
      isSaid = (await signs(on, node).catch(() => [] as string[])).includes("noConnection"); // It may not answer yet.
    }
    assert.ok(isSaid, "the new speaker has said so");
  });
  console.log(`a speaker starts on a node that reaches no Pods: ${lost} ms without a connection`);
});
