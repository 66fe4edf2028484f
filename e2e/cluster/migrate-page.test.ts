import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, suite, test } from "node:test";
import { findKcp, ingotImage, patience, RealCluster, releaseFiles } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { type Block, blocks, page } from "../../docs/generate/markdown.ts";
import { renderChoices } from "../../manifests/render.ts";

// Types the commands of docs/migrate-from-metallb.md on a real cluster. An installation of ours stands in for MetalLB, with MetalLB's
// names, and definitions of its kinds that take anything. With MetalLB itself, and a client that sends: `scenarios/takeover.test.ts`.
const namespace = "metallb-system";
const project = resolve(import.meta.dirname, "../..");
const kinds = ["IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "BFDProfile", "Community"];

suite("the page on moving from MetalLB", () => {
  let cluster: RealCluster;
  let folder: string; // In which everything is typed.
  const done = new Set<string>(); // places of blocks that were run

  before(async () => {
    const kcp = await findKcp();
    cluster = await RealCluster.start({ nodes: 1, kcp });
    folder = join(cluster.directory, "typed");
    const bin = join(cluster.directory, "bin");
    await mkdir(folder);
    await mkdir(bin);
    await symlink(kcp, join(bin, "kubectl"));
    await symlink(process.execPath, join(bin, "node"));
    await symlink(join(project, "ctl/main.ts"), join(bin, "ingotctl"));
    process.env.KUBECTL = join(bin, "kubectl");
    await renderChoices(folder, ingotImage);
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  test("from 0.12: looked at, tried, taken over and given back, and no address changes", async () => {
    await run("sed s/--log-level=info/--log-level=debug/ ingot.yaml > before.yaml; kubectl apply -f before.yaml"); // Something that is another.
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace, name: "config" },
      data: { config: "address-pools: [{name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.210]}]\n" },
    });
    await run(`kubectl -n ${namespace} rollout status deployment/controller daemonset/speaker --timeout=5m`);
    const address = await serve("web");
    for (const step of [
      "1. Look at what there is",
      "2. Try the manifests without effect",
      "3. Take over",
      "4. Compare",
      "Way back",
    ])
      await type("From MetalLB 0.12", step);
    assert.equal(await addressOf("web"), address);
    assert.match(await readFile(join(folder, "addresses-after.txt"), "utf8"), new RegExp(`^default/web ${address}$`, "m"));
    const running = await run(
      `kubectl -n ${namespace} get daemonset speaker -o jsonpath='{.spec.template.spec.containers[0].args}'`,
    );
    assert.match(running, /--log-level=debug/, "what was there before runs again");
  });

  test("one node first: its speaker is replaced when its Pod is deleted, and not before", async () => {
    const [kustomization] = under("From MetalLB 0.12", "One node first", "yaml");
    const own = `${ingotImage.name}\n  newTag: ${ingotImage.tag}`;
    const text = String(kustomization?.text).replace("registry.example.com/ingot", own);
    await writeFile(join(folder, "kustomization.yaml"), text);
    await run(`tar -xzf ${join(await releaseFiles(), "ingot-*-manifests.tar.gz")}`);
    await run("kubectl apply -k .");
    await run(`kubectl -n ${namespace} rollout status deployment/controller --timeout=5m`);
    const levels = () =>
      run(`kubectl -n ${namespace} get pods -l component=speaker -o jsonpath='{.items[*].spec.containers[0].args[2]}'`);
    assert.equal(await levels(), "--log-level=debug", "what was there before");
    await type("From MetalLB 0.12", "One node first");
    await waitFor("Ingot's speaker", async () => (await levels()) === "--log-level=info", patience);
    await run(`kubectl -n ${namespace} wait pods -l component=speaker --for=condition=Ready --timeout=5m`);
  });

  test("from 0.13 and later: converted, stopped, installed, and no address changes", async () => {
    for (const kind of kinds) await apply(definitionOf(kind));
    await run("kubectl wait --for=condition=Established --timeout=5m crd --all");
    await apply(resource("IPAddressPool", { addresses: ["172.30.0.200-172.30.0.210"] }));
    await apply(resource("L2Advertisement", {}));
    await run(`kubectl -n ${namespace} delete configmap config ingot-status`);
    const address = await addressOf("web");
    for (const step of [
      "1. Convert the configuration",
      "2. Keep what is there",
      "3. Stop MetalLB",
      "4. Install Ingot, and compare",
    ])
      await type("From MetalLB 0.13 and later", step);
    assert.equal(await addressOf("web"), address);
    assert.notEqual(await serve("new"), address);
  });

  test("every command of the page has been run", () => {
    const commands = blocks(page("docs/migrate-from-metallb.md")).filter(({ language }) => language === "sh");
    assert.deepEqual(
      commands.filter(({ place }) => !done.has(place)).map(({ text }) => text),
      [],
    );
  });

  /** Types the commands under a heading of a section. */
  async function type(section: string, heading: string): Promise<void> {
    const commands = under(section, heading);
    assert.ok(commands.length > 0, `there are no commands under ${heading}`);
    for (const { place, text } of commands) {
      await run(text.replaceAll("NODE", "node1"));
      done.add(place);
    }
  }

  /** Runs a script as an administrator on a host of the cluster's network. */
  function run(script: string): Promise<string> {
    const path = `${join(cluster.directory, "bin")}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const environment = [`PATH=${path}`, `KUBECONFIG=${cluster.kubeconfig}`, `HOME=${cluster.directory}`];
    const shell = ["env", ...environment, "bash", "-euo", "pipefail", "-c", `cd ${folder}\n${script}`] as const;
    return cluster.client.run([...shell]);
  }

  async function apply(object: object): Promise<void> {
    await cluster.kubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
  }

  /** Makes a Service. @returns its address */
  async function serve(name: string): Promise<string> {
    await apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "default" },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    return await waitFor(`an address of ${name}`, () => addressOf(name), patience);
  }

  function addressOf(name: string): Promise<string> {
    return cluster.kubectl(["get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"]);
  }
});

/** Blocks, of commands unless wanted otherwise, under a heading of the third level, in a section of the second. */
function under(section: string, heading: string, wanted: "sh" | "yaml" = "sh"): Block[] {
  const one = page("docs/migrate-from-metallb.md");
  const lines = one.text.split("\n");
  const begin = lines.indexOf(`## ${section}`);
  const from = lines.indexOf(`### ${heading}`, begin);
  assert.ok(begin >= 0 && from >= 0, `the page has no heading ${heading} under ${section}`);
  const next = lines.findIndex((line, index) => index > from && /^##+ /.test(line));
  return blocks(one).filter(({ place, language }) => {
    const line = Number(place.split(":")[1]);
    return language === wanted && line > from && line <= (next === -1 ? lines.length : next);
  });
}

function definitionOf(kind: string): object {
  const singular = kind.toLowerCase();
  const plural = singular.replace(/y$/, "ie").concat("s");
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.metallb.io` },
    spec: {
      group: "metallb.io",
      names: { kind, plural, singular },
      scope: "Namespaced",
      versions: [{ name: "v1beta1", served: true, storage: true, schema }],
    },
  };
}

function resource(kind: string, spec: object): object {
  return { apiVersion: "metallb.io/v1beta1", kind, metadata: { namespace, name: "main" }, spec };
}
