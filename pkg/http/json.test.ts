import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { json } from "#pkg/http";
import { escapeControls } from "#pkg/text";

test("JSON shows control characters as escapes, and is indented", async () => {
  const { body } = await json({ name: "a\u001b[2J\u009b\u202eb\n", none: undefined, list: [], object: {}, date: new Date(0) });
  assert.equal(
    body,
    '{\n  "name": "a\\u001b[2J\\u009b\\u202eb\\n",\n  "list": [],\n  "object": {},\n  "date": "1970-01-01T00:00:00.000Z"\n}\n',
  );
});

test("JSON that is made in slices is what the language makes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const lines = JSON.stringify(value, undefined, 2).split("\n"); // Of the indentation: in texts they are escaped.
      assert.equal((await json(value)).body, `${lines.map(escapeControls).join("\n")}\n`);
    }),
  );
});

test("of a long list a turn of the event loop makes a part, and of several lists one after another", async () => {
  let [inTurn, most, underWay] = [0, 0, 0];
  let isDone = false;
  const turn = (): void => {
    inTurn = 0;
    if (!isDone) globalThis.setImmediate(turn);
  };
  globalThis.setImmediate(turn);
  function* services() {
    assert.equal(++underWay, 1);
    for (let i = 0; i < 5_000; i++) {
      most = Math.max(most, ++inTurn);
      yield { name: `s${i}`, addresses: ["192.0.2.1"] };
    }
    underWay--;
  }
  const answers = await Promise.all(Array.from({ length: 5 }, () => json({ services: services() })));
  isDone = true;
  await setImmediate();
  assert.ok(most <= 500, `${most} in a turn`);
  for (const { body } of answers) assert.equal(JSON.parse(String(body)).services.length, 5_000);
});

test("of a list what was left out takes its turn too", async () => {
  let [inTurn, most, isDone] = [0, 0, false];
  const turn = (): void => {
    inTurn = 0;
    if (!isDone) globalThis.setImmediate(turn);
  };
  globalThis.setImmediate(turn);
  function* few() {
    for (let i = 0; i < 9_000; i++) {
      most = Math.max(most, ++inTurn);
      yield i % 3_000 === 0 ? i : undefined;
    }
  }
  const { body } = await json({ found: few() });
  isDone = true;
  assert.deepEqual(JSON.parse(String(body)), { found: [0, 3_000, 6_000] });
  assert.ok(most <= 2_000, `${most} in a turn`);
});

test("a list that cannot be made is an error, and the next answer is made all the same", async () => {
  function* broken() {
    yield 1;
    throw new Error("no");
  }
  await assert.rejects(json(broken()), /no/);
  assert.equal((await json([1])).body, "[\n  1\n]\n");
});
