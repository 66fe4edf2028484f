import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import { limits } from "#pkg/config";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { type ServiceOptions, World } from "./world.ts";

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
const holders: Readonly<Record<string, ServiceOptions>> = {
  "has-one": { annotations: pool("one") },
  "has-alone": { annotations: { ...ip("172.30.0.211"), ...key("k") } },
  "has-few": { annotations: pool("few") },
  "has-shared": { annotations: { ...ip("172.30.0.200"), ...key("k") } },
  "has-plain": { annotations: ip("172.30.0.201") },
};

/** Requests of people -> the cause in the answer. */
const asked: Readonly<Record<string, ServiceOptions>> = {
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

suite("each cause of a verdict that a person can bring about is what ingotctl says", () => {
  let world: World;
  before(async () => {
    world = await World.start(configuration);
    for (const [name, options] of Object.entries(holders)) {
      world.apply(name, options);
      await world.assigned(name);
    }
  });

  test("of Services", async () => {
    const nameOf = (cause: string) => cause.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const [cause, options] of Object.entries(asked)) world.apply(nameOf(cause), options);
    const wanted = Object.fromEntries(Object.keys(asked).map((cause) => [nameOf(cause), cause]));
    await world.until(async () => {
      const { out } = await world.tool("services -A -o json");
      const { services } = JSON.parse(out) as { services: { service: string; verdict: Record<string, unknown> }[] };
      const said = new Map(services.map(({ service, verdict }) => [service.replace("default/", ""), verdict]));
      assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, said.get(name)?.cause])), wanted);
      for (const name of Object.keys(wanted)) {
        const { state, next } = said.get(name) ?? {};
        assert.ok(state === "NotOurs" || next !== "", `${name}: ${state}, and nothing to be done`);
      }
    });
  });

  test("of a Service that has an address, and not all that it asks for, or nobody who announces it", async () => {
    world.expose("wrong-pool", [0], { annotations: { ...ip("172.30.0.205"), ...pool("few") } });
    await world.explains("svc/wrong-pool", /^Service default\/wrong-pool: Degraded \(wrongPool\)/);
    world.expose("routed", [0], { annotations: pool("routed") });
    await world.explains("svc/routed", /^Service default\/routed: Pending \(noPeer\)/);
    await world.explains("pool/routed", /Pending \(noPeer\)/);
    await world.explains("pool/elsewhere", /Ready \(available\)/);
  });

  test("of a Service that may have reserved addresses alone, which are in use (reservedInUse)", async () => {
    const spec = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };
    world.apply("has-reserved", { spec });
    assert.deepEqual(await world.assigned("has-reserved"), ["2001:db8::1"]);
    world.apply("wants-reserved", { spec });
    const text = await world.explains("svc/wants-reserved", /^Service default\/wants-reserved: Pending \(noPoolFits\)/);
    assert.match(text, /no IPv6 address of pool "six" that is reserved for this Service is free/);
  });

  test("of one Service more than may share an address", async () => {
    const shares = { ...ip("172.30.0.203"), ...key("crowd") };
    const names = Array.from({ length: limits.holdersOfAddress }, (_, i) => `crowd-${i}`);
    for (const [i, name] of names.entries()) world.apply(name, { annotations: shares, spec: port(1 + i) });
    for (const name of names) await world.assigned(name);
    world.apply("one-more", { annotations: shares, spec: port(1_000) });
    const text = await world.explains("svc/one-more", /^Service default\/one-more: Pending \(sharedByTooMany\)/);
    assert.match(text, /To do: request another address, or give it another sharing key/);
  });

  test("of nodes that are to take nothing, or are shut down", async () => {
    world.patchNode(1, { spec: { unschedulable: true } });
    await world.explains("node/node-1", /\(draining\)/);
    world.patchNode(1, { spec: { unschedulable: null } });
    world.patchNode(1, { metadata: { labels: { "ingot.dev/drain": "" } } });
    await world.explains("node/node-1", [/\(drained\)/, /others take over its addresses and routes/]);
    world.patchNode(1, { metadata: { labels: { "ingot.dev/drain": null } } });
    world.patchNode(1, { spec: { taints: [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }] } });
    await world.explains("node/node-1", /\(outOfService\)/);
    world.patchNode(1, { spec: { taints: [] } });
    await world.explains("node/node-1", /\(ready\)/);
  });

  test("of the configuration: no pools, no key and no ConfigMap", async () => {
    world.cluster.api.patch("configmaps", "metallb-system/config", { data: { config: null, other: configuration } });
    await world.explains("config", [/Degraded \(keyMissing\)/, /has-plain|stays in force|last good/]);
    world.cluster.people.deleteConfig();
    await world.explains("config", /Degraded \(configMapMissing\)/);
    await world.explains("svc/has-plain", /: Pending \(noReadyEndpoint\)/);
  });
});
