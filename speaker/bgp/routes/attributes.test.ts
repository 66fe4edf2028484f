import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { Attributes } from "./attributes.ts";

function advertisement(text: string) {
  const pool = `{name: a, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [${text}]}`;
  const [found] = parseConfig(`address-pools: [${pool}]`).config?.pools[0]?.advertisements ?? [];
  assert.ok(found);
  return found;
}

test("Attributes: equal ones are one object while in use, and forgotten afterwards", () => {
  const all = new Attributes();
  const [one, same, other] = ["{med: 1}", "{med: 1, aggregation-length: 24}", "{med: 2}"].map((text) => ({
    advertisement: advertisement(text),
  }));
  assert.ok(one && same && other);
  const first = all.acquire(one, "IPv4", 1);
  assert.equal(all.acquire(one, "IPv4", 7), first);
  assert.equal(all.acquire(same, "IPv4", 1), first);
  assert.equal(all.acquire(one, "IPv6", 1), first);
  assert.notEqual(all.acquire(other, "IPv4", 1), first);
  assert.notEqual(all.acquire({ ...one, lastResort: ["IPv6"] }, "IPv6", 1), first);
  assert.equal(all.acquire({ ...one, lastResort: ["IPv6"] }, "IPv4", 1), first);
  assert.equal(all.size, 3);
  for (let i = 0; i < 5; i++) all.release(first);
  assert.equal(all.size, 2);
  assert.deepEqual(all.acquire(one, "IPv4", 1), first);
});

test("Attributes: a weight is a link bandwidth of 1 Gbit/s for each endpoint", () => {
  const bandwidth = (text: string) => new Attributes().acquire({ advertisement: advertisement(text) }, "IPv4", 3).linkBandwidth;
  assert.equal(bandwidth("{weight: endpoints}"), 3 * 125_000_000);
  assert.equal(bandwidth("{}"), undefined);
});
