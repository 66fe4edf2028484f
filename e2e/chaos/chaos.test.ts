import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { parseConfig } from "#pkg/config";
import { type Act, describeAct, drawActs, endsSpeaker, renumberings, subjectOf, type What } from "./acts.ts";
import { brokenInVain, type Done, gapsOf, spansOf, tellBroken, tellGaps } from "./chronicle.ts";
import { picture } from "./picture.ts";
import { offsetText } from "./targets/clocks.ts";
import { configurationFor, shared, variantOf } from "./targets/target.ts";
import { judge } from "./verdict.ts";

const can = new Set(shared);

/** @param more what the target can do besides */
function drawn(seed: number, duration: Millis, ...more: Act["type"][]): Act[] {
  return drawActs(seed, duration, 3, new Set([...shared, ...more])).map(({ act }) => act);
}

test("acts follow from the seed, end in time, and are never done twice to the same", () => {
  const acts = drawActs(7, 300_000, 3, can);
  assert.deepEqual(drawActs(7, 300_000, 3, can), acts);
  assert.notDeepEqual(drawActs(8, 300_000, 3, can), acts);
  assert.ok(acts.length > 20);
  for (const [index, { at, act }] of acts.entries()) {
    assert.ok(at + act.length <= 300_000);
    for (const earlier of acts.slice(0, index))
      if (subjectOf(earlier.act) === subjectOf(act)) assert.ok(earlier.at + earlier.act.length < at);
  }
});

test("some of the acts that end a speaker last longer than a router's hold time and graceful restart", () => {
  const acts = [1, 2, 3, 4].flatMap((seed) => drawn(seed, 600_000));
  const ending = acts.filter((what) => "node" in what && endsSpeaker(what, what.node));
  const long = ending.filter(({ length }) => length >= 40_000);
  assert.deepEqual([...new Set(long.map((what) => what.type))].sort(), [...new Set(ending.map((what) => what.type))].sort());
  assert.ok(long.length * 2 < ending.length, "most are shorter");
  for (const { length } of acts) assert.ok(length < 60_000);
});

test("threads are ended only where that can be done, one or several, and the act says how many", () => {
  const isEnd = (what: Act) => what.type === "endThreads";
  assert.ok(!drawn(7, 300_000).some(isEnd));
  const ends = drawn(7, 3_000_000, "endThreads").filter(isEnd);
  assert.deepEqual([...new Set(ends.map((act) => /^end (\d) threads of node[123]$/.exec(describeAct(act))?.[1]))].sort(), [
    "1",
    "2",
    "3",
  ]);
});

test("clocks are set only where that can be done, by as much as the seed says, and the act says by how much", () => {
  const isClock = (what: Act) => what.type === "setClock" || what.type === "setControllerClock";
  assert.ok(!drawn(7, 300_000).some(isClock));
  const set = drawn(7, 3_000_000, "setClock", "setControllerClock").filter(isClock);
  assert.ok(set.length > 10);
  for (const act of set) assert.match(describeAct(act), /^set(Clock node|ControllerClock )\d by -?\d+ s$/);
  assert.deepEqual([offsetText(-5), offsetText(0), offsetText(3_600)], ["-5", "+0", "+3600"]);
});

test("with another version its speakers and its controllers run at times, for long enough that others see them", () => {
  const isOther = (what: Act) => what.type === "otherVersion" || what.type === "otherControllerVersion";
  assert.ok(!drawn(7, 300_000).some(isOther));
  const acts = drawn(7, 1_000_000, "otherVersion", "otherControllerVersion").filter(isOther);
  assert.deepEqual([...new Set(acts.map((what) => subjectOf(what)))].sort(), [
    ...["controller1", "controller2"],
    ...["node1", "node2", "node3"],
  ]);
  for (const { length } of acts) assert.ok(length >= 10_000);
});

test("nodes are renumbered in all ways, while their speakers run, stand still and are gone, and the act says how", () => {
  const acts = drawn(7, 30_000_000, "renumber");
  const texts = new Set(acts.filter((what) => what.type === "renumber").map((act) => describeAct(act).replace(/ node\d/, "")));
  const all = renumberings.flatMap((how) => ["runs", "stands", "killed"].map((one) => `renumber: ${how}, its speaker ${one}`));
  assert.deepEqual([...texts].sort(), all.sort());
});

test("a node's path to Pods is broken only where that can be done, and twice at most", () => {
  const isBreak = (what: Act) => what.type === "breakPath";
  assert.ok(!drawn(7, 300_000).some(isBreak));
  const texts = drawn(7, 3_000_000, "breakPath").filter(isBreak).map(describeAct);
  assert.deepEqual(
    texts.sort(),
    [1, 1, 2, 2, 3, 3].map((node) => `breakPath node${node}`),
  );
});

test("a seed also decides whether connections go on, with and without the rights for it", () => {
  const variants = Array.from({ length: 12 }, (_, seed) => variantOf(seed));
  const peer = { address: "172.30.0.241", asn: 65010, ownAsn: 65001 };
  for (const hasNics of [true, false]) {
    const keeping = variants.filter((one) => one.keepsConnections && one.hasNics === hasNics);
    assert.ok(keeping.length > 0);
    for (const variant of variants) {
      const { config, problems } = parseConfig(configurationFor(peer, variant));
      assert.ok(config, JSON.stringify(problems));
      const kept = config.pools.filter(({ keepConnections }) => keepConnections).map(({ name }) => name);
      assert.deepEqual(kept, variant.keepsConnections ? ["lan", "sticky"] : []);
    }
  }
});

test("cables are bad in all ways, and the act says in which", () => {
  const texts = drawn(7, 3_000_000).flatMap((act) => (act.type === "impair" ? [describeAct(act)] : []));
  for (const kind of [/up to \d+ ms late/, /% up to 3 s late/, /% lost/, /% twice/, /% corrupted/])
    assert.ok(
      texts.some((text) => kind.test(text)),
      `${kind}`,
    );
  for (const text of texts) assert.match(text, /^impair node[123]: \S/);
});

const kill: Act = { type: "killSpeaker", node: 0, length: 2_000 };
const done: Done[] = [{ act: kill, from: 1_000, inEffectFrom: 1_000, undoneFrom: 3_000, hasFailed: false, to: 3_000 }];
const answers = (nodes: readonly string[]) => new Map([["192.0.2.1", nodes]]);
const samples = [
  { at: 0, answers: answers(["node1"]) },
  { at: 1_000, answers: answers(["node1"]) },
  { at: 1_200, answers: answers([]) },
  { at: 1_600, answers: answers(["node2"]) },
  { at: 20_000, answers: answers([]) },
];

test("gaps are told with what was done to the cluster then", () => {
  const spans = spansOf(samples, 21_000);
  assert.deepEqual(
    spans.get("192.0.2.1")?.map(({ from, to, nodes }) => `${from}-${to} ${nodes.join()}`),
    ["0-1200 node1", "1200-1600 ", "1600-20000 node2", "20000-21000 "],
  );
  assert.deepEqual(gapsOf(spans, done), [
    { address: "192.0.2.1", from: 1_200, to: 1_600, causes: ["killSpeaker node1"] },
    { address: "192.0.2.1", from: 20_000, to: 21_000, causes: [] },
  ]);
});

test("what cannot be the cause of a gap is none, though it was done then", () => {
  const nobody = new Map([["192.0.2.1", [{ from: 1_500, to: 2_500, nodes: [] }]]]);
  const causes = (what: What) =>
    gapsOf(
      nobody,
      done.map((one) => ({ ...one, act: { ...what, length: 2_000 } })),
    )[0]?.causes;
  assert.deepEqual(causes({ type: "killRouter" }), []);
  assert.deepEqual(causes({ type: "fillPool" }), []);
  assert.deepEqual(causes({ type: "cutApi", node: 0 }), ["cutApi node1"]);
  assert.deepEqual(causes({ type: "isolateControlPlane" }), ["isolateControlPlane"]);
});

test("connections that broke are counted by what was done then", () => {
  const broken = [1_200, 2_000, 20_000].map((at) => ({ at }));
  assert.deepEqual(tellBroken({ opened: 40, broken }, done), [
    "3 of 40 kept connections broke, while this was done to the cluster or had just ended:",
    "  2: killSpeaker",
    "  1: nothing",
  ]);
  assert.deepEqual(tellBroken({ opened: 40, broken: [] }, done), ["0 of 40 kept connections broke"]);
});

test("connections count as lost that break while nothing is done that may break them, unless the ten minutes of a hand-over may be over", () => {
  const flow = (at: number, lastedMs: number) => ({ at, lastedMs, address: "192.0.2.1", why: "read ECONNRESET" });
  const broken = [flow(1_200, 1_000), flow(20_000, 599_000), flow(30_000, 600_000)];
  assert.deepEqual(brokenInVain(broken, done), [broken[1]]);
  const stopped = done.map((one) => ({ ...one, act: { type: "stopSpeaker", node: 0, length: 2_000 } }) as const);
  assert.deepEqual(brokenInVain(broken, stopped), broken.slice(0, 2));
  const lostFlows = brokenInVain(broken, done);
  const { result, reasons } = judge({
    samples: [],
    gaps: [],
    faults: [],
    lostFlows,
    looks: new Map(),
    unsettled: undefined,
    end: 60_000,
  });
  assert.deepEqual([result, reasons[0]], ["broken", "BROKEN connection: one to 192.0.2.1 at 20.0 s: read ECONNRESET"]);
});

test("what began after a gap did is not its cause", () => {
  const nobody = new Map([["192.0.2.1", [{ from: 1_500, to: 12_000, nodes: [] }]]]);
  const causes = (from: number) =>
    gapsOf(
      nobody,
      done.map((one) => ({ ...one, from, to: undefined })),
    )[0]?.causes;
  assert.deepEqual(causes(2_500), ["killSpeaker node1"], "a question waits for an answer that long");
  assert.deepEqual(causes(2_501), []);
});

test("of many gaps the long ones are told, and the others counted by what was done then", () => {
  const short = Array.from({ length: 40 }, (_, i) => ({
    address: "192.0.2.1",
    from: i * 1_000,
    to: i * 1_000 + 200,
    causes: i % 2 === 0 ? ["lose node2 60 %"] : ["lose node2 60 %", "killRouter"],
  }));
  const long = { address: "192.0.2.2", from: 50_000, to: 52_300, causes: ["killSpeaker node1"] };
  const unexplained = { address: "192.0.2.2", from: 70_000, to: 70_400, causes: [] };
  assert.deepEqual(tellGaps([...short, long, unexplained]), [
    "42 times nobody answered for an address, for 10.7 s in all; 1 of these took 1.0 s or longer",
    "  192.0.2.2 from 50.0 s for 2.3 s: killSpeaker node1",
    "What was done to the cluster then, or had just ended:",
    "  40 times, 8.0 s in all, 0.2 s at most: lose node2 60 %",
    "  20 times, 4.0 s in all, 0.2 s at most: killRouter",
    "  1 time, 2.3 s in all, 2.3 s at most: killSpeaker node1",
    "  1 time, 0.4 s in all, 0.4 s at most: nothing",
  ]);
  assert.deepEqual(tellGaps([]), ["Somebody answered for each address at any time."]);
});

test("the picture has a row for each address and act, and nothing in it is taken for markup", () => {
  const svg = picture(spansOf(samples, 21_000), done, ["node1", "<node2>"], 21_000);
  assert.match(svg, /^<svg [^>]+>\n/);
  assert.equal(svg.match(/<rect x=/g)?.length, 3, "two spans with an owner, and an act");
  assert.match(svg, /&lt;node2>/);
  assert.doesNotMatch(svg, /<node2>/);
});
