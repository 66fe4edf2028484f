import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolIndex } from "#pkg/config";
import { configOf } from "#pkg/live-config/testing";
import { parseAddress } from "#pkg/net";
import { strandedAddresses } from "./candidate.ts";

const cases: { name: string; held: string; mayHoldSeveral?: boolean; before: string; after: string; stranded: string }[] = [
  {
    name: "an address whose pool stays",
    held: "10.0.0.1",
    before: "a 10.0.0.0-10.0.0.9",
    after: "a 10.0.0.0-10.0.0.9",
    stranded: "",
  },
  {
    name: "an address whose pool gets another name",
    held: "10.0.0.1",
    before: "a 10.0.0.0-10.0.0.9",
    after: "b 10.0.0.1-10.0.0.1",
    stranded: "",
  },
  { name: "an address whose pool goes", held: "10.0.0.1", before: "a 10.0.0.0-10.0.0.9", after: "", stranded: "10.0.0.1" },
  {
    name: "an address whose pool shrinks",
    held: "10.0.0.1",
    before: "a 10.0.0.0-10.0.0.9",
    after: "a 10.0.0.2-10.0.0.9",
    stranded: "10.0.0.1",
  },
  { name: "an address that was in no pool", held: "192.0.2.1", before: "a 10.0.0.0-10.0.0.9", after: "", stranded: "" },
  { name: "no address", held: "", before: "a 10.0.0.0-10.0.0.9", after: "", stranded: "" },
  {
    name: "an address ending in .0 when the pool begins to avoid them",
    held: "10.0.0.0",
    before: "a 10.0.0.0-10.0.0.9",
    after: "a 10.0.0.0-10.0.0.9 avoid",
    stranded: "10.0.0.0",
  },
  {
    name: "an address ending in .255 likewise",
    held: "10.0.0.255",
    before: "a 10.0.0.0-10.0.0.255",
    after: "a 10.0.0.0-10.0.0.255 avoid",
    stranded: "10.0.0.255",
  },
  {
    name: "an address ending in .0 that was avoided already, so foreign",
    held: "10.0.0.0",
    before: "a 10.0.0.0-10.0.0.9 avoid",
    after: "",
    stranded: "",
  },
  {
    name: "an IPv6 address ending in 00 when the pool avoids those of IPv4",
    held: "fd00::100",
    before: "a fd00::-fd00::fff",
    after: "a fd00::-fd00::fff avoid",
    stranded: "",
  },
  {
    name: "one of two addresses",
    held: "10.0.0.1 fd00::1",
    before: "a 10.0.0.0-10.0.0.9 fd00::-fd00::9",
    after: "a fd00::-fd00::9",
    stranded: "10.0.0.1",
  },
  {
    name: "two addresses that part",
    held: "10.0.0.1 fd00::1",
    before: "a 10.0.0.0-10.0.0.9 fd00::-fd00::9",
    after: "a 10.0.0.0-10.0.0.9; b fd00::-fd00::9",
    stranded: "10.0.0.1 fd00::1",
  },
  {
    name: "two addresses that were apart before",
    held: "10.0.0.1 fd00::1",
    before: "a 10.0.0.0-10.0.0.9; b fd00::-fd00::9",
    after: "c 10.0.0.0-10.0.0.9; d fd00::-fd00::9",
    stranded: "",
  },
  {
    name: "addresses of several pools, where the Service asks for them",
    held: "10.0.0.1 10.0.1.1 fd00::1",
    mayHoldSeveral: true,
    before: "a 10.0.0.0-10.0.0.9; b fd00::-fd00::9 10.0.1.0-10.0.1.9",
    after: "c 10.0.0.0-10.0.0.9; d fd00::-fd00::9",
    stranded: "10.0.1.1",
  },
];
for (const { name, held, mayHoldSeveral = false, before, after, stranded } of cases) {
  test(`strandedAddresses: ${name}: ${stranded || "nothing"}`, () => {
    const addresses = held
      .split(" ")
      .map(parseAddress)
      .filter((address) => address !== undefined);
    assert.equal(strandedAddresses({ addresses, mayHoldSeveral }, index(before), index(after)).join(" "), stranded);
  });
}

function index(text: string): PoolIndex {
  return new PoolIndex(configOf(text).pools);
}
