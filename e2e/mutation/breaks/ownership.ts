import type { Break } from "../break.ts";

const stickyTests = ["pkg/placement/sticky/sticky-owners.test.ts", "e2e/simulation/placement.test.ts"];
const mergingTests = ["pkg/memberlist/ring/merging.test.ts"];
const defenseTests = ["speaker/core/conflicts/conflict-defense.test.ts"];

/** Promise 2: one node answers for an address. */
export const ownership: readonly Break[] = [
  {
    before: "if (now < since + sureAfterMs || foreign.has(node)) continue;",
    after: "if (foreign.has(node)) continue;",
    tests: ["speaker/core/members/foreign-members.test.ts"],
  },
  {
    before: "isWhole && seen.has(self);",
    after: "isWhole;",
    tests: ["speaker/core/members/foreign-members.test.ts"],
  },
  {
    before: "new Set([...members.active, ...nodes.labels.keys()])",
    after: "members.active",
    tests: ["speaker/core/members/followed-nodes.test.ts"],
  },
  {
    before: "|| isAboutToTake(state, pool, node)",
    after: "",
    tests: ["speaker/core/members/members.test.ts"],
  },
  {
    before: "pool.l2Placement.sticky !== true && !pool.keepConnections;",
    after: "pool.l2Placement.sticky !== true;",
    tests: ["speaker/core/members/members.test.ts"],
  },
  {
    before: "|| now >= state.startedAt + maxUntoldMs",
    after: "",
    tests: ["speaker/core/members/members.test.ts"],
  },
  {
    before: "return isTold || (config === undefined && isStarted === hasBegun);",
    after: "return true;",
    tests: ["speaker/routes.test.ts"],
  },
  {
    before: "isTold ? members.startedWith",
    after: "true ? members.startedWith",
    tests: ["speaker/core/members/members.test.ts"],
  },
  {
    before: "=> void layer2.settled().then(() => members.started())",
    after: "=> {}",
    tests: ["e2e/simulation/placement.test.ts"],
  },
  {
    before: "key !== MetadataKey.starting",
    after: "true || key",
    tests: ["speaker/members/ring-members.test.ts"],
  },
  {
    before: "[active, withoutGossip, starting].map",
    after: "[active, withoutGossip].map",
    tests: ["speaker/members/ring-members.test.ts"],
  },
  {
    before: "digest < lowest",
    after: "digest > lowest",
    tests: ["pkg/placement/place.test.ts"],
  },
  {
    before: "gone.has(before.owner)",
    after: "false",
    tests: ["pkg/placement/place.test.ts"],
  },
  {
    before: `if (taints.includes(outOfServiceTaint)) return "outOfService";`,
    after: "",
    tests: ["pkg/placement/place.test.ts", "speaker/core/step.test.ts"],
  },
  {
    before: `!ignoreExcludeLabel ? "excluded" : "eligible"`,
    after: `!ignoreExcludeLabel ? "eligible" : "eligible"`,
    tests: ["pkg/placement/place.test.ts"],
  },
  {
    before: "const isCurrent = (other: string) => !isIn(behind, other);",
    after: "const isCurrent = (_other: string) => true;",
    tests: ["pkg/placement/place.test.ts", "speaker/core/members/api-view.test.ts"],
  },
  {
    before: "(isOwner || (isByRoute && !isBesideOwner))",
    after: "(isOwner || isByRoute)",
    tests: ["speaker/core/members/api-view.test.ts", "e2e/simulation/cluster.test.ts"],
  },
  {
    before: "hasOwners(pool) ? gossip?.advertisers(key) : gossip?.announcers(key)",
    after: "gossip?.announcers(key)",
    tests: ["speaker/core/members/api-view.test.ts"],
  },
  { before: "uncertainty(a) - uncertainty(b) ||", after: "", tests: stickyTests },
  {
    before: "if (unit.owners.length > 1) return; // First the others release it.",
    after: "",
    tests: stickyTests,
  },
  {
    before: "else if (unit.keeper !== this.#node && owners.includes(this.#node)) {",
    after: "else if (false) {",
    tests: stickyTests,
  },
  { before: "const grace = owners.length > 0 ? graceMs : 0;", after: "const grace = 0;", tests: stickyTests },
  {
    before: "unit.claimFor = chosen;",
    after: "this.#own(unit);",
    tests: ["pkg/placement/sticky/sticky-owners.test.ts", "speaker/core/placement/sticky.test.ts"],
  },
  {
    before: "if (dead.incarnation < record.incarnation) return;",
    after: "",
    tests: mergingTests,
  },
  {
    before: "if (record === undefined || suspect.incarnation < record.incarnation) return;",
    after: "if (record === undefined) return;",
    tests: mergingTests,
  },
  {
    before: "else if (alive.incarnation > record.incarnation) adoptAlive",
    after: "else if (alive.incarnation >= record.incarnation) adoptAlive",
    tests: mergingTests,
  },
  { before: `if (record === ring.self && ring.leave === "none") {`, after: "if (false) {", tests: mergingTests },
  {
    before: "if (isOurs(record) && isOurs(alive) && alive.incarnation <= incarnation) return false;",
    after: "",
    tests: mergingTests,
  },
  {
    before: `if (source === "message" || (source !== "itself" && wasForgotten(ring, alive))) {`,
    after: `if (source !== "itself" && wasForgotten(ring, alive)) {`,
    tests: mergingTests,
  },
  {
    before: `if (source === "message" || (source !== "itself" && wasForgotten(ring, alive))) {`,
    after: `if (source === "message") {`,
    tests: mergingTests,
  },
  {
    before: "return Math.imul(firstIncarnation, 0x9e37_79b1) >>> 0;",
    after: "return firstIncarnation;",
    tests: mergingTests,
  },
  {
    before: `if (before === "dead") noteReturn(ring, record, now);`,
    after: `record.slowProbes = 0; if (before === "dead") noteReturn(ring, record, now);`,
    tests: ["pkg/memberlist/ring/step.test.ts", "pkg/memberlist/testing/simulation.test.ts"],
  },
  {
    before: `if (record === ring.self || dead.from !== ring.self.node || !isCutOff(ring, now)) broadcast`,
    after: "broadcast",
    tests: [...mergingTests, "pkg/memberlist/testing/simulation.test.ts"],
  },
  {
    before: `if (source !== "commonView") broadcast(ring, alive, now);`,
    after: "broadcast(ring, alive, now);",
    tests: ["pkg/memberlist/ring/push-pull.test.ts"],
  },
  {
    before: "places.members.length <= answer.states.length / 10",
    after: "true",
    tests: ["pkg/memberlist/ring/push-pull.test.ts"],
  },
  {
    before: "if (isNews) this.#update(entry);",
    after: "this.#update(entry);",
    tests: ["pkg/gossip/gossip-store.test.ts"],
  },
  {
    before: "return accusers.size <= confirmations && !accusers.has(from);",
    after: "return accusers.size <= confirmations;",
    tests: ["pkg/memberlist/ring/suspicion.test.ts", ...mergingTests],
  },
  {
    before: "const timeout = Math.max(min, Math.floor(raw));",
    after: "const timeout = Math.floor(raw) - min;",
    tests: ["pkg/memberlist/ring/suspicion.test.ts"],
  },
  {
    before: "if (now >= defense.defendedAt + defendEvery) return",
    after: "if (true) return",
    tests: defenseTests,
  },
  {
    before: `if (announces && rival.phase === "asked")`,
    after: "if (announces)",
    tests: defenseTests,
  },
  {
    before: "if (!by.active || now < rival.askAt) return refuse",
    after: "if (false) return refuse",
    tests: defenseTests,
  },
  {
    before: `if (rival.phase === "challenged") return follow`,
    after: "if (true) return follow",
    tests: defenseTests,
  },
  {
    before: "if (rival === undefined || !by?.mayBeCutOff) return [];",
    after: "if (rival === undefined) return [];",
    tests: defenseTests,
  },
  {
    before: "members.lost.has(node) && isReady(state, node)",
    after: "members.lost.has(node)",
    tests: ["speaker/core/conflicts/address-defender.test.ts"],
  },
  {
    before: "if (!timingSafeEqual(challenge.nonce, nonce)) return undefined;",
    after: "",
    tests: ["pkg/layer2/engine/proofs.test.ts"],
  },
  {
    before: "if (!this.#keys.some((key) => timingSafeEqual(tagOf(key, frame), tag))) return undefined;",
    after: "",
    tests: ["pkg/layer2/engine/proofs.test.ts"],
  },
  {
    before: "!isAnnounced(address) ||",
    after: "",
    tests: ["pkg/layer2/engine/proofs.test.ts"],
  },
  {
    before: `if (announcement === undefined) return "notAnnounced";
  const reply = {`,
    after: "const reply = {",
    tests: ["pkg/layer2/frames/arp-answers.test.ts"],
  },
  {
    before: "announced ? 1n : 0n",
    after: "1n",
    tests: ["pkg/layer2/shared-memory.test.ts"],
  },
];
