import assert from "node:assert/strict";
import { test } from "node:test";
import { readClasses } from "#pkg/service";
import { view } from "../testing/view.ts";
import { checkConfiguration, checkServices } from "./configuration.ts";

const namespace = "metallb-system";
const plurals = { IPAddressPool: "ipaddresspools", L2Advertisement: "l2advertisements", BGPPeer: "bgppeers" } as const;
type Kind = keyof typeof plurals;

/** A cluster with MetalLB 0.13 or later. */
function cluster(objects: readonly [Kind, string, object][], more: object = {}) {
  const versions = { "metallb.io/v1beta1": Object.values(plurals), "metallb.io/v1beta2": ["bgppeers"] };
  const lists = Object.entries(plurals).map(([kind, plural]) => [
    `/apis/metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}/namespaces/${namespace}/${plural}`,
    objects.flatMap(([each, name, spec]) => (each === kind ? [{ metadata: { namespace, name }, spec }] : [])),
  ]);
  return view({
    "/apis": { groups: [{ name: "metallb.io", versions: Object.keys(versions).map((groupVersion) => ({ groupVersion })) }] },
    ...Object.fromEntries(
      Object.entries(versions).map(([version, names]) => [`/apis/${version}`, { resources: names.map((name) => ({ name })) }]),
    ),
    ...Object.fromEntries(lists),
    ...more,
  });
}

const pool: [Kind, string, object] = ["IPAddressPool", "lan", { addresses: ["192.0.2.0/28"] }];
const all: [Kind, string, object] = ["L2Advertisement", "all", {}];
const configMap = { [`/api/v1/namespaces/${namespace}/configmaps/config`]: { data: { config: "address-pools: 7" } } };
const workload = (words: object) => {
  const labels = { app: "metallb", component: "controller" };
  const spec = { template: { spec: { containers: [words] } } };
  return { "/apis/apps/v1/deployments": [{ metadata: { namespace, name: "controller", labels }, spec }] };
};

test("custom resources are read as Ingot would read them, and a finding names the object and the field", async () => {
  const tor = { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1", vrf: "red" };
  const bad = checkConfiguration(await cluster([pool, all, ["BGPPeer", "tor", tor]]));
  assert.deepEqual(
    bad.findings.map(({ severity, where }) => `${severity} ${where}`),
    ["error BGPPeer metallb-system/tor"],
  );
  assert.match(bad.findings[0]?.found ?? "", /^spec\.vrf: /);
  const alone = checkConfiguration(await cluster([pool])).findings;
  assert.deepEqual(
    alone.map(({ found, where }) => `${where}: ${found}`),
    ["IPAddressPool metallb-system/lan: nothing announces it. Its addresses are assigned, and no speaker announces them."],
  );
  const good = checkConfiguration(await cluster([pool, all]));
  assert.deepEqual([good.findings, good.config?.pools.map(({ name }) => name)], [[], ["lan"]]);
});

test("which of both counts: a ConfigMap that MetalLB's flag names, or the objects, or what Ingot's flag says", async () => {
  const read = async (words: object) =>
    checkConfiguration(await cluster([pool], { ...configMap, ...workload(words) })).config?.pools;
  const ingot = { command: ["node", "/ingot/controller.js"] };
  assert.equal((await read({ args: ["--port=7472"] }))?.length, 1);
  assert.equal((await read({ ...ingot, args: ["--config=config", "--config-source=crds"] }))?.length, 1);
  assert.equal(await read({ ...ingot, args: ["--config=config"] }), undefined);
  assert.equal(await read({ args: ["--port=7472", "--config=config"] }), undefined);
});

test("a Service that would lose its address is found, and what MetalLB leaves alone is nobody's loss", async () => {
  const service = (name: string, ip: string, more: object = {}) => ({
    metadata: { namespace: "team", name },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], clusterIPs: ["10.0.0.1"], ...more },
    status: { loadBalancer: { ingress: [{ ip }] } },
  });
  const services = [
    service("kept", "192.0.2.1"),
    service("lost", "198.51.100.1"),
    service("classy", "192.0.2.2", { loadBalancerClass: "example.com/lb" }),
  ];
  const seen = await cluster([pool, all], { "/api/v1/services": services });
  const none = readClasses("", false);
  assert.deepEqual(
    checkServices(seen, checkConfiguration(seen).config, none, none).map(({ check, where }) => `${check} ${where}`),
    ["address Service team/lost"],
  );
});

test("of two Services with one address the one is found that the controller lets lose it: sharers come first, then the oldest", async () => {
  const service = (name: string, ip: string, year: number, annotations: object = {}) => ({
    metadata: { namespace: "team", name, annotations, creationTimestamp: `${year}-01-01T00:00:00Z` },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], clusterIPs: ["10.0.0.1"] },
    status: { loadBalancer: { ingress: [{ ip }] } },
  });
  const services = [
    service("a", "192.0.2.1", 2026),
    service("b", "192.0.2.1", 2025),
    service("c", "192.0.2.2", 2025),
    service("d", "192.0.2.2", 2026, { "metallb.universe.tf/allow-shared-ip": "k" }),
  ];
  const seen = await cluster([pool, all], { "/api/v1/services": services });
  const none = readClasses("", false);
  assert.deepEqual(
    checkServices(seen, checkConfiguration(seen).config, none, none).map(({ where }) => where),
    ["Service team/c", "Service team/a"],
  );
});

test("a class that MetalLB serves, and Ingot would not, is found", async () => {
  const classy = {
    metadata: { namespace: "team", name: "web" },
    spec: { type: "LoadBalancer", loadBalancerClass: "example.com/lb" },
  };
  const seen = await cluster([pool], { "/api/v1/services": [classy] });
  const [finding] = checkServices(seen, undefined, readClasses("", false), readClasses("example.com/lb", false));
  assert.match(finding?.found ?? "", /"example\.com\/lb", which is not served; MetalLB serves it$/);
  assert.match(
    finding?.advice ?? "",
    /--lb-class=example\.com\/lb$/,
    "MetalLB leaves Services without a class alone, and so does Ingot then",
  );
});

test("objects of any shape do no harm", async () => {
  for (const junk of [null, 1, "x", [], { spec: 7, metadata: null }, { metadata: { name: 7 }, spec: { addresses: 7 } }]) {
    const seen = await cluster([], { [`/apis/metallb.io/v1beta1/namespaces/${namespace}/ipaddresspools`]: [junk] });
    const { config } = checkConfiguration(seen);
    checkServices(seen, config, readClasses("", false), undefined);
  }
});
