import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "#pkg/k8s";
import { activeNodes } from "./pod-members.ts";

function pod(name: string, nodeName: string | undefined, ready = true): Pod {
  return {
    ...{ key: `metallb-system/${name}`, namespace: "metallb-system", name, uid: name, resourceVersion: "1" },
    nodeName,
    podIPs: [],
    ready,
  };
}

const cases: { name: string; pods: Pod[]; want: string[] }[] = [
  { name: "the nodes of Ready Pods, sorted", pods: [pod("b", "node2"), pod("a", "node1")], want: ["node1", "node2"] },
  { name: "not those of others", pods: [pod("a", "node1", false), pod("b", "node2")], want: ["node2"] },
  { name: "not of one without a node", pods: [pod("a", undefined)], want: [] },
  {
    name: "a node once, while one of its Pods is Ready",
    pods: [pod("old", "node1", false), pod("new", "node1"), pod("more", "node1")],
    want: ["node1"],
  },
];
for (const { name, pods, want } of cases) {
  test(`activeNodes: ${name}`, () => {
    assert.deepEqual(activeNodes(pods), want);
  });
}
