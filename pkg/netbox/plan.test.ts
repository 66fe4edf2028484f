import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import type { NetboxRecord } from "./answers.ts";
import { type Claim, plan, type RecordRules } from "./plan.ts";

const rules: RecordRules = { mode: "allocate", tags: ["k8s"], tenant: undefined, role: undefined, onRelease: "delete" };

test("of 10,000 records and as many addresses in use some hundred are compared in each step", () => {
  const total = 10_000;
  const ip = (i: number) => address(`10.0.${i >> 8}.${i & 255}`);
  const records = Array.from({ length: total }, (_, i): NetboxRecord => {
    return { id: i, address: ip(i), status: "active", tags: ["k8s"], description: `Kubernetes Service shop/s${i} (uid-${i})` };
  });
  // The first is idle, the second another's, the last has no record yet.
  const claims = Array.from({ length: total }, (_, i): Claim => {
    return { address: ip(i + 1), service: `shop/s${i + 1}`, uid: i === 0 ? "other" : `uid-${i + 1}` };
  });
  const steps = plan({ records, claims, wishes: [], exists: () => true }, rules);
  let count = 1;
  let step = steps.next();
  for (; !step.done; step = steps.next()) count++;
  const { create, update, idle } = step.value;
  assert.deepEqual(
    [create.map(({ service }) => service), update.map(({ record }) => record.id), idle.map(({ id }) => id)],
    [["shop/s10000"], [1], [0]],
  );
  assert.equal(count, 1 + (4 * total) / 500); // Each is looked at four times.
});
