// Scenario: kubectl renders dozens of combinations.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { before, test } from "node:test";
import { loadAll } from "js-yaml";
import { choices, render, renderChoices } from "./render.ts";

interface Kubernetes {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly replicas?: number;
    readonly minAvailable?: number;
    readonly template: {
      readonly metadata: { readonly annotations?: object };
      readonly spec: {
        readonly affinity?: object;
        readonly containers: readonly [Container];
        readonly volumes?: readonly { readonly hostPath?: { readonly path: string } }[];
      };
    };
  };
}
interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
}
interface Policy {
  readonly ingress: readonly {
    readonly from?: object[];
    readonly ports: readonly { readonly port: number; readonly protocol?: string }[];
  }[];
}
type Objects = readonly Kubernetes[];

const image = { name: "registry.example.com/ingot", tag: "1.2.3" };
const kubectl = process.env.KUBECTL || "kubectl";
const skip = spawnSync(kubectl, ["kustomize", "--help"]).status !== 0 && "kubectl is missing: install it, or name it in KUBECTL";

const has = (objects: Objects, kind: string, name: string) =>
  objects.some((object) => object.kind === kind && object.metadata.name === name);

function podOf(objects: Objects, name: "controller" | "speaker" | "central-speaker") {
  const workload = objects.find(({ kind, metadata }) => /^(Deployment|DaemonSet)$/.test(kind) && metadata.name === name);
  assert.ok(workload?.spec, `there is no ${name}`);
  const { template, replicas } = workload.spec;
  return { template, replicas, container: template.spec.containers[0] };
}

const capability = (objects: Objects, name: string) =>
  podOf(objects, "speaker").container.securityContext.capabilities.add.includes(name);

/** The effect of each component: holds with it, alone and among others, and not without. */
const effects: Readonly<Record<string, (objects: Objects) => boolean>> = {
  "api-auth": (objects) =>
    (["controller", "speaker"] as const).every((name) => podOf(objects, name).container.args.includes("--api-auth=token")) &&
    has(objects, "ClusterRoleBinding", "metallb-system:api-auth") &&
    ["api-reader", "metrics-reader"].every((name) => has(objects, "ClusterRole", `metallb-system:${name}`)),
  "bgp-passwords": (objects) => has(objects, "Role", "bgp-passwords") && has(objects, "RoleBinding", "bgp-passwords"),
  "central-speakers": (objects) =>
    podOf(objects, "speaker").container.args.includes("--announce-for=node-without-bgp") &&
    podOf(objects, "central-speaker").container.args.includes("--announce-for=all") &&
    has(objects, "PodDisruptionBudget", "central-speaker"),
  crds: (objects) =>
    (["controller", "speaker"] as const).every((name) => podOf(objects, name).container.args.includes("--config-source=crds")) &&
    podOf(objects, "speaker").container.args.findLast((each) => /^--ignore-exclude-lb/.test(each)) ===
      "--ignore-exclude-lb=false" &&
    ["Role", "RoleBinding"].every((kind) => has(objects, kind, "custom-resources")) &&
    has(objects, "ValidatingWebhookConfiguration", "metallb-webhook-configuration"),
  "frr-alongside": (objects) => podOf(objects, "speaker").container.args.includes("--bgp-port=1179"),
  ha: (objects) =>
    podOf(objects, "controller").replicas === 2 &&
    podOf(objects, "controller").template.spec.affinity !== undefined &&
    has(objects, "PodDisruptionBudget", "controller"),
  namespaces: (objects) =>
    has(objects, "ClusterRole", "metallb-system:namespaces") && has(objects, "ClusterRoleBinding", "metallb-system:namespaces"),
  "net-admin": (objects) =>
    capability(objects, "NET_ADMIN") && podOf(objects, "speaker").template.spec.volumes?.[0]?.hostPath?.path === "/run/ingot",
  netbox: (objects) => has(objects, "Role", "netbox") && has(objects, "RoleBinding", "netbox"),
  "network-policy": (objects) =>
    ["controller", "speaker", "central-speaker"].every((name) => has(objects, "NetworkPolicy", name)),
  prometheus: (objects) =>
    [
      "Service controller-metrics",
      "ServiceMonitor metallb-controller",
      "PodMonitor metallb-speaker",
      "PrometheusRule metallb",
    ].every((object) => has(objects, ...(object.split(" ") as [string, string]))) &&
    has(objects, "ConfigMap", "ingot-dashboard") &&
    podOf(objects, "speaker").template.metadata.annotations === undefined &&
    podOf(objects, "controller").template.metadata.annotations === undefined,
  "validating-webhook": (objects) =>
    podOf(objects, "controller").container.args.includes("--webhook-port=9443") &&
    ["Service", "ValidatingWebhookConfiguration", "Role", "RoleBinding"].every((kind) => has(objects, kind, "ingot-webhook")) &&
    has(objects, "ClusterRole", "metallb-system:ingot-webhook"),
  "status-objects": (objects) =>
    (["controller", "speaker"] as const).every((of) =>
      podOf(objects, of).container.args.includes("--status-objects=$(POD_NAME)/$(POD_UID)"),
    ) &&
    ["Role", "RoleBinding"].every((kind) => has(objects, kind, "status-objects") && has(objects, kind, "configuration-state")) &&
    ["servicel2statuses.metallb.io", "servicebgpstatuses.metallb.io", "configurationstates.metallb.io"].every((name) =>
      has(objects, "CustomResourceDefinition", name),
    ) &&
    has(objects, "CustomResourceDefinition", "bgpsessionstates.frrk8s.metallb.io"),
  restricted: (objects) => !capability(objects, "SYS_NICE") && capability(objects, "NET_RAW"),
};
const names = Object.keys(effects);

test("every component is tested here", () => {
  assert.deepEqual(readdirSync(join(import.meta.dirname, "components")).sort(), names.toSorted());
});

let base: Objects;
before(async () => {
  if (!skip) base = await rendered([]);
});

for (const name of names) {
  test(`${name}: does what it is for, and nothing to what others do`, { skip }, async () => {
    const objects = await rendered([name]);
    assert.deepEqual(
      names.filter((one) => effects[one]?.(objects)),
      [name],
    );
    assert.deepEqual(
      names.filter((one) => effects[one]?.(base)),
      [],
    );
    for (const { kind, metadata } of base) assert.ok(has(objects, kind, metadata.name), `${kind} ${metadata.name} stays`);
    for (const { kind, metadata } of objects)
      assert.ok(
        metadata.namespace === "metallb-system" || /^(Cluster|Namespace$|CustomResourceDefinition$|ValidatingWebhook)/.test(kind),
        `${kind} ${metadata.name}`,
      );
  });
}

test("what stays in the cluster of a component that is taken out is on the page that says how to turn things off", {
  skip,
}, async () => {
  const [, section = ""] = readFileSync("docs/upgrade.md", "utf8").split("### A component\n");
  const rows = [...(section.split("\n### ")[0] ?? "").matchAll(/^\| `([\w-]+)` \| `(.+)` \|$/gm)];
  const named = rows.map(([, name, objects = ""]) => [name, objects.split(" ").sort()] as const);
  const left = async (name: string) =>
    (await rendered([name]))
      .filter(({ kind, metadata }) => !has(base, kind, metadata.name))
      .map(({ kind, metadata }) => `${kind.replace("CustomResourceDefinition", "crd").toLowerCase()}/${metadata.name}`)
      .sort();
  const all = await Promise.all(names.map(async (name) => [name, await left(name)] as const));
  assert.deepEqual(Object.fromEntries(named), Object.fromEntries(all.filter(([, objects]) => objects.length > 0)));
});

test("all components but one, in both orders, do together what each does alone", { skip }, async () => {
  for (const left of names) {
    const others = names.filter((name) => name !== left);
    for (const all of [others, others.toReversed()]) {
      const objects = await rendered(all);
      assert.deepEqual(
        names.filter((one) => effects[one]?.(objects)),
        others,
      );
    }
  }
});

test("the network policy admits the port on which speakers take connections of routers, whichever component comes first", {
  skip,
}, async () => {
  for (const all of [
    ["network-policy", "frr-alongside"],
    ["frr-alongside", "network-policy"],
  ]) {
    const objects = await rendered(all);
    const [port] = podOf(objects, "speaker").container.args.flatMap((each) => /^--bgp-port=(\d+)$/.exec(each)?.[1] ?? []);
    const policy = objects.find(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === "speaker");
    assert.ok(policy?.spec);
    const admitted = (policy.spec as unknown as Policy).ingress
      .filter(({ from }) => from === undefined)
      .flatMap(({ ports }) => ports);
    assert.ok(
      admitted.some((each) => String(each.port) === port && each.protocol === undefined),
      `${port} of ${JSON.stringify(admitted)}`,
    );
  }
});

test("all components work on top of one another", { skip }, async () => {
  for (const all of [names, names.toReversed()]) {
    const objects = await rendered(all);
    assert.deepEqual(
      names.filter((one) => effects[one]?.(objects)),
      names,
    );
  }
});

test("a reference to a field has the version that the API would fill in: without it, kubectl apply --server-side meets a conflict", {
  skip,
}, async () => {
  const references = JSON.stringify(loadAll(await render(names, image))).match(/"fieldRef":\{.*?\}/g) ?? [];
  assert.notEqual(references.length, 0);
  assert.deepEqual(
    references.filter((each) => !each.includes('"apiVersion":"v1"')),
    [],
  );
});

test("in another namespace, no field of any object names metallb-system", { skip }, async () => {
  const objects = loadAll(await render(names, image, { namespace: "lb" }));
  assert.match(JSON.stringify(objects), /"lb"/);
  assert.doesNotMatch(JSON.stringify(objects), /"metallb-system"/);
});

test("in another namespace, bindings of the cluster have the same names: one installation takes the rights of the other, as the FAQ says", {
  skip,
}, async () => {
  const bindings = async (namespace: string) =>
    (loadAll(await render([], image, { namespace })) as Kubernetes[])
      .filter(({ kind }) => kind === "ClusterRoleBinding")
      .map(({ metadata }) => metadata.name);
  assert.deepEqual(await bindings("lb"), await bindings("metallb-system"));
  assert.match(readFileSync("docs/faq.md", "utf8"), /Not by `kubectl apply -k` with another `namespace`/);
});

test("with a prefix of names, speakers wait for a Secret that nobody fills, as the page on installation says", {
  skip,
}, async () => {
  const objects = loadAll(await render([], image, { namePrefix: "lan-" })) as Objects;
  const { container } = podOf(
    objects.map((object) => ({ ...object, metadata: { name: object.metadata.name.replace("lan-", "") } })),
    "controller",
  );
  assert.match(JSON.stringify(container), /"METALLB_ML_SECRET_NAME","value":"memberlist"/);
  assert.ok(has(objects, "Secret", "lan-memberlist"));
  assert.match(readFileSync("docs/install.md", "utf8"), /`namePrefix`/);
});

test("components change controller and speakers alone, also where a kustomization has other Deployments with such names", {
  skip,
}, (t) => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "ingot-others-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const deployment = (namespace: string, name: string) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name },
    spec: { template: { metadata: { annotations: { a: "b" } }, spec: { containers: [{ name, args: ["-v"] }] } } },
  });
  // Knative has the first; the others begin and end like ours.
  const others = [
    deployment("knative-serving", "controller"),
    deployment("metallb-system", "controller-manager"),
    deployment("metallb-system", "other-speaker"),
  ];
  const ours = relative(folder, import.meta.dirname);
  const components = names.map((name) => `${ours}/components/${name}`);
  writeFileSync(join(folder, "others.yaml"), others.map((each) => JSON.stringify(each)).join("\n---\n"));
  const kustomization = { kind: "Kustomization", resources: [ours, "others.yaml"], components };
  writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
  const { stdout, stderr } = spawnSync(kubectl, ["kustomize", folder], { encoding: "utf8", maxBuffer: 1 << 24 });
  const found = loadAll(stdout) as Kubernetes[];
  for (const other of others)
    assert.deepEqual(
      found.filter(({ metadata: { name, namespace } }) => name === other.metadata.name && namespace === other.metadata.namespace),
      [other],
      stderr,
    );
});

test("a file is rendered for each choice, with the image", { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-choices-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const files = await renderChoices(directory, image);
  assert.deepEqual(readdirSync(directory), files.toSorted());
  for (const name of Object.values(choices).flat()) assert.ok(names.includes(name), name);
  for (const name of ["controller", "speaker"] as const)
    assert.equal(podOf(base, name).container.image, "registry.example.com/ingot:1.2.3");
});

test("an unknown component is refused with kustomize's words", { skip }, async () => {
  await assert.rejects(render(["no-such"], image), /^Error: Cannot render the manifests with no-such: .*no-such/s);
});

async function rendered(components: readonly string[]): Promise<Objects> {
  return loadAll(await render(components, image)) as Kubernetes[];
}
