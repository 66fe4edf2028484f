import assert from "node:assert/strict";
import { test } from "node:test";
import { labelHash } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import { address } from "#pkg/net/testing";
import {
  cordonTaint,
  drainLabel,
  elect,
  eligibleFor,
  excludeLabel,
  isDrained as hasDrained,
  networkTaint,
  outOfServiceTaint,
  type PoolNodes,
} from "#pkg/placement";
import { fnv1a } from "#pkg/text";
import { Bench, eth0, pools, ssd, x } from "../../testing/speaker-bench.ts";
import { learnMacs } from "./members.ts";
import { ownNodeRule } from "./node-state.ts";
import { eligibilityOf, nodesOf } from "./nodes.ts";

const rule = { fromMembers: 3, maxUntold: 1, afterMs: 1_000, startMs: 500, mostStartMs: 1_500, jitterMs: 1 };
const all = ["node1", "node2", "node3", "node4"];

/** Node `node1` of a ring of four, where three are as many as thousands, with a pool for nodes that are labelled `disk: ssd`. */
class Scene extends Bench {
  readonly others = new Map(all.slice(1).map((name) => [name, new GossipNode(name)]));

  constructor(pool = ssd, ownNode = rule) {
    super("node1", { hasRing: true, active: all, isSynced: true, ownNode });
    for (const name of this.others.keys())
      this.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: undefined });
    this.setConfig(pools(pool));
    this.setInterfaces(eth0);
    this.setNode("node1", { disk: "ssd" });
    for (const name of this.others.keys()) this.setNode(name, { disk: "hdd" });
    this.runner.dispatch({ type: "nodesListed" });
    this.start();
  }

  /** The node's speaker tells this, and the others pass it on. */
  tell(name: string, labels: Record<string, string> | undefined, taint?: string): void {
    const one = this.others.get(name);
    assert.ok(one);
    one.state.setTraits({
      exists: labels !== undefined,
      isOutOfService: taint === outOfServiceTaint,
      isCordoned: taint === cordonTaint,
      isNotReady: false,
      isWithoutNetwork: taint === networkTaint,
      labels: new Map(Object.entries(labels ?? {}).map(([label, value]) => [labelHash(label), fnv1a(value)])),
    });
    const store = new GossipNode("node1").store;
    for (const other of [...all, name]) store.joined(other, 1);
    this.runner.dispatch({ type: "gossip", entries: store.merge(one.payload(), 0) });
  }

  /** All tell the labels that the API has. */
  tellAll(): void {
    for (const name of this.others.keys()) this.tell(name, { disk: "hdd" });
    this.clock.advanceBy(2_000);
  }

  get follows(): "all" | readonly string[] {
    return this.state.nodes.followed.names;
  }

  get poolNodes(): PoolNodes {
    const [pool] = this.state.config?.config.pools ?? [];
    assert.ok(pool);
    return nodesOf(this.state, pool);
  }

  get eligible(): readonly string[] {
    return eligibleFor(this.poolNodes, address(x));
  }
}

test("a speaker follows its own Node alone once enough members tell their labels", () => {
  const scene = new Scene();
  assert.equal(scene.follows, "all");
  for (const name of ["node2", "node3", "node4"]) scene.tell(name, { disk: "hdd" });
  scene.clock.advanceBy(500);
  assert.equal(scene.follows, "all", "not before that has held for a while");
  scene.clock.advanceBy(1_000);
  assert.deepEqual(scene.follows, ["node1"]);
  assert.deepEqual(scene.nodesFollowed, [["node1"]]);
  assert.deepEqual(scene.eligible, ["node1"]);
});

test("what a member tells of its labels decides as what the API says does", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.tell("node3", { disk: "ssd" });
  assert.deepEqual(scene.eligible, ["node1", "node3"]);
  scene.tell("node3", { disk: "ssd", [excludeLabel]: "" });
  assert.deepEqual(scene.eligible, ["node1"]);
  scene.tell("node3", { disk: "ssd" }, outOfServiceTaint);
  assert.deepEqual(scene.eligible, ["node1"]);
  assert.deepEqual(scene.state.nodes.taints.get("node3"), [outOfServiceTaint]);
  scene.tell("node3", { disk: "ssd" }, networkTaint);
  assert.deepEqual([scene.eligible, scene.poolNodes.excluded], [["node1"], ["node3"]]);
  for (const [drain, taint, isDrained] of [
    ["", undefined, true],
    ["true", undefined, true],
    ["false", cordonTaint, false],
    ["when-cordoned", undefined, false],
    ["when-cordoned", cordonTaint, true],
  ] as const) {
    scene.tell("node3", { disk: "ssd", [drainLabel]: drain }, taint);
    const { labels, taints } = scene.state.nodes;
    assert.equal(hasDrained(labels.get("node3"), taints.get("node3")), isDrained, `${drain} ${taint}`);
  }
  scene.tell("node3", undefined);
  assert.deepEqual(scene.eligible, ["node1"], "without a Node object nobody knows whether a selector matches");
});

test("the others of a large ring hear of each taint by which a node takes itself for none that may announce", () => {
  for (const [taint, reason] of [
    [outOfServiceTaint, "outOfService"],
    [networkTaint, "excluded"],
  ] as const) {
    const told = new Scene();
    const own = new Bench("node3", { hasRing: true });
    own.onGossip = (entries) =>
      told.runner.dispatch({
        type: "gossip",
        entries: entries.map(({ key, value }) => ({ node: "node3", life: 1, key, version: 1, value })),
      });
    told.tellAll();
    own.setNode("node3", { disk: "ssd" }, [taint]);
    own.runner.dispatch({ type: "clusterSynced" });
    for (const { state } of [own, told]) assert.equal(eligibilityOf(state, [], "node3"), reason);
  }
});

test("another configuration may ask for labels that were told before", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.tell("node2", { disk: "hdd", rack: "7", other: "x" });
  for (const [selector, want] of [
    ["match-labels: {rack: '7'}", ["node2"]],
    ["match-labels: {rack: '8'}", []],
    ["match-expressions: [{key: rack, operator: DoesNotExist}]", ["node1", "node3", "node4"]],
    ["match-expressions: [{key: rack, operator: Exists}]", ["node2"]],
    ["match-expressions: [{key: disk, operator: NotIn, values: [ssd]}]", ["node2", "node3", "node4"]],
    ["match-expressions: [{key: disk, operator: In, values: [nvme, hdd]}]", ["node2", "node3", "node4"]],
  ] as const) {
    scene.setConfig(pools(ssd.replace("match-labels: {disk: ssd}", selector)));
    assert.deepEqual(scene.eligible, want, selector);
  }
});

test("another configuration may ask for labels that a node told which is not a member, or not yet", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.tell("node2", { disk: "hdd", rack: "7" });
  scene.membersChanged(all.filter((name) => name !== "node2"));
  scene.setConfig(pools(ssd.replace("match-labels: {disk: ssd}", "match-labels: {rack: '7'}")));
  assert.deepEqual(scene.eligible, []);
  scene.membersChanged(all);
  assert.deepEqual(scene.eligible, ["node2"]);
});

test("while the API is asked for a Node, its word counts and not its speaker's", () => {
  const scene = new Scene();
  scene.tell("node3", { disk: "ssd" });
  assert.deepEqual(scene.eligible, ["node1"]);
});

test("a node that does not see the API believes those that do of themselves, until it sees the API again", () => {
  const scene = new Scene("{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}", ownNodeRule);
  const participate = (name: string, view: "current" | "behind"): void => {
    const { state } = scene.others.get(name) ?? {};
    state?.participate();
    state?.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", []]]) });
    state?.setView(view);
  };
  participate("node2", "current");
  participate("node3", "behind");
  scene.tell("node2", { [excludeLabel]: "" });
  scene.tell("node3", { [excludeLabel]: "" });
  scene.tell("node4", undefined);
  assert.deepEqual(scene.poolNodes.excluded, []);
  scene.runner.dispatch({ type: "apiLost", since: scene.clock.now() });
  scene.clock.advanceBy(1_000);
  assert.deepEqual(scene.poolNodes.excluded, [], "it may be about to see it again");
  scene.clock.advanceBy(2_000);
  assert.deepEqual(scene.poolNodes.excluded, ["node2"], "node3 does not see the API either, and node4 does not say so");
  participate("node3", "current");
  scene.tell("node3", { [excludeLabel]: "" });
  assert.deepEqual(scene.poolNodes.excluded, ["node2", "node3"]);
  scene.setNode("node3", { disk: "hdd" });
  assert.deepEqual(scene.poolNodes.excluded, ["node2"], "the API's word is the last");
  scene.runner.dispatch({ type: "apiLost", since: Infinity });
  assert.deepEqual(scene.poolNodes.excluded, ["node2"], "what it has missed is about to come");
  scene.tell("node2", { disk: "hdd" });
  assert.deepEqual(scene.poolNodes.excluded, []);
  scene.tell("node2", { [excludeLabel]: "" });
  assert.deepEqual(scene.poolNodes.excluded, ["node2"]);
  scene.clock.advanceBy(10_000);
  assert.deepEqual(scene.poolNodes.excluded, [], "the API has no other word of node2 than before");
  scene.tell("node2", { [excludeLabel]: "", disk: "hdd" });
  assert.deepEqual(scene.poolNodes.excluded, []);
});

test("a member that tells nothing is followed by itself, and more than a few as all Nodes", () => {
  const scene = new Scene();
  scene.tellAll();
  const begin = (node: string, life: number) =>
    scene.runner.dispatch({ type: "member", change: "updated", node, incarnation: 1, life, macs: undefined });
  scene.tell("node2", { disk: "ssd" });
  begin("node2", 2);
  scene.clock.advanceBy(4_000);
  assert.deepEqual([scene.follows, scene.eligible], [["node1"], ["node1", "node2"]], "its last word counts for a while");
  scene.clock.advanceBy(2_000);
  assert.deepEqual(scene.follows, ["node1", "node2"]);
  scene.setNode("node2", { disk: "hdd" });
  assert.deepEqual(scene.eligible, ["node1"]);
  begin("node3", 2);
  scene.clock.advanceBy(6_000);
  assert.equal(scene.follows, "all");
});

test("in a small ring, or without one, all Nodes are followed", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.membersChanged(["node1", "node2"]);
  scene.clock.advanceBy(6_000);
  assert.equal(scene.follows, "all");
  const alone = new Bench("node1", { ownNode: { ...rule, fromMembers: 1 } });
  alone.start();
  alone.clock.advanceBy(100_000);
  assert.equal(alone.state.nodes.followed.names, "all");
});

test("a Node that is gone when all are listed again counts as gone", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.tell("node2", { disk: "ssd" });
  scene.membersChanged(["node1", "node2"]);
  scene.clock.advanceBy(6_000);
  assert.deepEqual(scene.eligible, ["node1", "node2"], "until the API has been asked");
  scene.setNode("node1", { disk: "ssd" });
  scene.runner.dispatch({ type: "nodesListed" });
  assert.deepEqual(scene.eligible, ["node1"]);
});

test("a node that failed and is seen on the wire is followed until it is back: Kubernetes knows whether it is cut off", () => {
  const scene = new Scene("{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  learnMacs(scene.state.members.macs, "node2", ["02:00:00:00:00:02"]);
  scene.tellAll();
  const rest = ["node1", "node3", "node4"];
  const mine = Array.from({ length: 14 }, (_, i) => `192.0.2.${i}`).find((ip) => elect(rest, address(ip)) === "node1") ?? "";
  scene.serve("default/web", [mine]);
  scene.runner.dispatch({ type: "member", change: "failed", node: "node2", incarnation: 0, life: 1, macs: undefined });
  scene.membersChanged(rest);
  scene.settle();
  const sighting = { address: address(mine), mac: "02:00:00:00:00:02", interface: "eth0", ownMac: "02:00:00:00:00:01" };
  scene.runner.dispatch({ type: "sighting", sighting: { ...sighting, kind: "announces" } });
  scene.clock.advanceBy(1);
  assert.deepEqual(scene.follows, ["node1", "node2"]);
  scene.runner.dispatch({ type: "member", change: "left", node: "node2", incarnation: 0, life: 1, macs: undefined });
  scene.membersChanged(rest);
  scene.clock.advanceBy(6_000);
  assert.deepEqual(scene.follows, ["node1"]);
});

test("lies about labels decide on the members that they are about, and not on this node, Nodes that are followed, or strangers", () => {
  const scene = new Scene();
  scene.others.set("node1", new GossipNode("node1"));
  scene.others.set("stranger", new GossipNode("stranger"));
  for (const name of ["node2", "node3", "node4"]) scene.tell(name, { disk: "hdd" });
  scene.clock.advanceBy(2_000);
  scene.tell("node1", { disk: "hdd", [excludeLabel]: "" }, outOfServiceTaint);
  scene.tell("node1", undefined);
  assert.deepEqual(scene.eligible, ["node1"], "of itself a node believes the API alone");
  scene.tell("stranger", { disk: "ssd" });
  assert.deepEqual(scene.eligible, ["node1"]);
  scene.runner.dispatch({ type: "member", change: "updated", node: "node2", incarnation: 1, life: 2, macs: undefined });
  scene.clock.advanceBy(6_000);
  assert.deepEqual(scene.follows, ["node1", "node2"]);
  scene.setNode("node2", { disk: "hdd" });
  scene.tell("node2", { disk: "ssd" });
  assert.deepEqual(scene.eligible, ["node1"], "the API is asked for that Node");
  scene.tell("node3", { disk: "ssd" });
  assert.deepEqual(scene.eligible, ["node1", "node3"], "the holder of the key may bring a member into a pool");
});

const anywhere = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";

test("a member that left counts by its last words when it is back, also where other Nodes are followed since", () => {
  const scene = new Scene(anywhere);
  for (const name of ["node2", "node3", "node4"]) scene.tell(name, { [excludeLabel]: name === "node4" ? "" : "other" });
  scene.setNode("node4", { [excludeLabel]: "" });
  scene.runner.dispatch({ type: "member", change: "left", node: "node4", incarnation: 0, life: 1, macs: undefined });
  scene.membersChanged(all.slice(0, 3));
  scene.clock.advanceBy(2_000);
  assert.deepEqual(scene.follows, ["node1"]);
  scene.runner.dispatch({ type: "member", change: "joined", node: "node4", incarnation: 1, life: 2, macs: undefined });
  scene.membersChanged(all);
  assert.ok(!scene.eligible.includes("node4"), `${scene.eligible}`);
});

test("a member that has still to tell its labels announces nothing, as far as others know", () => {
  for (const [name, labels, isEligible] of [
    ["node5", { disk: "hdd" }, true],
    ["node6", { [excludeLabel]: "" }, false],
    ["node7", undefined, true],
  ] as const) {
    const scene = new Scene(anywhere);
    scene.tellAll();
    assert.deepEqual(scene.follows, ["node1"]);
    scene.others.set(name, new GossipNode(name));
    scene.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: undefined });
    scene.membersChanged([...all, name]);
    assert.ok(!scene.eligible.includes(name));
    scene.tell(name, labels);
    assert.equal(scene.eligible.includes(name), isEligible, name);
  }
});

test("labels of nodes that left for good are forgotten", () => {
  const scene = new Scene();
  scene.tellAll();
  scene.runner.dispatch({ type: "gossipExpired", nodes: ["node4"] });
  assert.deepEqual([...scene.state.nodes.labels.keys()], ["node1", "node2", "node3"]);
});

/** Node `node1`, which starts in an API that has so many Nodes. */
class Starting extends Bench {
  readonly #teller = new GossipNode("node1");

  constructor(count: number | undefined, hasRing = true) {
    super("node1", { hasRing, active: ["node1"], isSynced: false, ownNode: rule });
    this.runner.dispatch({ type: "nodesCounted", count });
    this.setNode("node1", {});
    this.runner.dispatch({ type: "nodesListed" });
    this.runner.dispatch({ type: "clusterSynced" });
  }

  /** It is in the ring with these, of which some tell their labels. */
  meet(names: readonly string[], telling: readonly string[], withoutGossip: readonly string[] = []): void {
    for (const node of names) {
      const life = withoutGossip.includes(node) ? undefined : 1;
      this.runner.dispatch({ type: "member", change: "joined", node, incarnation: 0, life, macs: undefined });
      this.#teller.store.joined(node, 1);
    }
    for (const node of telling) this.hear(node);
    this.runner.dispatch({ type: "members", active: ["node1", ...names].sort(), withoutGossip, isSynced: true });
  }

  hear(node: string): void {
    const one = new GossipNode(node);
    const untainted = { isOutOfService: false, isCordoned: false, isNotReady: false, isWithoutNetwork: false };
    one.state.setTraits({ exists: true, ...untainted, labels: new Map() });
    this.runner.dispatch({ type: "gossip", entries: this.#teller.store.merge(one.payload(), 0) });
  }

  get hasBegun(): boolean {
    return this.state.hasBegun;
  }
}

test("in a small cluster, and without a ring, a speaker that starts follows all Nodes; in a large one its own", () => {
  for (const [count, hasRing, want] of [
    [2, true, "all"],
    [3, true, ["node1"]],
    [undefined, true, ["node1"]],
    [3, false, "all"],
    [undefined, false, "all"],
  ] as const)
    assert.deepEqual(new Starting(count, hasRing).nodesFollowed, [want], `${count} ${hasRing}`);
});

test("in a large cluster a speaker decides as soon as all members have told their labels, of however few", () => {
  const alone = new Starting(3);
  alone.meet([], []);
  assert.ok(alone.hasBegun);
  const scene = new Starting(3);
  scene.meet(["node2", "node3"], ["node2"]);
  assert.ok(!scene.hasBegun);
  assert.ok(!scene.view.isRingSynced);
  scene.clock.advanceBy(499);
  assert.ok(!scene.hasBegun);
  scene.hear("node3");
  assert.ok(scene.hasBegun && scene.view.isRingSynced);
  assert.ok(!scene.view.isPlaced, "it may still look whether its node delivers");
  scene.runner.dispatch({ type: "start" });
  assert.ok(scene.view.isPlaced);
  scene.clock.advanceBy(1_000);
  assert.deepEqual(scene.nodesFollowed, [["node1"]]);
});

test("at the start a member that tells nothing in time is followed by itself, more than a few as all Nodes, and those of MetalLB at once", () => {
  for (const { silent, withoutGossip = [], after, want } of [
    { silent: ["node3"], after: 500, want: ["node1", "node3"] },
    { silent: ["node3"], withoutGossip: ["node3"], after: 0, want: ["node1", "node3"] },
    { silent: ["node3", "node4"], after: 500, want: "all" as const },
    { silent: ["node3", "node4"], withoutGossip: ["node3", "node4"], after: 0, want: "all" as const },
    { silent: ["node3", "node4"], withoutGossip: ["node4"], after: 500, want: "all" as const },
  ]) {
    const scene = new Starting(5);
    const names = ["node2", "node3", "node4"];
    scene.meet(
      names,
      names.filter((name) => !silent.includes(name)),
      withoutGossip,
    );
    scene.clock.advanceBy(Math.max(0, after - 1));
    if (after > 0) assert.deepEqual(scene.nodesFollowed, [["node1"]]);
    scene.clock.advanceBy(1);
    assert.deepEqual(scene.nodesFollowed.slice(1), [want]);
    for (const name of ["node1", ...silent]) scene.setNode(name, {});
    assert.ok(!scene.hasBegun, "until the API has told all of them");
    scene.runner.dispatch({ type: "nodesListed" });
    assert.ok(scene.hasBegun);
  }
});

test("a speaker that starts awaits labels as long as more and more members are met and tell theirs, which has an end", () => {
  const names = Array.from({ length: 8 }, (_, index) => `node${index + 2}`);
  const scene = new Starting(9);
  scene.meet(names, []);
  for (const name of names.slice(0, 3)) {
    scene.clock.advanceBy(450);
    scene.hear(name);
  }
  assert.deepEqual(scene.nodesFollowed, [["node1"]]);
  scene.hear("node2");
  scene.clock.advanceBy(149);
  assert.deepEqual(scene.nodesFollowed, [["node1"]]);
  for (const name of names.slice(3, 5)) scene.hear(name);
  scene.clock.advanceBy(1);
  assert.deepEqual(scene.nodesFollowed, [["node1"], "all"]);
  const quick = new Starting(9);
  for (const [count] of names.entries()) {
    quick.meet(names.slice(0, count + 1), []);
    quick.clock.advanceBy(100);
  }
  for (const name of names) {
    quick.clock.advanceBy(80);
    quick.hear(name);
  }
  assert.ok(quick.hasBegun);
  quick.clock.advanceBy(1_000);
  assert.deepEqual(quick.nodesFollowed, [["node1"]]);
});

test("a speaker that starts looks for labels that are missing once for many members that are met, not for each of them", () => {
  const scene = new Starting(3);
  const names = Array.from({ length: 200 }, (_, index) => `other${index}`);
  scene.meet(names, []);
  const { gossip } = scene.state.members;
  assert.ok(gossip);
  let looks = 0;
  const traits = gossip.traits.bind(gossip);
  gossip.traits = (node) => {
    looks++;
    return traits(node);
  };
  scene.meet(names, []);
  assert.ok(looks <= 5 * names.length, `${looks}`);
});

test("a speaker that started in a large cluster, and meets few others, follows all Nodes after a while", () => {
  const scene = new Starting(5);
  scene.meet(["node2"], ["node2"]);
  assert.ok(scene.hasBegun);
  scene.start();
  scene.clock.advanceBy(4_999);
  assert.deepEqual(scene.nodesFollowed, [["node1"]]);
  scene.clock.advanceBy(100);
  assert.deepEqual(scene.nodesFollowed, [["node1"], "all"]);
});
