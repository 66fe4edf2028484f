import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "#pkg/clock";
import { parseConfig } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { type Assignments, assigning } from "./assign-all.ts";

const pools = (...lines: string[]) => {
  const { config, problems } = parseConfig(`address-pools:\n${lines.map((line) => `- {protocol: layer2, ${line}}\n`).join("")}`);
  assert.ok(config, JSON.stringify(problems));
  return config;
};
/** Runs to the end. */
function assignAll(...given: Parameters<typeof assigning>): Assignments {
  return atOnce(assigning(...given));
}

const sharing = { annotations: { [annotations.sharing]: "k" } };
const tcp = (port: number) => [{ name: "", protocol: "TCP", port }];

const cases: { name: string; pools: string[]; services: Record<string, Partial<Service>>; occupied?: string; want: string[] }[] =
  [
    {
      name: "what is on record stays with its Service, whoever comes first by name",
      pools: ["name: a, addresses: [10.0.0.1-10.0.0.2]"],
      services: { a: {}, b: { ingress: ["10.0.0.1"] } },
      want: ["a=10.0.0.2", "b=10.0.0.1"],
    },
    {
      name: "Services that share an address come before one that does not any more",
      pools: ["name: a, addresses: [10.0.0.1-10.0.0.2]"],
      services: {
        a: { ingress: ["10.0.0.1"] },
        b: { ingress: ["10.0.0.1"], ...sharing, ports: tcp(80) },
        c: { ingress: ["10.0.0.1"], ...sharing, ports: tcp(81) },
      },
      want: ["a=10.0.0.2", "b=10.0.0.1", "c=10.0.0.1"],
    },
    {
      name: "of Services that disagree on an address the oldest keeps it",
      pools: ["name: a, addresses: [10.0.0.1-10.0.0.2]"],
      services: {
        a: { ingress: ["10.0.0.1"], ...sharing, ports: tcp(80), created: 2, externalTrafficPolicy: "Local" },
        b: { ingress: ["10.0.0.1"], ...sharing, ports: tcp(81), created: 1 },
      },
      want: ["a=10.0.0.2", "b=10.0.0.1"],
    },
    {
      name: "what one gives up another one gets that was looked at before",
      pools: ["name: a, addresses: [10.0.0.1/32]", "name: b, addresses: [10.0.1.1/32]"],
      services: {
        early: { annotations: { [annotations.pool]: "a" } },
        late: { ingress: ["10.0.0.1"], annotations: { [annotations.pool]: "b" } },
      },
      want: ["early=10.0.0.1", "late=10.0.1.1"],
    },
    {
      name: "of Services that wait the oldest gets what is free, and of those that are as old the first by name",
      pools: ["name: a, addresses: [10.0.0.1-10.0.0.2]"],
      services: { a: { created: 2 }, b: { created: 1 }, c: { created: 2 }, d: { created: 1 } },
      want: ["a=", "b=10.0.0.1", "c=", "d=10.0.0.2"],
    },
    {
      name: "an address of a strict pool that another host has is given to nobody",
      pools: ["name: a, conflict-probe: strict, addresses: [10.0.0.1/32]"],
      services: { a: {} },
      occupied: "10.0.0.1",
      want: ["a="],
    },
    {
      name: "an address of another pool is given, whatever is reported of it",
      pools: ["name: a, addresses: [10.0.0.1/32]"],
      services: { a: {} },
      occupied: "10.0.0.1",
      want: ["a=10.0.0.1"],
    },
  ];
for (const { name, pools: lines, services, occupied, want } of cases)
  test(`assignAll: ${name}`, () => {
    const all = Object.entries(services).map(([key, fields]) => service(key, fields));
    const occupants = new Map(occupied === undefined ? [] : [[occupied, "02:00:00:00:00:01"]]);
    const { decisions } = assignAll(all.toReversed(), pools(...lines), occupants);
    const got = [...decisions].map(([key, { status }]) => `${key.replace("default/", "")}=${status?.join("+") ?? ""}`);
    assert.deepEqual(got.sort(), want);
  });

test("thousands of pools, and thousands of Services, are looked at in many steps, whatever is decided", () => {
  const many = Array.from({ length: 3_000 }, (_, i) => `name: p${i}, addresses: [10.${i >> 8}.${i & 255}.0/24]`);
  const countSteps = (...given: Parameters<typeof assigning>) => Array.from(assigning(...given)).length;
  const none = countSteps([], pools("name: a, addresses: [10.0.0.0/24]"));
  assert.ok(countSteps([], pools(...many)) >= none + 10);
  const others = Array.from({ length: 3_000 }, (_, i) => service(`shop/s${i}`, { type: "ClusterIP", created: i % 7 }));
  assert.ok(countSteps(others, pools("name: a, addresses: [10.0.0.0/24]")) >= none + 4 * others.length);
});
