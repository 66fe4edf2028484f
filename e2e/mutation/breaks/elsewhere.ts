import type { Break } from "../break.ts";

const byInterfaceTests = ["speaker/core/protocols/interface.test.ts", "speaker/core/protocols/interface-lan.test.ts"];
const lanTests = ["speaker/core/protocols/interface-lan.test.ts"];
const kernelTests = ["pkg/kernel/state/nics.test.ts"];
const informerTests = ["pkg/k8s/informer.test.ts"];
const whyTests = ["speaker/core/verdicts/verdicts.test.ts"];
const ringTests = ["speaker/members/ring-members.test.ts"];
const floodTests = ["pkg/memberlist/flood-filter.test.ts"];

/** Promises 1 to 4 where others have a part in them: the node's kernel, NetBox, a restored API, who floods the ring. */
export const elsewhere: readonly Break[] = [
  {
    before: "hasOtherWords && !haveLasted",
    after: "false",
    tests: ["controller/core/conditions/conditions.test.ts"],
  },
  {
    before: "key = otherWords.takeDue(context.now)) this.#tell(services.get(key), true);",
    after: "key = otherWords.takeDue(context.now)) this.#tell(services.get(key));",
    tests: ["controller/core/conditions/conditions.test.ts"],
  },
  { before: 'notSelected: "nodeNotSelected"', after: 'notSelected: "nodeExcluded"', tests: whyTests },
  { before: 'outOfService: "nodeOutOfService"', after: 'outOfService: "nodeExcluded"', tests: whyTests },
  { before: 'return "noInterface";', after: 'return "notOwner";', tests: whyTests },
  { before: 'return "notInSubnet";', after: 'return "notOwner";', tests: whyTests },
  { before: "return owner === state.node && whyHeldBack", after: "return whyHeldBack", tests: byInterfaceTests },
  {
    before: "placed?.isOwned ? ownedItems(state, address) : routed",
    after: "routed",
    tests: byInterfaceTests,
  },
  {
    before: "ownEligibility(state, pool) !== eligibility",
    after: "false",
    tests: byInterfaceTests,
  },
  { before: "prefixLength: address.bits", after: "prefixLength: 24", tests: lanTests },
  { before: "canBoth(request, replacement.request) ?", after: "false ?", tests: kernelTests },
  { before: "const hasHostScope = !isOnLan &&", after: "const hasHostScope = false &&", tests: kernelTests },
  {
    before: "moveBehindOwn(state, messages, now);",
    after: "",
    tests: kernelTests,
  },
  {
    before: "const preferred = isV6 ? 0 : valid;",
    after: "const preferred = valid;",
    tests: ["pkg/linux/codec/netlink-requests.test.ts"],
  },
  // Its test never ends: the informer lists again and again.
  { before: "if (followsCut && (await", after: "if (false && (await", tests: informerTests },
  {
    before: "BigInt(now) < BigInt(version)",
    after: "BigInt(now) <= BigInt(version)",
    tests: informerTests,
  },
  {
    before: `method !== "GET" && !mayWrite()`,
    after: "false",
    tests: ["pkg/netbox/pool-records.test.ts"],
  },
  {
    before: "if (error.isUnclear) this.#listedAt = -Infinity;",
    after: "",
    tests: ["pkg/netbox/pool-records.test.ts"],
  },
  { before: "lostAt - since < youngMs", after: "true", tests: ringTests },
  { before: "Number(length) < parsed.bits && ", after: "", tests: ringTests },
  { before: "this.#members.set(address, new Set());", after: "", tests: floodTests },
  {
    before: "const all = [...this.#members.values(),",
    after: "const all = [new Set<number>(),",
    tests: floodTests,
  },
  { before: "byAddress(this.#strangers).filter(spares)", after: "byAddress(this.#strangers)", tests: floodTests },
  {
    before: "Math.min(Math.max(seconds, 1), maxFirstIncarnation)",
    after: "seconds",
    tests: ["pkg/memberlist/memberlist-thread.test.ts"],
  },
  {
    before: "if (!owned.has(fd)) closer.add(fd);",
    after: "",
    tests: ["pkg/linux/descriptors.test.ts"],
  },
  {
    before: "if (this.#member.running) return await this.#member.join(addresses);",
    after: "if (true) return await this.#member.join(addresses);",
    tests: ["pkg/memberlist/thread-deaths.test.ts"],
  },
  {
    before: "else noteLost(ring, node); // Another passed it on.",
    after: "",
    tests: ["pkg/memberlist/ring/probing.test.ts"],
  },
  {
    before: "else if (claimFor !== undefined && unit.keeper === undefined && candidates.includes(this.#node))",
    after: "else if (false)",
    tests: ["pkg/placement/sticky/sticky-owners.test.ts", "speaker/core/placement/sticky.test.ts"],
  },
];
