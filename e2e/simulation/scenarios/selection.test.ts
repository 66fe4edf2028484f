import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { World } from "./world.ts";

const configuration = `address-pools:
- name: rack
  protocol: layer2
  auto-assign: false
  addresses: [192.0.2.64/28]
  node-selectors:
  - match-labels: {rack: a}
- name: sorted
  protocol: layer2
  auto-assign: false
  addresses: [192.0.2.80/28]
  layer2-advertisements:
  - service-selectors: [{match-labels: {exposure: public}}]
    node-selectors: [{match-labels: {edge: "yes"}}]
  - service-selectors: [{match-labels: {exposure: lab}}]
    node-selectors: [{match-labels: {edge: "no"}}]
`;

suite("labels choose where an address is announced", () => {
  let world: World;
  before(async () => {
    // Speakers that hear of labels from one another may hear of the one that goes before the one that comes, and say twice that no node matches.
    world = await World.start(configuration, { nodes: 3, seed: 3 });
  });

  /** Null takes a label away. */
  const label = (node: number, labels: Readonly<Record<string, string | null>>) =>
    world.patchNode(node, { metadata: { labels } });
  const owned = (address: string, wanted: readonly number[]) =>
    world.until(() => assert.deepEqual(world.cluster.owners().get(address) ?? [], wanted));
  /** Waits until the last time that the node withdrew the Service was for this reason. */
  const withdrawn = (node: number, service: string, reason: string) =>
    world.until(() => assert.equal(world.withdrawals(node, service).at(-1), reason));

  test("a pool is announced by the nodes that its selectors match, as soon as they do and no longer", async () => {
    world.expose("racked", [0, 1], { annotations: { "metallb.universe.tf/address-pool": "rack" } });
    const [address = ""] = await world.assigned("racked");
    await world.event("racked", "noNodeSelected", /of pool rack is announced by no node: .* node-selectors match none/);
    await owned(address, []);
    label(1, { rack: "a" });
    await owned(address, [1]);
    label(2, { rack: "a" });
    label(1, { rack: "b" });
    await owned(address, [2]);
    assert.equal(world.events("racked", "noNodeSelected").length, 1, "one speaker says so, once");
    label(1, { rack: "a" });
    await world.cluster.pass(1_000);
    const [last = -1] = world.cluster.owners().get(address) ?? [];
    label(last, { rack: null });
    await owned(address, [last === 1 ? 2 : 1]);
    await withdrawn(last, "default/racked", "nodeNotSelected");
    label(1, { rack: null });
    label(2, { rack: null });
    await owned(address, []);
    world.delete("racked");
  });

  test("a Service's own labels choose the nodes too, and none without an entry for it", async () => {
    label(0, { edge: "no" });
    label(2, { edge: "yes" });
    const options = { annotations: { "metallb.universe.tf/address-pool": "sorted" } };
    world.expose("labelled", [0, 1, 2], options);
    const [address = ""] = await world.assigned("labelled");
    await world.explains(
      "svc/labelled",
      /Pending \(notAdvertised\).*no layer2-advertisements entry of pool sorted is for this Service/s,
    );
    await owned(address, []);
    world.apply("labelled", { ...options, labels: { exposure: "public" } });
    await owned(address, [2]);
    world.apply("labelled", { ...options, labels: { exposure: "lab" } });
    await owned(address, [0]);
    await withdrawn(2, "default/labelled", "nodeNotSelected");
    world.apply("labelled", { ...options, labels: { exposure: null } });
    await owned(address, []);
    await withdrawn(0, "default/labelled", "notAdvertised");
    world.delete("labelled");
  });
});
