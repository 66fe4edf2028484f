import assert from "node:assert/strict";
import { test } from "node:test";
import { type Pod, resources } from "#pkg/k8s";
import { FakeCluster, pod } from "#pkg/k8s/testing";
import { activeNodes, PodMembers } from "./pod-members.ts";

function podOn(nodeName: string | undefined, name: string, ready = true): Pod {
  return pod(`metallb-system/${name}`, { nodeName, ready });
}

const cases: { name: string; pods: Pod[]; want: string[] }[] = [
  { name: "the nodes of Ready Pods, sorted", pods: [podOn("node2", "b"), podOn("node1", "a")], want: ["node1", "node2"] },
  { name: "not those of others", pods: [podOn("node1", "a", false), podOn("node2", "b")], want: ["node2"] },
  { name: "not of one without a node", pods: [podOn(undefined, "a")], want: [] },
  {
    name: "a node once, while one of its Pods is Ready",
    pods: [podOn("node1", "old", false), podOn("node1", "new"), podOn("node1", "more")],
    want: ["node1"],
  },
];
for (const { name, pods, want } of cases) {
  test(`activeNodes: ${name}`, () => {
    assert.deepEqual(activeNodes(pods), want);
  });
}

/** Members by the test's Pods, and the emitted events. */
function follow() {
  const cluster = new FakeCluster();
  const seen: string[] = [];
  const members = new PodMembers({
    cluster,
    namespace: "metallb-system",
    labels: "component=speaker",
    emit: (event) => event.type === "members" && seen.push(`${event.isSynced ? "synced" : "not synced"}: ${event.active}`),
  });
  return { members, seen, pods: cluster.of(resources.pods) };
}

test("members change with the Pods that are Ready, and only then is it told", () => {
  const { pods, seen } = follow();
  assert.deepEqual(pods.scope, { namespace: "metallb-system", labelSelector: "component=speaker" });
  pods.see(podOn("node1", "a"));
  pods.see(podOn("node2", "b", false));
  pods.sync();
  pods.see(podOn("node2", "b"));
  pods.see(podOn("node2", "b"));
  pods.forget("metallb-system/a");
  assert.deepEqual(seen, ["not synced: node1", "synced: node1", "synced: node1,node2", "synced: node2"]);
});

test("that nobody is a member is told once, so that everything else can begin", () => {
  const { pods, seen } = follow();
  pods.sync();
  assert.deepEqual(seen, ["synced: "]);
});

test("when no Pod is Ready any more the last ones stay members, so that an outage of the API takes no address off the network", () => {
  const { pods, seen } = follow();
  pods.see(podOn("node1", "a"), podOn("node2", "b"));
  pods.sync();
  seen.length = 0;
  pods.see(podOn("node1", "a", false), podOn("node2", "b", false));
  assert.deepEqual(seen, ["synced: node2"]);
  pods.see(podOn("node1", "a"));
  assert.deepEqual(seen, ["synced: node2", "synced: node1"]);
});

test("members that are disposed of follow no Pods", async () => {
  const { members, pods } = follow();
  members.start();
  assert.equal(pods.started, true);
  await members[Symbol.asyncDispose]();
  assert.equal(pods.disposed, true);
});
