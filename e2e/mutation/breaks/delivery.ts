import type { Break } from "../break.ts";

const handoverTests = ["speaker/core/handovers/handovers.test.ts"];
const tableTests = ["pkg/handover/state/state.test.ts"];
const dataPathTests = ["speaker/core/data-path/data-path.test.ts"];
const firstTests = ["speaker/core/data-path/first-connections.test.ts"];
const healthTests = ["speaker/health-client.test.ts"];
const testerTests = ["speaker/connection-tester.test.ts"];
const pathTests = ["pkg/memberlist/ring/paths.test.ts"];

/** Packets come to Pods: by nodes that can deliver, also those of connections while an address moves, and by paths that nobody is wrong about. */
export const delivery: readonly Break[] = [
  // Connections that go on when an address moves.
  {
    before: "return isThere && livesUntil(state, node, address) > now;",
    after: "return true;",
    tests: handoverTests,
  },
  {
    before: 'missing.cause === "left" ? awayMs : failedMs',
    after: 'missing.cause === "left" ? awayMs : 0',
    tests: handoverTests,
  },
  {
    before: '(status === "answering" || status === "failing") && running',
    after: 'status === "answering" && running',
    tests: handoverTests,
  },
  {
    before: "const macs = successors.length === 0 ? undefined : links.map(({ mac }) => mac);",
    after: "const macs = undefined as readonly string[] | undefined;",
    tests: handoverTests,
  },
  {
    before: "if (members.gossip?.undelivering([node], family).includes(node)) return -Infinity;",
    after: "",
    tests: handoverTests,
  },
  { before: "Math.min(since + maxMs, idleSince + idleMs,", after: "Math.min(idleSince + idleMs,", tests: handoverTests },
  {
    before: "idleSince + idleMs, livesUntil(state, from, address), returnsBy);",
    after: "livesUntil(state, from, address), returnsBy);",
    tests: handoverTests,
  },
  { before: " && now >= served.until - maxMs + lingerMs) {", after: ") {", tests: handoverTests },
  { before: "livesUntil(state, from, address), returnsBy);", after: "livesUntil(state, from, address));", tests: handoverTests },
  { before: "last !== undefined && now < last.until + maxMs &&", after: "last !== undefined &&", tests: handoverTests },
  {
    before: "else if (!passesOn(state.handovers, key) && now >= served.until - maxMs + lingerMs) {",
    after: "else if (false) {",
    tests: handoverTests,
  },
  {
    before: "if (!isHeld || pool?.keepConnections !== true || !hasOwners(pool)) {",
    after: "if (!isHeld) {",
    tests: handoverTests,
  },
  { before: "current.lingersUntil = now + lingerMs;", after: "current.lingersUntil = now;", tests: handoverTests },
  { before: "current.isAgain ||= owner === current.from;", after: "", tests: handoverTests },
  { before: "handovers.awaited.set(key, now + awaitedMs);", after: "", tests: handoverTests },
  {
    before: "if (begun.failed !== undefined) state.members.gossip?.setServing(address, true);",
    after: "",
    tests: handoverTests,
  },
  {
    before: "if (to === undefined) return elected ?? servers",
    after: "if (true) return elected ?? servers",
    tests: handoverTests,
  },
  { before: "...(beyond === undefined ? [] : passed(beyond.from, beyond.to)),", after: "", tests: tableTests },
  {
    before: "return other === undefined ? isComplete : one.until",
    after: "return other === undefined || one.until",
    tests: tableTests,
  },
  {
    before: "if (!isWanted(table)) return found !== undefined && isComplete ?",
    after: "if (!isWanted(table)) return found !== undefined ?",
    tests: tableTests,
  },
  {
    before: 'export const setNames = ["speakers", "links", "owned", "passed"]',
    after: 'export const setNames = ["links", "owned", "passed", "speakers"]',
    tests: tableTests,
  },
  // Nodes that cannot deliver to Pods.
  { before: "if (!dataPath.isSeen) for (const fault of faults) dataPath.original.add(fault);", after: "", tests: dataPathTests },
  { before: "return isAsked === true && areOthersWithout(state, family, fault);", after: "return false;", tests: dataPathTests },
  { before: 'if (fault === "noPodRoute" && !state.dataPath.hasPods) return false;', after: "", tests: dataPathTests },
  { before: "& bit) !== 0).length > others.length;", after: "& bit) !== 0).length > 0;", tests: dataPathTests },
  { before: 'fault !== "proxySilent" && original.has(fault);', after: "false;", tests: dataPathTests },
  { before: "isSoon ? Math.min(2 * dataPath.holdMs, maxHoldMs) : minHoldMs", after: "minHoldMs", tests: dataPathTests },
  {
    before: "wellMs >= holdMs || (wellMs >= holdMs / 30 && isNeeded())",
    after: "wellMs >= 0",
    tests: dataPathTests,
  },
  { before: "|| (wellMs >= holdMs / 30 && isNeeded())", after: "", tests: dataPathTests },
  { before: 'fault === "proxySilent" ? Math.max(at, tests.answeredAt + answeredMs) : at', after: "at", tests: dataPathTests },
  {
    before: "return !isApiDue(dataPath, first) && now >= dataPath[second].tests.triedAt + otherEveryMs ? second : first;",
    after: "return first;",
    tests: dataPathTests,
  },
  { before: '|| state.dataPath[family].since.has("noConnection");', after: ";", tests: dataPathTests },
  { before: "if (!isApiAway || tenants.length === 0) {", after: "if (!isApiAway) {", tests: dataPathTests },
  { before: "return areEnough && areMostOthers(", after: "return areMostOthers(", tests: dataPathTests },
  { before: "(isUnable || isAlive(state, key, family))", after: "isAlive(state, key, family)", tests: dataPathTests },
  {
    before: "(only?.family ?? family) === family ? (only?.endpoints ?? []) : []",
    after: "only?.endpoints ?? []",
    tests: dataPathTests,
  },
  {
    before: "if (sure.length >= namespacesForAll) return true;",
    after: "if (sure.length >= 1) return true;",
    tests: dataPathTests,
  },
  {
    before: "return ready.length > 0 && !ready.some(({ nodeName }) => isGone(nodeName));",
    after: "return ready.length > 0;",
    tests: dataPathTests,
  },
  {
    before: 'if (announceWhen === "alive" || gossip === undefined || withoutGossip.length > 0) return [];',
    after: 'if (announceWhen === "alive" || gossip === undefined) return [];',
    tests: dataPathTests,
  },
  {
    before: 'if (now >= nextFirstAt(dataPath)) dataPath.first = "over";',
    after: "",
    tests: firstTests,
  },
  { before: "if (awaitsConnections(state, now, effects)) return;", after: "", tests: firstTests },
  { before: 'ofFamily.every(({ result }) => result === "silent")', after: "true", tests: firstTests },
  { before: "counts.size < (isOneEnough ? 1 : namespacesForAll)", after: "false", tests: firstTests },
  { before: "Math.ceil(minAttempts / tests.length)", after: "1", tests: firstTests },
  { before: "if (byService.get(serviceOf(one)) === one)", after: "", tests: firstTests },
  { before: "if (areAllSilent(silentAtFirst)) return", after: "if (silentAtFirst.length > 0) return", tests: firstTests },
  { before: "isAtFirst && !areAllSilent(tests.silentAtFirst) &&", after: "isAtFirst &&", tests: dataPathTests },
  { before: "answeredAt > now - answeredLatelyMs", after: "answeredAt > 0", tests: dataPathTests },
  { before: "|| !isDeliveredHere(state, to)) return [];", after: ") return [];", tests: firstTests },
  { before: "row?.service.isInternalLocal && !isHere", after: "false", tests: firstTests },
  { before: "if (unanswered.size === 0) tell();", after: "", tests: ["speaker/connection-tester.test.ts"] },
  {
    before: "const sure = tenants.filter((key) => !hasMoved(state, family, key));",
    after: "const sure = tenants;",
    tests: dataPathTests,
  },
  { before: "await this.#search(port, kind);", after: "", tests: healthTests },
  { before: "this.#options.ownAddresses().includes(host)", after: "true", tests: healthTests },
  {
    before: "if (running !== undefined) return running;",
    after: "if (running !== undefined) return Promise.resolve();",
    tests: healthTests,
  },
  { before: "clock.now() + searchEveryMs", after: "clock.now()", tests: healthTests },
  { before: "addresses: byInterface.get(index) ?? []", after: "addresses: []", tests: ["speaker/data-path.test.ts"] },
  // Paths between speakers.
  { before: 'adminDown: "unknown", };', after: 'adminDown: "down", };', tests: ["speaker/members/fast-path.test.ts"] },
  { before: "(paths.distrusted.get(node)?.until ?? Infinity) === Infinity", after: "true", tests: pathTests },
  {
    before: "const closing = this.#options.sessions.closingOfOthers(this, this.#settings?.address);",
    after: "const closing: Promise<void>[] = [];",
    tests: ["speaker/bgp/former-connections.test.ts"],
  },
  {
    before: 'undelivering: { IPv4: unable("IPv4"), IPv6: unable("IPv6") },',
    after: "undelivering: { IPv4: new Set<string>(), IPv6: new Set<string>() },",
    tests: ["speaker/core/protocols/central.test.ts"],
  },
  {
    before: "const isAsAble = (other: string) => unable.includes(node) || !unable.includes(other);",
    after: "const isAsAble = (_other: string) => true;",
    tests: ["speaker/core/data-path/data-path.test.ts"],
  },
  {
    before: "return !isMarking && verdicts.values().some(({ announced }) => announced);",
    after: "return false;",
    tests: dataPathTests,
  },
  {
    before: "const decides = isSilent && next?.isSuspect === true;",
    after: "const decides = false;",
    tests: testerTests,
  },
  {
    before: "if (test.isSuspect || this.#slow.has(to.host)) {",
    after: "if (soonMs > 0) {",
    tests: testerTests,
  },
  {
    before: "this.#slow.add(host);",
    after: "this.#slow.delete(host);",
    tests: ["speaker/connection-tester.test.ts"],
  },
  {
    before: "if (before.triedAt === before.answeredAt) tests.silentSince = now;",
    after: "if (tests.silent.length === 0) tests.silentSince = now;",
    tests: ["speaker/connection-tester-drawn.test.ts"],
  },
  {
    before: "return { ...ofApi, beside: testsBeside(state, family) };",
    after: "return ofApi;",
    tests: testerTests,
  },
  {
    before: "return sure.length >= Math.min(namespacesWithApi, namespacesOf(knownForSure));",
    after: "return true;",
    tests: dataPathTests,
  },
  {
    before: "isSuspected(dataPath, family) && !isExplained(dataPath, family);",
    after: "isSuspected(dataPath, family);",
    tests: ["speaker/connection-tester-drawn.test.ts"],
  },
  {
    before: "return areMany && namespacesOf(silentAtFirst) >=",
    after: "return namespacesOf(silentAtFirst) >=",
    tests: dataPathTests,
  },
  {
    before: "(isAway && livesUntil(state, before, address) > now)",
    after: "false",
    tests: handoverTests,
  },
  {
    before: "(current?.told !== undefined || state.handovers.inherited.has(key))",
    after: "current?.told !== undefined",
    tests: handoverTests,
  },
];
