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
    before: "return isCentral(node) || uptimeSeconds > gracefulRestartSeconds;",
    after: "return true;",
    tests: ["speaker/bgp/start-bgp.test.ts"],
  },
  {
    before: "forwardingPreserved: true, lastFailure: undefined",
    after: "lastFailure: undefined",
    tests: bgpTests,
  },
  {
    before: "const endOfRibAt = mayBeStale ? now + endOfRibEvery : Infinity;",
    after: "const endOfRibAt = Infinity;",
    tests: bgpTests,
  },
  {
    before: "if (this.#sweep !== undefined) return undefined;",
    after: "",
    tests: ["pkg/bgp/routes/routes-out.test.ts"],
  },
  {
    before: "entry.path === 0 ? !hasAddPath || this.#wanted.pathsTo(entry) === 0",
    after: "entry.path === 0 ? !hasAddPath",
    tests: ["pkg/bgp/routes/paths.test.ts"],
  },
  {
    before: "this.#forgetUnused(whole);",
    after: "",
    tests: ["pkg/bgp/routes/nlri-table.test.ts"],
  },
  {
    before: "routes += Math.max(countRoutes(before), countRoutes(after));",
    after: "routes += 1;",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: 'visited += "all" in route ? 1 + route.all.size : 1;',
    after: "visited++;",
    tests: ["speaker/bgp/bgp-speaker.test.ts"],
  },
  {
    before: "reached.length * 2 >= byApi.length ? reached : byApi",
    after: "reached",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "unmet.met.size === 0 && unmet.until === Infinity",
    after: "unmet.met.size === 0",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "length !== 1 && length !== count",
    after: "length !== 1 && length > count",
    tests: ["pkg/placement/bgp.test.ts"],
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
  { before: "if (late > 0 && !excused) {", after: "if (late > 0) {", tests: bfdTests },
  // Only a stall at the deadline counts.
  { before: "this.#recent.length > maxKept", after: "this.#recent.length > 0", tests: bfdTests },
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
    before: "if (isKnown) change(transition, { restarting: false, forwardingPreserved: true });",
    after: "",
    tests: bgpTests,
  },
  {
    before: "    if (isPathGivenUp || restarts) this.#options.sessions.close(this.#session.closed(), this, former);\n",
    after: "",
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: '(verdict === "failed" || !this.isEstablished)',
    after: '(verdict === "failed")',
    tests: ["speaker/bgp/peer.test.ts"],
  },
  {
    before: "    this.#bfd.end(closed);\n    return closed;",
    after: "    this.#bfd.end(undefined);\n    return closed;",
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
    before: '.filter(({ address, flags }) => address.family === "IPv4" || (flags & unfitFlags) === 0)',
    after: "",
    tests: ["pkg/bgp/driver/transport.test.ts"],
  },
  {
    before: "connection.since - other.enteredAt > collisionTime;",
    after: "connection.since > other.enteredAt;",
    tests: ["pkg/bgp/session/rfc4271.test.ts"],
  },
  {
    before: "new Set(gone.length <= active.length ? [] : gone)",
    after: "new Set<string>()",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "const left = nodes.filter((node) => !spared.has(node));",
    after: "const left = nodes;",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "known.users++;\n      return known;",
    after: "return known;",
    tests: desiredTests,
  },
  {
    before: "answered.find(isKnown) ?? ",
    after: "",
    tests: ["pkg/router-discovery/engine/link.test.ts"],
  },
  {
    before: " || (one.mac === mac && one.address !== link.served)",
    after: "",
    tests: ["pkg/router-discovery/engine/link.test.ts"],
  },
  {
    before: "const isOwn = isLocal && advertisement.keepMoreSpecifics;",
    after: "const isOwn = false;",
    tests: ["pkg/placement/aggregation.test.ts"],
  },
  {
    before: "fnv1a(`${shortestOf(central.advertised.map(toPrefix))}`)",
    after: "fnv1a(`${address}`)",
    tests: ["pkg/placement/aggregation.test.ts"],
  },
  {
    before: "aggregationLength: 32, // The others",
    after: "// The others",
    tests: ["pkg/config/rules/service-policy.test.ts"],
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
