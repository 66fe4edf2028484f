import type { Break } from "../break.ts";

const ringTests = ["speaker/members/ring-members.test.ts"];

/** Promises 1, 2 and 4 where clusters change: terms of controllers, addresses of nodes, pools and quotas. */
export const changes: readonly Break[] = [
  {
    before: " && this.#informers.lostSince === undefined",
    after: "",
    tests: ["controller/controller.test.ts"],
  },
  {
    before: "void this.#informers.delete(informer)",
    after: "undefined",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    before: `if (mayRenumber && this.#state.verdict?.type === "strands"`,
    after: `if (false && this.#state.verdict?.type === "strands"`,
    tests: ["pkg/live-config/live-config.test.ts", "controller/core/renumbering.test.ts"],
  },
  {
    before: "this.#unread.candidate = { text, mayRenumber };",
    after: "this.#mayRenumber = mayRenumber; this.#unread.candidate = { text, mayRenumber };",
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
    before: "if (mayRenumber) allocator.giveUp(service, address);",
    after: "if (mayRenumber) continue;",
    tests: ["controller/core/renumbering.test.ts"],
  },
  {
    before: "if (needs === 0 || left + asked + needs <= limit) continue;",
    after: "if (needs === 0 || left <= limit) continue;",
    tests: ["pkg/allocator/tenancy.test.ts", "pkg/allocator/naive.test.ts"],
  },
  { before: "this.#joinAt(options.clock.now() + rejoinMs);", after: "", tests: ringTests },
  {
    before: "const isDone = this.#synced && awaited.size === 0;",
    after: "const isDone = this.#synced;",
    tests: ringTests,
  },
  { before: "this.#withoutGossip.includes(name) || gossip?.isParticipating(name)", after: "true", tests: ringTests },
  { before: "(failures.length === 0 || this.#active.length < 2)", after: "true", tests: ringTests },
  { before: ` && status === "alive"`, after: "", tests: ["e2e/simulation/joining.test.ts"] },
  { before: "ready && !waiting.has(nodeName)", after: "ready", tests: ringTests },
  { before: "this.#met?.[Symbol.dispose]();\n      this.#met = undefined;", after: "", tests: ringTests },
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
];
