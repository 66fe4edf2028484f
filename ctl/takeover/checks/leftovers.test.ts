import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { view } from "../testing/view.ts";
import { checkAlerts, checkLeftovers, checkWorkloads, metrics } from "./leftovers.ts";

const groups = (...names: string[]) => ({ "/apis": { groups: names.map((name) => ({ name })) } });

/** An API that has these resources of the group metallb.io. */
const metallb = (...names: string[]) => ({
  "/apis": { groups: [{ name: "apps" }, { name: "metallb.io", versions: [{ groupVersion: "metallb.io/v1beta1" }] }] },
  "/apis/metallb.io/v1beta1": { resources: names.map((name) => ({ name })) },
});

test("the metrics with MetalLB's prefix are those of the page", () => {
  const page = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  assert.deepEqual([...metrics].sort(), [...new Set(page.match(/\bmetallb_[a-z0-9_]+/g))].sort());
});

test("rules that ask for metrics that there are not are found", async () => {
  const rule = (name: string, expr: string) => ({
    metadata: { namespace: "monitoring", name },
    spec: { groups: [{ rules: [{ alert: "A", expr }] }] },
  });
  const rules = [
    rule("good", "metallb_bgp_session_up == 0"),
    rule("bad", "metallb_speaker_unknown > 1 and metallb_bgp_session_up"),
    rule("own", "metallb_pools_in_use > 0.9"),
    {
      metadata: { namespace: "monitoring", name: "recorded" },
      spec: { groups: [{ rules: [{ record: "metallb_pools_in_use", expr: "metallb_allocator_addresses_in_use_total" }] }] },
    },
  ];
  const findings = checkAlerts(
    await view({ ...groups("monitoring.coreos.com"), "/apis/monitoring.coreos.com/v1/prometheusrules": rules }),
  );
  assert.deepEqual(
    findings.map(({ where, found }) => [where, found]),
    [["PrometheusRule monitoring/bad", "asks for metrics that there are not: metallb_speaker_unknown"]],
  );
});

test("custom resources, and webhooks of MetalLB's and FRR-K8s', are found, and convert is named", async () => {
  const webhook = (name: string, group: string, resources: readonly string[] = ["*"]) => ({
    metadata: { name },
    webhooks: [{ rules: [{ apiGroups: [group], resources }] }],
  });
  const findings = checkLeftovers(
    await view({
      ...metallb("servicel2statuses", "ipaddresspools"),
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": [
        webhook("metallb-webhook-configuration", "metallb.io"),
        webhook("frr-k8s-validating-webhook-configuration", "frrk8s.metallb.io"),
        webhook("other", "apps"),
        webhook("metallb-operator-webhook-configuration", "metallb.io", ["metallbs"]), // The operator's own object.
      ],
    }),
  );
  assert.deepEqual(
    findings.map(({ severity, where }) => `${severity} ${where}`),
    [
      "error API group metallb.io",
      "error ValidatingWebhookConfiguration metallb-webhook-configuration",
      "error ValidatingWebhookConfiguration frr-k8s-validating-webhook-configuration",
    ],
  );
  assert.deepEqual(
    findings.slice(1).map(({ advice }) => advice),
    ["delete it when MetalLB is stopped", "delete it: FRR-K8s is stopped"],
  );
  assert.match(findings[0]?.advice ?? "", /ingotctl convert/);
});

test("policies of MetalLB's operator for the controller's Pods are found, and no others", async () => {
  const labels = { app: "metallb", component: "controller" };
  const policy = (name: string, podSelector: object, more: object = {}) => ({
    metadata: { namespace: "metallb-system", name, ...more },
    spec: { podSelector },
  });
  const policies = [
    policy("default-deny", {}),
    policy("controller", { matchLabels: labels }),
    policy("operator", { matchLabels: { "control-plane": "controller-manager" } }),
    policy("some", { matchExpressions: [{ key: "component", operator: "In", values: ["webhook-server"] }] }),
    policy("ours", { matchLabels: labels }, { labels: { app: "metallb" } }),
  ];
  const found = async (ofChart: object) => {
    const metadata = { namespace: "metallb-system", name: "controller", labels: { ...labels, ...ofChart } };
    const findings = checkLeftovers(
      await view({
        "/apis/apps/v1/deployments": [{ metadata, spec: { template: { metadata: { labels }, spec: {} } } }],
        "/apis/networking.k8s.io/v1/namespaces/metallb-system/networkpolicies": policies,
      }),
    );
    return findings.map(({ severity, where }) => `${severity} ${where}`);
  };
  assert.deepEqual(await found({}), [
    "warning NetworkPolicy metallb-system/default-deny",
    "warning NetworkPolicy metallb-system/controller",
  ]);
  assert.deepEqual(
    await found({ "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "metallb" }),
    [],
    "Helm deletes its own",
  );
});

test("resources of MetalLB's status, which Ingot can write, too, are none that configure it", async () => {
  assert.deepEqual(checkLeftovers(await view(metallb("servicel2statuses", "servicebgpstatuses", "configurationstates"))), []);
});

test("objects of any shape do no harm", async () => {
  const junk = [
    null,
    1,
    "x",
    [],
    {},
    { metadata: null, spec: 7, webhooks: "x", rules: [null] },
    { spec: { groups: [{ rules: [{ expr: 1 }] }] } },
    { versions: [null, { groupVersion: 1 }] },
  ];
  const odd = await view({
    "/apis": { groups: [...junk, { name: "monitoring.coreos.com" }] },
    "/apis/monitoring.coreos.com/v1/prometheusrules": junk,
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": junk,
    "/apis/policy/v1beta1/podsecuritypolicies": junk,
    "/apis/networking.k8s.io/v1/namespaces/metallb-system/networkpolicies": junk,
  });
  assert.deepEqual([checkAlerts(odd), checkLeftovers(odd)], [[], []]);
});

for (const { name, container } of [
  { name: "with equals signs", container: { args: ["--port=7473", "-config=lan"] } },
  { name: "in two words, as Go's flags may be", container: { args: ["-port", "7473", "--config", "lan"] } },
  { name: "of the command", container: { command: ["/controller", "--port", "7473", "--config=lan"] } },
])
  test(`flags of MetalLB's that are not those of the manifests are found: ${name}`, async () => {
    const metadata = { namespace: "metallb-system", name: "controller", labels: { app: "metallb", component: "controller" } };
    const cluster = await view({
      "/apis/apps/v1/deployments": [{ metadata, spec: { template: { spec: { containers: [container] } } } }],
      "/api/v1/namespaces/metallb-system/configmaps/lan": { data: { config: "address-pools: []" } },
    });
    assert.equal(cluster.configMapName, "lan");
    assert.ok(cluster.configMap);
    assert.deepEqual(
      checkWorkloads(cluster).flatMap(({ severity, found }) => (severity === "warning" ? [found] : [])),
      ["runs with --config=lan, and the manifests have config", "runs with --port=7473, and the manifests have 7472"],
    );
  });

for (const { name, labels, api, want } of [
  { name: "of 0.12", labels: {}, api: {}, want: /^keep the name: rollout undo/ },
  { name: "with custom resources", labels: {}, api: metallb("ipaddresspools"), want: /^keep its manifest: .* rights/ },
  {
    name: "of a chart",
    labels: { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "metallb" },
    api: {},
    want: /^keep the release's values/,
  },
  {
    name: "of its operator, which renders a chart without a release",
    labels: { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "" },
    api: metallb("ipaddresspools"),
    want: /^keep its manifest/,
  },
])
  test(`what brings MetalLB back is named: ${name}`, async () => {
    const helm = { "meta.helm.sh/release-name": "metallb", "meta.helm.sh/release-namespace": "metallb-system" };
    const all = { app: "metallb", component: "controller", ...labels };
    const metadata = {
      namespace: "metallb-system",
      name: "controller",
      labels: all,
      annotations: name === "of a chart" ? helm : {},
    };
    const containers = [{ image: "quay.io/metallb/controller:v1" }];
    const found = checkWorkloads(
      await view({ ...api, "/apis/apps/v1/deployments": [{ metadata, spec: { template: { spec: { containers } } } }] }),
    );
    assert.match(found.find((each) => each.found.startsWith("runs quay.io"))?.advice ?? "", want);
  });
