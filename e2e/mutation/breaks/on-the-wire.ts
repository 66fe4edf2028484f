import type { Break } from "../break.ts";

/** Findings of nodes on the wire, and the verdicts from them. */
export const onTheWire: readonly Break[] = [
  {
    before: "return inTurn.find((node) => node !== announcer && sharesLink(state, node, announcer));",
    after: "return inTurn.find((node) => node !== announcer);",
    tests: ["speaker/core/services/probes.test.ts"],
  },
  {
    before: 'if (service === undefined || policyOf(state, service.key) === "Cluster") return nodes;',
    after: "return nodes;",
    tests: ["speaker/core/services/probes.test.ts"],
  },
  {
    before: "next: next < view.placedCount ? next : undefined",
    after: "next: undefined",
    tests: ["speaker/prober.test.ts"],
  },
  {
    before: 'if (own?.connection === "accepts") return conclusion( "firewall",',
    after: 'if (own !== undefined) return conclusion("firewall",',
    tests: ["ctl/probe/probe.test.ts"],
  },
  {
    before: "if (largest == null || largest.arrives) return undefined;",
    after: "if (largest == null) return undefined;",
    tests: ["ctl/probe/probe.test.ts"],
  },
  {
    before: "if (!isIpv6 && (view.getUint16(headerAt + 6) & 0x1fff) !== 0) return undefined;",
    after: "if (isIpv6) return undefined;",
    tests: ["pkg/layer2/frames/tcp.test.ts"],
  },
  {
    before: "if (length < 1 || next + length > last",
    after: "if (length < 1",
    tests: ["pkg/layer2/frames/tcp.test.ts"],
  },
  {
    before:
      "else if (this.#found(object) === undefined || this.#written.get(object.name) !== this.#attempt(object)) other.push(object);",
    after: "else other.push(object);",
    tests: ["speaker/status-objects/status-objects.test.ts"],
  },
  {
    before: "isSlow(asking, slowMs).then((isSlow) => askForAll(isSlow ? second : undefined)),",
    after: "askForAll(undefined),",
    tests: ["ctl/cluster/ask-services.test.ts"],
  },
  {
    before: "  for (const { body } of whole) for (const service of body.well ?? []) addWell(body.node, said.get(service));\n",
    after: "",
    tests: ["ctl/cluster/ask-services.test.ts"],
  },
  {
    before: "about === `forwarded ${address.family}` && suffers(state, key, address, node, about);",
    after: "suffers(state, key, address, node, about);",
    tests: ["speaker/core/services/reporter.test.ts"],
  },
];
