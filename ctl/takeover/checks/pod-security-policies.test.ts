import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { slow } from "#pkg/clock/testing";
import { view } from "../testing/view.ts";
import { checkPodSecurityPolicies } from "./pod-security-policies.ts";

const policyGroup = { name: "policy", versions: [{ groupVersion: "policy/v1" }, { groupVersion: "policy/v1beta1" }] };

test("PodSecurityPolicies of MetalLB's are found, and no others", async () => {
  const policy = (name: string, labels: object) => ({ metadata: { name, labels } });
  const ofChart = {
    "app.kubernetes.io/name": "metallb",
    "app.kubernetes.io/managed-by": "Helm",
    "app.kubernetes.io/instance": "metallb",
  };
  const policies = [
    policy("speaker", { app: "metallb" }),
    policy("controller", {}),
    policy("restricted", { app: "metallb" }),
    policy("lb-metallb-controller", ofChart),
    policy("lb-other", ofChart),
  ];
  const findings = checkPodSecurityPolicies(await view({ "/apis/policy/v1beta1/podsecuritypolicies": policies }));
  assert.deepEqual(
    findings.map(({ where }) => where),
    ["PodSecurityPolicy speaker", "PodSecurityPolicy lb-metallb-controller"],
  );
  assert.match(findings[0]?.advice ?? "", /^delete it after the move/);
  assert.match(findings[1]?.advice ?? "", /^upgrade the release/);
});

const ofRelease = {
  "app.kubernetes.io/name": "metallb",
  "app.kubernetes.io/component": "controller",
  "app.kubernetes.io/managed-by": "Helm",
  "app.kubernetes.io/instance": "lb",
};
const controller = { metadata: { namespace: "metallb-system", name: "lb-metallb-controller", labels: ofRelease } };
const role = { metadata: { name: "lb-metallb:speaker" }, rules: [{ resources: ["podsecuritypolicies"] }] };
const installed = {
  "/apis/apps/v1/deployments": [controller],
  "/apis/rbac.authorization.k8s.io/v1/clusterroles/lb-metallb%3Aspeaker": role,
};
const secrets = "/api/v1/namespaces/metallb-system/secrets?labelSelector=owner%3Dhelm%2Cstatus%3Ddeployed%2Cname%3Dlb";
const policy =
  "---\n# Source: metallb/templates/psp.yaml\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata:\n  name: a\n";
const deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n";

/** A Secret of Helm's. */
const revision = (version: number, manifest: unknown) => {
  const release = gzipSync(JSON.stringify({ name: "lb", manifest })).toString("base64");
  return secret(version, Buffer.from(release).toString("base64"));
};
const secret = (version: number, release: string) => ({
  metadata: { name: `sh.helm.release.v1.lb.v${version}`, labels: { owner: "helm", name: "lb", version: `${version}` } },
  data: { release },
});
const note = "note ClusterRole lb-metallb:speaker";
const stored: readonly {
  readonly name: string;
  readonly revisions: readonly object[] | undefined;
  readonly want: readonly string[];
}[] = [
  { name: "that has some is an error", revisions: [revision(1, deployment + policy)], want: ["error Helm release lb", note] },
  { name: "from which they were taken is none", revisions: [revision(9, policy), revision(10, deployment)], want: [note] },
  {
    name: "that has got some since is an error",
    revisions: [revision(10, policy), revision(9, deployment)],
    want: ["error Helm release lb", note],
  },
  { name: "that nobody may read is a warning", revisions: undefined, want: ["warning Helm release lb", note] },
  { name: "that Helm keeps elsewhere is a warning", revisions: [], want: ["warning Helm release lb", note] },
  { name: "that is not one is a warning", revisions: [secret(1, "AAAA")], want: ["warning Helm release lb", note] },
  { name: "without a manifest is a warning", revisions: [revision(1, 7)], want: ["warning Helm release lb", note] },
];
for (const { name, revisions, want } of stored)
  test(`where the API knows no PodSecurityPolicies, a stored release ${name}`, async () => {
    const findings = checkPodSecurityPolicies(await view({ ...installed, ...(revisions && { [secrets]: revisions }) }));
    assert.deepEqual(
      findings.map(({ severity, where }) => `${severity} ${where}`),
      want,
    );
    const [first] = findings;
    if (first?.severity === "error")
      assert.match(first.advice, /helm mapkubeapis lb --namespace metallb-system.*docs\/upgrade\.md/);
  });

test("where the API knows PodSecurityPolicies, no Secret of Helm's is read", async () => {
  const all = await view({ ...installed, [secrets]: [revision(1, policy)], "/apis": { groups: [policyGroup] } });
  assert.deepEqual(all.releaseSecrets, []);
  const findings = checkPodSecurityPolicies(all);
  assert.deepEqual(
    findings.map(({ severity, where }) => `${severity} ${where}`),
    [note],
  );
});

test("a release that expands to more than any release is not read", slow, async () => {
  const bomb = revision(1, policy + " ".repeat(65 << 20));
  const [finding] = checkPodSecurityPolicies(await view({ ...installed, [secrets]: [bomb] }));
  assert.equal(finding?.severity, "warning");
});
