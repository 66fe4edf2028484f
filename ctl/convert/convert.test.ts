import assert from "node:assert/strict";
import { test } from "node:test";
import { convert } from "#pkg/convert";
import type { Answer } from "../cluster/api.ts";
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
  const files = { "pool.yaml": pool, "l2.yaml": crd("L2Advertisement", "{serviceSelectors: [{matchLabels: {a: b}}]}") };
  const { status, out, err } = await ingotctl("convert pool.yaml l2.yaml", { files });
  assert.deepEqual([status, err], [Exit.losses, "converted; one thing is lost: see the comment on top\n"]);
  assert.match(out, /^# What this cannot say \(1\):\n# - L2Advertisement "a": spec\.serviceSelectors/m);
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
  { args: "convert --prefer ospf a", says: /a pool is layer2 or bgp, not "ospf"/ },
  { args: "convert - -", says: /standard input can be read only once/ },
  { args: "convert --cluster cilium", says: /the configuration of metallb, openelb, purelb, configmap, not of "cilium"/ },
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

/** A cluster with these answers, and nothing else. */
function cluster(answers: Readonly<Record<string, Answer>>) {
  const read = async (path: string): Promise<Answer> => answers[path] ?? { type: "absent" };
  return { read, list: read };
}
const items = (...objects: object[]): Answer => ({ type: "found", value: objects });
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
  const { text, problems } = convert(sources, { namespace: undefined, prefer: undefined });
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

test("convert --cluster: the ConfigMap becomes custom resources", async () => {
  const object = {
    metadata: { namespace: "metallb-system", name: "config" },
    data: { config: "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/24]}]" },
  };
  const reader = cluster({ "/api/v1/namespaces/metallb-system/configmaps/config": { type: "found", value: object } });
  const { text } = convert(await readFromCluster(reader, "configmap", undefined), { namespace: undefined, prefer: undefined });
  assert.match(text ?? "", /kind: IPAddressPool/);
});
