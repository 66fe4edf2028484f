import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchesGlob, matchesInterface } from "./interface-names.ts";

const cases: { glob: string; like: string[]; unlike: string[] }[] = [
  { glob: "eth0", like: ["eth0"], unlike: ["eth00", "eth", "ETH0", "", "xeth0"] },
  { glob: "eth*", like: ["eth", "eth0", "eth0.100"], unlike: ["et", "beth0"] },
  { glob: "*", like: ["", "lo"], unlike: [] },
  { glob: "eth?", like: ["eth0", "ethx"], unlike: ["eth", "eth10"] },
  { glob: "*.1??", like: ["bond0.100", ".100", "a.1.123"], unlike: ["bond0.10", "bond0.1000"] },
  { glob: "a*b*c", like: ["abc", "axbybzc", "abbcc"], unlike: ["acb", "abcd"] },
  { glob: "eth.0", like: ["eth.0"], unlike: ["ethx0"] },
  { glob: "[e]th^$", like: ["[e]th^$"], unlike: ["eth"] },
  { glob: "", like: [""], unlike: ["a"] },
];
for (const { glob, like, unlike } of cases) {
  test(`matchesGlob: ${JSON.stringify(glob)}`, () => {
    for (const text of like) assert.equal(matchesGlob(glob, text), true, text);
    for (const text of unlike) assert.equal(matchesGlob(glob, text), false, text);
  });
}

test("matchesGlob: agrees with the regular expression of the same meaning", () => {
  const parts = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 8 });
  fc.assert(
    fc.property(parts("a", "b", "*", "?"), parts("a", "b"), (glob, text) => {
      const expression = new RegExp(`^${glob.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      assert.equal(matchesGlob(glob, text), expression.test(text));
    }),
    { numRuns: 2000 },
  );
});

test("matchesGlob: wildcards that nearly match take no exponential time", () => {
  assert.equal(matchesGlob(`${"*a".repeat(2000)}b`, "a".repeat(2000)), false);
});

test("matchesInterface: any of the names will do, and no names mean every interface", () => {
  assert.equal(matchesInterface(["lo", "eth*"], "eth1"), true);
  assert.equal(matchesInterface(["lo", "eth*"], "bond0"), false);
  assert.equal(matchesInterface([], "bond0"), true);
});
