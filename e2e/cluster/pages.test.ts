import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { findKcp, helmIsMissing, installedHelm, isHelm3, patience, RealCluster, releaseFiles } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import { type Block, blocks, page, prose } from "../../docs/generate/markdown.ts";
import { writeMetallbChart } from "./metallb-chart.ts";
import { steps } from "./steps.ts";

// Types the commands of docs/install.md and docs/upgrade.md on a real cluster, and checks their effects.
const released = await releaseFiles();
const repository = "localhost/ingot";
const image = /^ +image: (.+)$/m.exec(await readFile(join(released, "ingot.yaml"), "utf8"))?.[1] ?? "";
const namespace = "metallb-system";

const pages = ["docs/install.md", "docs/upgrade.md"].map(page);
const kcp = await findKcp();
const helm = await installedHelm();
const hasHelm3 = helm !== undefined && (await isHelm3(helm));
const asHelm3 = hasHelm3 ? "" : "--server-side=false";

/** Values that readers replace by their own. */
const own: readonly (readonly [string, string])[] = [
  ["192.168.1.240-192.168.1.250", "172.30.0.200-172.30.0.210"],
  ["registry.example.com/ingot", repository],
  [" NODE ", " node2 "],
  ["metallb/metallb --version 0.16.1", `./metallb ${asHelm3}`],
];

const plugins = process.env.HELM_PLUGINS ?? "";
const withoutPlugin =
  helm === undefined
    ? helmIsMissing
    : !existsSync(join(plugins, "mapkubeapis/plugin.yaml")) &&
      "Helm's plugin mapkubeapis is missing: set HELM_PLUGINS to a directory in which it is";
const done = new Set<string>(); // places of blocks that were run

let cluster: RealCluster; // The first step starts it.
let folder: string; // In which everything is typed.
const step = steps(async () => {
  cluster = await RealCluster.start({ nodes: 2, kcp });
  return cluster;
});

step("the image of the release is imported as the page says", async () => {
  folder = join(cluster.directory, "release");
  const bin = join(cluster.directory, "bin");
  await mkdir(folder);
  await mkdir(bin);
  await symlink(kcp, join(bin, "kubectl"));
  await writeFile(join(bin, "ingotctl"), `#!/bin/sh\nexec ${process.execPath} ${programFile("ingotctl")} "$@"\n`, {
    mode: 0o755,
  });
  if (helm !== undefined) await symlink(helm, join(bin, "helm"));
  for (const file of await readdir(released))
    await (file.endsWith(".tar") ? symlink : copyFile)(join(released, file), join(folder, file));
  for (const { name } of cluster.nodes) {
    const socket = join(cluster.directory, name, "containerd.sock");
    await writeFile(join(bin, "ctr"), `#!/bin/sh\nexec /usr/bin/ctr --address ${socket} "$@"\n`, { mode: 0o755 });
    await type("docs/install.md", "The image");
  }
});

step("kubectl: applied, configured, and a Service answers", async () => {
  await type("docs/install.md", "kubectl");
  await type("docs/install.md", "See that it works", 0);
  assert.deepEqual(await answer("hello"), "hello\n");
  await type("docs/install.md", "See that it works", 1);
  await type("docs/install.md", "See that it works", 2);
});

step("Kustomize: two controllers on two nodes, and the Service keeps its address", async () => {
  await serve("kept");
  const address = await addressOf("kept");
  await type("docs/install.md", "Kustomize");
  await rolledOut("controller", "speaker");
  await runsOn("controller", ["node1", "node2"]);
  assert.equal(await addressOf("kept"), address);
});

step("an upgrade and the way back change no address", async () => {
  const address = await addressOf("kept");
  await run("sed -i s/--log-level=info/--log-level=debug/ ingot.yaml"); // Something that is another in the next version.
  await type("docs/upgrade.md", "Upgrade", 0);
  await type("docs/upgrade.md", "Upgrade", 2);
  await type("docs/upgrade.md", "Upgrade", 3);
  await type("docs/upgrade.md", "Way back", 0);
  await rolledOut("controller", "speaker");
  assert.equal(await addressOf("kept"), address);
  assert.equal(await answer("kept"), "hello\n");
});

step("a node that is turned off announces nothing, and does again when it is turned on", async () => {
  await type("docs/upgrade.md", "A node", 0);
  await speakersOn(["node1"]);
  assert.equal(await answer("kept"), "hello\n");
  assert.equal(await cluster.client.neighbor(await addressOf("kept")), await macOf("node1"));
  await type("docs/upgrade.md", "A node", 1);
  await speakersOn(["node1", "node2"]);
});

step("a pool that selects no node is announced by none, and gives no address unasked", async () => {
  const [off] = yamlOf("docs/upgrade.md", "A pool");
  await configure(off?.text ?? "");
  await silent("kept");
  await apply(service("unasked"));
  await waitFor("the refusal", () => eventOf("service", "unasked", "AllocationFailed"), patience);
  await kubectl("delete", "service", "unasked");
  await kubectl("apply", "-f", join(folder, "config.yaml"));
  assert.equal(await answer("kept"), "hello\n");
});

step("deleting the configuration turns nothing off, and an event says so", async () => {
  const address = await addressOf("kept");
  await kubectl("-n", namespace, "delete", "configmap", "config");
  const message = await waitFor("the event", () => eventOf("configmap", "config", "ConfigStale", namespace), patience);
  assert.match(message, /the ConfigMap does not exist; kubectl .*\. Deleting the configuration turns nothing off/);
  await kubectl("-n", namespace, "rollout", "restart", "deployment/controller", "daemonset/speaker");
  await rolledOut("controller", "speaker");
  assert.equal(await addressOf("kept"), address);
  assert.equal(await answer("kept"), "hello\n");
  await kubectl("apply", "-f", join(folder, "config.yaml"));
});

step("everything off: nothing is assigned or announced, and no status changes; on again, all is as before", async () => {
  const address = await addressOf("kept");
  await type("docs/upgrade.md", "Everything", 0);
  await speakersOn([]);
  await runsOn("controller", []);
  await silent("kept");
  await apply(service("waiting"));
  assert.equal(await addressOf("kept"), address);
  assert.equal(await ingressOf("waiting"), "");
  await type("docs/upgrade.md", "Everything", 1);
  await rolledOut("controller", "speaker");
  assert.equal(await answer("kept"), "hello\n");
  await waitFor("an address", () => ingressOf("waiting"), patience);
});

step(
  "uninstalled, Services keep the addresses in their status, and nothing of ours is left but what the page names",
  async () => {
    const address = await addressOf("kept");
    await type("docs/upgrade.md", "Uninstall", 0);
    assert.equal(await addressOf("kept"), address);
    const left = await kubectl("get", "clusterrole,clusterrolebinding,namespace", "-o", "name");
    assert.doesNotMatch(left, /metallb/);
    await silent("kept");
    const conditions = () => kubectl("get", "services", "-o", "jsonpath={.items[*].status.conditions[*].type}");
    assert.match(await conditions(), /ingot\.dev\/Announced/);
    await type("docs/upgrade.md", "Uninstall", 2);
    assert.equal(await conditions(), "");
    assert.equal(await addressOf("kept"), address);
  },
);

step(
  "Helm: installed with its namespace, and the Service has the address that it had",
  async () => {
    const address = await ingressOf("kept");
    await type("docs/install.md", "Helm");
    assert.equal(await answer("kept"), "hello\n");
    assert.equal(await addressOf("kept"), address);
  },
  helm === undefined && helmIsMissing,
);

step(
  "Helm: upgraded and rolled back, no address changes",
  async () => {
    const address = await addressOf("kept");
    await type("docs/upgrade.md", "Upgrade", 1);
    await type("docs/upgrade.md", "Way back", 1);
    assert.equal(await addressOf("kept"), address);
    assert.equal(await answer("kept"), "hello\n");
    await run("helm lint ingot-0.1.0.tgz");
    assert.match(await run("helm history metallb --namespace metallb-system"), /Rollback to 1/);
    await assert.rejects(
      run("helm upgrade metallb ingot-0.1.0.tgz --namespace metallb-system --values values.yaml --set speaker.tolerations=all"),
      /at '\/speaker\/tolerations': got string, want array/,
    );
  },
  helm === undefined && helmIsMissing,
);

step(
  "Helm: uninstalled, what stays is what the page names",
  async () => {
    const address = await addressOf("kept");
    await type("docs/upgrade.md", "Uninstall", 1);
    assert.equal(await addressOf("kept"), address);
    const left = async () => {
      const names = await kubectl(
        "-n",
        namespace,
        "get",
        "all,configmap,secret,lease,role,rolebinding,serviceaccount",
        "-o",
        "name",
      );
      const own = names.split("\n").filter((name) => name !== "" && !/kube-root-ca|serviceaccount\/default/.test(name));
      assert.deepEqual(own.sort(), [
        "configmap/ingot-status",
        "configmap/ingot-summary",
        "lease.coordination.k8s.io/ingot-controller",
      ]);
      return true;
    };
    await waitFor("Kubernetes to collect what belonged to the release", left, patience);
    assert.doesNotMatch(await kubectl("get", "clusterrole,clusterrolebinding", "-o", "name"), /metallb/);
  },
  helm === undefined && helmIsMissing,
);

step(
  "Helm: a release of MetalLB's chart is upgraded in place with its values, and back, and no address changes",
  async () => {
    const address = await addressOf("kept");
    await writeMetallbChart(join(folder, "metallb"), image);
    const values = {
      configInline: { "address-pools": [{ name: "default", protocol: "layer2", addresses: ["172.30.0.200-172.30.0.210"] }] },
      psp: { create: false },
      speaker: { tolerations: [{ key: "edge", operator: "Exists" }] },
    };
    await writeFile(join(folder, "metallb-values.yaml"), JSON.stringify(values));
    const asThen = `--namespace metallb-system --values metallb-values.yaml ${asHelm3} --wait`; // People had Helm 3 then.
    // MetalLB's controller makes it; the one of ours that stands in for it may not.
    await run("kubectl --namespace metallb-system create secret generic metallb-memberlist --from-literal=secretkey=of-MetalLB");
    await run(`helm install metallb ./metallb ${asThen}`);
    assert.equal(await answer("kept"), "hello\n");
    const uid = () =>
      kubectl(
        "-n",
        namespace,
        "get",
        "deployment/metallb-controller",
        "daemonset/metallb-speaker",
        "-o",
        "jsonpath={.items[*].metadata.uid}",
      );
    const before = await uid();
    await type("docs/upgrade.md", "From MetalLB's chart", 0);
    await type("docs/upgrade.md", "From MetalLB's chart", 1);
    assert.equal(await uid(), before, "the same objects, changed");
    const speaker = await kubectl("-n", namespace, "get", "daemonset/metallb-speaker", "-o", "json");
    assert.match(speaker, /helm\.sh\/chart": "ingot-.*"--ignore-exclude-lb".*"key": "edge"/s);
    assert.equal(await addressOf("kept"), address);
    assert.equal(await answer("kept"), "hello\n");
    await type("docs/upgrade.md", "From MetalLB's chart", 2);
    assert.equal(await uid(), before);
    assert.match(await kubectl("-n", namespace, "get", "daemonset/metallb-speaker", "-o", "json"), /helm\.sh\/chart": "metallb-/);
    assert.equal(await addressOf("kept"), address);
    assert.equal(await answer("kept"), "hello\n");
  },
  helm === undefined && helmIsMissing,
);

step(
  "Helm: a release with definitions, whose conversion was changed, is upgraded, and taken back as Helm 4 and as Helm 3 do it",
  async () => {
    const inPlace = "docs/migrate-from-metallb-in-place.md";
    const address = await addressOf("kept");
    await writeFile(join(folder, "metallb/templates/definition.yaml"), JSON.stringify(definition));
    const serverSide = hasHelm3 ? "" : "--server-side=true";
    await run(`helm upgrade metallb ./metallb --namespace metallb-system --values metallb-values.yaml ${serverSide} --wait`);
    const conversion = () => kubectl("get", "crd", "bgppeers.metallb.io", "-o", "jsonpath={.spec.conversion.strategy}");
    for (const way of hasHelm3 ? [1] : [0, 1]) {
      await type(inPlace, "Before you begin", 1);
      await type(inPlace, "MetalLB's chart");
      await type("docs/upgrade.md", "From MetalLB's chart", 1);
      assert.equal(await conversion(), "None", "Helm kept the definition");
      await type(inPlace, "Way back to MetalLB's chart", way);
      assert.equal(await conversion(), "Webhook");
      assert.match(
        await kubectl("-n", namespace, "get", "daemonset/metallb-speaker", "-o", "json"),
        /helm\.sh\/chart": "metallb-/,
      );
    }
    assert.equal(await addressOf("kept"), address);
    assert.equal(await answer("kept"), "hello\n");
  },
  helm === undefined && helmIsMissing,
);

step(
  "Helm: a release with PodSecurityPolicies is found, freed of them by the plugin, upgraded, and taken back",
  async () => {
    const address = await addressOf("kept");
    await storePolicies();
    const upgrade = "helm upgrade metallb ingot-0.1.0.tgz --namespace metallb-system --values metallb-values.yaml --wait";
    await assert.rejects(run(upgrade), /resource mapping not found for name: "metallb-controller".*kind "PodSecurityPolicy"/s);
    const check = `${process.execPath} ${programFile("ingotctl")} takeover --check`;
    assert.match(
      await run(`${check} || test $? = 1`),
      /^error: Helm release metallb: its stored manifest has PodSecurityPolicies/m,
    );
    await type("docs/upgrade.md", "PodSecurityPolicies", 1);
    assert.doesNotMatch(await run(`${check} || test $? = 1`), /PodSecurityPolicies/);
    const [mapped] = JSON.parse(await run("helm history metallb --namespace metallb-system --max 1 --output json"));
    await run(upgrade);
    await run(`helm rollback metallb ${mapped.revision} --namespace metallb-system --wait`);
    assert.equal(await addressOf("kept"), address);
    assert.equal(await answer("kept"), "hello\n");
  },
  withoutPlugin,
);

step(
  "every command of the pages has been run, or is named here as one that cannot be",
  async () => {
    const commands = pages.flatMap(blocks).filter(({ language }) => language === "sh" || language === "");
    const left = commands.filter(({ place }) => !done.has(place)).map(({ text }) => text.trim().split("\n").at(-1));
    assert.deepEqual(left, [
      "skopeo copy --all oci-archive:ingot-0.1.0-image.tar docker://registry.example.com/ingot:TAG", // There is no registry.
      "helm plugin install https://github.com/helm/helm-mapkubeapis", // A download.
      ...(withoutPlugin === false ? [] : ["helm mapkubeapis metallb --namespace metallb-system"]),
    ]);
  },
  helm === undefined && helmIsMissing,
);

/** As MetalLB's chart has it. */
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "bgppeers.metallb.io" },
  spec: {
    group: "metallb.io",
    names: { kind: "BGPPeer", plural: "bgppeers", singular: "bgppeer" },
    scope: "Namespaced",
    conversion: {
      strategy: "Webhook",
      webhook: {
        clientConfig: { service: { name: "metallb-webhook-service", namespace: "{{ .Release.Namespace }}", path: "/convert" } },
        conversionReviewVersions: ["v1"],
      },
    },
    versions: ["v1beta1", "v1beta2"].map((name, index) => ({
      name,
      served: true,
      storage: index === 1,
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
    })),
  },
};

/** Has in what Helm stored of the release what MetalLB's chart makes by default, and no current Kubernetes takes. */
async function storePolicies(): Promise<void> {
  const secrets = await kubectl("-n", namespace, "get", "secrets", "-l", "owner=helm,name=metallb,status=deployed", "-o", "json");
  const [secret] = JSON.parse(secrets).items;
  const json = gunzipSync(Buffer.from(Buffer.from(secret.data.release, "base64").toString(), "base64"));
  const release = JSON.parse(String(json));
  const policies = ["controller", "speaker"].map(
    (component) =>
      `---\n# Source: metallb/templates/psp.yaml\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata:\n  name: metallb-${component}\nspec:\n  privileged: false\n`,
  );
  const manifest = policies.join("") + release.manifest;
  const stored = Buffer.from(gzipSync(JSON.stringify({ ...release, manifest })).toString("base64")).toString("base64");
  const patch = JSON.stringify({ data: { release: stored } });
  await kubectl("-n", namespace, "patch", "secret", secret.metadata.name, "--patch", patch);
}

/** Blocks under a heading, up to the next one. */
function under(file: string, heading: string): Block[] {
  const one = page(file);
  const lines = prose(one);
  const from = lines.findIndex((line) => line.replace(/^#+ /, "") === heading && line.startsWith("#"));
  assert.notEqual(from, -1, `${file} has no heading ${heading}`);
  const next = lines.findIndex((line, index) => index > from && /^#+ /.test(line));
  const to = next === -1 ? lines.length : next;
  return blocks(one).filter(({ place }) => {
    const line = Number(place.split(":")[1]);
    return line > from && line <= to;
  });
}

function yamlOf(file: string, heading: string): Block[] {
  return under(file, heading).filter(({ language }) => language === "yaml");
}

/** Writes the files under a heading, then types the commands: all of them, or those of one block, counted from 0. */
async function type(file: string, heading: string, which?: number): Promise<void> {
  for (const { text } of yamlOf(file, heading)) {
    const name = /^# (\S+\.yaml)\n/.exec(text)?.[1];
    if (name !== undefined) await writeFile(join(folder, name), asOwn(text));
  }
  const commands = under(file, heading).filter(({ language }) => language === "sh");
  const chosen = which === undefined ? commands : commands.slice(which, which + 1);
  assert.ok(chosen.length > 0, `${file} has no such commands under ${heading}`);
  for (const { place, text } of chosen) {
    // Where the machine's kernel gives no real time a check warns of it, by exit status 3.
    await run(asOwn(text).replace(/^ingotctl check --wait$/m, "$& || test $? = 3"));
    done.add(place);
  }
}

function asOwn(text: string): string {
  return own.reduce((changed, [theirs, ours]) => changed.replaceAll(theirs, ours), text);
}

/** Runs commands in the folder, as an administrator on a host of the cluster's network. */
function run(script: string): Promise<string> {
  const path = `${join(cluster.directory, "bin")}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const environment = [
    `PATH=${path}`,
    `KUBECONFIG=${cluster.kubeconfig}`,
    `HOME=${cluster.directory}`,
    `HELM_PLUGINS=${plugins}`,
  ];
  const shell = ["env", ...environment, "bash", "-euo", "pipefail", "-c", `cd ${folder}\n${script}`];
  return cluster.client.run(shell);
}

function kubectl(...args: string[]): Promise<string> {
  return cluster.kubectl(args);
}

async function apply(object: object): Promise<void> {
  await cluster.kubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
}

function configure(config: string): Promise<void> {
  return apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config: asOwn(config) } });
}

function service(name: string): object {
  const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

/** Pods that answer, and a Service for them. */
async function serve(name: string): Promise<void> {
  const program = 'http.createServer((_, answer) => answer.end("hello\\n")).listen(8080)';
  await kubectl("create", "deployment", "web", `--image=${image}`, "--", "node", "-e", program);
  await apply(service(name));
  await waitFor("an address", () => ingressOf(name), patience);
}

async function rolledOut(...names: string[]): Promise<void> {
  for (const name of names) {
    const kind = name === "speaker" ? "daemonset" : "deployment";
    await kubectl("-n", namespace, "rollout", "status", `${kind}/${name}`, "--timeout=5m");
  }
}

/** Waits until Pods of that component are on these nodes alone, those that still end included. */
async function runsOn(component: "controller" | "speaker", nodes: readonly string[]): Promise<void> {
  const isThere = async () => {
    const names = "jsonpath={.items[*].spec.nodeName}";
    const found = await kubectl("-n", namespace, "get", "pods", "-l", `component=${component}`, "-o", names);
    assert.deepEqual(found.split(" ").filter(Boolean).sort(), nodes);
    return true;
  };
  await waitFor(`${component} on ${nodes.join(", ") || "no node"} alone`, isThere, patience);
}

async function speakersOn(nodes: readonly string[]): Promise<void> {
  await runsOn("speaker", nodes);
  if (nodes.length > 0) await rolledOut("speaker");
}

function ingressOf(name: string): Promise<string> {
  return cluster.addressOf(name);
}

async function addressOf(name: string): Promise<string> {
  const address = await ingressOf(name);
  assert.match(address, /^172\.30\.0\.2\d\d$/);
  return address;
}

/** The Service's answer to a client that knows no MAC address for it. */
async function answer(name: string): Promise<string> {
  const address = await addressOf(name);
  const get = async () => {
    await cluster.client.run(["ip", "neigh", "flush", "to", address]);
    return (await cluster.client.get(`http://${address}/`)).body;
  };
  return waitFor(`an answer of ${name}`, get, patience);
}

async function silent(name: string): Promise<void> {
  const address = await addressOf(name);
  const isSilent = async () => {
    await cluster.client.run(["ip", "neigh", "flush", "to", address]);
    await assert.rejects(cluster.client.get(`http://${address}/`));
    return (await cluster.client.neighbor(address)) === undefined;
  };
  await waitFor("silence", isSilent, patience);
}

async function macOf(node: string): Promise<string> {
  return cluster.node(node).host.mac();
}

function eventOf(kind: string, name: string, reason: string, where = "default"): Promise<string> {
  const kinds: Record<string, string> = { service: "Service", configmap: "ConfigMap" };
  const selector = `involvedObject.kind=${kinds[kind]},involvedObject.name=${name},reason=${reason}`;
  return kubectl("-n", where, "get", "events", `--field-selector=${selector}`, "-o", "jsonpath={.items[-1:].message}");
}
