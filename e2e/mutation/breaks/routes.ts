import type { Break } from "../break.ts";

const bgpTests = ["pkg/bgp/session/rfc4271.test.ts", "pkg/bgp/session/fsm.test.ts"];
const bfdTests = ["pkg/bfd/session/rfc5880.test.ts", "pkg/bfd/session/simulation.test.ts"];
const desiredTests = ["speaker/bgp/routes/desired-routes.test.ts"];

/** Promise 3: a router has no route through a node that is gone; and the other way round, each that it is to have. */
export const routes: readonly Break[] = [
  {
    before: "if (now >= connection.holdAt) expire(transition, connection);\n  else if (!isAgreed",
    after: "if (!isAgreed",
    tests: bgpTests,
  },
  {
    before: "else if (now >= connection.sendHoldAt) {",
    after: "else if (false) {",
    tests: ["pkg/bgp/session/*.test.ts"],
  },
  {
    before: "Math.min(ours.holdTimeSeconds, theirs.holdTimeSeconds)",
    after: "Math.max(ours.holdTimeSeconds, theirs.holdTimeSeconds)",
    tests: ["pkg/bgp/session/negotiation.test.ts", ...bgpTests],
  },
  {
    before: "if (this.#all.size > 0) return;",
    after: "",
    tests: ["pkg/bgp/driver/peer-session.test.ts"],
  },
  {
    before: "return uptimeSeconds > gracefulRestartSeconds;",
    after: "return true;",
    tests: ["speaker/bgp/start-bgp.test.ts"],
  },
  {
    before: "if (this.#sweep !== undefined) return undefined;",
    after: "",
    tests: ["pkg/bgp/routes/routes-out.test.ts"],
  },
  {
    before: "path === 0 ? paths === undefined || !format",
    after: "path === 0 ? !format",
    tests: ["pkg/bgp/routes/paths.test.ts"],
  },
  {
    before: 'hasAddPath(theirs, family, "receive")',
    after: 'hasAddPath(theirs, family, "send")',
    tests: ["pkg/bgp/session/negotiation.test.ts"],
  },
  {
    before: "if (peerRole === counterpart[role]) return { peerRole };",
    after: "return { peerRole };",
    tests: ["pkg/bgp/session/negotiation.test.ts"],
  },
  {
    before: "connection.negotiated.gracefulNotification ? hardReset(notification) : notification;",
    after: "false ? hardReset(notification) : notification;",
    tests: ["pkg/bgp/session/rfc8538.test.ts"],
  },
  { before: "const silent = now >= session.detectAt;", after: "const silent = false;", tests: bfdTests },
  { before: "if (late > punctual && !excused) {", after: "if (late > punctual) {", tests: bfdTests },
  {
    before: "detectFloor: settled ? requiredMinRx : Math.max(session.detectFloor, requiredMinRx),",
    after: "detectFloor: requiredMinRx,",
    tests: bfdTests,
  },
  {
    before: "transmitFloor: settled ? desiredMinTx : Math.min(session.transmitFloor, desiredMinTx),",
    after: "transmitFloor: desiredMinTx,",
    tests: bfdTests,
  },
  {
    before: "parameters.echoReceiveMs !== before.parameters.echoReceiveMs;",
    after: "false;",
    tests: bfdTests,
  },
  { before: "for (const route of before) rows.add(this.#count(route, -1));", after: "", tests: desiredTests },
  {
    before: "for (const peer of known.keys()) this.#sink.withdraw(peer, prefix);",
    after: "",
    tests: desiredTests,
  },
  {
    before: "if (share.weight === 0) row.shares",
    after: "if (false) row.shares",
    tests: desiredTests,
  },
  {
    before: "    this.#bfd.end(closed);\n    await closed;",
    after: "    this.#bfd.end(undefined);\n    await closed;",
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: "this.#bfd.end(this.#session.closed());",
    after: "this.#bfd.end(undefined);",
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: "this.#bfd.configure(peer, profile, this.isEstablished);",
    after: "this.#bfd.configure(peer, profile, false);",
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: "    this.#session?.addressesChanged();",
    after: "",
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: "    this.#options.routes.setAddresses(connection.end);",
    after: "",
    tests: ["pkg/bgp/driver/peer-session.test.ts"],
  },
  {
    before: 'if (hasRoutes) await sleep(clock, "routes are withdrawn", betweenRoutesAndAddresses);',
    after: "",
    tests: ["pkg/kernel/keeper.test.ts"],
  },
  {
    before: "...opening(transition, routerId, connectTimeout)",
    after: "...opening(transition, routerId, largeHoldTime)",
    tests: ["pkg/bgp/driver/peer-session.test.ts", ...bgpTests],
  },
  {
    before: ".filter(({ flags = 0 }) => (flags & unfitFlags) === 0)",
    after: "",
    tests: ["pkg/bgp/driver/transport.test.ts"],
  },
  {
    before: "connection.since - other.enteredAt > collisionTime;",
    after: "connection.since > other.enteredAt;",
    tests: ["pkg/bgp/session/rfc4271.test.ts"],
  },
  {
    before: "if (gone.length <= active.length) return active;",
    after: "return active;",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "const left = nodes.filter((node) => !spared[policy].has(node));",
    after: "const left = nodes;",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "this.#routeOf([...group.with, { via, weight }], prefix, before)",
    after: "this.#routeOf([{ via, weight }], prefix, before)",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "state.members = event.members.filter(({ name, self }) => self || !isCentral(name));",
    after: "state.members = event.members;",
    tests: ["speaker/members/ring/step.test.ts"],
  },
];
