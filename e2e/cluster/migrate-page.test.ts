import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, suite, test } from "node:test";
import { loadAll } from "js-yaml";
import { findKcp, ingotImage, patience, RealCluster, releaseFiles } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { type Block, blocks, page } from "../../docs/generate/markdown.ts";
import { renderChoices } from "../../manifests/render.ts";

// Types the commands of docs/migrate-from-metallb.md, and of the page on 0.13 to 0.16 in place, on a real cluster. An installation of ours stands in for MetalLB, with MetalLB's
// names, and definitions of its kinds that take anything. With MetalLB itself, and a client that sends: `scenarios/takeover.test.ts`.
const namespace = "metallb-system";
const project = resolve(import.meta.dirname, "../..");
const inPlace = "docs/migrate-from-metallb-in-place.md";
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

  test("in place: from native, FRR and FRR-K8s mode, from the operator, and back, and no address changes", async () => {
    const image = `${ingotImage.name}:${ingotImage.tag}`;
    await writeFile(
      join(folder, "kustomization.yaml"),
      JSON.stringify({
        resources: ["ingot/manifests"],
        components: ["ingot/manifests/components/crds"],
        images: [{ name: "ingot", newName: ingotImage.name, newTag: ingotImage.tag }],
      }),
    );
    const waits = { name: "frr", image, command: ["node", "-e", "setInterval(() => {}, 1e6)"] };
    await writeStandIns(await run("kubectl kustomize . | sed s/--log-level=info/--log-level=debug/"), waits);
    const speakers = () =>
      run(`kubectl -n ${namespace} get daemonset speaker -o jsonpath='{.spec.template.spec.containers[*].args[2]}'`);
    const rolledOut = () => run(`kubectl -n ${namespace} rollout status deployment/controller daemonset/speaker --timeout=5m`);
    const address = await addressOf("web");
    const isTaken = async (by: string) => {
      assert.match(await speakers(), new RegExp(`^--log-level=${by} *$`));
      assert.equal(await addressOf("web"), address);
    };
    await run("kubectl apply -f metallb-native.yaml");
    await rolledOut();
    await typeOf("## Before you begin");
    await typeOf("## Native mode");
    await isTaken("info");
    await typeOf("### Way back from native mode");
    await isTaken("debug");

    const containers = () =>
      run(`kubectl -n ${namespace} get daemonset speaker -o jsonpath='{.spec.template.spec.containers[*].name}'`);
    await run("kubectl apply -f metallb-frr.yaml");
    await rolledOut();
    assert.equal(await containers(), "speaker frr");
    await typeOf("## FRR mode");
    await typeOf("## Native mode");
    assert.equal(await containers(), "speaker");
    await isTaken("info");
    await typeOf("### Way back from FRR mode");
    assert.equal(await containers(), "speaker frr");

    await typeOf("### Way back from FRR-K8s mode");
    assert.equal(await containers(), "speaker");
    const frr = () => run(`kubectl -n ${namespace} get daemonset,deployment -o name | grep frr || true`);
    assert.match(await frr(), /frr-k8s-daemon/);
    await typeOf("## FRR-K8s mode");
    assert.equal(await frr(), "");

    await run(`kubectl apply -f metallb-operator.yaml; kubectl -n ${namespace} delete secret memberlist`);
    await typeOf("## MetalLB's operator");
    const operators = () =>
      run(`kubectl -n ${namespace} get deployment metallb-operator-controller-manager -o jsonpath='{.spec.replicas}'`);
    assert.equal(await operators(), "0");
    await typeOf("### Way back to the operator");
    assert.equal(await operators(), "1");
    await typeOf("## MetalLB's chart", (text) => !text.startsWith("helm "));
    assert.match(await run("kubectl get crd bgppeers.metallb.io -o yaml"), /helm\.sh\/resource-policy: keep/);
    await typeOf("## When you stay");
    assert.equal(await addressOf("web"), address);
  });

  test("from OpenELB: Services can be made and deleted once it is gone", async () => {
    const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["services"] }];
    const asks = { admissionReviewVersions: ["v1"], failurePolicy: "Fail", sideEffects: "None", rules };
    const service = { name: "openelb-admission", namespace: "openelb-system" };
    const finalizers = [
      "finalizer.lb.kubesphere.io/v1alpha1",
      "service.kubernetes.io/load-balancer-cleanup",
      "example.com/other",
    ];
    for (const finalizer of finalizers) await run(`kubectl patch service web -p '{"metadata":{"finalizers":["${finalizer}"]}}'`);
    await apply({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "openelb-admission" },
      webhooks: [{ name: "mutating.eip.network.kubesphere.io", clientConfig: { service }, ...asks }],
    });
    await assert.rejects(serve("refused"), /failed calling webhook/);
    await type("From OpenELB and PureLB", "Stop OpenELB");
    await type("From OpenELB and PureLB", "Services that cannot be deleted");
    assert.equal(await run("kubectl get service web -o jsonpath='{.metadata.finalizers}'"), '["example.com/other"]');
    await serve("accepted");
  });

  test("every command of the pages has been run", () => {
    const commands = ["docs/migrate-from-metallb.md", inPlace].flatMap((file) => blocks(page(file)));
    assert.deepEqual(
      commands
        .filter(({ language }) => language === "sh")
        .filter(({ place, text }) => !done.has(place) && !text.startsWith("helm ")) // Helm's are in `pages.test.ts`.
        .map(({ text }) => text),
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

  /** Types the commands right under a heading of the page on 0.13 to 0.16. */
  async function typeOf(heading: string, isMeant = (_text: string) => true): Promise<void> {
    const one = page(inPlace);
    const lines = one.text.split("\n");
    const from = lines.indexOf(heading);
    const next = lines.findIndex((line, index) => index > from && line.startsWith("#") && !line.startsWith("# "));
    const within = ({ place }: Block) => Number(place.split(":")[1]) > from && (next < 0 || Number(place.split(":")[1]) <= next);
    const commands = blocks(one).filter((block) => block.language === "sh" && within(block));
    assert.ok(from >= 0 && commands.length > 0, `there are no commands under ${heading}`);
    for (const { place, text } of commands) {
      if (!isMeant(text)) continue;
      await run(text);
      done.add(place);
    }
  }

  /** Manifests that stand in for those of MetalLB: our own programs, with containers beside them that wait. */
  async function writeStandIns(native: string, container: object): Promise<void> {
    const objects = loadAll(native) as { kind: string; spec: { template: { spec: { containers: object[] } } } }[];
    const write = (name: string, all: readonly object[]) =>
      writeFile(join(folder, name), all.map((object) => JSON.stringify(object)).join("\n---\n"));
    const workload = (kind: "DaemonSet" | "Deployment", name: string) => {
      const labels = { stands: name };
      const template = { metadata: { labels }, spec: { containers: [container], terminationGracePeriodSeconds: 0 } };
      const spec = { selector: { matchLabels: labels }, template, ...(kind === "Deployment" && { replicas: 1 }) };
      return { apiVersion: "apps/v1", kind, metadata: { namespace, name }, spec };
    };
    await write("metallb-native.yaml", objects);
    await write("metallb-frr-k8s.yaml", [
      ...objects,
      workload("DaemonSet", "frr-k8s-daemon"),
      workload("Deployment", "frr-k8s-statuscleaner"),
    ]);
    const key = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace, name: "metallb-memberlist" },
      stringData: { secretkey: "a key" },
    };
    await write("metallb-operator.yaml", [workload("Deployment", "metallb-operator-controller-manager"), key]);
    for (const { kind, spec } of objects) if (kind === "DaemonSet") spec.template.spec.containers.push(container);
    await write("metallb-frr.yaml", objects);
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
    return cluster.addressOf(name);
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
