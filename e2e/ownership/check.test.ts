import assert from "node:assert/strict";
import { test } from "node:test";
import { check, type Sample } from "./index.ts";

const address = "192.0.2.1";

interface Moment {
  readonly answering?: readonly string[];
  readonly able?: readonly string[];
  /** Groups of nodes that hear one another; those that are in none do not run. */
  readonly parts?: readonly (readonly string[])[];
  /** The same as the parts, when unset. */
  readonly members?: Readonly<Record<string, readonly string[]>>;
  readonly owners?: Readonly<Record<string, string>>;
}

/** A second between moments; a number repeats the moment before it that many times. */
function history(...moments: readonly (Moment | number)[]): Sample[] {
  const all: Moment[] = [];
  for (const moment of moments)
    if (typeof moment === "number") all.push(...new Array<Moment>(moment).fill(all.at(-1) ?? {}));
    else all.push(moment);
  return all.map(({ answering = [], able = ["a", "b", "c"], parts = [["a", "b", "c"]], members, owners = {} }, second) => ({
    at: second * 1000,
    answers: new Map([[address, answering]]),
    candidates: new Map([[address, able]]),
    hears: new Map(parts.flatMap((part) => part.map((node) => [node, part.filter((other) => other !== node)] as const))),
    members: new Map(
      members === undefined ? parts.flatMap((part) => part.map((node) => [node, part] as const)) : Object.entries(members),
    ),
    owners: new Map(Object.entries(owners).map(([node, owner]) => [node, new Map([[address, owner]])])),
  }));
}

const a = { answering: ["a"] };
const good: Record<string, Sample[]> = {
  "one owner all the time": history(a, 20),
  "a hand-over with two owners for five seconds": history(a, 3, { answering: ["a", "b"] }, 4, { answering: ["b"] }, 10),
  "an owner that is gone, and another after five seconds": history(
    a,
    3,
    { answering: [], parts: [["b", "c"]] },
    4,
    { answering: ["b"], parts: [["b", "c"]] },
    9,
  ),
  "an owner on either side of a cut, for as long as it lasts": history(
    a,
    3,
    { answering: ["a", "b"], parts: [["a"], ["b", "c"]] },
    30,
    a,
    5,
  ),
  "two owners that do not agree on the members yet": history(
    { answering: ["a", "b"], members: { a: ["a"], b: ["b", "c"], c: ["b", "c"] } },
    30,
  ),
  "nobody where nobody could": history({ able: [] }, 30),
  "nobody in the part that has no candidate": history({ answering: ["a"], able: ["a"], parts: [["a"], ["b", "c"]] }, 30),
  "two owners at times, never for long": history(
    ...Array.from({ length: 5 }, () => [{ answering: ["a", "b"] }, 4, a, 2] as const).flat(),
  ),
  "a view that follows within seconds": history(
    { answering: ["b"], owners: { a: "a", b: "b" } },
    4,
    { answering: ["b"], owners: { a: "b", b: "b" } },
    9,
  ),
};
for (const [name, samples] of Object.entries(good)) test(`good: ${name}`, () => assert.deepEqual(check(samples), []));

/** For the first half of each period one thing, then the other. */
function alternating(periods: number, one: readonly (Moment | number)[], other: readonly (Moment | number)[]): Sample[] {
  return history(...Array.from({ length: periods }, () => [...one, ...other]).flat());
}

const bad: Record<string, { samples: Sample[]; want: RegExp }> = {
  "two owners for seven seconds": { samples: history({ answering: ["a", "b"] }, 7), want: /^twoOwners at 0: a and b answer$/ },
  "two owners after a cut is mended": {
    samples: history({ answering: ["a", "b"], parts: [["a"], ["b", "c"]] }, 9, { answering: ["a", "b"] }, 7),
    want: /^twoOwners at 10000: a and b answer$/,
  },
  "two owners in one part of a cut": {
    samples: history({ answering: ["a", "b", "c"], parts: [["a"], ["b", "c"]] }, 7),
    want: /^twoOwners at 0: b and c answer$/,
  },
  "nobody although one could": {
    samples: history(a, 2, { answering: [] }, 9),
    want: /^noOwner at 3000: nobody of a,b,c answers, and a or b or c could$/,
  },
  "nobody in a part with a candidate": {
    samples: history({ answering: ["a"], parts: [["a"], ["b", "c"]] }, 9),
    want: /^noOwner at 0: nobody of b,c answers, and b or c could$/,
  },
  "an owner that is gone answers for nobody": {
    samples: history({ answering: ["a"], parts: [["b", "c"]] }, 9),
    want: /^noOwner at 0/,
  },
  "a node that names another owner": {
    samples: history({ answering: ["b"], owners: { a: "a", b: "b" } }, 9),
    want: /^otherView at 0: a says a, b says b; b answers$/,
  },
};
Object.assign(bad, {
  "two owners that part for a second now and then": {
    samples: alternating(10, [{ answering: ["a", "b"] }, 4], [a]),
    want: /^twoOwners at \d+: a and b answer$/,
  },
  "two owners while a third node comes and goes": {
    samples: alternating(10, [{ answering: ["a", "b"] }, 4], [{ answering: ["a", "b"], parts: [["a", "b"]] }, 4]),
    want: /^twoOwners at 0: a and b answer$/,
  },
  "two owners of what nobody may announce": {
    samples: history({ answering: ["a", "b"], able: [] }, 9),
    want: /^twoOwners at 0: a and b answer$/,
  },
  "nobody while another node comes and goes": {
    samples: alternating(10, [{ answering: [] }, 4], [{ answering: [], parts: [["a", "b"]] }, 4]),
    want: /^noOwner at 0: nobody of a,b answers, and a or b could$/,
  },
} satisfies typeof bad);
for (const [name, { samples, want }] of Object.entries(bad))
  test(`bad: ${name}`, () => {
    const found = check(samples).map(({ kind, since, what }) => `${kind} at ${since}: ${what}`);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", want);
  });

test("a history whose time goes back is no history", () => {
  const [first, second] = history(a, 1);
  assert.throws(() => check([second, first] as Sample[]), /Cannot check a history: 0 ms comes after 1000 ms/);
});
