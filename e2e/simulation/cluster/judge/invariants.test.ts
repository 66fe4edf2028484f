import assert from "node:assert/strict";
import { test } from "node:test";
import { ownerOf } from "#pkg/placement";
import { firstConfig } from "../history.ts";
import { Scene, spec } from "./scene.ts";

test("an address that two nodes answer for is found after the time of a hand-over, and one of nobody at rest", async () => {
  const scene = await Scene.atRest();
  const [address = ""] = scene.cluster.people.status("a");
  for (const node of [0, 1]) scene.speaker(node).announced.add(address);
  await scene.pass(5_000);
  assert.equal(scene.invariants.problem, undefined);
  await scene.pass(5_000);
  assert.match(scene.found ?? "", /: node-0 and node-1 answer, since/);
  const other = await Scene.atRest();
  for (const node of [0, 1]) other.speaker(node).announced.delete(other.cluster.people.status("a")[0] ?? "");
  assert.match(other.found ?? "", /of a is at nobody, of node-1/);
});

test("without a ring an address of nobody and of two nodes is found, and a node that takes others for members than are Ready", async () => {
  const withoutRing = () => Scene.atRest(firstConfig, undefined, { withoutRing: true });
  for (const { nodes, found } of [
    { nodes: [], found: /nobody of node-0,node-1 answers/ },
    { nodes: [0, 1], found: /: node-0 and node-1 answer/ },
  ]) {
    const scene = await withoutRing();
    const [address = ""] = scene.cluster.people.status("a");
    for (const { announced } of scene.cluster.speakers.values()) announced.delete(address);
    for (const node of nodes) scene.speaker(node).announced.add(address);
    await scene.pass(9_000);
    assert.match(scene.invariants.problem ?? "", found);
  }
  const scene = await withoutRing();
  scene.speaker(0).state.members.active = ["node-0"];
  await scene.pass(21_000);
  assert.match(scene.invariants.problem ?? "", /node-0 takes node-0 for members, of node-0,node-1/);
});

test("an address that moves all the time is found, though no two have it for long", async () => {
  const scene = await Scene.atRest();
  const [address = ""] = scene.cluster.people.status("a");
  for (let i = 0; i < 45; i++) {
    scene.speaker(i % 2).announced.add(address);
    scene.speaker(1 - (i % 2)).announced.delete(address);
    await scene.pass(600);
  }
  assert.match(scene.invariants.problem ?? "", /who answers for 192\.0\.2\.\d has changed 41 times in 30000 ms/);
});

test("an address of nobody for more than 8 s is found, and two owners of which one stops for a moment again and again", async () => {
  const nobody = await Scene.atRest();
  const [address = ""] = nobody.cluster.people.status("a");
  for (const node of [0, 1]) nobody.speaker(node).announced.delete(address);
  await nobody.pass(8_000);
  assert.equal(nobody.invariants.problem, undefined);
  await nobody.pass(200);
  assert.match(
    nobody.invariants.problem ?? "",
    /192\.0\.2\.\d: nobody of node-0,node-1 answers, and node-0 or node-1 could, since/,
  );
  const two = await Scene.atRest();
  for (let i = 0; i < 3; i++) {
    for (const node of [0, 1]) two.speaker(node).announced.add(address);
    await two.pass(4_000);
    two.speaker(0).announced.delete(address);
    await two.pass(100);
  }
  assert.match(two.invariants.problem ?? "", /: node-0 and node-1 answer, since/);
});

test("speakers that lost the API may give up an address that its Service did not ask for, for a moment between two samples", async () => {
  for (const isRefused of [false, true]) {
    const scene = await Scene.atRest();
    const [address = ""] = scene.cluster.people.status("a");
    for (const node of [0, 1]) scene.speaker(node).connection.isCut = true;
    await scene.pass(12_000); // They know that, and place what they have once more.
    if (isRefused) for (const isDual of [true, false]) scene.cluster.people.setService("a", { ...spec, isDual });
    for (const node of [0, 1]) scene.speaker(node).announced.delete(address);
    await scene.pass(9_000);
    if (isRefused) assert.equal(scene.invariants.problem, undefined);
    else assert.match(scene.invariants.problem ?? "", /nobody of node-0,node-1 answers/);
  }
});

test("a node that names another owner than the one that answers is found, but for one that has lost the API", async () => {
  for (const hasLostApi of [false, true]) {
    const scene = await Scene.atRest();
    const [address = ""] = scene.cluster.people.status("a");
    scene.speaker(0).connection.isCut = hasLostApi;
    const { placements } = scene.speaker(0).state;
    const [placement] = placements.get(address) ?? [];
    assert.ok(placement?.isOwned && ownerOf(placement) === "node-1");
    placements.set(address, [{ ...placement, owner: "node-0", rival: undefined }]);
    await scene.pass(9_000);
    const found = /192\.0\.2\.\d: node-0 says node-0, node-1 says node-1; node-1 answers, since/;
    if (hasLostApi) assert.equal(scene.invariants.problem, undefined);
    else assert.match(scene.invariants.problem ?? "", found);
  }
});

test("the kernel of a speaker whose way to the API is cut gives its watches up after 5 s, in each cut anew", async () => {
  const scene = await Scene.atRest();
  const { connection, state } = scene.speaker(0);
  const hasLostApi = () => state.apiView.lostSince !== Infinity;
  connection.isCut = true;
  await scene.pass(3_000);
  connection.isCut = false;
  connection.isCut = true;
  await scene.pass(4_000);
  assert.equal(hasLostApi(), false);
  await scene.pass(4_000);
  assert.equal(hasLostApi(), true);
});

test("a speaker that starts and announces while it reaches none of those that do is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.killSpeaker(1);
  await scene.pass(3_000);
  scene.cluster.ring.cutOff([1]);
  scene.cluster.startSpeaker(1);
  await scene.pass(20_000);
  assert.equal(scene.invariants.problem, undefined);
  scene.speaker(1).announced.add("192.0.2.1");
  await scene.pass(100);
  assert.match(scene.invariants.problem ?? "", /node-1 announces, and has reached none of those that are Ready/);
  const other = await Scene.atRest();
  for (const node of [0, 1]) other.cluster.killSpeaker(node);
  await other.pass(3_000);
  other.cluster.ring.cutOff([1]);
  other.cluster.startSpeaker(1);
  await other.pass(20_000);
  assert.equal(other.invariants.problem, undefined, "nobody else is Ready");
  assert.ok(other.speaker(1).announced.size > 0);
});

test("a kernel that goes on answering after its speaker was killed has the address's lifetime for that, and no more", async () => {
  const all = [false, true].flatMap((isRenewed) => [false, true].map((isBack) => ({ isRenewed, isBack })));
  for (const { isRenewed, isBack } of all) {
    const scene = await Scene.atRest();
    scene.cluster.people.setService("n", { ...spec, pool: "nic" });
    await scene.pass(5_000);
    const [address = ""] = scene.cluster.people.status("n");
    const [owner = -1, ...more] = scene.cluster.owners().get(address) ?? [];
    assert.ok(owner >= 0 && more.length === 0, `${address} is at ${owner},${more}`);
    const { nicAddresses } = scene.speaker(owner);
    scene.cluster.killSpeaker(owner);
    await scene.pass(3_000);
    assert.equal(scene.cluster.owners().get(address)?.length, 2);
    if (isBack) {
      scene.cluster.startSpeaker(owner);
      scene.speaker(owner).connection.isCut = true; // So that it does not find out what is wanted.
    }
    for (let i = 0; i < 20; i++) {
      if (isRenewed) nicAddresses.set(address);
      await scene.pass(1_000);
    }
    assert.equal(scene.invariants.problem !== undefined, isRenewed, scene.invariants.problem);
    if (!isRenewed) assert.deepEqual(scene.cluster.owners().get(address), [1 - owner]);
  }
});

test("an address of a NIC is at a node whose speaker may put it there, or at none; a speaker that announces one and may not is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.setService("n", { ...spec, pool: "nic" });
  await scene.pass(5_000);
  const [address = ""] = scene.cluster.people.status("n");
  const ownersOf = () => scene.cluster.owners().get(address) ?? [];
  const [owner = -1] = ownersOf();
  const other = 1 - owner;
  for (const [node, then] of [
    [owner, [other]],
    [other, []],
  ] as const) {
    scene.cluster.setNetAdmin(node, false);
    scene.cluster.killSpeaker(node);
    scene.cluster.startSpeaker(node);
    await scene.pass(20_000);
    assert.deepEqual(ownersOf(), then);
    assert.equal(scene.found, undefined);
  }
  scene.speaker(owner).announced.add(address);
  scene.speaker(owner).leftToKernel.add(address);
  await scene.pass(100);
  assert.match(scene.found ?? "", /announces 192\.0\.2\.112, and its speaker may not put that on its NIC/);
});

test("addresses that speakers forget while a Node or the ConfigMap is gone are found, and those that stay are right", async () => {
  for (const what of ["Node", "ConfigMap"]) {
    const scene = await Scene.atRest();
    const [address = ""] = scene.cluster.people.status("a");
    if (what === "Node") scene.cluster.nodes.delete(1);
    else scene.cluster.people.deleteConfig();
    await scene.pass(10_000);
    assert.equal(scene.invariants.problem, undefined, what);
    for (const node of [0, 1]) {
      scene.speaker(node).state.placements.delete(address);
      scene.speaker(node).announced.delete(address);
    }
    await scene.pass(8_200);
    assert.match(scene.invariants.problem ?? "", /192\.0\.2\.0: nobody of node-0,node-1 answers/, what);
  }
});

test("a Node that is deleted, and made again without what its speaker was preferred for, has the addresses that it may have", async () => {
  const scene = await Scene.atRest();
  const [address = ""] = scene.cluster.people.status("a");
  assert.deepEqual(scene.cluster.owners().get(address), [1], "the node with the label");
  scene.cluster.nodes.delete(1);
  await scene.pass(10_000);
  assert.deepEqual(scene.cluster.owners().get(address)?.length, 1);
  assert.equal(scene.found, undefined);
  scene.cluster.nodes.make(1);
  await scene.pass(10_000);
  assert.deepEqual(scene.cluster.owners().get(address), [1]);
  assert.equal(scene.found, undefined);
});

test("a LAN that delays frames lets some overtake others, and one that carries them twice does so; a cluster on it keeps its promises", async () => {
  const scene = await Scene.atRest();
  const { lanConditions, time } = scene.cluster;
  lanConditions.set(300, 0.5);
  const arrived: number[] = [];
  for (let i = 0; i < 20; i++) time.schedule(scene.cluster.now + i, () => lanConditions.carry(() => arrived.push(i), 1));
  await scene.pass(30_000);
  assert.ok(arrived.length > 20 && new Set(arrived).size === 20);
  assert.notDeepEqual(
    arrived,
    arrived.toSorted((a, b) => a - b),
  );
  lanConditions.set(0, 0);
  await scene.pass(20_000);
  assert.equal(scene.found, undefined);
  lanConditions.set(500, 0);
  await scene.pass(60_000);
  assert.equal(scene.invariants.problem, undefined);
});

test("one seed always gives the same course of events", async () => {
  const [one, other] = [await Scene.atRest(), await Scene.atRest()];
  for (const { cluster, pass } of [one, other].map((scene) => ({ cluster: scene.cluster, pass: scene.pass.bind(scene) }))) {
    cluster.powerOff(1);
    await pass(20_000);
  }
  assert.deepEqual(one.cluster.lines, other.cluster.lines);
  assert.ok(one.cluster.lines.length > 5);
});
