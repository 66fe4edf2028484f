import assert from "node:assert/strict";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { test } from "node:test";
import { loadAll } from "js-yaml";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { InstalledCluster, namespace } from "./installed.ts";
import { loadRoot } from "./metallb.ts";

// A ring in which each node begins with the speaker of another release of MetalLB, and is given Ingot's, and its own again, until every mix was there:
// whatever the order in which nodes are replaced, each step of it is one of these.
// Speakers of 0.13 make another key of the Secret than those of later releases do, so that they are a ring of their own, also without Ingot.
const directories = process.env.METALLB_RELEASES?.split(":");

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: unknown;
}

interface DaemonSet {
  readonly metadata: object;
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: { readonly metadata: { readonly labels: object }; readonly spec: object };
  };
}

if (directories === undefined)
  test("speakers of all releases agree on one owner of each address", {
    skip: "set METALLB_RELEASES to directories with colons between them, the oldest release first, each with the binary `speaker` of a MetalLB, linked statically (CGO_ENABLED=0), and its `metallb-native.yaml`; releases before 0.14 apart from later ones",
  });
else mix(directories);

function mix(releases: readonly string[]): void {
  const nodes = releases.map((_, index) => `node${index + 1}`);
  const names = ["web0", "web1", "web2", "web3", "dual"];

  const step = steps(async () => {
    const on = await InstalledCluster.start({ nodes: releases.length });
    await on.deploy(releases.length);
    return on;
  });

  step(`${releases.map((each) => basename(each)).join(", ")} are one ring`, async (on) => {
    for (const node of nodes) await on.kubectl("label", "node", node, `release=${node}`, "ingot-speaker=off");
    const read = async (release: string) => loadAll(await readFile(join(release, "metallb-native.yaml"), "utf8")) as Manifest[];
    const newest = await read(String(releases.at(-1)));
    // The speaker of the oldest release follows one more kind.
    const definitions = [...(await read(String(releases[0]))), ...newest].filter(
      ({ kind }) => kind === "CustomResourceDefinition",
    );
    for (const [name, definition] of new Map(definitions.map((each) => [each.metadata.name, each]))) {
      const conversion = { strategy: "None" };
      await on.apply({ ...definition, spec: { ...(definition.spec as object), ...(/bgppeers/.test(name) && { conversion }) } });
      await on.kubectl("wait", "--for=condition=Established", "--timeout=5m", `crd/${name}`);
    }
    await on.install(undefined, ["crds"]);
    await on.kubectl(
      "create",
      "clusterrolebinding",
      "any",
      "--clusterrole=cluster-admin",
      `--serviceaccount=${namespace}:speaker`,
    );
    for (const each of newest.filter(({ metadata }) => metadata.name === "metallb-excludel2")) await on.apply(each);
    for (const [index, release] of releases.entries()) await runSpeaker(on, `node${index + 1}`, release, await read(release));
    await make(on, "IPAddressPool", { addresses: ["172.30.0.200-172.30.0.219", "fd00:30::200-fd00:30::219"] });
    await make(on, "L2Advertisement", { ipAddressPools: ["lan"] });
    for (const name of names) await on.serve(name, name === "dual" ? { ipFamilyPolicy: "RequireDualStack" } : {});
    await assertOneOwner(on, names, nodes);
  });

  // Each differs from the one before at one node.
  const mixes = Array.from({ length: 2 ** releases.length }, (_, index) => index ^ (index >> 1));
  for (const [index, mixed] of mixes.entries()) {
    if (index === 0) continue;
    const at = Math.log2(mixed ^ (mixes[index - 1] ?? 0));
    const ours = nodes.filter((_, node) => mixed & (1 << node));
    step(`one owner of each address with Ingot on ${ours.join(", ")}`, async (on) => {
      const isOurs = (mixed & (1 << at)) !== 0;
      await on.kubectl("label", "--overwrite", "node", `node${at + 1}`, isOurs ? "release=none" : `release=node${at + 1}`);
      await on.kubectl("label", "--overwrite", "node", `node${at + 1}`, `ingot-speaker=${isOurs ? "on" : "off"}`);
      await on.speakersOn(nodes);
      await assertOneOwner(on, names, nodes);
    });
  }
}

async function make(on: InstalledCluster, kind: string, spec: object): Promise<void> {
  await on.apply({ apiVersion: "metallb.io/v1beta1", kind, metadata: { name: "lan", namespace }, spec });
}

/** Runs the speaker of a release on a node for as long as that is labelled with its own name. */
async function runSpeaker(on: InstalledCluster, node: string, release: string, manifests: readonly Manifest[]): Promise<void> {
  const found = manifests.find(({ kind }) => kind === "DaemonSet") as unknown as DaemonSet;
  const image = /quay\.io\/metallb\/speaker:v[\d.]+/.exec(JSON.stringify(found))?.[0] ?? assert.fail(`${release} has no image`);
  const root = join(on.cluster.directory, `metallb-${node}`);
  await mkdir(root);
  await copyFile(join(release, "speaker"), join(root, "speaker"));
  await loadRoot(on, root, image, { Entrypoint: ["/speaker"] });
  const { template, selector } = found.spec;
  const labels = (of: object) => ({ ...of, release: node });
  const pod = { ...template.spec, nodeSelector: { release: node } };
  await on.apply({
    ...found,
    metadata: { ...found.metadata, name: `speaker-${node}` },
    spec: {
      ...found.spec,
      selector: { matchLabels: labels(selector.matchLabels) },
      template: { ...template, metadata: { ...template.metadata, labels: labels(template.metadata.labels) }, spec: pod },
    },
  });
  await on.kubectl("-n", namespace, "rollout", "status", `daemonset/speaker-${node}`, "--timeout=5m");
}

/** Each IPv4 address has one owner, and the IPv6 address of a Service the same. */
async function assertOneOwner(on: InstalledCluster, names: readonly string[], nodes: readonly string[]): Promise<void> {
  const addresses = await on.addresses();
  const owners: string[] = [];
  for (const name of names) {
    const [ipv4 = "", ipv6] = (addresses[name] ?? "")
      .split(" ")
      .sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
    const same = async () => {
      const owner = await on.owner(ipv4);
      if (ipv6 !== undefined) assert.deepEqual(await ownersByNdp(on, ipv6), [owner], `owners of ${ipv6}`);
      return owner;
    };
    owners.push(await waitFor(`one owner of ${name}`, same, patience));
    await on.answer(ipv4);
  }
  assert.deepEqual(
    owners.filter((owner) => !nodes.includes(owner)),
    [],
  );
  console.log(names.map((name, index) => `${name}: ${owners[index]}`).join(", "));
}

/** Nodes that answer for an IPv6 address, on the wire: `ndisc6` itself takes no answer of MetalLB's. */
async function ownersByNdp(on: InstalledCluster, address: string): Promise<string[]> {
  const ask = 'timeout 3 tcpdump -lnei eth0 icmp6 2>/dev/null & sleep 1; ndisc6 -m -r 3 -w 300 "$0" eth0 >/dev/null; wait; true';
  const lines = (await on.cluster.client.run(["sh", "-c", ask, address])).split("\n");
  const answers = lines.filter((line) => line.includes(`neighbor advertisement, tgt is ${address},`));
  const macs = new Set(answers.map((line) => /([0-9a-f:]{17}) > /.exec(line)?.[1] ?? ""));
  const found: string[] = [];
  for (const node of on.cluster.nodes) if (macs.has(await node.host.mac())) found.push(node.name);
  assert.equal(found.length, macs.size, answers.join("\n"));
  return found;
}
