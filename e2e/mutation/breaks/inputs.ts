import type { Break } from "../break.ts";

const packet = "pkg/memberlist/codec/packet.ts";
const packetTests = ["pkg/memberlist/codec/packet.test.ts"];
const gate = "pkg/connections/connection-gate.ts";
const gateTests = ["pkg/connections/connection-gate.test.ts", "pkg/connections/server-gate.test.ts"];

/** Promise 4: no input ends a process, keeps it busy or makes it grow. Promise 5: nobody who waits is forgotten. */
export const inputs: readonly Break[] = [
  { file: packet, before: "if (depth > maxPacketDepth)", after: "if (false)", tests: packetTests },
  { file: packet, before: "if (this.#parts === 0) throw", after: "if (false) throw", tests: packetTests },
  { file: packet, before: "this.#expansion -= inner.length;", after: "", tests: packetTests },
  { file: gate, before: "if (count > maxOfSource) {", after: "if (false) {", tests: gateTests },
  { file: gate, before: "if (known.has(address)) return true;", after: "", tests: gateTests },
  {
    file: gate,
    before: "this.#refusesStrangers ? this.#options.known.addresses : undefined;",
    after: "undefined;",
    tests: gateTests,
  },
  { file: gate, before: "this.#refuser?.refuse(undefined);", after: "", tests: gateTests },
  {
    file: "controller/webhook/webhook-server.ts",
    before: "this.#regulars.has(from))) https",
    after: "false)) https",
    tests: ["controller/webhook/webhook.test.ts"],
  },
  {
    file: "pkg/memberlist/codec/stream.ts",
    before: "if (length > maxFrameLength) throw",
    after: "if (false) throw",
    tests: ["pkg/memberlist/codec/stream.test.ts"],
  },
  {
    file: "pkg/placement/bgp.ts",
    before: ".difference(served)",
    after: "",
    tests: ["pkg/placement/bgp.test.ts"],
  },
  {
    file: "pkg/k8s/untrusted.ts",
    before: "value.length < longText ? value : shortened(value)",
    after: "value",
    tests: ["pkg/k8s/untrusted.test.ts"],
  },
  {
    file: "pkg/layer2/frames/ndp.ts",
    before: "if (length === 0 || at + length > end) return undefined;",
    after: "if (at + length > end) return undefined;",
    tests: ["pkg/layer2/frames/ndp.test.ts"],
  },
  {
    file: "pkg/bfd/codec/control-codec.ts",
    before: "|| length > bytes.length) return",
    after: ") return",
    tests: ["pkg/bfd/codec/control-codec.test.ts"],
  },
  {
    file: "pkg/http/codec/request-codec.ts",
    before: "if (lines.length > maxHeaders) return",
    after: "if (false) return",
    tests: ["pkg/http/codec/request-codec.test.ts", "pkg/http/server.test.ts"],
  },
  {
    file: "pkg/config/yaml/tree.ts",
    before: "if (this.#values > limits.values) throw",
    after: "if (false) throw",
    tests: ["pkg/config/limits.test.ts"],
  },
  {
    file: "pkg/config/rules/pools.ts",
    before: "budget.cidrs -= range.prefixCount;",
    after: "budget.cidrs -= range.toPrefixes().length;",
    tests: ["pkg/config/limits.test.ts"],
  },
  {
    file: "pkg/config-reader/config-reader.ts",
    before: "const maxAtOnce = 2 << 10;",
    after: "const maxAtOnce = 8 << 10;",
    tests: ["pkg/config-reader/config-reader.test.ts"],
  },
  {
    file: "pkg/gossip/codec/entry-codec.ts",
    before: "if (length > octets.length - at) return undefined;",
    after: "",
    tests: ["pkg/gossip/codec/entry-codec.test.ts"],
  },
  {
    file: "pkg/quarantine/quarantine.ts",
    before: "if (occupants.size === maxOccupants) break;",
    after: "",
    tests: ["pkg/quarantine/quarantine.test.ts"],
  },
  {
    file: "pkg/k8s/informer.ts",
    before: "if (error.status === 403) this.#handlers.forbidden?.();",
    after: "",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    file: "pkg/k8s/informer.ts",
    before: "const usual = isExpired(error) && this.#failures === 0;",
    after: "const usual = isExpired(error);",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    file: "pkg/k8s/informer.ts",
    before: "if (isExpired(error) || isUnknownVersion(error)) this.#version = undefined;",
    after: "",
    tests: ["pkg/k8s/informer.test.ts"],
  },
  {
    file: "controller/outage.ts",
    before: "const minKeys = 5;",
    after: "const minKeys = 1;",
    tests: ["controller/work-queue.test.ts", "controller/failing-writes.test.ts"],
  },
  {
    file: "controller/outage.ts",
    before: "this.#failed.clear();",
    after: "",
    tests: ["controller/work-queue.test.ts", "controller/failing-writes.test.ts"],
  },
  {
    file: "controller/work-queue.ts",
    before: 'kind !== "slow" || this.#hasSlowPlace()',
    after: "true",
    tests: ["controller/work-queue.test.ts", "controller/failing-writes.test.ts"],
  },
  {
    file: "controller/waits.ts",
    before: "for (const free of freedResources(pool, address, known)) resources.add(free);",
    after: "resources.add(freeAddress(address));",
    tests: ["controller/waiting.test.ts", "controller/properties.test.ts"],
  },
  {
    file: "controller/waits.ts",
    before: "resources.add(sharedAddress(address, sharingKey)).add(sharedBy(sharingKey));",
    after: "resources.add(sharedAddress(address, sharingKey));",
    tests: ["controller/waiting.test.ts", "controller/properties.test.ts"],
  },
  {
    file: "pkg/threads/polled-event-loop.ts",
    before: ", promiseResolve: () => this.#overToNode()",
    after: "",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
  {
    file: "pkg/threads/polled-event-loop.ts",
    before: "init: () => this.#overToNode(), ",
    after: "",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
  {
    file: "pkg/threads/polled-event-loop.ts",
    before: "const isNodeToWait = before < this.#nodeAt;",
    after: "const isNodeToWait = false;",
    tests: ["pkg/threads/polled-event-loop.test.ts"],
  },
];
