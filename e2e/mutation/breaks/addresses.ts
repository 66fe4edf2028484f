import type { Break } from "../break.ts";

const allocatorTests = ["pkg/allocator/occupancy.test.ts", "pkg/allocator/naive.test.ts", "pkg/allocator/allocator.test.ts"];
const electionTests = ["pkg/leader-election/protocol/election.test.ts"];

/** Promise 1: an address is at one Service, or at several that may share it, and stays. */
export const addresses: readonly Break[] = [
  {
    before: "!isCurrent || changing.size > 0",
    after: "!isCurrent",
    tests: ["controller/core/restored.test.ts"],
  },
  {
    before: `else if (pools.inForce.type === "configured") takeRecorded(state, [key]);`,
    after: "",
    tests: ["controller/core/restored.test.ts"],
  },
  {
    before: "if (!isRecorded && !isPending && holder",
    after: "if (other === undefined && holder",
    tests: ["controller/core/restored.test.ts", "e2e/simulation/controller/two-controllers.test.ts"],
  },
  {
    before: "if (isRecorded && holder !== service.key)",
    after: "if (false)",
    tests: ["controller/core/restored.test.ts"],
  },
  {
    before: "isOurs(other) && statuses.isUnderWay(holder)",
    after: "statuses.isUnderWay(holder)",
    tests: ["controller/core/restored.test.ts"],
  },
  {
    before: "if (replaced !== undefined && areSameTexts(replaced, now.ingress))",
    after: "if (false)",
    tests: ["controller/core/statuses/status-writer.test.ts"],
  },
  {
    before: "this.writeIngress(service, addresses, { ...options, permitted, attempts: 1 })",
    after: "this.writeIngress(service, addresses, { ...options, attempts: 1 })",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: "this.writeConfigMap(namespace, name, data, permitted)",
    after: "this.writeConfigMap(namespace, name, data)",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: "const metadata = { ...fields(found.metadata), resourceVersion };",
    after: "const metadata = fields(found.metadata);",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: "this.#updates = !this.#updates;",
    after: "",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: `if (terms.sharingKey === "" || holder.sharingKey === "") return { reason: "inUse", ...found };`,
    after: "",
    tests: allocatorTests,
  },
  { before: "if (terms.sharingKey !== holder.sharingKey)", after: "if (false)", tests: allocatorTests },
  { before: "if (terms.backendKey !== holder.backendKey)", after: "if (false)", tests: allocatorTests },
  {
    before: "return a.port === b.port && a.protocol === b.protocol;",
    after: "return false;",
    tests: allocatorTests,
  },
  {
    before: "return a.port === b.port && a.protocol === b.protocol;",
    after: "return a.port === b.port;",
    tests: allocatorTests,
  },
  { before: "if (holders.holdings.size > 0) continue;", after: "", tests: allocatorTests },
  {
    before: "at = this.#occupied.nextAbsent(unused);",
    after: "at = unused;",
    tests: ["pkg/allocator/occupied.test.ts"],
  },
  {
    before: `if (stranded.size > 0 && !mayRenumber) return { type: "strands", stranded };`,
    after: "",
    tests: ["pkg/live-config/candidate.test.ts", "pkg/live-config/live-config.test.ts"],
  },
  {
    before: "return homeless.length > 0 || refused.length === 0 ? homeless : held;",
    after: "return homeless;",
    tests: ["pkg/live-config/candidate.test.ts"],
  },
  {
    before: "for (const shares of [true, false])",
    after: "for (const shares of [false, true])",
    tests: ["pkg/assignment/assign-all.test.ts", "controller/controller.test.ts", "controller/core/config-changes.test.ts"],
  },
  {
    before: "return service !== undefined && replaced !== undefined && areSameTexts(replaced, service.ingress)",
    after: "return service !== undefined && false",
    tests: [
      "controller/core/statuses/status-writer.test.ts",
      "controller/controller.test.ts",
      "controller/core/properties.test.ts",
    ],
  },
  {
    before: "if (service !== but) return service;",
    after: "if (false) return service;",
    tests: ["controller/core/statuses/given-up.test.ts"],
  },
  {
    before: "const held = allocator.held(key)?.addresses ?? [];",
    after: "allocator.release(key);\n  const held = allocator.held(key)?.addresses ?? [];",
    tests: ["pkg/assignment/decide.test.ts", "controller/controller.test.ts"],
  },
  {
    before: "body: { metadata: { uid, resourceVersion }, status: { loadBalancer: { ingress } } },",
    after: "body: { metadata: { uid }, status: { loadBalancer: { ingress } } },",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: "return leads(election) && now < giveUpAt(election);",
    after: "return leads(election);",
    tests: electionTests,
  },
  {
    before: "return isHeld ? Math.min(lease.durationSeconds * 1000, maxLeaseMs) : before.heldMs;",
    after: "return isHeld ? lease.durationSeconds * 1000 : before.heldMs;",
    tests: electionTests,
  },
  {
    before: "return isHeld ? Math.min(lease.durationSeconds * 1000, maxLeaseMs) : before.heldMs;",
    after: "return isHeld ? Math.min(lease.durationSeconds * 1000, maxLeaseMs) : 0;",
    tests: electionTests,
  },
  {
    before: "heldMs = timings.leaseMs }: Election): Millis {",
    after: "heldMs = 0 }: Election): Millis {",
    tests: electionTests,
  },
  {
    before: "isBeginning(election, now) ? 0 : undefined",
    after: "0",
    tests: electionTests,
  },
  {
    before: `!observed && role === "standby" && !isBeginning(election, now)`,
    after: "false",
    tests: electionTests,
  },
  {
    before: "if (next.isMadeAnew) return [{ ...next, isMadeAnew: false }, []];",
    after: "",
    tests: electionTests,
  },
  {
    before: "return isTaken ? lostTo(",
    after: "return isTaken && lease.transitions > 99 ? lostTo(",
    tests: electionTests,
  },
  {
    before: "changedAt: now, retryAt: now }",
    after: "changedAt: now }",
    tests: electionTests,
  },
  {
    before: "const renewedAt = askingSince ?? -Infinity;",
    after: "const renewedAt = now;",
    tests: electionTests,
  },
  {
    before: "if (now >= renewedAt + timings.renewDeadlineMs) return [next, []];",
    after: "",
    tests: electionTests,
  },
  {
    before: "watched.transitions > (lease?.transitions ?? 0)",
    after: "watched.transitions >= 0",
    tests: electionTests,
  },
  {
    before: "askingSince < forbiddenSince + aloneAfterMs(election)",
    after: "now < forbiddenSince + aloneAfterMs(election)",
    tests: electionTests,
  },
  {
    before: "return { ...asked(election, now), forbiddenSince: undefined, isUncertain: true };",
    after: "return { ...asked(election, now), isUncertain: true };",
    tests: electionTests,
  },
  {
    before: `if (role === "alone") return lose(next,`,
    after: `if (role === "leader") return lose(next,`,
    tests: ["pkg/leader-election/elector.test.ts"],
  },
];
