import assert from "node:assert/strict";
import { test } from "node:test";
import type { Api } from "../cluster/api.ts";
import type { Target } from "../cluster/processes.ts";
import { missingPods } from "./missing-pods.ts";

const deployments = "/apis/apps/v1/namespaces/metallb-system/deployments";
const daemonSets = "/apis/apps/v1/namespaces/metallb-system/daemonsets";
const ofSpeaker = encodeURIComponent("involvedObject.kind=DaemonSet,involvedObject.name=speaker,reason=FailedCreate");
const events = `/api/v1/namespaces/metallb-system/events?fieldSelector=${ofSpeaker}`;
const target = (program: Target["program"], node: string): Target => ({
  program,
  pod: `${program}-${node}`,
  node,
  notRunning: undefined,
});
const object = (name: string, more: object) => ({ metadata: { name, labels: { app: "metallb", component: name } }, ...more });
const violation = `pods "speaker-" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`;
const failures = [
  { message: `Error creating: ${violation}`, lastTimestamp: "2026-01-02T03:04:05Z" },
  { message: "Error creating: what was before", eventTime: "2026-01-02T03:00:00.000000Z", lastTimestamp: null },
];
const lacking = object("speaker", { status: { desiredNumberScheduled: 3, currentNumberScheduled: 2 } });

/** An API server with these lists, and the paths that were read. */
function api(lists: Readonly<Record<string, readonly object[] | Error>>): Pick<Api, "list"> & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async list(path) {
      asked.push(path);
      const found = lists[path] ?? [];
      return found instanceof Error ? { type: "unread", why: found.message } : { type: "found", value: found };
    },
  };
}
const missing = (of: readonly Target[], from: Pick<Api, "list">, nodes: readonly string[] = []) =>
  missingPods({ targets: of }, from as Api, "metallb-system", nodes);

test("nothing is read where each node has its Pod", async () => {
  const from = api({});
  assert.deepEqual(await missing([target("controller", "n1"), target("speaker", "n1")], from, ["n1"]), {});
  assert.deepEqual(from.asked, []);
});

test("a DaemonSet whose Pods are refused says why, by its latest event, with what lets them in", async () => {
  const lists = { [daemonSets]: [object("other", {}), lacking], [events]: failures };
  const expected = {
    speaker: {
      because: "Kubernetes refuses the Pods of DaemonSet speaker",
      said: violation,
      fix: "kubectl label namespace metallb-system pod-security.kubernetes.io/enforce=privileged --overwrite",
    },
  };
  assert.deepEqual(await missing([target("controller", "n1")], api(lists)), expected);
  const some = [target("controller", "n1"), target("speaker", "n1")];
  assert.deepEqual(await missing(some, api(lists), ["n1", "n2"]), expected);
});

test("a DaemonSet that has all Pods that it wants says nothing, whatever its events were", async () => {
  const whole = object("speaker", { status: { desiredNumberScheduled: 2, currentNumberScheduled: 2 } });
  const from = api({ [daemonSets]: [whole], [events]: failures });
  assert.deepEqual(await missing([target("controller", "n1"), target("speaker", "n1")], from, ["n1", "n2"]), {});
  assert.deepEqual(from.asked, [daemonSets]);
});

test("a Deployment says why it has no Pod", async () => {
  const message = 'pods "controller-1" is forbidden: exceeded quota: small';
  const conditions = [
    { type: "Available", status: "False", message: "no" },
    { type: "ReplicaFailure", status: "True", message },
  ];
  const failing = object("controller", { spec: { replicas: 1 }, status: { conditions } });
  const { controller } = await missing([target("speaker", "n1")], api({ [deployments]: [failing] }));
  assert.deepEqual([controller?.because, controller?.said], ["Kubernetes refuses the Pods of Deployment controller", message]);
  assert.match(controller?.fix ?? "", /describe quota,limits/);
  const idle = object("controller", { spec: { replicas: 0 } });
  const scaled = await missing([target("speaker", "n1")], api({ [deployments]: [idle] }));
  assert.equal(scaled.controller?.because, "Deployment controller is scaled to 0 replicas");
});

test("objects that may not be read say nothing, and long words are cut", async () => {
  const denied = api({ [daemonSets]: new Error("403 forbidden"), [deployments]: new Error("403 forbidden") });
  assert.deepEqual(await missing([], denied), {});
  const long = [{ message: `\u001b[2J${"x".repeat(1_000)}`, lastTimestamp: "2026-01-02T03:04:05Z" }];
  const { speaker } = await missing([target("controller", "n1")], api({ [daemonSets]: [lacking], [events]: long }));
  assert.match(speaker?.said ?? "", /^\\u001b\[2Jx{390,396}…$/);
});
