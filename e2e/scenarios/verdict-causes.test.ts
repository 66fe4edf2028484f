import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { limits } from "#pkg/config";
import { applyService, assigned, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const configuration = `address-pools:
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
- {name: one, protocol: layer2, auto-assign: false, addresses: [172.30.0.210/32]}
- {name: alone, protocol: layer2, auto-assign: false, sharing: none, addresses: [172.30.0.211/32]}
- {name: few, protocol: layer2, auto-assign: false, addresses: [172.30.0.212-172.30.0.213]}
- {name: fenced, protocol: layer2, auto-assign: false, namespaces: [team], addresses: [172.30.0.214/32]}
- {name: labelled, protocol: layer2, service-selectors: [{match-labels: {tier: front}}], addresses: [172.30.0.215/32]}
- {name: shut, protocol: layer2, closed: true, addresses: [172.30.0.216/32]}
- {name: kept, protocol: layer2, auto-assign: false, reserved: [172.30.0.217], addresses: [172.30.0.217-172.30.0.218]}
- {name: buggy, protocol: layer2, auto-assign: false, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
- {name: six, protocol: layer2, auto-assign: false, reserved: [{addresses: ["2001:db8::1"], namespace: default}], addresses: ["2001:db8::/120"]}
- {name: elsewhere, protocol: none, auto-assign: false, addresses: [203.0.113.0/28]}
- {name: routed, protocol: bgp, auto-assign: false, addresses: [203.0.113.16/28]}
quotas:
- {pools: [few], ipv4: 1}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });
const key = (text: string) => ({ "metallb.universe.tf/allow-shared-ip": text });
const port = (number: number) => ({ ports: [{ name: "http", port: number }] });

/** Services that hold addresses which others want. */
const holders: Readonly<Record<string, Parameters<typeof applyService>[2]>> = {
  "has-one": { annotations: pool("one") },
  "has-alone": { annotations: { ...ip("172.30.0.211"), ...key("k") } },
  "has-few": { annotations: pool("few") },
  "has-shared": { annotations: { ...ip("172.30.0.200"), ...key("k") } },
  "has-plain": { annotations: ip("172.30.0.201") },
};

/** Requests of people -> the cause in the answer. */
const asked: Readonly<Record<string, Parameters<typeof applyService>[2]>> = {
  poolFull: { annotations: pool("one") },
  poolLacksFamily: { annotations: pool("six") },
  notForNamespace: { annotations: pool("fenced") },
  notForService: { annotations: pool("labelled") },
  poolClosed: { annotations: pool("shut") },
  reserved: { annotations: ip("172.30.0.217") },
  sharingOff: { annotations: { ...ip("172.30.0.211"), ...key("k") }, spec: port(81) },
  quotaExceeded: { annotations: pool("few") },
  outsidePools: { annotations: ip("192.0.2.1") },
  buggyAddress: { annotations: ip("198.51.100.0") },
  familyMismatch: { annotations: ip("2001:db8::9") },
  inUse: { annotations: ip("172.30.0.201") },
  sharingKeyMismatch: { annotations: { ...ip("172.30.0.200"), ...key("other") }, spec: port(81) },
  backendKeyMismatch: {
    annotations: { ...ip("172.30.0.200"), ...key("k") },
    spec: { ...port(82), externalTrafficPolicy: "Local" },
  },
  portClash: { annotations: { ...ip("172.30.0.200"), ...key("k") } },
  otherLoadBalancerClass: { spec: { loadBalancerClass: "example.com/other" } },
  protocolNone: { annotations: pool("elsewhere") },
  tooManyAddresses: { annotations: pool(Array(17).fill("lan").join()) },
};

suite("each cause of a verdict that a person can bring about is what ingotctl says", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration, forwarding: true });
    tool = new Tool(cluster);
    for (const [name, options] of Object.entries(holders)) {
      await applyService(cluster, name, options);
      await assigned(cluster, name);
    }
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("of Services", async () => {
    const nameOf = (cause: string) => cause.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const [cause, options] of Object.entries(asked)) await applyService(cluster, nameOf(cause), options);
    const wanted = Object.fromEntries(Object.keys(asked).map((cause) => [nameOf(cause), cause]));
    await waitFor(
      "all to be said",
      async () => {
        const { out } = await tool.run("services", "-A", "-o", "json");
        const { services } = JSON.parse(out) as { services: { service: string; verdict: Record<string, unknown> }[] };
        const said = new Map(services.map(({ service, verdict }) => [service.replace("default/", ""), verdict]));
        assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, said.get(name)?.cause])), wanted);
        for (const name of Object.keys(wanted)) {
          const { state, next } = said.get(name) ?? {};
          assert.ok(state === "NotOurs" || next !== "", `${name}: ${state}, and nothing to be done`);
        }
        return true;
      },
      { every: 1_000 },
    );
  });

  test("of a Service that has an address, and not all that it asks for, or nobody who announces it", async () => {
    await cluster.expose("wrong-pool", ["node1"], { annotations: { ...ip("172.30.0.205"), ...pool("few") } });
    await tool.explains("svc/wrong-pool", /^Service default\/wrong-pool: Degraded \(wrongPool\)/);
    await cluster.expose("routed", ["node1"], { annotations: pool("routed") });
    await tool.explains("svc/routed", /^Service default\/routed: Pending \(noPeer\)/);
    await tool.explains("pool/routed", /Pending \(noPeer\)/);
    await tool.explains("pool/elsewhere", /Ready \(available\)/);
  });

  test("of a Service that may have reserved addresses alone, which are in use (reservedInUse)", async () => {
    const spec = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };
    await applyService(cluster, "has-reserved", { spec });
    assert.deepEqual(await assigned(cluster, "has-reserved"), ["2001:db8::1"]);
    await applyService(cluster, "wants-reserved", { spec });
    const text = await tool.explains("svc/wants-reserved", /^Service default\/wants-reserved: Pending \(noPoolFits\)/);
    assert.match(text, /no IPv6 address of pool "six" that is reserved for this Service is free/);
  });

  test("of one Service more than may share an address", async () => {
    const shares = { ...ip("172.30.0.203"), ...key("crowd") };
    const names = Array.from({ length: limits.holdersOfAddress }, (_, i) => `crowd-${i}`);
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(
        names
          .slice(from, from + 50)
          .map((name, i) => applyService(cluster, name, { annotations: shares, spec: port(1 + from + i) })),
      );
    for (const name of names) await assigned(cluster, name);
    await applyService(cluster, "one-more", { annotations: shares, spec: port(1_000) });
    const text = await tool.explains("svc/one-more", /^Service default\/one-more: Pending \(sharedByTooMany\)/);
    assert.match(text, /To do: request another address, or give it another sharing key/);
  });

  test("of nodes that are to take nothing, or are shut down", async () => {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node2" } };
    await cluster.api.patch(node, { spec: { unschedulable: true } });
    await tool.explains("node/node2", /\(draining\)/);
    await cluster.api.patch(node, { spec: { unschedulable: null } });
    await cluster.api.patch(node, { spec: { taints: [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }] } });
    await tool.explains("node/node2", /\(outOfService\)/);
    await cluster.api.patch(node, { spec: { taints: [] } });
    await tool.explains("node/node2", /\(ready\)/);
  });

  test("of the configuration: no pools, no key and no ConfigMap", async () => {
    const reference = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace: "metallb-system" } };
    await cluster.api.apply({ ...reference, data: { other: configuration } });
    await tool.explains("config", [/Degraded \(keyMissing\)/, /has-plain|stays in force|last good/]);
    await cluster.api.delete(reference);
    await tool.explains("config", /Degraded \(configMapMissing\)/);
    await tool.explains("svc/has-plain", /: Pending \(noReadyEndpoint\)/);
  });
});
