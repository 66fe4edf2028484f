import assert from "node:assert/strict";
import { test } from "node:test";
import { TwoAtWork } from "./two-at-work.ts";

const object = (ip: string) => ({ metadata: { name: "a" }, status: { loadBalancer: { ingress: [{ ip }] } } }) as never;
const ips = ["192.0.2.0", "192.0.2.1"];

/** Lets two controllers overwrite one another's status this often. */
function overwritten(times: number, byPeople: boolean): TwoAtWork {
  const judge = new TwoAtWork(0);
  const cluster = { now: 1, note: () => {} } as never;
  for (let i = 0; i < times; i++) {
    const [is = "", was = ""] = i % 2 === 0 ? ips : ips.toReversed();
    const change = {
      type: "MODIFIED",
      version: i,
      plural: "services",
      key: "default/a",
      object: object(is),
      before: object(was),
    };
    judge.changed(cluster, change as never, byPeople);
  }
  return judge;
}

test("two controllers that go on overwriting one another are found; a few writes, and those of people, are not", () => {
  assert.match(overwritten(7, false).problem ?? "", /^the status of default\/a was written 7 times/);
  assert.equal(overwritten(6, false).problem, undefined);
  assert.equal(overwritten(50, true).problem, undefined);
});
