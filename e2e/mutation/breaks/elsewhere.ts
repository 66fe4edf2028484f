import type { Break } from "../break.ts";

const byInterface = "speaker/core/interface.ts";
const byInterfaceTests = ["speaker/core/interface.test.ts", "speaker/core/interface-lan.test.ts"];
const lanTests = ["speaker/core/interface-lan.test.ts"];
const kernelPlan = "pkg/kernel/state/plan.ts";
const kernelTests = ["pkg/kernel/state/nics.test.ts"];
const informer = "pkg/k8s/informer.ts";
const informerTests = ["pkg/k8s/informer.test.ts"];
const nodes = "speaker/core/nodes.ts";
const whyTests = ["speaker/core/verdicts/verdicts.test.ts"];
const ring = "speaker/members/ring-members.ts";
const ringTests = ["speaker/members/ring-members.test.ts"];
const flood = "pkg/memberlist/flood-filter.ts";
const floodTests = ["pkg/memberlist/flood-filter.test.ts"];

/** Promises 1 to 4 where others have a part in them: the node's kernel, NetBox, a restored API, who floods the ring. */
export const elsewhere: readonly Break[] = [
  { file: nodes, before: 'notSelected: "nodeNotSelected"', after: 'notSelected: "nodeExcluded"', tests: whyTests },
  { file: nodes, before: 'outOfService: "nodeOutOfService"', after: 'outOfService: "nodeExcluded"', tests: whyTests },
  { file: nodes, before: 'return "noInterface";', after: 'return "notOwner";', tests: whyTests },
  { file: nodes, before: 'return "notInSubnet";', after: 'return "notOwner";', tests: whyTests },
  { file: byInterface, before: "isOwned ? owner === node :", after: "isOwned ? true :", tests: byInterfaceTests },
  {
    file: byInterface,
    before: "placed?.isOwned ? ownedItems(state, address) : routed",
    after: "routed",
    tests: byInterfaceTests,
  },
  {
    file: byInterface,
    before: "ownEligibility(state, pool) !== eligibility",
    after: "false",
    tests: byInterfaceTests,
  },
  { file: "speaker/core/nics.ts", before: "prefixLength: address.bits", after: "prefixLength: 24", tests: lanTests },
  { file: kernelPlan, before: "canBoth(request, replacement.request) ?", after: "false ?", tests: kernelTests },
  { file: kernelPlan, before: "const hasHostScope = !isOnLan &&", after: "const hasHostScope = false &&", tests: kernelTests },
  {
    file: "pkg/kernel/state/observe.ts",
    before: "moveBehindOwn(state, messages, now);",
    after: "",
    tests: kernelTests,
  },
  {
    file: "pkg/linux/codec/netlink-requests.ts",
    before: "const preferred = isV6 ? 0 : valid;",
    after: "const preferred = valid;",
    tests: ["pkg/linux/codec/netlink-requests.test.ts"],
  },
  // Its test never ends: the informer lists again and again.
  { file: informer, before: "if (followsCut && (await", after: "if (false && (await", tests: informerTests },
  {
    file: informer,
    before: "BigInt(now) < BigInt(version)",
    after: "BigInt(now) <= BigInt(version)",
    tests: informerTests,
  },
  {
    file: "pkg/netbox/client.ts",
    before: `method !== "GET" && !mayWrite()`,
    after: "false",
    tests: ["pkg/netbox/pool-records.test.ts"],
  },
  {
    file: "pkg/netbox/pool-records.ts",
    before: "if (error.isUnclear) this.#listedAt = -Infinity;",
    after: "",
    tests: ["pkg/netbox/pool-records.test.ts"],
  },
  { file: ring, before: "lostAt - since < youngMs", after: "true", tests: ringTests },
  { file: ring, before: "Number(length) < parsed.bits && ", after: "", tests: ringTests },
  { file: flood, before: "this.#members.get(address)?.clear();", after: "", tests: floodTests },
  {
    file: flood,
    before: "const all = [...this.#members.values(),",
    after: "const all = [new Set<number>(),",
    tests: floodTests,
  },
  { file: flood, before: "byAddress(this.#strangers).filter(spares)", after: "byAddress(this.#strangers)", tests: floodTests },
  {
    file: "pkg/memberlist/memberlist-thread.ts",
    before: "Math.min(Math.max(seconds, 1), maxFirstIncarnation)",
    after: "seconds",
    tests: ["pkg/memberlist/memberlist-thread.test.ts"],
  },
  {
    file: "pkg/linux/descriptors.ts",
    before: "if (!owned.has(fd)) addHook(isolate, addressOfClose, fd);",
    after: "",
    tests: ["pkg/linux/descriptors.test.ts"],
  },
  {
    file: "pkg/memberlist/thread-member.ts",
    before: "if (this.#member.running) return await this.#member.join(addresses);",
    after: "if (true) return await this.#member.join(addresses);",
    tests: ["pkg/memberlist/thread-deaths.test.ts"],
  },
  {
    file: "pkg/memberlist/ring/probing.ts",
    before: "else noteLost(ring, node); // Another passed it on.",
    after: "",
    tests: ["pkg/memberlist/ring/probing.test.ts"],
  },
  {
    file: "pkg/placement/sticky-owners.ts",
    before: "else if (claimFor !== undefined && unit.keeper === undefined && candidates.includes(this.#node))",
    after: "else if (false)",
    tests: ["pkg/placement/sticky-owners.test.ts", "speaker/core/sticky.test.ts"],
  },
];
