import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { table } from "./output.ts";

/** Tables of commands, with the longest that stands in them. */
const tables: Readonly<Record<string, { readonly heading: readonly string[]; readonly row: readonly string[] }>> = {
  services: {
    heading: ["NAMESPACE", "NAME", "STATE", "ADDRESSES", "POOL", "NODES", "SINCE", "CAUSE", "MESSAGE"],
    row: [
      "a".repeat(63),
      "b".repeat(63),
      "Announced",
      "192.0.2.1,2001:db8:1:2:3:4:5:6",
      "lan",
      "node1",
      "3d",
      "announced",
      "m".repeat(200),
    ],
  },
  pools: {
    heading: ["POOL", "IPV4", "IPV6", "STATE", "CAUSE", "MESSAGE"],
    row: ["p".repeat(40), "65534/65536", "1/4294967296", "Degraded", "nearlyFull", "m".repeat(200)],
  },
  status: {
    heading: ["PROGRAM", "NODE", "POD", "VERSION", "CONFIGURATION", "SINCE", "STATE"],
    row: ["controller", "n".repeat(60), "controller-7d9c6b8f5-abcde", "0.1.0", "ff5b57c345fcd715", "33s", "Ready, leads"],
  },
  problems: {
    heading: ["PROBLEM", "STATE", "CAUSE", "MESSAGE"],
    row: ["service shop/web", "Pending", "noPoolFits", "m".repeat(300)],
  },
};
const neverCut = ["STATE", "ADDRESSES", "IPV4", "IPV6"];

for (const [name, { heading, row }] of Object.entries(tables))
  test(`the table of ${name} fits any terminal, and cuts no address, number or state`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.boolean(), (columns, hasColor) => {
        const lines = stripVTControlCharacters(table(heading, [row], { columns, hasColor })).split("\n");
        const wholes = heading.flatMap((one, index) => (neverCut.includes(one) ? [row[index] ?? ""] : []));
        for (const text of wholes) assert.ok(lines[1]?.includes(text), `${columns}: ${lines[1]}`);
        // Beyond addresses and states at least some of what the line is about stays.
        const least = wholes.reduce((sum, text) => sum + text.length + 2, 0) + 8 * 2 + 2;
        for (const line of lines) assert.ok(line.length <= Math.max(columns, least), `${columns}: ${line.length}: ${line}`);
      }),
    );
  });

test("a text that is cut ends in no half of a character", () => {
  for (let columns = 10; columns < 40; columns++)
    assert.ok(
      table(["PROBLEM", "MESSAGE"], [["svc a", "😀".repeat(40)]], { columns, hasColor: false }).isWellFormed(),
      `${columns}`,
    );
});

test("at 40 columns a Service keeps its name, state and address", () => {
  const heading = ["NAMESPACE", "NAME", "STATE", "ADDRESSES", "POOL", "NODES", "SINCE", "CAUSE"];
  const row = ["shop", "web", "Announced", "192.0.2.1", "lan", "node1", "3d", "announced"];
  assert.equal(
    table(heading, [row], { columns: 40, hasColor: false }),
    "NAMESPACE  NAME  STATE      ADDRESSES\nshop       web   Announced  192.0.2.1\n",
  );
});

test("columns stand below one another whatever characters are in them, and are cut between characters", () => {
  const rows = [
    ["plain", "x"],
    ["日本語", "x"],
    ["e\u0301te\u0301", "x"],
    ["\u{1f680}\u{1f680}", "x"],
    ["ｱ", "x"],
  ];
  const wide = table(["NAME", "STATE"], rows, { columns: undefined, hasColor: false });
  assert.deepEqual(wide.split("\n").slice(0, -1), [
    "NAME    STATE",
    "plain   x",
    "日本語  x",
    "e\u0301te\u0301     x",
    "\u{1f680}\u{1f680}    x",
    "ｱ       x",
  ]);
  const narrow = table(["NAME", "MESSAGE"], [["n", "日本語日本語日本語\u{1f680}\u{1f680}"]], { columns: 14, hasColor: false });
  assert.equal(narrow, "NAME  MESSAGE\nn     日本語…\n");
});
