import assert from "node:assert/strict";
import { test } from "node:test";
import { GossipNode } from "#pkg/gossip/testing";
import { Bench, eth0, pools } from "../../testing/speaker-bench.ts";
import { foreignMembersChanged } from "./foreign-members.ts";
import { learnMacs } from "./members.ts";

const here = ["node1", "node2"];
const elsewhere = ["b1", "b2"];
const all = [...elsewhere, ...here];

/** Node `node1` of a cluster of two, whose ring has the speakers of another cluster, too. */
class Scene extends Bench {
  readonly others = new Map(
    all
      .slice(0, -2)
      .concat("node2")
      .map((name) => [name, new GossipNode(name)]),
  );

  constructor({ ownNode = true } = {}) {
    super("node1", { hasRing: true, active: all, isSynced: true });
    for (const name of this.others.keys())
      this.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: undefined });
    this.setConfig(pools());
    this.setInterfaces(eth0);
    if (ownNode) this.setNode("node1", {});
    this.setNode("node2", {});
    this.runner.dispatch({ type: "nodesListed" });
    this.start();
  }

  /** The node's speaker tells whether its Node exists. */
  tell(name: string, exists: boolean): void {
    const one = this.others.get(name) ?? assert.fail(name);
    const untainted = { isOutOfService: false, isCordoned: false, isNotReady: false, isWithoutNetwork: false };
    one.state.setTraits({ exists, ...untainted, labels: new Map() });
    const store = new GossipNode("node1").store;
    for (const other of all) store.joined(other, 1);
    this.runner.dispatch({ type: "gossip", entries: store.merge(one.payload(), 0) });
  }

  tellAll(exists = true): void {
    for (const name of this.others.keys()) this.tell(name, exists);
  }

  get countedMembers(): string {
    return this.state.members.active.join();
  }
}

test("members whose Nodes another API has do not count, once it cannot be that a new Node was not seen yet", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.clock.advanceBy(19_999);
  assert.equal(scene.countedMembers, all.join());
  scene.clock.advanceBy(2);
  assert.equal(scene.countedMembers, here.join());
  learnMacs(scene.state.members.macs, "b1", ["02:00:00:00:00:0b"]);
  scene.runner.dispatch({ type: "members", active: all, withoutGossip: [], isSynced: true });
  assert.equal(scene.countedMembers, here.join(), "nor when members are told anew");
});

test("they stay out while their own API is away, and count once this one has their Node, or they are members no more and come back", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.clock.advanceBy(20_001);
  scene.runner.dispatch({ type: "apiLost", since: scene.clock.now() - 5_000 });
  scene.clock.advanceBy(60_000);
  assert.equal(scene.countedMembers, here.join());
  scene.setNode("b1", {});
  assert.equal(scene.countedMembers, ["b1", ...here].join());
  scene.tell("b2", false);
  assert.equal(scene.countedMembers, all.join());
});

for (const [name, options, says, isLost] of [
  ["its own Node is missing too, as in an API that lost everything", { ownNode: false }, true, false],
  ["they see that their Nodes are gone, as when somebody deleted these", {}, false, false],
  ["this speaker does not see its API", {}, true, true],
] as const)
  test(`all members count where ${name}`, () => {
    const scene = new Scene(options);
    if (isLost) scene.runner.dispatch({ type: "apiLost", since: scene.clock.now() });
    scene.tellAll(says);
    scene.clock.advanceBy(60_000);
    assert.equal(scene.countedMembers, all.join());
  });

test("where members tell of their own Nodes, an event does not go through all members", (t) => {
  const scene = new Scene();
  const gossip = scene.state.members.gossip ?? assert.fail("no gossip");
  scene.state.nodes.followed.names = ["node1"];
  const view = t.mock.method(gossip, "view");
  for (let turn = 0; turn < 10; turn++) foreignMembersChanged(scene.state, "timer", scene.clock.now());
  assert.equal(view.mock.callCount(), 0);
});
