import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName, PacketMessage, Ping } from "../codec/messages.ts";
import { alive, at, dead, endpointOf, LoneRing, suspect } from "../testing/lone-ring.ts";
import type { Send } from "./events.ts";
import { sameEndpoint } from "./ring.ts";

/** Runs until the next probe begins. @returns its ping */
function beginProbe(lone: LoneRing): Ping {
  lone.advanceTo(lone.ring.probeAt);
  const pings = lone.sends().flatMap(({ messages }) => messages.filter((message) => message.type === "ping"));
  assert.equal(pings.length, 1);
  return pings[0] as Ping;
}

function ack(sequence: number): PacketMessage {
  return { type: "ack", sequence, payload: undefined };
}

function kinds(sends: readonly Send[]): string[] {
  return sends.map(({ messages, to }) => `${messages.map(({ type }) => type).join("+")} to ${to.address[3]}`);
}

const source = { ...at(1), node: "self" };

test("the first probe begins one interval after the start, with sequence number 1 and the node's name", () => {
  const lone = LoneRing.among("a");
  lone.advanceTo(999);
  assert.deepEqual(lone.sends(), []);
  lone.advanceTo(1000);
  const ping = { type: "ping", sequence: 1, node: "a", source };
  assert.deepEqual(lone.sends(), [{ type: "send", to: at(97), messages: [ping], checksum: false }]);
});

test("a sole other node is probed on every tick", () => {
  assert.deepEqual(probeTimes(LoneRing.among("a"), 20), new Array(20).fill("a"));
});

/** Runs this many probes, each of them answered. @returns the probed nodes */
function probeTimes(lone: LoneRing, times: number): NodeName[] {
  return Array.from({ length: times }, () => {
    const { node, sequence } = beginProbe(lone);
    lone.packet(ack(sequence));
    return node;
  });
}

test("every second probe is the neighbor's, and among the others each node comes once before any comes again", () => {
  const probed = probeTimes(LoneRing.among("abcdef"), 12);
  const turn = (rest: number) => probed.filter((_, i) => i % 2 === rest);
  assert.equal(new Set(turn(0)).size, 1);
  assert.deepEqual(turn(1).toSorted(), [..."abcdef"]);
});

test("where the neighbor is suspected, the next one is probed in its stead", () => {
  const lone = LoneRing.among("abcdef");
  const [first = ""] = probeTimes(lone, 2);
  lone.packet(suspect(first, 1, "z"));
  lone.quieten();
  lone.ring.toCheck.clear();
  const [second, , third] = probeTimes(lone, 3);
  assert.notEqual(second, first);
  assert.equal(third, second);
});

test("neither the dead nor the left are probed", () => {
  const lone = LoneRing.among("abc");
  lone.packet(dead("a", 1, "b"));
  lone.packet(dead("b", 1, "b"));
  lone.quieten();
  const probed = new Set<string>();
  for (let tick = 1; tick <= 10; tick++) {
    lone.advanceTo(tick * 1000);
    if (lone.probe === undefined) continue;
    probed.add(lone.probe.node);
    lone.packet(ack(lone.probe.sequence));
  }
  assert.deepEqual([...probed], ["c"]);
});

for (const [message, status] of [
  [dead("a", 1, "b"), "dead"],
  [dead("a", 1, "a"), "left"],
] as const) {
  test(`a node that is ${status} for more than 30 s is forgotten when the list has come round`, () => {
    const lone = LoneRing.among("ab");
    lone.ring.pushPullAt = Infinity;
    lone.packet(message);
    for (let tick = 1; tick <= 40; tick++) {
      lone.advanceTo(tick * 1000);
      for (const { messages } of lone.sends())
        for (const ping of messages) if (ping.type === "ping") lone.packet(ack(ping.sequence));
      if (tick <= 30) assert.equal(lone.view("a"), `${status} 1`);
    }
    assert.equal(lone.view("a"), "unknown");
    assert.equal(lone.ring.order.length, 2);
  });
}

test("an ack in time ends the probe, emits the round trip, and improves the local health", () => {
  const lone = LoneRing.among("a");
  lone.ring.localHealth = 3;
  const { sequence } = beginProbe(lone);
  lone.now += 2.5;
  lone.packet(ack(sequence));
  assert.deepEqual(lone.take("roundTrip"), [{ type: "roundTrip", node: "a", time: 2.5 }]);
  assert.equal(lone.ring.localHealth, 2);
  assert.equal(lone.probe, undefined);
});

test("an ack for an unknown sequence number is ignored", () => {
  const lone = LoneRing.among("a");
  const { sequence } = beginProbe(lone);
  lone.packet(ack(sequence + 1));
  assert.equal(lone.probe?.sequence, sequence);
});

test("a suspect is probed with the suspicion in the same packet, with a checksum and nothing else", () => {
  const lone = LoneRing.among("a");
  lone.packet(suspect("a", 1, "z"));
  lone.effects = [];
  lone.ring.gossipAt = Infinity;
  lone.advanceTo(1000);
  const ping = { type: "ping", sequence: 1, node: "a", source };
  assert.deepEqual(lone.sends(), [{ type: "send", to: at(97), messages: [ping, suspect("a", 1, "self")], checksum: true }]);
});

test("after the probe timeout three others are asked with the same sequence number, and the node is pinged on a stream", () => {
  const lone = LoneRing.among("abcde");
  const { sequence, node } = beginProbe(lone);
  lone.advanceTo(1500);
  const target = endpointOf(node);
  const { effects } = lone;
  const exchanges = effects.filter((effect) => effect.type === "exchange");
  const ping = { type: "ping", sequence, node, source };
  assert.deepEqual(exchanges, [{ type: "exchange", exchange: 0, to: target, message: ping, deadline: 2000 }]);
  const sends = lone.sends();
  assert.equal(new Set(sends.map(({ to }) => to)).size, 3);
  for (const { to, messages } of sends) {
    assert.notDeepEqual(to, target);
    assert.deepEqual(messages, [{ type: "indirectPing", sequence, node, target, nack: true, source }]);
  }
});

test("only those that know nacks are asked for them, and only the living are asked", () => {
  const lone = LoneRing.among("a");
  lone.meet(alive("b", 1, { versions: [1, 3, 2, 0, 0, 0] }));
  lone.meet(alive("c", 1));
  lone.packet(suspect("c", 1, "z"));
  lone.quieten();
  lone.ring.toCheck.clear();
  let { node, sequence } = beginProbe(lone);
  while (node !== "a") {
    lone.packet(ack(sequence));
    ({ node, sequence } = beginProbe(lone));
  }
  lone.advanceTo(lone.now + 500);
  const requests = lone.sends().flatMap(({ messages }) => messages.filter(({ type }) => type === "indirectPing"));
  assert.deepEqual(
    requests.map((message) => message.type === "indirectPing" && message.nack),
    [false],
  );
});

test("a node below protocol 3 is not pinged on a stream", () => {
  const lone = new LoneRing();
  lone.meet(alive("a", 1, { versions: [1, 2, 2, 0, 0, 0] }));
  lone.quieten();
  beginProbe(lone);
  lone.advanceTo(lone.now + 500);
  assert.deepEqual(lone.take("exchange"), []);
});

test("a late or relayed ack ends the probe well, without a round trip", () => {
  const lone = LoneRing.among("ab");
  lone.ring.localHealth = 1;
  const { sequence } = beginProbe(lone);
  lone.advanceTo(lone.now + 999);
  lone.packet(ack(sequence));
  assert.deepEqual(lone.take("roundTrip"), []);
  assert.equal(lone.probe, undefined);
  assert.equal(lone.ring.localHealth, 0);
});

/** How a probe that nobody answers ends for the health of the prober, who asked two. */
for (const [nacks, health] of [
  [0, 2],
  [1, 1],
  [2, 0],
  [3, 0],
] as const) {
  test(`a failed probe with ${nacks} of 2 nacks makes the local health score ${health}, and the node suspect`, () => {
    const lone = LoneRing.among("abc");
    const { sequence, node } = beginProbe(lone);
    lone.advanceTo(1500);
    for (let i = 0; i < nacks; i++) lone.packet({ type: "nack", sequence });
    lone.effects = [];
    lone.advanceTo(1999);
    assert.equal(lone.view(node), "alive 1");
    lone.advanceTo(2000);
    const sent = lone.effects.flatMap((effect) => (effect.type === "send" ? effect.messages : []));
    assert.deepEqual(lone.changes(), [`suspected ${node}`]);
    assert.deepEqual(
      [...sent, ...lone.queued()].find(({ type }) => type === "suspect"),
      suspect(node, 1, "self"),
    );
    assert.equal(lone.ring.localHealth, health);
  });
}

test("a failed probe with nobody to ask makes the local health score 1", () => {
  const lone = LoneRing.among("a");
  beginProbe(lone);
  lone.advanceTo(2000);
  assert.equal(lone.ring.localHealth, 1);
});

test("the local health score stretches the probe but not its timeout, and ends at 7", () => {
  const lone = LoneRing.among("a");
  lone.ring.localHealth = 7;
  beginProbe(lone);
  lone.advanceTo(1499);
  assert.equal(lone.probe?.indirectAt, 1500);
  lone.advanceTo(8999);
  assert.equal(lone.view("a"), "alive 1");
  lone.advanceTo(9000);
  assert.equal(lone.view("a"), "suspect 1");
  assert.equal(lone.ring.localHealth, 7);
});

test("a probe without an answer holds up none of the others, and nobody is probed twice at once", () => {
  const lone = LoneRing.among("abc");
  lone.ring.localHealth = 7; // So that none comes to its end.
  const probed = [beginProbe(lone), beginProbe(lone), beginProbe(lone)].map(({ node }) => node);
  assert.deepEqual(probed.toSorted(), [..."abc"]);
  lone.advanceTo(lone.ring.probeAt);
  assert.equal(lone.ring.counters.probes, 3);
});

test("while anybody is suspected, members are probed at the alert interval", () => {
  const lone = LoneRing.among("abc", { timing: "fast" });
  const { probeAt } = lone.ring;
  lone.advanceTo(probeAt);
  const { probeAt: next } = lone.ring;
  lone.packet(suspect("a", 1, "z"));
  lone.advanceTo(next);
  assert.equal(lone.ring.probeAt, next + 50);
});

test("an answer on a stream alone spares the node, and says that packets are lost", () => {
  const lone = LoneRing.among("a");
  lone.ring.localHealth = 1; // So that the probe takes 2 s.
  const { sequence } = beginProbe(lone);
  lone.advanceTo(1500);
  const [exchange] = lone.take("exchange");
  assert.ok(exchange);
  const message = { type: "ack", sequence, payload: undefined } as const;
  lone.step({ type: "exchanged", exchange: exchange.exchange, message });
  lone.advanceTo(3000);
  assert.deepEqual(lone.take("packetsLost"), [{ type: "packetsLost", node: "a" }]);
  assert.equal(lone.view("a"), "alive 1");
  assert.equal(lone.ring.localHealth, 0);
});

for (const [name, message] of [
  ["another sequence number", { type: "ack", sequence: 99, payload: undefined }],
  ["an error", { type: "error", message: "no" }],
] as const) {
  test(`an answer on a stream with ${name} spares nobody`, () => {
    const lone = LoneRing.among("a");
    beginProbe(lone);
    lone.advanceTo(1500);
    const [exchange] = lone.take("exchange");
    assert.ok(exchange);
    lone.step({ type: "exchanged", exchange: exchange.exchange, message });
    lone.advanceTo(2000);
    assert.equal(lone.view("a"), "suspect 1");
  });
}

test("what is accused is the incarnation that did not answer", () => {
  const lone = LoneRing.among("a");
  beginProbe(lone);
  lone.packet(alive("a", 2));
  lone.advanceTo(2000);
  assert.equal(lone.view("a"), "alive 2");
});

test("a ping that could not be sent goes to the others at once, and is given the same time", () => {
  const lone = LoneRing.among("abc");
  lone.advanceTo(1000);
  const [send] = lone.sends();
  assert.ok(send);
  lone.step({ type: "sendFailed", messages: send.messages });
  assert.equal(lone.sends().length, 2);
  lone.step({ type: "sendFailed", messages: send.messages });
  assert.deepEqual(lone.sends(), []);
  assert.equal(lone.probe?.verdictAt, 2000);
});

for (const [name, node, answered] of [
  ["our name", "self", true],
  ["no name", "", true],
  ["another name", "other", false],
] as const) {
  test(`a ping for ${name} is ${answered ? "answered" : "dropped silently"}`, () => {
    const lone = new LoneRing();
    lone.quieten();
    lone.packet({ type: "ping", sequence: 9, node, source: undefined }, at(50));
    assert.deepEqual(kinds(lone.sends()), answered ? ["ack to 50"] : []);
  });
}

test("an ack goes where the ping says, else where it came from", () => {
  const lone = new LoneRing();
  lone.quieten();
  lone.packet({ type: "ping", sequence: 9, node: "self", source: { ...at(60, 7000), node: "x" } }, at(50));
  assert.deepEqual(lone.sends()[0]?.to, at(60, 7000));
});

test("a node that was declared dead and pings is told, and so refutes at once; one that left is not", () => {
  for (const [message, told] of [
    [dead("a", 1, "b"), ["dead to 97", "ack to 97"]],
    [dead("a", 1, "a"), ["ack to 97"]],
  ] as const) {
    const lone = LoneRing.among("ab");
    lone.packet(message);
    lone.quieten();
    lone.packet({ type: "ping", sequence: 9, node: "self", source: { ...at(97), node: "a" } }, at(97));
    assert.deepEqual(kinds(lone.sends()), told);
  }
});

test("an impostor that uses a dead node's name is not told: it would refute in vain", () => {
  const lone = LoneRing.among("ab");
  lone.packet(dead("a", 1, "b"));
  lone.quieten();
  lone.packet({ type: "ping", sequence: 9, node: "self", source: { ...at(9), node: "a" } }, at(9));
  assert.deepEqual(kinds(lone.sends()), ["ack to 9"]);
});

/** `self` is asked to ping 98 for member `a`, which calls it number 77. */
function relay(nack: boolean): LoneRing {
  const lone = LoneRing.among("a");
  lone.ring.probeAt = Infinity;
  lone.packet({ type: "indirectPing", sequence: 77, node: "b", target: at(98, 0), nack, source: undefined }, endpointOf("a"));
  const ping = { type: "ping", sequence: 1, node: "b", source };
  assert.deepEqual(lone.sends(), [{ type: "send", to: at(98), messages: [ping], checksum: false }]);
  return lone;
}

test("an indirect ping is passed on under a number of our own, and its ack under the asker's, once", () => {
  const lone = relay(true);
  lone.packet(ack(1), at(98));
  assert.deepEqual(lone.sends(), [{ type: "send", to: endpointOf("a"), messages: [ack(77)], checksum: false }]);
  lone.packet(ack(1), at(98));
  lone.advanceTo(500);
  assert.deepEqual(lone.sends(), []);
});

test("a nack is sent at the probe timeout to those who want one", () => {
  const lone = relay(true);
  lone.advanceTo(499);
  assert.deepEqual(lone.sends(), []);
  lone.advanceTo(500);
  const nack = { type: "nack", sequence: 77 };
  assert.deepEqual(lone.sends(), [{ type: "send", to: endpointOf("a"), messages: [nack], checksum: false }]);
  lone.packet(ack(1), at(98));
  assert.deepEqual(lone.sends(), []);
});

test("no nack is sent to those who want none", () => {
  const lone = relay(false);
  lone.advanceTo(500);
  assert.deepEqual(lone.sends(), []);
  assert.equal(lone.ring.relays.size, 0);
});

test("an indirect ping of one that is no member is ignored, and so is one whose ack would go to one that is none", () => {
  const lone = LoneRing.among("a");
  lone.ring.probeAt = Infinity;
  const request = { type: "indirectPing", sequence: 77, node: "b", target: at(98), nack: true } as const;
  lone.packet({ ...request, source: undefined }, at(50));
  lone.packet({ ...request, source: { ...at(50), node: "a" } }, endpointOf("a"));
  assert.deepEqual([lone.sends(), lone.ring.relays.size], [[], 0]);
});

test("for one member at most 64 indirect pings are on their way at once", () => {
  const lone = LoneRing.among("ab");
  lone.ring.probeAt = Infinity;
  for (let sequence = 0; sequence < 100; sequence++)
    lone.packet({ type: "indirectPing", sequence, node: "c", target: at(98), nack: false, source: undefined }, endpointOf("a"));
  assert.equal(lone.ring.relays.size, 64);
  lone.packet({ type: "indirectPing", sequence: 1, node: "c", target: at(98), nack: false, source: undefined }, endpointOf("b"));
  assert.equal(lone.ring.relays.size, 65);
});

/** The suspects that a node pings at its next tick: it tells them so in the same packet. */
function checked(lone: LoneRing): string[] {
  lone.effects = [];
  lone.advanceTo(lone.ring.probeAt);
  return lone
    .sends()
    .flatMap(({ messages }) => (messages.some(({ type }) => type === "suspect") ? messages : []))
    .flatMap((message) => (message.type === "ping" ? [message.node] : []));
}

/** `z` suspects `a`; every draw of chance is `chance`. */
function accused(nodes: string, chance = 0): LoneRing {
  const lone = LoneRing.among(nodes, { random: () => chance });
  lone.packet(suspect("a", 1, "z"));
  lone.quieten();
  return lone;
}

test("whom another suspects, a node of a small ring probes at its next tick, beside the member whose turn it is", () => {
  const lone = accused("abcdef");
  assert.deepEqual(checked(lone), ["a"]);
  assert.equal(lone.ring.counters.probes, 2);
});

test("one suspect is checked at a tick, and each once", () => {
  const lone = accused("abcdef");
  lone.packet(suspect("b", 1, "z"));
  lone.quieten();
  assert.deepEqual([checked(lone), [...lone.ring.toCheck]], [["a"], ["b"]]);
  assert.ok(checked(lone).includes("b"));
  assert.equal(lone.ring.toCheck.size, 0);
});

test("a suspect whom enough accuse already, or that has refuted, is not checked", () => {
  for (const messages of [[suspect("a", 1, "y"), suspect("a", 1, "x")], [alive("a", 2)]]) {
    const lone = accused("abcdef");
    for (const message of messages) lone.packet(message);
    lone.quieten();
    lone.advanceTo(lone.ring.probeAt);
    assert.equal(lone.ring.counters.probes, 1);
  }
});

test("whom a node came to suspect by itself, it need not check", () => {
  const lone = LoneRing.among("abcdef");
  lone.advanceTo(2000);
  assert.ok(lone.ring.suspicions.size > 0);
  assert.equal(lone.ring.toCheck.size, 0);
});

test("in a large ring, of those that hear of a suspicion about twelve check it", () => {
  const nodes = String.fromCharCode(...Array.from({ length: 99 }, (_, i) => 97 + i));
  const checks = (chance: number) => accused(nodes, chance).ring.toCheck.size;
  assert.deepEqual([checks(0.119), checks(0.121)], [1, 0]);
});

test("a node that did not answer this one for another is accused by this one too, as soon as the other suspects it", () => {
  const lone = LoneRing.among("abcd", { timing: "fast" });
  const request = {
    type: "indirectPing",
    sequence: 7,
    node: "a",
    target: endpointOf("a"),
    nack: true,
    source: undefined,
  } as const;
  lone.packet(request, endpointOf("b"));
  lone.advanceTo(lone.now + 45);
  lone.take("send");
  lone.packet(suspect("a", 1, "b"));
  assert.deepEqual([...(lone.ring.suspicions.get("a")?.accusers ?? [])], ["b", "self"]);
});

test("a suspicion is confirmed when the ping for another times out, and not once the node has refuted", () => {
  const lone = LoneRing.among("abcd", { timing: "fast" });
  const request = {
    type: "indirectPing",
    sequence: 7,
    node: "a",
    target: endpointOf("a"),
    nack: true,
    source: undefined,
  } as const;
  lone.packet(request, endpointOf("b"));
  lone.packet(suspect("a", 1, "b"));
  lone.advanceTo(lone.now + 45);
  assert.deepEqual([...(lone.ring.suspicions.get("a")?.accusers ?? [])], ["b", "self"]);
  lone.packet(alive("a", 2));
  lone.packet(suspect("a", 2, "c"));
  assert.deepEqual([...(lone.ring.suspicions.get("a")?.accusers ?? [])], ["c"]);
});

test("one that accuses this node gets the refutation at once", () => {
  const lone = LoneRing.among("ab", { timing: "fast" });
  lone.packet(suspect("self", 1, "b"), endpointOf("b"));
  const sent = lone.sends().filter(({ to }) => sameEndpoint(to, endpointOf("b")));
  assert.deepEqual(sent.flatMap(({ messages }) => messages.map(({ type }) => type)).slice(0, 1), ["alive"]);
});

/** Has the next probe of `a` answered: by itself, or by another that passes the answer on. All others answer at once. */
function answerNext(lone: LoneRing, by: NodeName): void {
  for (;;) {
    lone.advanceTo(lone.ring.probeAt);
    for (const { node, sequence } of [...lone.ring.probes.values()])
      if (node !== "a" || by === "a") lone.packet(ack(sequence), endpointOf(node));
      else {
        lone.advanceTo(lone.ring.probes.get(sequence)?.indirectAt ?? lone.now);
        lone.packet(ack(sequence), endpointOf(by));
        return;
      }
    if (by === "a" && lone.record("a").lostPackets === 0) return;
  }
}

test("that the answers of a node come by way of others alone is told after three in a row, and the end of it", () => {
  const lone = LoneRing.among("abc");
  const told = () =>
    lone.effects
      .splice(0)
      .flatMap((effect) => (effect.type.startsWith("packets") && "node" in effect ? `${effect.type} ${effect.node}` : []));
  for (const by of ["b", "c", "a", "b", "c"]) answerNext(lone, by);
  assert.deepEqual(told(), [], "one is lost now and then");
  answerNext(lone, "b");
  assert.deepEqual(told(), ["packetsLost a"]);
  answerNext(lone, "a");
  assert.deepEqual(told(), ["packetsArrive a"]);
});

test("a direct answer that comes after another's is no sign that packets are lost", () => {
  const lone = LoneRing.among("abc");
  for (let probe = 0; probe < 5; probe++) {
    answerNext(lone, "b");
    lone.packet(ack(lone.ring.sequence), endpointOf("a"));
    assert.equal(lone.record("a").lostPackets, 0);
  }
});

test("a node that is new at the address of one that is gone answers directly: no packets are lost", () => {
  const lone = LoneRing.among("ab");
  lone.packet(dead("a", 1, "b"));
  lone.meet(alive("c", 1, { endpoint: endpointOf("a") }));
  lone.ring.order.sort((one, other) => (one.node < other.node ? -1 : 1)); // The one that is gone comes first.
  while (lone.probe?.node !== "c") {
    for (const { node, sequence } of lone.ring.probes.values()) lone.packet(ack(sequence), endpointOf(node));
    lone.advanceTo(lone.ring.probeAt);
  }
  lone.packet(ack(lone.probe.sequence), endpointOf("a"));
  assert.deepEqual([lone.record("c").lostPackets, lone.record("c").heardAt], [0, lone.now]);
});

test("in a large ring a member to which packets are lost is probed every some seconds, so that the end of it is told soon", () => {
  const lone = LoneRing.among(Array.from({ length: 200 }, (_, i) => String.fromCharCode(0x30 + i)).join(""), { timing: "fast" });
  const lost = lone.record("a");
  lost.lostPackets = 3;
  lone.ring.places.update(lost);
  lone.ring.order.sort((one, other) => Number(other === lost) - Number(one === lost));
  lone.ring.probeIndex = 1; // Its turn has just been.
  const end = lone.now + 60_000;
  while (lone.now < end && lost.lostPackets > 0) {
    lone.advanceTo(lone.ring.probeAt);
    lone.ring.heartbeats.awaited = undefined; // They arrive.
    for (const { node, sequence } of [...lone.ring.probes.values()]) lone.packet(ack(sequence), lone.record(node).endpoint);
  }
  assert.ok(lone.now < end, `${lone.now} ms`);
});
