import assert from "node:assert/strict";
import { test } from "node:test";
import { dump } from "js-yaml";
import { type LiveObject, liveObjectText, liveText, parseConfiguration } from "#pkg/convert";
import { fingerprint, lastGoodKey, renumberAnnotation, textVersion } from "#pkg/live-config";
import type { Processes } from "../cluster/processes.ts";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { smallCluster } from "../testing/small-cluster.ts";

const namespace = "metallb-system";
const path = (plural: string, version = "v1beta1") => `/apis/metallb.io/${version}/namespaces/${namespace}/${plural}`;
const object = (kind: string, name: string, spec: object): LiveObject => ({
  apiVersion: kind === "BGPPeer" ? "metallb.io/v1beta2" : "metallb.io/v1beta1",
  kind,
  metadata: { namespace, name },
  spec,
});

const there = {
  ipaddresspools: [
    object("IPAddressPool", "lan", { addresses: ["192.0.2.1-192.0.2.2"] }),
    object("IPAddressPool", "far", { addresses: ["203.0.113.0/24"], autoAssign: false }),
  ],
  l2advertisements: [object("L2Advertisement", "lan", { ipAddressPools: ["lan"] })],
  bgpadvertisements: [object("BGPAdvertisement", "far", { ipAddressPools: ["far"] })],
};
const peer = object("BGPPeer", "tor", { myASN: 65000, peerASN: 65001, peerAddress: "10.0.0.1" });
const bigger = object("IPAddressPool", "lan", { addresses: ["192.0.2.1-192.0.2.4"] });

const files = {
  "bigger.yaml": dump({ ...bigger, metadata: { name: "lan" } }),
  "list.yaml": dump({ apiVersion: "v1", kind: "List", items: [bigger, object("Community", "c", { communities: [] })] }),
  "smaller.yaml": dump(object("IPAddressPool", "lan", { addresses: ["192.0.2.2/32"] })),
  "wrong.yaml": dump(object("IPAddressPool", "more", { addresses: ["203.0.113.7/32"] })),
  "broken.yaml": 'apiVersion: metallb.io/v1beta1\nkind: "\n',
  "config.yaml": "address-pools: []\n",
};

/** The small cluster, with the same configuration as custom resources. */
function cluster() {
  const { api, processes: others } = smallCluster();
  const pods = api.stored[`/api/v1/namespaces/${namespace}/pods`] as { spec: { containers: { args: string[] }[] } }[];
  for (const { spec } of pods) spec.containers[0]?.args.push("--config-source=crds");
  for (const [plural, objects] of Object.entries(there)) {
    api.stored[path(plural)] = objects;
    for (const each of objects) api.stored[`${path(plural)}/${each.metadata.name}`] = each;
  }
  api.stored[path("bgppeers", "v1beta2")] = [peer];
  api.stored[`${path("bgppeers", "v1beta2")}/tor`] = peer;
  const text = () => {
    const stored = Object.entries(api.stored).filter(([key]) => /^\/apis\/metallb\.io\/[^/]+\/namespaces(\/[^/]+){3}$/.test(key));
    return liveText(stored.map(([, each]) => liveObjectText(each as LiveObject)));
  };
  const processes: Processes = {
    ...others,
    async get(target, asked) {
      const answer = (await others.get(target, asked)) as object;
      if (asked !== "/v1/configuration") return answer;
      const { config } = parseConfiguration(text());
      return { ...answer, hash: config && fingerprint(config) };
    },
  };
  return { api, processes, files };
}

test("diff: objects of a file take the place of those of the same names, and all others stay", async () => {
  const { status, out } = await ingotctl("diff bigger.yaml", cluster());
  assert.equal(status, Exit.ok);
  assert.match(out, /default\/late +gains +- +192\.0\.2\.3/);
  assert.match(out, /3 Services keep what they have/);
  const same = await ingotctl("simulate config list.yaml", cluster());
  assert.equal(same.out, out);
});

test("diff: a pool that loses addresses in use would be refused", async () => {
  const { status, out } = await ingotctl("diff smaller.yaml", cluster());
  assert.equal(status, Exit.invalid);
  assert.match(out, /no pool would be left for addresses in use/);
});

test("diff: what contradicts an object in the cluster is named, both of them", async () => {
  const { status, err } = await ingotctl("diff wrong.yaml", cluster());
  assert.equal(status, Exit.invalid);
  assert.match(
    err,
    /^wrong\.yaml: error: IPAddressPool metallb-system\/more, spec\.addresses\[0\]: .*\(IPAddressPool metallb-system\/far\)\nwrong\.yaml: not valid, together/m,
  );
});

test("diff: a file of the other kind, and one that is no YAML, are refused in words", async () => {
  const other = await ingotctl("diff config.yaml", cluster());
  assert.equal(other.status, Exit.usage);
  assert.match(other.err, /has its configuration in MetalLB's custom resources: name a manifest/);
  const resources = await ingotctl("diff bigger.yaml", { ...smallCluster(), files });
  assert.equal(resources.status, Exit.usage);
  assert.match(resources.err, /has its configuration in a ConfigMap: see ingotctl convert/);
  const broken = await ingotctl("diff broken.yaml", cluster());
  assert.equal(broken.status, Exit.usage);
  assert.match(broken.err, /broken\.yaml is not valid YAML: .*\n$/);
});

test("apply: makes and changes the objects of the file alone, keeps the former ones, and waits until all have them", async () => {
  const given = cluster();
  const { status, out, written } = await ingotctl("apply list.yaml --yes --backup old.yaml", given);
  assert.equal(status, Exit.ok, out);
  assert.match(out, /^In force in all 3 processes/);
  const { stored } = given.api;
  assert.deepEqual((stored[`${path("ipaddresspools")}/lan`] as LiveObject).spec, bigger.spec);
  assert.equal((stored[`${path("communities")}/c`] as LiveObject).kind, "Community");
  assert.equal(stored[`${path("ipaddresspools")}/far`], there.ipaddresspools[1]);
  const old = String(written["old.yaml"]);
  assert.match(old, /192\.0\.2\.1-192\.0\.2\.2/);
  const lists = { ipaddresspools: ["lan", "far"], communities: ["c"] };
  for (const [plural, names] of Object.entries(lists))
    stored[path(plural)] = names.map((name) => stored[`${path(plural)}/${name}`] as LiveObject);
  const back = await ingotctl("apply old.yaml --yes --backup newer.yaml", { ...given, files: { "old.yaml": old } });
  assert.equal(back.status, Exit.ok, back.err);
});

test("apply: labels and annotations that an object has in the cluster stay, and count in what is tried", async () => {
  const given = cluster();
  const { stored } = given.api;
  const lan = { ...there.ipaddresspools[0], metadata: { namespace, name: "lan", labels: { zone: "a" } } };
  const selecting = object("L2Advertisement", "lan", { ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }] });
  Object.assign(stored, {
    [path("ipaddresspools")]: [lan, there.ipaddresspools[1]],
    [`${path("ipaddresspools")}/lan`]: lan,
    [path("l2advertisements")]: [selecting],
    [`${path("l2advertisements")}/lan`]: selecting,
  });
  const tried = await ingotctl("diff bigger.yaml", given);
  assert.match(tried.out, /lan +changed +2 by layer2 +4 by layer2/);
  const { status, out } = await ingotctl("apply bigger.yaml --yes --backup old.yaml --timeout=1", given);
  assert.equal(status, Exit.ok, out);
  assert.deepEqual((stored[`${path("ipaddresspools")}/lan`] as LiveObject).metadata.labels, { zone: "a" });
});

test("apply: the annotation that lets Services be moved counts on an object of the file, too", async () => {
  const given = cluster();
  const smaller = object("IPAddressPool", "lan", { addresses: ["192.0.2.2/32"] });
  const annotations = { [renumberAnnotation]: "true" };
  const files = { "smaller.yaml": dump({ ...smaller, metadata: { ...smaller.metadata, annotations } }) };
  const tried = await ingotctl("diff smaller.yaml", { ...given, files });
  assert.equal(tried.status, Exit.losses, tried.out);
  const { status, out } = await ingotctl("apply smaller.yaml --yes --backup old.yaml", { ...given, files });
  assert.match(out, /^In force in all 3 processes/, out);
  assert.equal(status, Exit.ok, out);
});

test("apply: the annotation is written where it is all that is new, as on objects that the controller refuses without it", async () => {
  const given = cluster();
  const { stored } = given.api;
  const smaller = object("IPAddressPool", "lan", { addresses: ["192.0.2.2/32"] });
  Object.assign(stored, {
    [path("ipaddresspools")]: [smaller, there.ipaddresspools[1]],
    [`${path("ipaddresspools")}/lan`]: smaller,
    [`/api/v1/namespaces/${namespace}/configmaps/ingot-status`]: {
      data: { [lastGoodKey]: liveText([...Object.values(there).flat(), peer].map(liveObjectText)) },
    },
  });
  const annotations = { [renumberAnnotation]: "true" };
  const files = { "smaller.yaml": dump({ ...smaller, metadata: { ...smaller.metadata, annotations } }) };
  const { status, out, err } = await ingotctl("apply smaller.yaml --yes --backup old.yaml", { ...given, files });
  assert.match(err, /The annotation ingot\.dev\/allow-renumber allows that: these Services would move/);
  assert.match(err, /Note: the present configuration is not in force: the last good one is/);
  assert.match(out, /^In force in all 3 processes/, out);
  assert.equal(status, Exit.ok, out);
  assert.deepEqual((stored[`${path("ipaddresspools")}/lan`] as LiveObject).metadata.annotations, annotations);
});

for (const { what, before, after } of [
  { what: "changed", before: 7, after: 8 },
  { what: "deleted", before: 7, after: undefined },
  { what: "made", before: undefined, after: 1 },
])
  test(`apply: an object that somebody else ${what} since the effects were shown is not overwritten`, async () => {
    const given = cluster();
    const { stored } = given.api;
    const at = (generation: number) => ({ ...bigger, metadata: { ...bigger.metadata, uid: "u", generation } });
    const put = (generation: number | undefined) => {
      const lan = generation === undefined ? [] : [at(generation)];
      stored[path("ipaddresspools")] = [...lan, there.ipaddresspools[1]];
      if (generation === undefined) delete stored[`${path("ipaddresspools")}/lan`];
      else stored[`${path("ipaddresspools")}/lan`] = at(generation);
    };
    put(before);
    const files = { "wider.yaml": dump(object("IPAddressPool", "lan", { addresses: ["192.0.2.1-192.0.2.9"] })) };
    const asked = { ...given, files, answers: ["y"], beforeAnswer: () => put(after) };
    const { status, err } = await ingotctl("apply wider.yaml --backup old.yaml", asked);
    assert.equal(status, Exit.usage, err);
    assert.match(err, /cannot write IPAddressPool metallb-system\/lan: somebody changed it: try again/);
    assert.deepEqual(stored[`${path("ipaddresspools")}/lan`], after === undefined ? undefined : at(after));
  });

test("apply: objects that are written before one that cannot be are named", async () => {
  const given = cluster();
  given.api.stored[`${path("communities")}/c`] = object("Community", "c", {});
  const write: typeof given.api.write = async (method, at, body) =>
    at.endsWith("/c") ? { type: "unread", why: "403 forbidden" } : given.api.write(method, at, body);
  given.api.stored[path("communities")] = [object("Community", "c", {})];
  const { status, err } = await ingotctl("apply list.yaml --yes --backup old.yaml", { ...given, api: { ...given.api, write } });
  assert.equal(status, Exit.usage);
  assert.match(
    err,
    /cannot write Community metallb-system\/c: 403 forbidden; written before it: IPAddressPool metallb-system\/lan\n$/,
  );
});

test("apply: processes of another version have objects in force that they have seen as the API has them, with its defaults", async () => {
  const given = cluster();
  const { stored, write } = given.api;
  const filled = (each: object) => ({ ...each, spec: { autoAssign: true, addresses: ["192.0.2.1-192.0.2.4"] } });
  const api: typeof given.api = {
    ...given.api,
    async write(method, at, body) {
      stored[path("ipaddresspools")] = [filled(body), there.ipaddresspools[1]].flatMap((each) => each ?? []);
      return write(method, at, filled(body));
    },
  };
  const processes: Processes = {
    ...given.processes,
    async get(target, asked) {
      const answer = (await given.processes.get(target, asked)) as object;
      if (asked !== "/v1/configuration") return answer;
      const lists = Object.keys(there).flatMap((plural) => stored[path(plural)] as LiveObject[]);
      const seen = textVersion(liveText([...lists, peer].map(liveObjectText)));
      return { ...answer, version: "0.0.9", hash: "aa", seen };
    },
  };
  const { status, out } = await ingotctl("apply bigger.yaml --yes --backup old.yaml --timeout 1", { ...given, api, processes });
  assert.match(out, /^In force in all 3 processes/, out);
  assert.equal(status, Exit.ok, out);
});

test("apply: nothing is written that the cluster has already", async () => {
  const given = cluster();
  const { out } = await ingotctl("apply same.yaml --yes", { ...given, files: { "same.yaml": dump(peer) } });
  assert.equal(out, "The cluster has this configuration already.\n");
});

test("router-config writes the router's side of custom resources, from the cluster and from a file", async () => {
  const { api } = cluster();
  const addresses = [{ type: "InternalIP", address: "10.0.0.11" }];
  api.stored["/api/v1/nodes"] = [{ metadata: { name: "n1", labels: {} }, status: { addresses } }];
  const file = dump({ apiVersion: "v1", kind: "List", items: [peer, ...there.ipaddresspools, ...there.bgpadvertisements] });
  const asked = ["router-config --for=frr", "router-config --for=frr --nodes=10.0.0.11 peers.yaml"];
  const printed = await Promise.all(asked.map((args) => ingotctl(args, { api, files: { "peers.yaml": file } })));
  for (const { status, out, err } of printed) {
    assert.deepEqual([status, err], [Exit.ok, ""]);
    assert.match(out, /router bgp 65001/);
    assert.match(out, /neighbor 10\.0\.0\.11 peer-group/);
    assert.match(out, /203\.0\.113\.0\/24/);
  }
});
