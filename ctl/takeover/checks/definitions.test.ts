import assert from "node:assert/strict";
import { test } from "node:test";
import { view } from "../testing/view.ts";
import { checkDefinitions } from "./definitions.ts";

const api = (...names: string[]) => ({
  "/apis": {
    groups: [
      { name: "metallb.io", versions: [{ groupVersion: "metallb.io/v1beta1" }] },
      { name: "frrk8s.metallb.io", versions: [{ groupVersion: "frrk8s.metallb.io/v1beta1" }] },
    ],
  },
  "/apis/metallb.io/v1beta1": { resources: names.map((name) => ({ name })) },
});
const path = (name: string) => `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}.metallb.io`;
const found = async (given: object) =>
  checkDefinitions(await view(given as Parameters<typeof view>[0])).map(({ severity, where }) => `${severity} ${where}`);

test("definitions that Helm would delete with their objects are found, unless it is told to keep them", async () => {
  const definition = (annotations: object, labels: object = {}) => ({
    metadata: { name: "bgppeers.metallb.io", annotations, labels },
  });
  const release = { "meta.helm.sh/release-name": "metallb" };
  const error = ["error CustomResourceDefinitions of metallb.io"];
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition(release) }), error);
  const byLabel = definition({}, { "app.kubernetes.io/managed-by": "Helm" });
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: byLabel }), error);
  const kept = definition({ ...release, "helm.sh/resource-policy": "keep" });
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: kept }), []);
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition({}) }), []);
});

test("a definition whose objects may need MetalLB's webhook to be read or written is found", async () => {
  const definition = (strategy: string, storedVersions: readonly string[], served: readonly string[] = []) => ({
    metadata: { name: "bgppeers.metallb.io" },
    spec: { conversion: { strategy }, versions: served.map((name) => ({ name, served: true })) },
    status: { storedVersions },
  });
  const warning = ["warning CustomResourceDefinition bgppeers.metallb.io"];
  const both = ["v1beta1", "v1beta2"];
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition("Webhook", both) }), warning);
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition("None", both) }), []);
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition("Webhook", ["v1beta2"]) }), []);
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition("Webhook", ["v1beta2"], both) }), warning);
  assert.deepEqual(await found({ ...api("bgppeers"), [path("bgppeers")]: definition("None", ["v1beta2"], both) }), []);
  const groups = [{ name: "metallb.io", versions: both.map((name) => ({ groupVersion: `metallb.io/${name}` })) }];
  const served = { "/apis": { groups }, "/apis/metallb.io/v1beta2": { resources: [{ name: "bgppeers" }] } };
  const once = { ...api("bgppeers"), ...served, [path("bgppeers")]: definition("Webhook", both) };
  assert.deepEqual(await found(once), warning, "both versions are of one definition");
});

test("FRR-K8s is found, and what others give FRR", async () => {
  const configuration = (name: string, host: string) => ({
    metadata: { namespace: "metallb-system", name },
    spec: { nodeSelector: { matchLabels: { "kubernetes.io/hostname": host } } },
  });
  const given = {
    ...api(),
    "/apis/apps/v1/daemonsets": [
      { metadata: { namespace: "metallb-system", name: "frr-k8s-daemon" } },
      { metadata: { name: "other" } },
    ],
    "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations": [configuration("metallb-n1", "n1"), configuration("mine", "n1")],
  };
  assert.deepEqual(await found(given), [
    "error DaemonSet metallb-system/frr-k8s-daemon",
    "warning FRRConfiguration metallb-system/mine",
  ]);
});

test("the command that deletes FRR-K8s has the name that whoever made it gave it", async () => {
  for (const name of ["frr-k8s-daemon", "frr-k8s", "metallb-frr-k8s"]) {
    const seen = await view({ "/apis/apps/v1/daemonsets": [{ metadata: { namespace: "metallb-system", name } }] });
    assert.match(checkDefinitions(seen)[0]?.advice ?? "", new RegExp(`kubectl -n metallb-system delete daemonset ${name};`));
  }
});

test("MetalLB's operator is found for as long as it runs", async () => {
  const operator = (replicas: number) => ({
    ...api(),
    "/apis/apps/v1/deployments": [
      { metadata: { namespace: "metallb-system", name: "metallb-operator-controller-manager" }, spec: { replicas } },
      { metadata: { namespace: "metallb-system", name: "metallb-operator-webhook-server" }, spec: { replicas: 1 } },
    ],
  });
  assert.deepEqual(await found(operator(1)), ["error Deployment metallb-system/metallb-operator-controller-manager"]);
  assert.deepEqual(await found(operator(0)), []);
});

test("objects of any shape do no harm", async () => {
  for (const junk of [null, 1, "x", [], { spec: 7, status: [], metadata: null }])
    assert.deepEqual(
      await found({
        ...api("bgppeers"),
        [path("bgppeers")]: junk,
        "/apis/apps/v1/daemonsets": [junk],
        "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations": [],
      }),
      [],
    );
});
