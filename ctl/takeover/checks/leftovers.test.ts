import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { view } from "../testing/view.ts";
import { checkAlerts, checkLeftovers, metrics } from "./leftovers.ts";

const groups = (...names: string[]) => ({ "/apis": { groups: names.map((name) => ({ name })) } });

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
    rule("bad", "metallb_bgp_opens_sent > 1 and metallb_bgp_session_up"),
  ];
  const findings = checkAlerts(
    await view({ ...groups("monitoring.coreos.com"), "/apis/monitoring.coreos.com/v1/prometheusrules": rules }),
  );
  assert.deepEqual(
    findings.map(({ where, found }) => [where, found]),
    [["PrometheusRule monitoring/bad", "asks for metrics that there are not: metallb_bgp_opens_sent"]],
  );
});

test("custom resources and webhooks of MetalLB's are found, and convert is named", async () => {
  const webhook = (name: string, group: string) => ({ metadata: { name }, webhooks: [{ rules: [{ apiGroups: [group] }] }] });
  const findings = checkLeftovers(
    await view({
      ...groups("metallb.io", "apps"),
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": [
        webhook("metallb-webhook-configuration", "metallb.io"),
        webhook("other", "apps"),
      ],
    }),
  );
  assert.deepEqual(
    findings.map(({ severity, where }) => `${severity} ${where}`),
    ["error API group metallb.io", "error ValidatingWebhookConfiguration metallb-webhook-configuration"],
  );
  assert.match(findings[0]?.advice ?? "", /ingotctl convert/);
});

test("PodSecurityPolicies of MetalLB's are found, and no others", async () => {
  const policy = (name: string, labels: object) => ({ metadata: { name, labels } });
  const ofChart = { "app.kubernetes.io/name": "metallb", "app.kubernetes.io/managed-by": "Helm" };
  const policies = [
    policy("speaker", { app: "metallb" }),
    policy("controller", {}),
    policy("restricted", { app: "metallb" }),
    policy("lb-metallb-controller", ofChart),
    policy("lb-other", ofChart),
  ];
  const findings = checkLeftovers(await view({ ...groups(), "/apis/policy/v1beta1/podsecuritypolicies": policies }));
  assert.deepEqual(
    findings.map(({ where }) => where),
    ["PodSecurityPolicy speaker", "PodSecurityPolicy lb-metallb-controller"],
  );
  assert.match(findings[0]?.advice ?? "", /^delete it after the move/);
  assert.match(findings[1]?.advice ?? "", /^upgrade the release/);
});

test("a Helm release's right to use PodSecurityPolicies is an error where the API knows none any more", async () => {
  const controller = {
    metadata: {
      namespace: "metallb-system",
      name: "lb-metallb-controller",
      labels: {
        "app.kubernetes.io/name": "metallb",
        "app.kubernetes.io/component": "controller",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/instance": "lb",
      },
    },
  };
  const role = { metadata: { name: "lb-metallb:speaker" }, rules: [{ resources: ["podsecuritypolicies"] }] };
  const answers = {
    ...groups(),
    "/apis/apps/v1/deployments": [controller],
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/lb-metallb%3Aspeaker": role,
  };
  const [gone, ...more] = checkLeftovers(await view(answers));
  assert.deepEqual([gone?.severity, gone?.where, more], ["error", "ClusterRole lb-metallb:speaker", []]);
  assert.match(gone?.found ?? "", /^of the Helm release lb: /);
  assert.match(gone?.advice ?? "", /mapkubeapis.*docs\/upgrade\.md/);

  const policyGroup = { name: "policy", versions: [{ groupVersion: "policy/v1" }, { groupVersion: "policy/v1beta1" }] };
  const served = checkLeftovers(await view({ ...answers, "/apis": { groups: [policyGroup] } }));
  assert.deepEqual(
    served.map(({ severity, where }) => `${severity} ${where}`),
    ["note ClusterRole lb-metallb:speaker"],
  );
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
  });
  assert.deepEqual([checkAlerts(odd), checkLeftovers(odd)], [[], []]);
});
