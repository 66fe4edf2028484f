import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { type Entry, parseEntry } from "#pkg/core";
import { shapeOf } from "#pkg/core/testing";
import { service } from "#pkg/k8s/testing";
import { assignmentCore, RecordedAllocator, recordLine } from "./recorded-allocator.ts";

function recorded() {
  const lines: string[] = [];
  const allocator = new RecordedAllocator((input, decisions) => {
    const line = recordLine(lines.length, input, decisions);
    lines.push(typeof line === "string" ? line : [...(line as Generator<string>)].join(""));
  });
  return { allocator, lines };
}

const configOf = (first: string, more = "") => {
  const { config, problems } = parseConfig(`address-pools: [{name: a, protocol: layer2, addresses: [${first}]}${more}]`);
  assert.ok(config, JSON.stringify(problems));
  return config;
};
const two = { clusterIPs: ["10.96.0.1"] };

/** Decided again, from text. */
function again(lines: readonly string[]): void {
  const replay = assignmentCore.begin({});
  for (const line of lines) {
    const entry = parseEntry(line) as Entry;
    assert.deepEqual(JSON.parse(JSON.stringify(replay.run(entry))), entry.decisions, line);
  }
}

test("whatever is asked is recorded once, and gives the same decisions again", () => {
  const { allocator, lines } = recorded();
  allocator.setPools(configOf("192.0.2.0/31").pools);
  const key = (name: string) => `default/${name}`;
  const one = service(key("one"), two);
  for (const name of ["one", "two", "three"]) allocator.decide(key(name), service(key(name), two));
  allocator.decide(key("one"), { ...one, ingress: ["192.0.2.0"] });
  allocator.setOccupied(new Map([["192.0.2.1", "02:00:00:00:00:01"]]));
  allocator.decide(key("two"), undefined);
  allocator.decide(key("three"), service(key("three"), two));
  for (const _ of allocator.replacePools(
    configOf("192.0.2.0/30", ", {name: b, protocol: layer2, addresses: [198.51.100.0/24]}").pools,
    [],
  ));
  allocator.setNamespace("default", { team: "a" });
  allocator.decide(key("three"), service(key("three"), { ...two, annotations: { "metallb.universe.tf/address-pool": "b" } }));
  allocator.decide(key("four"), service(key("four"), { ...two, loadBalancerIP: "192.0.2.0" }));
  allocator.release(key("one"));
  allocator.clear();
  const types = lines.map((line) => /"type":"(\w+)"/.exec(line)?.[1]);
  assert.deepEqual(types, [
    ...["pools", "decide", "decide", "decide", "decide", "occupied", "decide", "decide", "pools", "namespace"],
    ...["decide", "decide", "release", "clear"],
  ]);
  const decided = lines.map((line) => JSON.stringify(parseEntry(line)?.decisions));
  assert.match(decided[1] ?? "", /"addresses":\["192\.0\.2\.0"\],"pool":"a"/);
  assert.match(decided[3] ?? "", /"refused":".*no pool/);
  assert.match(decided[6] ?? "", /"released":\["192\.0\.2\.1"\],"why":"deleted"/);
  assert.equal(decided[4], "[]"); // Nothing is different.
  again(lines);
});

test("where the fields of what is saved are others, the format of checkpoints is another one", () => {
  const { allocator, lines } = recorded();
  allocator.setPools(configOf("192.0.2.0/31").pools);
  allocator.decide(
    "default/one",
    service("default/one", { ...two, annotations: { "metallb.universe.tf/allow-shared-ip": "a" } }),
  );
  const core = assignmentCore.begin({});
  for (const line of lines) core.run(parseEntry(line) as Entry);
  const { format } = assignmentCore;
  assert.deepEqual(
    { format, shape: shapeOf(core.save()) },
    { format: 3, shape: "e792e82b51b6" },
    "raise the format, and put the shape here",
  );
});

test("another decision than was recorded is found out", () => {
  const { allocator, lines } = recorded();
  allocator.setPools(configOf("192.0.2.0/31").pools);
  allocator.decide("default/one", service("default/one", two));
  assert.throws(() => again([lines[0] ?? "", (lines[1] ?? "").replaceAll("192.0.2.0", "192.0.2.1")]), /192\.0\.2\.1/);
  assert.throws(() => assignmentCore.begin({}).run({ at: 0, input: { type: "none" } }), /there is no input/);
});
