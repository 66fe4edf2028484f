import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "#pkg/net";
import { describeObstacle, type Obstacle } from "./announcement-status.ts";

const address = parseAddress("192.0.2.1");
assert.ok(address);
const subnet = parsePrefix("198.51.100.0/24");
assert.ok(subnet);
const placement = { address, pool: "lan" };
const nodes = ["a", "b", "c", "d", "e", "f", "g"];
const cases: { name: string; obstacle: Obstacle; policy: "Cluster" | "Local"; want: string }[] = [
  {
    name: "all are excluded; of many the first are named",
    obstacle: { announced: false, reason: "nodeExcluded", nodes },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: every candidate has the label " +
      "node.kubernetes.io/exclude-from-external-load-balancers (a, b, c, d, e, and 2 more); remove it from one of them, or run the " +
      "speakers with --ignore-exclude-lb",
  },
  {
    name: "none is selected",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker; change them " +
      "or the labels of nodes",
  },
  {
    name: "none is selected that has an endpoint, as Local wants",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Local",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker and, for " +
      "externalTrafficPolicy Local, a ready endpoint; change them or the labels of nodes",
  },
  {
    name: "none has an interface of the pool",
    obstacle: { announced: false, reason: "noInterface", nodes: ["a", "b"] },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: no candidate has an interface for the pool that is up and has a carrier " +
      "(a, b); check their cables, or change the pool's interfaces",
  },
  {
    name: "none is in its subnet",
    obstacle: {
      announced: false,
      reason: "notInSubnet",
      nodes: [
        { node: "a", subnets: [subnet] },
        { node: "b", subnets: [] },
      ],
    },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's l2-placement asks for a node with an address in the same subnet, and no " +
      "candidate has one (a: 198.51.100.0/24, b: none); use addresses of their subnets, or give a node an address in this one",
  },
];
for (const { name, obstacle, policy, want } of cases)
  test(`describeObstacle: ${name}`, () => assert.equal(describeObstacle(placement, obstacle, policy), want));
