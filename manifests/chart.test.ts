import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { load, loadAll } from "js-yaml";
import { helmIsMissing, installedHelm } from "#e2e/cluster";
import { chart, packageChart } from "../release/chart.ts";
import { render } from "./render.ts";

interface Kubernetes {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
type Values = Readonly<Record<string, unknown>>;

const helm = (await installedHelm()) ?? "";
const kubectl = spawnSync(process.env.KUBECTL || "kubectl", ["kustomize", "--help"]).status === 0;
const skip = helm === "" && helmIsMissing;
const skipEqual = skip || (!kubectl && "kubectl is missing: install it, or name it in KUBECTL");
const image = { name: "registry.example.com/ingot", tag: "1.2.3" };
const folder = mkdtempSync(join(tmpdir(), "ingot-chart-"));
after(() => rmSync(folder, { recursive: true }));

const file = (name: string) => readFileSync(join(import.meta.dirname, "..", name), "utf8");

test("chart, manifests and package have one version", () => {
  const { version } = JSON.parse(file("package.json"));
  const { version: chartVersion, appVersion } = load(file("charts/ingot/Chart.yaml")) as Record<string, unknown>;
  const { images } = load(file("manifests/kustomization.yaml")) as { images: { newTag: string }[] };
  assert.deepEqual([chartVersion, appVersion, images[0]?.newTag], [version, version, version]);
});

test("the schema knows every value that has a default, and gives none a type of its own", () => {
  const schema = JSON.parse(file("charts/ingot/values.schema.json"));
  const unknown: string[] = [];
  const visit = (value: unknown, known: Record<string, unknown> | undefined, path: string): void => {
    const resolved = known?.$ref === undefined ? known : schema.definitions[String(known.$ref).split("/").at(-1) ?? ""];
    if (resolved === undefined) unknown.push(path);
    const properties = resolved?.properties as Record<string, Record<string, unknown>> | undefined;
    if (properties === undefined || value === null || typeof value !== "object") return;
    for (const [key, inner] of Object.entries(value)) visit(inner, properties[key], `${path}.${key}`);
  };
  visit(load(file("charts/ingot/values.yaml")), schema, "");
  assert.deepEqual(unknown, []);
});

test("helm lint finds nothing", { skip }, async () => {
  await run(["lint", "--strict", chart]);
});

const everything: Values = {
  controller: { replicas: 2 },
  speaker: { realTime: false, netAdmin: true },
  apiAuth: "token",
  rbac: { bgpPasswords: true, namespaces: true, netbox: true },
  webhook: { enabled: true },
  statusObjects: { enabled: true },
  networkPolicy: { enabled: true },
  prometheus: {
    serviceAccount: "prometheus-k8s",
    namespace: "monitoring",
    serviceMonitor: { enabled: true },
    podMonitor: { enabled: true, jobLabel: "" },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
  },
};
const choices: readonly { readonly name: string; readonly components: readonly string[]; readonly values: Values }[] = [
  { name: "the base", components: [], values: { prometheus: { scrapeAnnotations: true } } },
  {
    name: "the component frr-alongside",
    components: ["frr-alongside"],
    values: { speaker: { bgpPort: 1179 }, prometheus: { scrapeAnnotations: true } },
  },
  {
    name: "the component crds",
    components: ["crds"],
    values: { configSource: "crds", prometheus: { scrapeAnnotations: true } },
  },
  {
    name: "the component central-speakers",
    components: ["central-speakers", "api-auth", "crds"],
    values: {
      centralSpeakers: { enabled: true },
      apiAuth: "token",
      configSource: "crds",
      prometheus: { scrapeAnnotations: true },
    },
  },
  {
    name: "all others",
    components: [
      "central-speakers",
      "ha",
      "net-admin",
      "restricted",
      "bgp-passwords",
      "namespaces",
      "netbox",
      "network-policy",
      "prometheus",
      "api-auth",
      "validating-webhook",
      "status-objects",
    ],
    values: { ...everything, centralSpeakers: { enabled: true } },
  },
];
for (const { name, components, values } of choices) {
  test(`the chart makes the objects of ${name}, under the names of MetalLB's chart`, { skip: skipEqual }, async () => {
    const ours = loadAll(await render(components, image)) as Kubernetes[];
    const theirs = await template({ ...values, image: { repository: image.name, tag: image.tag } });
    // Helm makes the namespace with --create-namespace, and removes MetalLB's webhook with the objects of MetalLB's chart.
    const ofChart = ours.filter(
      ({ kind, metadata }) => kind !== "Namespace" && metadata.name !== "metallb-webhook-configuration",
    );
    assert.deepEqual(canonical(theirs), canonical(ofChart));
  });
}

test("objects have the names and selectors of MetalLB's chart, for an upgrade in place", { skip }, async () => {
  const names = async (release: string, values: Values = {}) =>
    (await template(values, release)).filter(({ kind }) => kind === "DaemonSet").map(({ metadata }) => metadata.name);
  assert.deepEqual(await names("metallb"), ["metallb-speaker"]);
  assert.deepEqual(await names("lb"), ["lb-metallb-speaker"]);
  assert.deepEqual(await names("ingot"), ["ingot-speaker"]);
  assert.deepEqual(await names("lb", { nameOverride: "addresses" }), ["lb-addresses-speaker"]);
  assert.deepEqual(await names("lb", { fullnameOverride: "x" }), ["x-speaker"]);
  // MetalLB's controller made the ring's key in a Secret of 63 characters at most.
  const secrets = (await template({}, "r".repeat(53))).filter(({ kind }) => kind === "Secret");
  assert.deepEqual(
    secrets.map(({ metadata }) => metadata.name),
    [`${"r".repeat(53)}-metallb-m`],
  );
  const daemonSet = (await template({})).find(({ kind }) => kind === "DaemonSet") as unknown as { spec: { selector: object } };
  const matchLabels = {
    "app.kubernetes.io/name": "metallb",
    "app.kubernetes.io/instance": "metallb",
    "app.kubernetes.io/component": "speaker",
  };
  assert.deepEqual(daemonSet.spec.selector, { matchLabels });
});

test("the configuration is in the release, or in a ConfigMap of yours", { skip }, async () => {
  const configInline = { "address-pools": [{ name: "a", protocol: "layer2", addresses: ["192.0.2.0/24"] }] };
  const configMaps = async (values: Values) =>
    (await template(values)).filter(({ kind, metadata }) => kind === "ConfigMap" && !metadata.name.startsWith("ingot-"));
  const [made] = (await configMaps({ configInline })) as unknown as { metadata: { name: string }; data: { config: string } }[];
  assert.equal(made?.metadata.name, "metallb");
  assert.deepEqual(load(made?.data.config ?? ""), configInline);
  assert.deepEqual(await configMaps({ existingConfigMap: "mine" }), []);
  const text = JSON.stringify(await template({ existingConfigMap: "mine" }));
  assert.equal(text.match(/--config=mine/g)?.length, 2);
});

test("speakers may read the Secrets of routers that rbac.bgpPasswords names, and no others", { skip }, async () => {
  const granted = async (bgpPasswords: boolean | readonly string[]) =>
    (await template({ rbac: { bgpPasswords } }))
      .filter(({ kind, metadata }) => kind === "Role" && metadata.name.endsWith("bgp-passwords"))
      .map((role) => (role as unknown as { rules: readonly object[] }).rules);
  const rule = (...resourceNames: string[]) => ({
    apiGroups: [""],
    resources: ["secrets"],
    resourceNames,
    verbs: ["list", "watch"],
  });
  assert.deepEqual(await granted(true), [[rule("router-passwords")]]);
  assert.deepEqual(await granted(["tor-a", "tor-b"]), [[rule("tor-a", "tor-b")]]);
  assert.deepEqual(await granted(false), []);
  await assert.rejects(granted([]), /bgpPasswords/); // A Role without names would be of all Secrets.
});

test("the value controller.serviceConditions turns the conditions of Services off", { skip }, async () => {
  const isOff = async (values: Values) =>
    JSON.stringify(await template({ controller: values })).includes('"--service-conditions=false"');
  assert.deepEqual(
    [await isOff({}), await isOff({ serviceConditions: true }), await isOff({ serviceConditions: false })],
    [false, false, true],
  );
});

test("monitors take each interval that Prometheus takes", { skip }, async () => {
  for (const interval of ["30s", "1m30s", "1d"]) {
    const prometheus = { serviceAccount: "p", namespace: "m", podMonitor: { enabled: true, interval } };
    assert.match(JSON.stringify(await template({ prometheus })), new RegExp(`"interval":"${interval}"`));
  }
});

test("without a log level the flag is left out, as by MetalLB's chart", { skip }, async () => {
  const objects = await template({ controller: { logLevel: null }, speaker: { logLevel: null } });
  assert.doesNotMatch(JSON.stringify(objects), /--log-level/);
});

test("values of MetalLB's chart that mean nothing here are taken, and the notes say so", { skip }, async () => {
  const values = {
    psp: { create: true },
    speaker: {
      frr: { enabled: true, logLevel: "informational", image: { repository: "quay.io/frrouting/frr", tag: "stable_7.5" } },
    },
  };
  assert.deepEqual(await template(values), await template({}));
  const notes = await run(["install", "metallb", chart, "--dry-run=client", "-n", "metallb-system", ...valuesArgs(values)]);
  assert.match(notes, /psp\.create changes nothing/);
  assert.match(notes, /speaker\.frr changes nothing/);
});

test("the notes name what the configuration is taken from", { skip }, async () => {
  const notes = async (values: Values) =>
    await run(["install", "metallb", chart, "--dry-run=client", "-n", "metallb-system", ...valuesArgs(values)]);
  assert.match(await notes({ existingConfigMap: "mine" }), /from the ConfigMap mine of this namespace/);
  const ofObjects = await notes({ configSource: "crds" });
  assert.match(ofObjects, /from MetalLB's custom resources in this namespace/);
  assert.doesNotMatch(ofObjects, /from the ConfigMap/);
});

test("without the ring nobody asks for its key", { skip }, async () => {
  const text = JSON.stringify(await template({ speaker: { memberlist: { enabled: false } } }));
  assert.doesNotMatch(text, /memberlist|secrets|METALLB_ML_(BIND|SECRET)/);
  assert.match(text, /METALLB_ML_LABELS/); // By which speakers find one another's Pods.
});

test("central speakers without speakers of nodes have an account, and the right to a key that the controller makes", {
  skip,
}, async () => {
  const objects = await template({ centralSpeakers: { enabled: true }, speaker: { enabled: false } });
  const named = (kind: string) => objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);
  assert.deepEqual(named("DaemonSet"), []);
  assert.deepEqual(named("ServiceAccount"), ["metallb-controller", "metallb-speaker"]);
  assert.deepEqual(named("Secret"), ["metallb-memberlist"]);
  const of = (kind: string, name: string) =>
    JSON.stringify(objects.find((one) => one.kind === kind && one.metadata.name === name));
  for (const name of ["metallb-controller", "metallb-speaker"])
    assert.match(of("Role", name), /"resourceNames":\["metallb-memberlist"\]/);
  assert.match(of("Deployment", "metallb-controller"), /"METALLB_ML_SECRET_NAME","value":"metallb-memberlist"/);
});

test("central speakers tolerate the taints of control planes, and others that the values name", { skip }, async () => {
  const border = { key: "border", operator: "Exists" };
  const objects = await template({ centralSpeakers: { enabled: true, tolerations: [border] } });
  const found = objects.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "metallb-central-speaker");
  const { tolerations } = (found as unknown as { spec: { template: { spec: { tolerations: readonly object[] } } } }).spec.template
    .spec;
  assert.deepEqual(tolerations.at(-1), border);
  assert.equal(tolerations.length, 3);
});

test("a node may be drained of the only central speaker, as of the only controller", { skip }, async () => {
  const budgets = async (values: Values) =>
    (await template(values)).filter(({ kind }) => kind === "PodDisruptionBudget").map(({ metadata }) => metadata.name);
  assert.deepEqual(await budgets({ centralSpeakers: { enabled: true, replicas: 1 } }), []);
  assert.deepEqual(await budgets({ centralSpeakers: { enabled: true } }), ["metallb-central-speaker"]);
});

test("the webhook has the fields that the cluster's version knows", { skip }, async () => {
  const has = async (version: string) =>
    (await run(["template", chart, "--set", "webhook.enabled=true", "--kube-version", version])).includes("matchConditions");
  assert.deepEqual(
    [await has("1.21.0"), await has("1.26.15"), await has("1.27.0-gke.100"), await has("1.34.1")],
    [false, false, true, true],
  );
});

test("the network policies let Prometheus in from the namespace that it runs in, as the monitors have it", { skip }, async () => {
  const admitted = async (values: Values, monitoringNamespace?: string) => {
    const networkPolicy = { enabled: true, ...(monitoringNamespace !== undefined && { monitoringNamespace }) };
    const policies = (await template({ ...values, networkPolicy })).filter(({ kind }) => kind === "NetworkPolicy");
    return new Set(JSON.stringify(policies).match(/(?<="kubernetes\.io\/metadata\.name":")[^"]+/g));
  };
  const prometheus = { namespace: "observability", serviceAccount: "prometheus", podMonitor: { enabled: true } };
  assert.deepEqual(await admitted({ prometheus }), new Set(["observability"]));
  assert.deepEqual(await admitted({ prometheus }, "other"), new Set(["other"]));
  assert.deepEqual(await admitted({}), new Set(["monitoring"]));
});

test("alerts are taken or left, with labels and thresholds of one's own", { skip }, async () => {
  const prometheusRule = {
    enabled: true,
    additionalLabels: { release: "kube-prometheus" },
    runbooks: "https://docs.example/runbooks.html",
    staleConfig: { enabled: false },
    bgpSessionDown: { labels: { severity: "page" } },
    addressPoolUsage: { thresholds: [{ percent: 60, labels: { severity: "info" } }] },
    own: { enabled: false },
    extraAlerts: [{ alert: "Mine", expr: "up == 0" }],
  };
  const rule = (await template({ prometheus: { prometheusRule } })).find(({ kind }) => kind === "PrometheusRule") as unknown as {
    metadata: { labels: Record<string, string> };
    spec: { groups: { rules: { alert: string; expr: string; labels?: object; annotations?: { runbook_url: string } }[] }[] };
  };
  assert.equal(rule.metadata.labels.release, "kube-prometheus");
  const rules = rule.spec.groups.flatMap(({ rules }) => rules);
  assert.deepEqual(
    rules.map(({ alert }) => alert),
    [
      ...["MetalLBConfigNotLoaded", "MetalLBAddressPoolExhausted", "MetalLBAddressPoolUsage60Percent"],
      ...["MetalLBBGPSessionDown", "Mine"],
    ],
  );
  assert.ok(rules[2]?.expr.endsWith("> 60"));
  assert.deepEqual(rules[3]?.labels, { severity: "page" });
  assert.equal(rules[3]?.annotations?.runbook_url, "https://docs.example/runbooks.html#metallbbgpsessiondown");
});

test("a chart that depends on this one may turn it on by a condition", { skip }, async () => {
  assert.deepEqual(await template({ enabled: true, global: { imageRegistry: "reg" } }), await template({}));
  await assert.rejects(template({ enabled: false }), /at '\/enabled'/);
});

const digest = `sha256:${"0".repeat(64)}`;
const images: readonly { readonly values: Values; readonly want: string }[] = [
  { values: { image: { tag: "1.2" } }, want: "ingot:1.2" },
  { values: { image: { repository: "reg:5000/ingot", tag: digest } }, want: `reg:5000/ingot@${digest}` },
  { values: { image: { tag: "1.2" }, speaker: { image: { tag: null, pullPolicy: null } } }, want: "ingot:1.2" }, // As MetalLB's chart has them.
  { values: { speaker: { image: { tag: `1.2@${digest}` } } }, want: `ingot:1.2@${digest}` },
];
for (const { values, want } of images) {
  test(`image: ${JSON.stringify(values)} names ${want}`, { skip }, async () => {
    const daemonSet = (await template(values)).find(({ kind }) => kind === "DaemonSet");
    assert.ok(JSON.stringify(daemonSet).includes(JSON.stringify(want)));
  });
}

test("central speakers have their own port for Prometheus, and other annotations of the values as they are", {
  skip,
}, async () => {
  const podAnnotations = { "example.com/build": "7472" };
  const values = { centralSpeakers: { enabled: true, nodeSelector: null }, speaker: { podAnnotations } };
  const objects = await template({ ...values, prometheus: { scrapeAnnotations: true } });
  const found = objects.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "metallb-central-speaker");
  const { template: pod } = (found as unknown as { spec: { template: { metadata: { annotations: object } } } }).spec;
  assert.deepEqual(pod.metadata.annotations, {
    ...podAnnotations,
    "prometheus.io/port": "7473",
    "prometheus.io/scrape": "true",
  });
});

test("a release as in the README follows the ConfigMap that the README applies", { skip }, async () => {
  const readme = file("README.md");
  const [, release = "", sets = ""] = /`helm install (\S+) [^`]*?((?: --set \S+)*)`/.exec(readme) ?? [];
  const [block = ""] = /^apiVersion: v1\nkind: ConfigMap[^`]*/m.exec(readme) ?? [];
  const { metadata } = load(block) as Kubernetes;
  const text = await run(["template", release, chart, "--namespace", metadata.namespace ?? "", ...sets.split(" ").slice(1)]);
  assert.deepEqual(text.match(/--config=\S+/g), Array(2).fill(`--config=${metadata.name}`));
});

test("two releases as in the FAQ share no object of the cluster, no port of the nodes and no label that selects", {
  skip,
}, async () => {
  const [, command = ""] = /^(helm install lan .*?)```/ms.exec(file("docs/faq.md")) ?? [];
  const sets = command.match(/--set \S+/g)?.flatMap((each) => each.split(" ")) ?? [];
  const lan = loadAll(await run(["template", "lan", chart, "--namespace", "lan", ...sets])) as (Kubernetes | null)[];
  const both = [await template({}), lan.filter((object) => object !== null)].map((objects) => {
    const text = JSON.stringify(objects);
    const wide = objects
      .filter(({ metadata }) => metadata.namespace === undefined)
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const speaker = JSON.stringify(objects.filter(({ kind }) => kind === "DaemonSet"));
    const ports = new Set(speaker.match(/"containerPort":\d+/g));
    return new Set([...wide, ...ports, ...(text.match(/"app\.kubernetes\.io\/instance":"[^"]+"/g) ?? [])]);
  });
  assert.ok(
    both.every((each) => each.size >= 7),
    both.map((each) => [...each].join()).join("; "),
  );
  assert.deepEqual(
    [...(both[0] ?? [])].filter((each) => both[1]?.has(each)),
    [],
  );
});

test("a release with a long name has Services with names that Kubernetes takes", { skip }, async () => {
  const prometheus = { namespace: "monitoring", serviceAccount: "prometheus", serviceMonitor: { enabled: true } };
  const names = async (release: string) =>
    (await template({ prometheus, webhook: { enabled: true } }, release)).flatMap(({ kind, metadata: { name } }) =>
      kind === "Service" ? [name] : [],
    );
  for (const name of await names(`${"long-name-".repeat(5)}end`)) assert.match(name, /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/);
  assert.deepEqual((await names("metallb")).sort(), ["ingot-webhook", "metallb-controller-metrics"]);
});

test("labels and annotations that the chart sets too are in an object once, as the user has them", { skip }, async () => {
  const pod = { nodeSelector: { "kubernetes.io/os": "linux", zone: "a" }, podAnnotations: { "prometheus.io/port": "7473" } };
  const objects = await template({ speaker: pod, prometheus: { scrapeAnnotations: true } });
  const daemonSet = objects.find(({ kind }) => kind === "DaemonSet") as unknown as {
    spec: { template: { metadata: { annotations: object }; spec: { nodeSelector: object } } };
  };
  const { spec, metadata } = daemonSet.spec.template;
  assert.deepEqual(spec.nodeSelector, pod.nodeSelector);
  assert.deepEqual(metadata.annotations, { "prometheus.io/port": "7473", "prometheus.io/scrape": "true" });
});

test("the page on MetalLB 0.13 to 0.16 names values of its chart, and this one refuses each by name", { skip }, async () => {
  const [, table = ""] = file("docs/migrate-from-metallb-in-place.md").split("| value of MetalLB's chart | here |");
  const rows = table.split("\n\n")[0]?.split("\n") ?? [];
  const paths = rows.flatMap((row) => row.split("|")[1]?.match(/`[\w.-]+`/g) ?? []).map((path) => path.slice(1, -1).split("."));
  assert.ok(paths.length > 30, `${paths.length} values`);
  const values: Record<string, unknown> = {};
  for (const path of paths)
    path.reduce((at, key, index) => {
      at[key] ??= index === path.length - 1 ? "set" : {};
      return at[key] as Record<string, unknown>;
    }, values);
  const said = await template(values).then(() => "", String);
  const accepted = paths.filter((path) => !new RegExp(`additional propert.*'${path.at(-1)}'`).test(said));
  assert.deepEqual(accepted, []);
});

const refused: readonly { readonly values: Values; readonly says: RegExp }[] = [
  { values: { speakers: {} }, says: /additional properties 'speakers' not allowed/ },
  { values: { controller: { replica: 2 } }, says: /at '\/controller': additional properties 'replica' not allowed/ },
  { values: { controller: { serviceConditions: "no" } }, says: /at '\/controller\/serviceConditions': got string, want boolean/ },
  { values: { speaker: { logLevel: "loud" } }, says: /at '\/speaker\/logLevel': value must be one of 'all', 'debug'/ },
  { values: { prometheus: { metricsPort: 70_000 } }, says: /at '\/prometheus\/metricsPort': maximum: got 70,?000, want 65,?535/ },
  {
    values: { prometheus: { metricsPort: 65_535 }, centralSpeakers: { enabled: true } },
    says: /central speakers use the port after prometheus\.metricsPort, which can be 65534 at most/,
  },
  { values: { loadBalancerClass: { default: true } }, says: /at '\/loadBalancerClass/ },
  { values: { controller: { replicas: 0 } }, says: /at '\/controller\/replicas': minimum: got 0, want 1/ },
  { values: { configInline: "address-pools: []" }, says: /at '\/configInline': got string, want object/ },
  {
    values: { configInline: { "address-pools": [] }, configSource: "crds" },
    says: /configInline is not read with configSource: crds/,
  },
  {
    values: { speaker: { image: { repository: "quay.io/metallb/speaker" } } },
    says: /speaker\.image\.repository is quay\.io\/metallb\/speaker, MetalLB's image/,
  },
  {
    values: { controller: { image: { tag: "v0.12.1" } } },
    says: /controller\.image\.tag is v0\.12\.1, a version of MetalLB\. Leave it out/,
  },
  { values: { speaker: { image: { tag: "v0.16.1" } } }, says: /speaker\.image\.tag is v0\.16\.1, a version of MetalLB/ },
  {
    values: { controller: { image: { repository: "registry.example.com/mirror/metallb-controller" } } },
    says: /controller\.image\.repository is registry\.example\.com\/mirror\/metallb-controller, MetalLB's image/,
  },
  { values: { image: { repository: `reg/ingot@${digest}` } }, says: /is an image by digest.*Put the digest, sha256:…, into tag/ },
  {
    values: { speaker: { extraArgs: ["--log-level=debug"] } },
    says: /at '\/speaker': additional properties 'extraArgs' not allowed/,
  },
  { values: { prometheus: { podMonitor: { enabled: true } } }, says: /prometheus\.serviceAccount is needed with a monitor/ },
  { values: { centralSpeakers: { nodeSelector: { border: true } } }, says: /nodeSelector\/border': got boolean, want string/ },
  // With null Helm takes the default away: without `from` the ring would be open to all.
  { values: { networkPolicy: { enabled: true, nodeNetworks: null } }, says: /missing property 'nodeNetworks'/ },
  { values: { prometheus: { metricsPort: null } }, says: /missing property 'metricsPort'/ },
  { values: { speaker: { memberlist: { mlBindPort: null } } }, says: /missing property 'mlBindPort'/ },
  { values: { configSource: null }, says: /missing property 'configSource'/ },
];
for (const { values, says } of refused) {
  test(`refused: ${JSON.stringify(values)}`, { skip }, async () => {
    await assert.rejects(template(values), says);
  });
}

test("the package holds what the folder does, links followed, and is the same each time", { skip }, async () => {
  const [a, b] = [mkdtempSync(join(folder, "a-")), mkdtempSync(join(folder, "b-"))];
  const { version } = JSON.parse(file("package.json"));
  const packed = join(a, await packageChart(a, image.name, version));
  assert.deepEqual(readFileSync(packed), readFileSync(join(b, await packageChart(b, image.name, version))));
  const values = valuesArgs(everything);
  assert.equal(
    await run(["template", "metallb", packed, "-n", "metallb-system", ...values]),
    await run(["template", "metallb", chart, "-n", "metallb-system", ...values, "--set", `image.repository=${image.name}`]),
  );
  assert.match(await run(["show", "chart", packed]), /^name: ingot$/m);
});

async function template(values: Values, release = "metallb"): Promise<Kubernetes[]> {
  const args = ["template", release, chart, "--namespace", "metallb-system", ...valuesArgs(values)];
  return loadAll(await run(args)).filter((object) => object !== null && object !== undefined) as Kubernetes[];
}

function valuesArgs(values: Values): string[] {
  const path = join(folder, "values.json");
  writeFileSync(path, JSON.stringify(values));
  return ["--values", path];
}

async function run(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(helm, [...args], { maxBuffer: 1 << 24, env: { ...process.env, HOME: folder } });
  return stdout;
}

/** Objects by kind and name, all under the names and labels of the manifests. */
function canonical(objects: readonly Kubernetes[]): Record<string, unknown> {
  const named = objects.map((object) => {
    const { labels: _, ...metadata } = renamed(object.metadata) as Record<string, unknown>;
    return [`${object.kind} ${metadata.name}`, { ...(renamed(object) as object), metadata }];
  });
  assert.equal(new Set(named.map(([key]) => key)).size, named.length);
  return Object.fromEntries(named);
}

function renamed(value: unknown): unknown {
  if (typeof value === "string") return renamedText(value);
  if (Array.isArray(value)) return value.map(renamed);
  if (value === null || typeof value !== "object") return value;
  const { "app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance, ...rest } = value as Record<string, unknown>;
  if (name !== undefined && instance !== undefined) {
    const { "app.kubernetes.io/component": component, ...others } = rest;
    return { app: name, ...(component !== undefined && { component }), ...others };
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, renamed(inner)]));
}

function renamedText(text: string): string {
  return text
    .replace(/^metallb-prometheus$/, "prometheus-k8s")
    .replace(/^metallb:/, "metallb-system:")
    .replace(/^request\.name == 'metallb'$/, "request.name == 'config'")
    .replace(/^metallb-(?!system)/, "")
    .replace(/^app\.kubernetes\.io\/component$/, "component")
    .replace(/^--config=metallb$/, "--config=config")
    .replace(/^app\.kubernetes\.io\/name=metallb,app\.kubernetes\.io\/component=/, "app=metallb,component=");
}
