import assert from "node:assert/strict";
import { test } from "node:test";
import { perSecond, SourceTokens, Tokens } from "#pkg/clock";

test("so many at once, then one every so often, and never more at once than at first", () => {
  const tokens = new Tokens({ burst: 3, everyMs: 100 }, 1_000);
  const taken = (now: number) => Array.from({ length: 5 }, () => tokens.take(now)).filter(Boolean).length;
  assert.equal(taken(1_000), 3);
  assert.equal(taken(1_099), 0);
  assert.equal(taken(1_100), 1);
  assert.equal(taken(1_250), 1);
  assert.equal(taken(1_300), 1, "halves add up");
  assert.equal(taken(1_000_000), 3);
});

test("who begins with less than may be taken at once gets the rest with time", () => {
  const tokens = new Tokens(perSecond(10), 0, 0);
  assert.equal(tokens.take(99), false);
  assert.deepEqual([tokens.left(150), tokens.take(150), tokens.left(150)], [1.5, true, 0.5]);
  assert.deepEqual([tokens.left(5_000), tokens.take(5_000)], [10, true]);
});

test("a source that has none left takes none of the others', and all together have no more than theirs", () => {
  const tokens = new SourceTokens({ ofSource: { burst: 3, everyMs: 100 }, all: { burst: 5, everyMs: 10 } }, 0);
  const taken = (source: string, now: number) =>
    Array.from({ length: 10 }, () => tokens.take(source, now)).filter(Boolean).length;
  assert.deepEqual([taken("a", 0), taken("b", 0), taken("c", 0)], [3, 2, 0]);
  assert.deepEqual([taken("a", 100), taken("b", 100), taken("d", 100)], [1, 1, 3]);
});

test("of many sources no more are remembered than a bound, and a source that goes on is not forgotten for others", () => {
  const tokens = new SourceTokens({ ofSource: { burst: 1, everyMs: 1_000 }, all: { burst: 10_000, everyMs: 1 } }, 0);
  for (let source = 0; source < 1_000; source++) assert.ok(tokens.take(`${source}`, 0));
  assert.equal(tokens.take("0", 0), false);
  assert.ok(tokens.take("another", 0));
  assert.equal(tokens.take("0", 0), false);
  assert.ok(tokens.take("1", 0));
});
