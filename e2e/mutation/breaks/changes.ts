import type { Break } from "../break.ts";

const ring = "speaker/members/ring-members.ts";
const ringTests = ["speaker/members/ring-members.test.ts"];

/** Promises 1, 2 and 4 where clusters change: terms of controllers, addresses of nodes, pools and quotas. */
export const changes: readonly Break[] = [
  {
    file: "controller/controller.ts",
    before: " && this.#informers.lostSince === undefined",
    after: "",
    tests: ["controller/controller.test.ts"],
  },
  {
    file: "pkg/k8s/cluster.ts",
    before: "void this.#informers.delete(informer)",
    after: "undefined",
    tests: ["pkg/k8s/cluster.test.ts"],
  },
  {
    file: "pkg/live-config/live-config.ts",
    before: `if (mayRenumber && this.#state.verdict?.type === "strands"`,
    after: `if (false && this.#state.verdict?.type === "strands"`,
    tests: ["pkg/live-config/live-config.test.ts", "controller/renumbering.test.ts"],
  },
  {
    file: "pkg/live-config/live-config.ts",
    before: "this.#unread.candidate = { text, mayRenumber };",
    after: "this.#mayRenumber = mayRenumber; this.#unread.candidate = { text, mayRenumber };",
    tests: ["pkg/live-config/live-config.test.ts"],
  },
  {
    file: "controller/controller.ts",
    before: "if (namespaceLabels !== undefined) await this.#namespacesKnown(until);",
    after: "",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    file: "controller/controller.ts",
    before: "strict.some((range) => range.contains(address))",
    after: "false",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    file: "controller/controller.ts",
    before: "!recorded.has(",
    after: "Boolean(",
    tests: ["controller/webhook/trial.test.ts"],
  },
  {
    file: "controller/service-controller.ts",
    before: "{ mayRenumber: mayRenumber || this.#configuring?.mayRenumber === true }",
    after: "{ mayRenumber }",
    tests: ["controller/renumbering.test.ts"],
  },
  {
    file: "controller/service-controller.ts",
    before: "if (mayRenumber) allocator.giveUp(service, address);",
    after: "if (mayRenumber) continue;",
    tests: ["controller/renumbering.test.ts"],
  },
  {
    file: "pkg/allocator/quotas.ts",
    before: "if (needs === 0 || left + asked + needs <= limit) continue;",
    after: "if (needs === 0 || left <= limit) continue;",
    tests: ["pkg/allocator/tenancy.test.ts", "pkg/allocator/naive.test.ts"],
  },
  { file: ring, before: "this.#joinAt(clock.now() + rejoinMs);", after: "", tests: ringTests },
  {
    file: ring,
    before: "const isDone = this.#synced && awaited.size === 0;",
    after: "const isDone = this.#synced;",
    tests: ringTests,
  },
  { file: ring, before: "this.#withoutGossip.includes(name) || gossip?.isParticipating(name)", after: "true", tests: ringTests },
  { file: ring, before: "(failures.length === 0 || this.#active.length < 2)", after: "true", tests: ringTests },
  { file: ring, before: ` && status === "alive"`, after: "", tests: ["speaker/joining-simulation.test.ts"] },
  { file: ring, before: "ready && !waiting.has(nodeName)", after: "ready", tests: ringTests },
  { file: ring, before: "this.#met?.[Symbol.dispose]();\n      this.#met = undefined;", after: "", tests: ringTests },
  {
    file: "speaker/members/create-members.ts",
    before: ` && given.includes(":") === host.includes(":")`,
    after: "",
    tests: ["speaker/members/create-members.test.ts"],
  },
  {
    file: "pkg/recorder/recorder.ts",
    before: "const octets = Buffer.allocUnsafeSlow(squeezed.length);",
    after: "const octets = squeezed;",
    tests: ["pkg/recorder/recorder.test.ts"],
  },
];
