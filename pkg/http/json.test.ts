import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { json, OneLine, type Route } from "#pkg/http";
import { asked, textOf } from "#pkg/http/testing";
import { escapeControls } from "#pkg/text";
import { trimHeap } from "#pkg/threads";

/** The answer to any client. */
async function answer(value: unknown): Promise<Route> {
  return await json(() => value)(asked());
}

test("JSON shows control characters as escapes, and is indented", async () => {
  const found = await answer({ name: "a\u001b[2J\u009b\u202eb\n", none: undefined, list: [], object: {}, date: new Date(0) });
  assert.equal(
    textOf(found),
    '{\n  "name": "a\\u001b[2J\\u009b\\u202eb\\n",\n  "list": [],\n  "object": {},\n  "date": "1970-01-01T00:00:00.000Z"\n}\n',
  );
});

test("JSON that is made in slices is what the language makes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const lines = JSON.stringify(value, undefined, 2).split("\n"); // These ends of lines are the indentation's: in texts they are escaped.
      assert.equal(textOf(await answer(value)), `${lines.map(escapeControls).join("\n")}\n`);
    }),
  );
});

test("what is to be on one line is, with the same escapes", async () => {
  const found = await answer({ list: [new OneLine({ name: "a\u202eb", of: [1] }), new OneLine([])] });
  assert.equal(textOf(found), '{\n  "list": [\n    {"name":"a\\u202eb","of":[1]},\n    []\n  ]\n}\n');
});

test("what has no form in JSON is written as text, and hides nothing beside it", async () => {
  const round: Record<string, unknown> = { name: "round" };
  round.self = round;
  const broken = {
    get field(): never {
      throw new Error("no");
    },
  };
  const refusing = {
    toJSON(): never {
      throw new Error("not now");
    },
  };
  const values = [
    1n,
    Symbol("s"),
    () => 1,
    NaN,
    new Map([["a", 2n]]),
    new Date(NaN),
    Object.create(null),
    round,
    broken,
    refusing,
  ];
  const want = ["1", "Symbol(s)", null, null, [["a", "2"]], null, {}, { name: "round", self: "(this again)" }];
  const said = [...want, { field: "(Error: no)" }, "(Error: not now)"];
  assert.deepEqual(JSON.parse(textOf(await answer({ values }))), { values: said });
  const lines = values.map((value) => new OneLine({ value, slot: 7n }));
  assert.deepEqual(
    JSON.parse(textOf(await answer(lines))),
    said.map((value) => ({ value, slot: "7" })),
  );
});

test("JSON is made of any value", async () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withNullPrototype: true,
  });
  await fc.assert(
    fc.asyncProperty(anything, async (value) => {
      const found = await answer({ value, line: new OneLine({ value }) });
      assert.doesNotThrow(() => JSON.parse(textOf(found)));
    }),
  );
});

test("an answer that was given is not kept", async () => {
  const given = new WeakRef(await answer({ long: "x".repeat(1_000_000) }));
  await setImmediate(); // A WeakRef keeps its target until the end of the turn.
  trimHeap();
  assert.ok(given.deref() === undefined);
});

test("a turn of the event loop makes a part of a long list, and several lists are made one after another", async () => {
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
  const answers = await Promise.all(Array.from({ length: 5 }, () => answer({ services: services() })));
  isDone = true;
  await setImmediate();
  assert.ok(most <= 500, `${most} in a turn`);
  for (const found of answers) assert.equal(JSON.parse(textOf(found)).services.length, 5_000);
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
  const found = await answer({ found: few() });
  isDone = true;
  assert.deepEqual(JSON.parse(textOf(found)), { found: [0, 3_000, 6_000] });
  assert.ok(most <= 2_000, `${most} in a turn`);
});

test("a list that cannot be made is an error, and the next answer is made all the same", async () => {
  function* broken() {
    yield 1;
    throw new Error("no");
  }
  await assert.rejects(answer(broken()), /no/);
  assert.equal(textOf(await answer([1])), "[\n  1\n]\n");
});

test("those who ask the same have one answer, unless it has been begun, and too many different questions are refused", async () => {
  const made: string[] = [];
  const handler = json(({ query }) => made.push(query.toString()));
  const same = await Promise.all([handler(asked("a")), handler(asked("a")), handler(asked("b"))]);
  assert.deepEqual(same.map(textOf), ["1\n", "1\n", "2\n"]);
  await handler(asked("a"));
  assert.deepEqual(made, ["a=", "b=", "a="]);
  const many = await Promise.all(Array.from({ length: 65 }, (_, number) => handler(asked(String(number)))));
  assert.deepEqual(
    many.map(({ status }) => status),
    [...Array(64).fill(200), 503],
  );
  assert.equal(textOf(await handler(asked("a"))), "68\n");
});

test("a long answer is in pieces, none of which takes long to send", async () => {
  const { body } = await answer(Array.from({ length: 50_000 }, (_, i) => i));
  assert.ok(Array.isArray(body) && body.length > 20);
  assert.ok(body.every(({ length }: Buffer) => length < 64 << 10));
});
