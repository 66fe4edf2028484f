import assert from "node:assert/strict";
import { test } from "node:test";
import { convert } from "#pkg/convert";
import type { ApiAnswer } from "../cluster/api.ts";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { readFromCluster } from "./from-cluster.ts";

const crd = (kind: string, spec: string) =>
  `apiVersion: metallb.io/v1beta1\nkind: ${kind}\nmetadata: {name: a, namespace: metallb-system}\nspec: ${spec}\n`;
const pool = crd("IPAddressPool", "{addresses: [192.0.2.0/24]}");
const l2 = crd("L2Advertisement", "{}");

test("convert: what loses nothing is 0, and the result is all there is on standard output", async () => {
  const { status, out, err } = await ingotctl("convert", { stdin: `${pool}---\n${l2}` });
  assert.deepEqual([status, err], [Exit.ok, ""]);
  const back = await ingotctl("validate", { stdin: out });
  assert.equal(back.status, Exit.ok);
  const again = await ingotctl("convert -", { stdin: out });
  assert.deepEqual([again.status, again.out.match(/^kind: .*$/gm)], [Exit.ok, ["kind: IPAddressPool", "kind: L2Advertisement"]]);
});

test("convert: a loss is 3, and said on standard error too", async () => {
  const files = { "pool.yaml": pool, "l2.yaml": crd("L2Advertisement", "{interfaces: ['eth*']}") };
  const { status, out, err } = await ingotctl("convert pool.yaml l2.yaml", { files });
  assert.deepEqual([status, err], [Exit.losses, "converted; one thing is lost: see the comment on top\n"]);
  assert.match(out, /^# What this cannot say \(1\):\n# - L2Advertisement "a": spec\.interfaces/m);
});

test("convert: a problem is 1, with its place, and nothing on standard output", async () => {
  const text = pool.replace("[192.0.2.0/24]", "x");
  const { status, out, err } = await ingotctl("convert in.yaml", { files: { "in.yaml": text } });
  assert.deepEqual([status, out], [Exit.invalid, ""]);
  assert.equal(
    err,
    'in.yaml:4:19: error: spec.addresses: must be a list, but is "x"\n  | spec: {addresses: x}\n  |                   ^\nnot converted\n',
  );
});

const misused: { args: string; says: RegExp }[] = [
  { args: "convert", says: /name a file, or pipe it in/ },
  { args: "convert --prefer ospf a", says: /--prefer is one of layer2, bgp, not "ospf"/ },
  { args: "convert - -", says: /standard input can be read only once/ },
  { args: "convert --cluster cilium", says: /--cluster is one of metallb, openelb, purelb, configmap, not "cilium"/ },
  { args: "convert --cluster metallb in.yaml", says: /name files, or --cluster, not both/ },
  { args: "convert --cluster metallb --kubeconfig /nonexistent", says: /cannot read the kubeconfig/ },
  { args: "convert missing.yaml", says: /cannot read missing\.yaml/ },
];
for (const { args, says } of misused)
  test(`ingotctl ${args}: is a usage error`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, says);
  });

const noOptions = { namespace: undefined, prefer: undefined };

/** A cluster with these answers, and nothing else. */
function cluster(answers: Readonly<Record<string, ApiAnswer>>) {
  const read = async (path: string): Promise<ApiAnswer> => answers[path] ?? { type: "absent" };
  return { read, list: read };
}
const items = (...objects: object[]): ApiAnswer => ({ type: "found", value: objects });
const inNamespace = (name: string, spec: object) => ({ metadata: { name, namespace: "metallb-system" }, spec });

test("convert --cluster: kinds that are not installed are passed over, and items of lists need no kind", async () => {
  const base = "/apis/metallb.io";
  const reader = cluster({
    [`${base}/v1beta1/namespaces/metallb-system/ipaddresspools`]: items(inNamespace("a", { addresses: ["192.0.2.0/24"] })),
    [`${base}/v1beta1/namespaces/metallb-system/bgpadvertisements`]: items(inNamespace("a", {})),
    [`${base}/v1beta1/namespaces/metallb-system/bgppeers`]: items(
      inNamespace("p", { myASN: 1, peerASN: 2, peerAddress: "192.0.2.1" }),
    ),
  });
  const sources = await readFromCluster(reader, "metallb", undefined);
  const { text, problems } = convert(sources, noOptions);
  assert.deepEqual(problems, []);
  assert.match(text ?? "", /name: p\n[\s\S]*name: a\n[\s\S]*protocol: bgp/);
});

test("convert --cluster: what may not be read ends it, as does a cluster without any", async () => {
  const denied = cluster({ "/apis/purelb.io/v2/servicegroups": { type: "unread", why: "403 no" } });
  await assert.rejects(
    readFromCluster(denied, "purelb", undefined),
    /^UsageError: cannot read servicegroups\.purelb\.io: 403 no$/,
  );
  await assert.rejects(
    readFromCluster(cluster({}), "openelb", undefined),
    /^UsageError: the cluster has none of these kinds: Eip, BgpPeer, BgpConf$/,
  );
  await assert.rejects(readFromCluster(cluster({}), "configmap", "x"), /cannot read ConfigMap x\/config: there is none/);
});

test("convert --cluster: what PureLB's agents say of interfaces is taken over as from files", async () => {
  const group = { remote: { v4pool: { pool: "192.0.2.0/28", subnet: "192.0.2.0/24", aggregation: "/32" } } };
  const agent = { local: { dummyInterface: "lb9" } };
  const object = (name: string, spec: object) => ({ metadata: { name, namespace: "purelb" }, spec });
  for (const [groups, agents] of [
    ["v2", "v2"],
    ["v2", "v1"],
  ]) {
    const reader = cluster({
      [`/apis/purelb.io/${groups}/servicegroups`]: items(object("default", group)),
      [`/apis/purelb.io/${agents}/lbnodeagents`]: items(object("default", agent)),
    });
    const { text, losses } = convert(await readFromCluster(reader, "purelb", undefined), noOptions);
    assert.match(text ?? "", /dummy-interface: lb9/);
    assert.match(losses.join("\n"), /^LBNodeAgent "default": /m);
  }
});

const metallbPools = {
  "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools": items(inNamespace("a", { addresses: ["192.0.2.0/24"] })),
};
const bgpExtras = "/api/v1/namespaces/metallb-system/configmaps/bgpextras";

test("convert --cluster: what people give MetalLB's FRR is read, and said to be lost", async () => {
  const frr = { metadata: { name: "mine", namespace: "frr-k8s-system" }, spec: { bgp: { routers: [] } } };
  const reader = cluster({
    ...metallbPools,
    [bgpExtras]: {
      type: "found",
      value: { metadata: { name: "bgpextras", namespace: "metallb-system" }, data: { extras: "router bgp 64512" } },
    },
    "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations": items(frr),
  });
  const { losses } = convert(await readFromCluster(reader, "metallb", undefined), noOptions);
  assert.deepEqual(
    losses.map((loss) => loss.split(":")[0]),
    ['ConfigMap "bgpextras"', 'FRRConfiguration "mine"'],
  );
});

test("convert --cluster: what is for MetalLB's FRR ends it where it may not be read, and is none of MetalLB's configuration", async () => {
  const reader = cluster({ ...metallbPools, [bgpExtras]: { type: "unread", why: "403 no" } });
  await assert.rejects(
    readFromCluster(reader, "metallb", undefined),
    /^UsageError: cannot read ConfigMap metallb-system\/bgpextras: 403 no$/,
  );
  const none = cluster({ "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations": items({ metadata: { name: "mine" } }) });
  await assert.rejects(readFromCluster(none, "metallb", undefined), /has none of these kinds: IPAddressPool/);
});

const configMap = (name: string, labels = {}) => ({
  metadata: { namespace: "metallb-system", name, labels },
  data: { config: `address-pools: [{name: of-${name}, protocol: layer2, addresses: [192.0.2.0/24]}]` },
});
const ofHelm = { "app.kubernetes.io/name": "metallb" };
const deployment = (component: string, ...args: string[]) => ({
  spec: { template: { metadata: { labels: { "app.kubernetes.io/component": component } }, spec: { containers: [{ args }] } } },
});
const system = "/api/v1/namespaces/metallb-system/configmaps";
const deployments = "/apis/apps/v1/namespaces/metallb-system/deployments";
/** A cluster with these ConfigMaps, to be had by name and in the list. */
const withConfigMaps = (configMaps: readonly ReturnType<typeof configMap>[], answers: Readonly<Record<string, ApiAnswer>> = {}) =>
  cluster({
    ...Object.fromEntries(
      configMaps.map((value) => [`${system}/${value.metadata.name}`, { type: "found", value } as const satisfies ApiAnswer]),
    ),
    [system]: items(...configMaps),
    ...answers,
  });

const chosen: { name: string; reader: ReturnType<typeof cluster>; want: string }[] = [
  { name: "of the usual name", reader: withConfigMaps([configMap("config"), configMap("x", ofHelm)]), want: "config" },
  {
    name: "that the controller names",
    reader: withConfigMaps([configMap("config"), configMap("lb")], {
      [deployments]: items(deployment("other", "--config=no"), deployment("controller", "--port=7472", "--config=lb")),
    }),
    want: "lb",
  },
  {
    name: "of the usual name, where the controller names none",
    reader: withConfigMaps([configMap("config"), configMap("lb")], { [deployments]: items(deployment("controller")) }),
    want: "config",
  },
  {
    name: "that Helm labelled, where no controller is left",
    reader: withConfigMaps([configMap("kube-root-ca.crt"), configMap("lb", ofHelm)]),
    want: "lb",
  },
];
for (const { name, reader, want } of chosen)
  test(`convert --cluster: the ConfigMap ${name} becomes custom resources`, async () => {
    const { text } = convert(await readFromCluster(reader, "configmap", undefined), noOptions);
    assert.match(text ?? "", new RegExp(`kind: IPAddressPool\nmetadata:\n  name: of-${want}\n`));
  });

const unclear: { name: string; reader: ReturnType<typeof cluster>; says: RegExp }[] = [
  {
    name: "there is none of the usual name",
    reader: withConfigMaps([configMap("a"), configMap("b")]),
    says: /^UsageError: cannot read ConfigMap metallb-system\/config: there is none; there are "a", "b"$/,
  },
  {
    name: "Helm labelled several",
    reader: withConfigMaps([configMap("a", ofHelm), configMap("b", ofHelm)]),
    says: /there are "a", "b"$/,
  },
  {
    name: "the one that the controller names is not there",
    reader: withConfigMaps([configMap("config"), configMap("b", ofHelm)], {
      [deployments]: items(deployment("controller", "--config", "lb")),
    }),
    says: /cannot read ConfigMap metallb-system\/lb: there is none; there are "config", "b"$/,
  },
  {
    name: "controllers name several",
    reader: withConfigMaps([configMap("a"), configMap("b")], {
      [deployments]: items(deployment("controller", "--config=a"), deployment("controller", "--config=b")),
    }),
    says: /several controllers in namespace metallb-system have a --config: "a", "b"/,
  },
  {
    name: "Deployments may not be read",
    reader: withConfigMaps([configMap("config")], { [deployments]: { type: "unread", why: "403 no" } }),
    says: /cannot read the Deployments of namespace metallb-system: 403 no$/,
  },
];
for (const { name, reader, says } of unclear)
  test(`convert --cluster: no ConfigMap is taken where ${name}`, () =>
    assert.rejects(readFromCluster(reader, "configmap", undefined), says));
