import type { Break } from "../break.ts";

const ringTests = ["speaker/members/ring-members.test.ts"];

/** Promises 1, 2 and 4 where clusters change: terms of controllers, addresses of nodes, pools and quotas. */
export const changes: readonly Break[] = [
  {
    before: "if (isContested && live.refused !== undefined)",
    after: "if (false)",
    tests: ["controller/core/config-changes.test.ts"],
  },
  {
    before: "decision.isFollowing || ",
    after: "",
    tests: ["controller/core/config-changes.test.ts"],
  },
  {
    before: "service !== undefined && statuses.isContested(service)",
    after: "false",
    tests: ["controller/core/statuses/status-writer.test.ts"],
  },
  {
    before: "if (isPart && recorded.length < addresses.length) return;",
    after: "",
    tests: ["controller/core/statuses/status-writer.test.ts"],
  },
  {
    before: "return this.contest.count > 1;",
    after: "return true;",
    tests: ["controller/core/config-changes.test.ts"],
  },
  {
    before: "this.due = Math.min(this.due, this.contest.until);",
    after: "this.changed();",
    tests: ["controller/core/config-changes.test.ts"],
  },
  {
    before: "this.notBefore = Math.max(this.notBefore, this.contest.until);",
    after: "",
    tests: ["e2e/simulation/controller/two-controllers.test.ts"],
  },
  {
    before: "* msPerKiB, this.contest?.until ?? now);",
    after: "* msPerKiB, now);",
    tests: ["controller/status/summary-writer.test.ts"],
  },
  {
    before: " && this.#lostSince === undefined",
    after: "",
    tests: ["controller/controller.test.ts"],
  },
  {
    before: "void this.#informers.delete(informer)",
    after: "undefined",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: `if (mayRenumber && this.decided.verdict?.type === "strands"`,
    after: `if (false && this.decided.verdict?.type === "strands"`,
    tests: ["pkg/live-config/live-config.test.ts", "controller/core/renumbering.test.ts"],
  },
  {
    before: "this.unreadCandidate = { text, mayRenumber };",
    after: "this.mayRenumber = mayRenumber; this.unreadCandidate = { text, mayRenumber };",
    tests: ["pkg/live-config/live-config.test.ts"],
  },
  {
    before: "if (namespaceLabels !== undefined) await this.#namespacesKnown(until);",
    after: "",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    before: "strict.some((range) => range.contains(address))",
    after: "false",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    before: "!recorded.has(",
    after: "Boolean(",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    before: " || pools.configuring?.mayRenumber === true",
    after: "",
    tests: ["controller/core/renumbering.test.ts"],
  },
  {
    before: "if (now !== undefined && !services.has(key)) appearedInChange(state, key);",
    after: "",
    tests: ["controller/core/config-changes.test.ts"],
  },
  {
    before: 'if (this.stranded.size > 0 || this.decided.verdict?.type !== "strands") return',
    after: "if (true) return",
    tests: ["pkg/live-config/live-config.test.ts"],
  },
  {
    before: "return this.writing.has(key) ? [...new Set([...seen, ...written.status])] : written.status;",
    after: "return written.status;",
    tests: ["controller/core/statuses/given-up.test.ts"],
  },
  {
    before: "state.givenUp.look(event.key, state.statuses.mayHave(event.key, state.services.get(event.key)));",
    after: "",
    tests: ["controller/core/statuses/given-up.test.ts"],
  },
  {
    before: "this.#services.relist();",
    after: "this.#caughtUp();",
    tests: ["controller/controller.test.ts"],
  },
  {
    before: "givenUp.look(key, statuses.mayHave(key, now));",
    after: "",
    tests: ["controller/core/restored.test.ts"],
  },
  {
    before: "if (needs === 0 || left + asked + needs <= limit) continue;",
    after: "if (needs === 0 || left <= limit) continue;",
    tests: ["pkg/allocator/tenancy.test.ts", "pkg/allocator/naive.test.ts"],
  },
  { before: "this.#joinAt(this.#moment.now + rejoinMs);", after: "", tests: ringTests },
  {
    before: "const isDone = state.isSynced && awaited.size === 0;",
    after: "const isDone = state.isSynced;",
    tests: ringTests,
  },
  { before: "withoutGossip.includes(member.name) || isParticipating(member.name)", after: "true", tests: ringTests },
  { before: "(failures.length === 0 || state.active.length < 2)", after: "true", tests: ringTests },
  { before: ` && status === "alive"`, after: "", tests: ["e2e/simulation/joining.test.ts"] },
  { before: "isReady && !waiting.has(node)", after: "isReady", tests: ringTests },
  { before: "state.active.length < 2) state.metAt = Infinity;", after: "state.active.length < 2) return;", tests: ringTests },
  {
    before: ` && given.includes(":") === host.includes(":")`,
    after: "",
    tests: ["speaker/members/create-members.test.ts"],
  },
  {
    before: "const octets = Buffer.allocUnsafeSlow(squeezed.length);",
    after: "const octets = squeezed;",
    tests: ["pkg/core/recording/recorder.test.ts"],
  },
  {
    before: "if (this.#settling.deadline === Infinity) this.#offer();",
    after: "this.#offer();",
    tests: ["pkg/custom-resources/custom-resources.test.ts"],
  },
  {
    before: ", this.#apart - apartMs);",
    after: ");",
    tests: ["pkg/custom-resources/custom-resources.test.ts"],
  },
  {
    before: "if (addresses.length === 0 && !isPast(body.node)) known.without = verdict;",
    after: "if (addresses.length === 0) known.without = verdict;",
    tests: ["ctl/cluster/merge.test.ts"],
  },
  {
    before: "all.find(({ name }) => name === programOf(pod)) ?? all[0] ?? {};",
    after: "all[0] ?? {};",
    tests: ["ctl/cluster/pod-state.test.ts"],
  },
  {
    before: "missing: view.isPlaced ? [] : missing(),",
    after: "missing: missing(),",
    tests: ["e2e/simulation/combined-faults.test.ts"],
  },
  {
    before: "if (!(Number(there) < Number(wanted))) continue;",
    after: "",
    tests: ["ctl/doctor/missing-pods.test.ts"],
  },
  {
    before: "return isLately && notRunning === undefined && ending.restarts > 0",
    after: "return ending !== undefined && notRunning === undefined && ending.restarts > 0",
    tests: ["ctl/doctor/findings.test.ts"],
  },
];
