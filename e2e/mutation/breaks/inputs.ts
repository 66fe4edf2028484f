import type { Break } from "../break.ts";

const packetTests = ["pkg/memberlist/codec/packet.test.ts"];
const gateTests = ["pkg/connections/connection-gate.test.ts", "pkg/connections/server-gate.test.ts"];

/** Promise 4: no input ends a process, keeps it busy or makes it grow. Promise 5: nobody who waits is forgotten. */
export const inputs: readonly Break[] = [
  {
    before: '[AttributeType.onlyToCustomer]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofLength(4) },',
    after: '[AttributeType.onlyToCustomer]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofItems(2) },',
    tests: ["pkg/bgp/codec/rfc7606.test.ts"],
  },
  { before: "if (depth > maxPacketDepth)", after: "if (false)", tests: packetTests },
  { before: "if (this.#parts === 0) throw", after: "if (false) throw", tests: packetTests },
  { before: "this.#expansion -= inner.length;", after: "", tests: packetTests },
  { before: "if (count > maxOfSource) {", after: "if (false) {", tests: gateTests },
  { before: "if (known.has(address)) return true;", after: "", tests: gateTests },
  {
    before: "this.#refusesStrangers ? this.#options.known.addresses : undefined;",
    after: "undefined;",
    tests: gateTests,
  },
  { before: "this.#refuser?.refuse(undefined);", after: "", tests: gateTests },
  {
    before: "this.#regulars.has(from))) https",
    after: "false)) https",
    tests: ["controller/webhook/webhook.test.ts"],
  },
  {
    before: "if (length > maxFrameLength) throw",
    after: "if (false) throw",
    tests: ["pkg/memberlist/codec/stream.test.ts"],
  },
  {
    before: "asked.filter((key) => !served.has(key))",
    after: "asked",
    tests: ["pkg/placement/bgp.test.ts"],
  },
  {
    before: "value.length < longText ? value : shortened(value, annotations)",
    after: "value",
    tests: ["pkg/k8s/untrusted.test.ts"],
  },
  {
    before: "if (length === 0 || at + length > end) return undefined;\n    if (view.getUint8(at) === wanted) {",
    after: "if (at + length > end) return undefined;\n    if (view.getUint8(at) === wanted) {",
    tests: ["pkg/layer2/frames/ndp.test.ts"],
  },
  {
    before: "|| length > bytes.length) return",
    after: ") return",
    tests: ["pkg/bfd/codec/control-codec.test.ts"],
  },
  {
    before: "if (lines.length > maxHeaders) return",
    after: "if (false) return",
    tests: ["pkg/http/codec/request-codec.test.ts", "pkg/http/server.test.ts"],
  },
  {
    before: "if (this.#values > limits.values) throw",
    after: "if (false) throw",
    tests: ["pkg/config/limits.test.ts"],
  },
  {
    before: "budget.cidrs -= range.prefixCount;",
    after: "budget.cidrs -= range.toPrefixes().length;",
    tests: ["pkg/config/limits.test.ts"],
  },
  {
    before: "const maxAtOnce = 2 << 10;",
    after: "const maxAtOnce = 8 << 10;",
    tests: ["pkg/config-reader/config-reader.test.ts"],
  },
  {
    before: "if (length > bytes.length - at) return undefined;",
    after: "",
    tests: ["pkg/gossip/codec/entry-codec.test.ts"],
  },
  {
    before: "if (occupants.size === maxOccupants) break;",
    after: "",
    tests: ["pkg/quarantine/quarantine.test.ts"],
  },
  {
    before: "if (error.status === 403) this.#handlers.forbidden?.();",
    after: "",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    before: "const usual = isExpired(error) && this.#failures === 0;",
    after: "const usual = isExpired(error);",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    before: "if (isExpired(error) || isUnknownVersion(error) || error instanceof WatchError) this.#version = undefined;",
    after: "",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    before: "const minKeys = 5;",
    after: "const minKeys = 1;",
    tests: ["controller/core/queue/work-plan.test.ts", "controller/core/statuses/failing-writes.test.ts"],
  },
  {
    before: "this.failing.clear();",
    after: "",
    tests: ["controller/core/queue/work-plan.test.ts", "controller/core/statuses/failing-writes.test.ts"],
  },
  {
    before: 'kind !== "slow" || this.#hasSlowPlace()',
    after: "true",
    tests: ["controller/core/queue/work-plan.test.ts", "controller/core/statuses/failing-writes.test.ts"],
  },
  {
    before: "for (const free of freedResources(pool, address, known)) resources.add(free);",
    after: "resources.add(freeAddress(address));",
    tests: ["controller/core/waiting/waiting.test.ts", "controller/core/properties.test.ts"],
  },
  {
    before: "resources.add(sharedAddress(address, sharingKey)).add(sharedBy(sharingKey));",
    after: "resources.add(sharedAddress(address, sharingKey));",
    tests: ["controller/core/waiting/waiting.test.ts", "controller/core/properties.test.ts"],
  },
  {
    before: ", promiseResolve: () => this.#overToNode()",
    after: "",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
  {
    before: "init: () => this.#overToNode(), ",
    after: "",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
  {
    before: "const isNodeToWait = before < this.#nodeAt;",
    after: "const isNodeToWait = false;",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
];
