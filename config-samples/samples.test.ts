import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { loadAll } from "js-yaml";
import { type Config, matchesSelector, PoolIndex, readInput } from "#pkg/config";
import { parseAddress } from "#pkg/net";

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string; readonly annotations?: Record<string, string> };
  readonly stringData?: Record<string, string>;
  readonly spec?: { readonly ports: readonly { readonly port: number; readonly protocol?: string }[] };
}

const folder = new URL(".", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));
const read = (file: string) => readFileSync(new URL(file, folder), "utf8");

function configOf(file: string): Config {
  const { config, problems } = readInput(read(file));
  assert.deepEqual(problems, []);
  assert.ok(config);
  return config;
}

function servicesOf(file: string): Manifest[] {
  return (loadAll(read(file)) as Manifest[]).filter(({ kind }) => kind === "Service");
}

for (const file of files) {
  test(`${file}: is a valid ConfigMap where the controller looks for it, and gives no cause for warning`, () => {
    assert.deepEqual(readInput(read(file)).configMap, { namespace: "metallb-system", name: "config", key: "config" });
    assert.ok(configOf(file).pools.length > 0);
  });
}

test("kubectl apply of a sample needs no namespace that a new cluster with Ingot lacks", () => {
  const missing = files.flatMap((file) =>
    (loadAll(read(file)) as Manifest[])
      .filter(({ metadata: { namespace } }) => !["metallb-system", "default"].includes(namespace))
      .map(({ metadata: { namespace, name } }) => `${file}: ${namespace}/${name}`),
  );
  assert.deepEqual(missing, []);
});

test("README.md: lists every sample", () => {
  const listed = [...read("README.md").matchAll(/^\| \[(.*?)\]/gm)].map(([, file]) => file);
  assert.deepEqual(listed.toSorted(), files.toSorted());
});

test("sharing.yaml: the Services have one key, one address of the pool, and no port in common", () => {
  const services = servicesOf("sharing.yaml");
  assert.equal(new Set(services.map(({ metadata }) => metadata.annotations?.["metallb.universe.tf/allow-shared-ip"])).size, 1);
  const [address, ...others] = new Set(
    services.map(({ metadata }) => metadata.annotations?.["metallb.universe.tf/loadBalancerIPs"]),
  );
  assert.deepEqual(others, []);
  const wanted = parseAddress(address ?? "");
  assert.ok(wanted && new PoolIndex(configOf("sharing.yaml").pools).find(wanted));
  const ports = services.flatMap(({ spec }) => spec?.ports.map(({ port, protocol }) => `${protocol}/${port}`) ?? []);
  assert.equal(new Set(ports).size, services.length);
});

test("several-pools.yaml: the Service asks for the pool that does not assign by itself", () => {
  const [service] = servicesOf("several-pools.yaml");
  const pool = configOf("several-pools.yaml").pools.find(({ autoAssign }) => !autoAssign);
  assert.equal(service?.metadata.annotations?.["metallb.universe.tf/address-pool"], pool?.name);
});

test("nodes-and-interfaces.yaml: one pool is for nodes with a label and for some of their interfaces", () => {
  const [office, dmz] = configOf("nodes-and-interfaces.yaml").pools;
  assert.deepEqual([office?.nodeSelectors, office?.interfaces], [[], []]);
  const selected = (labels: Record<string, string>) => dmz?.nodeSelectors.some((selector) => matchesSelector(selector, labels));
  assert.deepEqual([selected({ "example.com/dmz": "true" }), selected({})], [true, false]);
  assert.deepEqual(dmz?.interfaces, ["bond1", "enp5s0f?"]);
});

test("placement.yaml: one pool by subnets, one that stays, one for preferred nodes, and one that does both on some interfaces", () => {
  const [racks, telephony, edge, storage] = configOf("placement.yaml").pools;
  assert.deepEqual(
    [racks, telephony, storage].map((pool) => pool?.l2Placement),
    [
      { subnet: true, sticky: false },
      { subnet: false, sticky: true },
      { subnet: true, sticky: true },
    ],
  );
  assert.deepEqual(storage?.interfaces, ["storage*"]);
  const [preferred] = edge?.preferredNodes ?? [];
  assert.ok(preferred && matchesSelector(preferred.selector, { edge: "true" }));
  assert.equal(preferred.weight, 100);
});

test("protocols.yaml: one pool by both protocols, and one by none", () => {
  const [uplinks, cloud] = configOf("protocols.yaml").pools;
  assert.deepEqual([uplinks?.protocols, cloud?.protocols], [["layer2", "bgp"], []]);
  assert.equal(servicesOf("protocols.yaml")[0]?.metadata.annotations?.["metallb.universe.tf/address-pool"], cloud?.name);
});

test("bgp-policy.yaml: the routers' advertisements are apart, and the password is in the Secret that it names", () => {
  const { peers, pools } = configOf("bgp-policy.yaml");
  const [main, spare] = peers;
  assert.deepEqual(
    pools[0]?.advertisements.map((advertisement) => advertisement.peers),
    [[main?.name], [spare?.name]],
  );
  const secret = (loadAll(read("bgp-policy.yaml")) as Manifest[]).find(({ kind }) => kind === "Secret");
  assert.equal(main?.passwordSecret?.name, secret?.metadata.name);
  assert.ok(Object.keys(secret?.stringData ?? {}).includes(main?.passwordSecret?.key ?? ""));
});

test("dual-stack.yaml: the pool has both families", () => {
  const [pool] = configOf("dual-stack.yaml").pools;
  assert.deepEqual(
    pool?.ranges.map(({ family }) => family),
    ["IPv4", "IPv6"],
  );
});
