import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolIndex, type Problem } from "#pkg/config";
import { customResources, explain } from "#pkg/live-config";
import { configOf } from "#pkg/live-config/testing";
import { Address } from "#pkg/net";
import type { CandidateResult, InForce } from "./candidate.ts";
import { configurationVerdict, decisionLines } from "./describe.ts";

const error = (line: number) => ({ severity: "error", path: "peers[0]", line, column: 2, message: "is wrong" }) as const;
const warning = { severity: "warning", path: "", line: 9, column: 1, message: "is odd" } as const;
const stranded = (count: number) =>
  new Map(Array.from({ length: count }, (_, i) => [`default/s${i}`, [new Address("IPv4", BigInt(i))]]));

const sentences: { name: string; verdict: Exclude<CandidateResult, { type: "accepted" }>; want: string }[] = [
  { name: "no ConfigMap", verdict: { type: "missing", what: "configMap", kinds: [] }, want: "the ConfigMap does not exist" },
  {
    name: "no key",
    verdict: { type: "missing", what: "key", kinds: [] },
    want: 'the ConfigMap has no text under the key "config"',
  },
  {
    name: "errors, without the warnings",
    verdict: { type: "invalid", problems: [warning, error(3)] },
    want: "peers[0] at line 3, column 2: is wrong",
  },
  {
    name: "many stranded Services",
    verdict: { type: "strands", stranded: stranded(7) },
    want: "no pool would be left for addresses in use by default/s0 (0.0.0.0), default/s1 (0.0.0.1), default/s2 (0.0.0.2), default/s3 (0.0.0.3), default/s4 (0.0.0.4), and 2 more",
  },
];
for (const { name, verdict, want } of sentences) test(`explain: ${name}`, () => assert.equal(explain(verdict), want));

const inForce = { text: "", config: configOf(""), pools: new PoolIndex([]) };

/** The lines that a decision makes, as `level: what`. */
function lines(verdict: CandidateResult, inForce: InForce | undefined): string[] {
  return decisionLines({ inForce, verdict }).map(
    ({ level, message, fields }) =>
      `${level}: ${message}${fields.service === undefined ? "" : ` ${fields.service} ${fields.ips}`}`,
  );
}

test("the remedy for what is wrong checks objects where it is in an object, and else the ConfigMap", () => {
  const problem = { severity: "error", path: "p", line: 1, column: 1, message: "m" } as const;
  const next = (problems: readonly Problem[], configMap = "config") =>
    configurationVerdict({ inForce: undefined, verdict: { type: "invalid", problems } }, configMap).next;
  assert.match(next([problem]), /^kubectl -n metallb-system get configmap config -o yaml \| ingotctl validate -/);
  assert.match(
    next([problem], "lb/metallb"),
    /^kubectl -n metallb-system get configmap metallb -o yaml \|/,
    "as the chart names it",
  );
  const { next: make } = configurationVerdict(
    { inForce: undefined, verdict: { type: "missing", what: "configMap", kinds: [] } },
    "metallb",
  );
  assert.equal(make, "kubectl -n metallb-system create configmap metallb --from-file=config=FILE");
  const ofObjects = /^kubectl -n metallb-system get ipaddresspools,\S+ -o yaml \| ingotctl/;
  assert.match(next([{ ...problem, object: "BGPPeer a/b" }]), ofObjects);
  assert.match(next([problem], `lb/${customResources}`), ofObjects, "also where the error is of no single object");
});

test("evidence without an object is from the source of the configuration", () => {
  const problem = { severity: "error", path: "p", line: 1, column: 1, message: "m" } as const;
  const sourcesOf = (configMap: string) =>
    configurationVerdict({ inForce: undefined, verdict: { type: "invalid", problems: [problem] } }, configMap).evidence.map(
      ({ source }) => source,
    );
  assert.deepEqual(sourcesOf("lb/config"), ["ConfigMap"]);
  assert.deepEqual(sourcesOf(`lb/${customResources}`), [customResources]);
});

test("every problem has a line of its own, and the decision is the last one", () => {
  const refused = "error: configuration refused, the previous one stays in force";
  assert.deepEqual(lines({ type: "invalid", problems: [error(1), error(2)] }, inForce), [
    ...["error: configuration error", "error: configuration error", refused],
  ]);
  assert.deepEqual(lines({ type: "strands", stranded: stranded(2) }, inForce), [
    ...["error: configuration leaves no pool for an address in use default/s0 0.0.0.0"],
    ...["error: configuration leaves no pool for an address in use default/s1 0.0.0.1", refused],
  ]);
  assert.deepEqual(lines({ type: "accepted", inForce, warnings: [warning], stranded: new Map() }, inForce), [
    ...["warn: configuration warning", "info: configuration loaded"],
  ]);
  assert.deepEqual(lines({ type: "missing", what: "key", kinds: [] }, undefined), [
    "error: no configuration, no addresses are assigned or announced",
  ]);
});

test("a warning that the configuration before had as well is no news", () => {
  const accepted = (...warnings: (typeof warning)[]) =>
    ({ type: "accepted", inForce, warnings, stranded: new Map() }) satisfies CandidateResult;
  const other = { ...warning, message: "is odd, too" as const } as unknown as typeof warning;
  const said = decisionLines({ inForce, verdict: accepted(warning, other) }, accepted(warning));
  assert.deepEqual(
    said.map(({ fields }) => fields.error ?? fields.event),
    ["is odd, too", "configLoaded"],
  );
});

test("thousands of stranded Services do not make thousands of lines", () => {
  assert.equal(lines({ type: "strands", stranded: stranded(5000) }, inForce).length, 101);
});
