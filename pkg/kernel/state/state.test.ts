import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, has, known, link, mark, place, routed, run, to } from "../testing/known-kernel.ts";
import { compare, lostTrack, observe } from "./observe.ts";
import { applyResult, nextDeadline, plan, takeReport } from "./plan.ts";
import { problemsOf } from "./problems.ts";
import { readRecord, recordText } from "./record.ts";
import { complete, createKernelState, want } from "./state.ts";

test("what is wanted and absent is placed; what is there with our mark is only brought up to date", () => {
  assert.deepEqual(run(known([at("192.0.2.1"), to("192.0.2.2/32")]), 0), ["setAddress 192.0.2.1", "addRoute 192.0.2.2/32"]);
  const adopted = known([at("192.0.2.1"), to("192.0.2.2/32")], [has(3, "192.0.2.1", mark), routed(3, "192.0.2.2/32")]);
  assert.deepEqual(run(adopted, 0), ["replaceAddress 192.0.2.1"]);
  assert.equal(place(adopted), "placed,placed");
});

test("what is ours and not wanted goes when all that is wanted is known, and not before", () => {
  const left = [
    has(3, "192.0.2.1", mark),
    has(3, "192.0.2.2", 3),
    has(3, "192.0.2.3"),
    routed(3, "192.0.2.4/32"),
    routed(3, "192.0.2.5/32", 4),
  ];
  const state = known([], left, { isComplete: false });
  assert.deepEqual(run(state, 0), []);
  complete(state);
  assert.equal(nextDeadline(state), -Infinity);
  assert.deepEqual(run(state, 0), ["deleteAddress 192.0.2.1", "deleteRoute 192.0.2.4/32"]);
  assert.deepEqual(run(state, 0), []);
});

test("what somebody else has put there is neither replaced nor removed, and placed when it is gone", () => {
  const state = known([at("192.0.2.1")], [has(3, "192.0.2.1")]);
  assert.deepEqual([run(state, 0), place(state)], [[], "foreign"]);
  observe(state, has(3, "192.0.2.1", undefined, "addressDeleted"), 10);
  assert.deepEqual(run(state, 10), ["setAddress 192.0.2.1"]);
  const withdrawn = known([at("192.0.2.1")], [has(3, "192.0.2.1")]);
  want(withdrawn, "a", [], 1);
  assert.deepEqual(run(withdrawn, 1), []);
});

test("an address that another interface has is not placed a second time; that kube-proxy or kube-router binds it says nothing", () => {
  const held = known([at("192.0.2.1")], [link(2, "eth0"), has(2, "192.0.2.1")]);
  assert.deepEqual([run(held, 0), place(held), held.entries.values().next().value?.by], [[], "held", "eth0"]);
  compare(held, { messages: [link(3, "lb0")], complete: true }, 60_000);
  assert.deepEqual(run(held, 60_000), ["setAddress 192.0.2.1"]);
  for (const name of ["kube-ipvs0", "kube-dummy-if"]) {
    const bound = known([at("192.0.2.1")], [link(2, name), has(2, "192.0.2.1")]);
    assert.deepEqual(run(bound, 0), ["setAddress 192.0.2.1"], name);
  }
});

test("a reading that was interrupted takes nothing for gone", () => {
  const state = known([at("192.0.2.1"), to("192.0.2.2/32")], [has(3, "192.0.2.1", mark), routed(3, "192.0.2.2/32")]);
  run(state, 0);
  compare(state, { messages: [], complete: false }, 1_000);
  assert.deepEqual([run(state, 1_000), place(state)], [[], "placed,placed"]);
  assert.ok(state.scanAt <= 1_100);
  compare(state, { messages: [link(3, "lb0")], complete: true }, 1_100);
  assert.deepEqual(run(state, 1_100), ["setAddress 192.0.2.1", "addRoute 192.0.2.2/32"]);
});

test("what is taken away is put back at once; where that does not last, later each time, up to 5 s", () => {
  const state = known([at("192.0.2.1")]);
  run(state, 0);
  const waits: number[] = [];
  let now = 10_000;
  for (let i = 0; i < 12; i++) {
    observe(state, has(3, "192.0.2.1", mark, "addressDeleted"), now);
    const due = state.agenda.get("lb0 192.0.2.1/32") ?? assert.fail("nothing is due");
    waits.push(due - now);
    assert.deepEqual(run(state, due - 1).concat(run(state, due)), ["setAddress 192.0.2.1"]);
    now = due + 1;
  }
  assert.deepEqual(waits, [0, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_000, 5_000, 5_000]);
  observe(state, has(3, "192.0.2.1", mark, "addressDeleted"), now + 1_000);
  assert.deepEqual(run(state, now + 1_000), ["setAddress 192.0.2.1"]);
  assert.equal(state.entries.values().next().value?.restored, 13);
});

test("that something was put back is reported once, five seconds later, then every ten minutes at most", () => {
  const state = known([at("192.0.2.1")]);
  run(state, 0);
  const take = (now: number) => {
    observe(state, has(3, "192.0.2.1", mark, "addressDeleted"), now);
    run(state, now);
  };
  take(1_000);
  take(2_000);
  assert.equal(takeReport(state, 5_999), undefined);
  assert.deepEqual(takeReport(state, 6_000), { count: 2, examples: ["192.0.2.1/32 on lb0"] });
  take(10_000);
  assert.deepEqual([takeReport(state, 20_000), takeReport(state, 606_000)?.count], [undefined, 1]);
});

test("a lifetime is renewed at a third of it", () => {
  const state = known([at("192.0.2.1", { lifetimeSeconds: 300 })]);
  run(state, 0);
  assert.deepEqual([run(state, 99_999), run(state, 100_000)], [[], ["replaceAddress 192.0.2.1"]]);
});

test("where no lifetime is given it is ten seconds, and longer where more than a hundred a second would be renewed", () => {
  const lifetimes = (count: number) => {
    const many = Array.from({ length: count }, (_, i) => at(`192.0.${i >> 8}.${i & 255}`, { lifetimeSeconds: undefined }));
    const planned = plan(known([...many, at("198.51.100.1", { lifetimeSeconds: 60 })]), 0, 20_000);
    return [...new Set(planned.map(({ request }) => (request.type === "setAddress" ? request.validSeconds : 0)))];
  };
  assert.deepEqual([1, 300, 1_000, 12_000].map(lifetimes), [
    [10, 60],
    [10, 60],
    [30, 60],
    [300, 60],
  ]);
});

test("addresses that were placed one after the other are renewed together", () => {
  const lasting = { lifetimeSeconds: undefined };
  const state = known([at("192.0.2.1", lasting)]);
  for (const [index, now] of [0, 100, 300, 500].entries()) {
    want(state, `${now}`, [at(`192.0.2.${index + 2}`, lasting)], now);
    run(state, now);
  }
  assert.deepEqual([state.agenda.size, new Set(state.agenda.values()).size], [5, 1]);
});

test("what was not renewed in time is put back, and nobody is said to have taken it away; what somebody did take is counted", () => {
  const state = known([at("192.0.2.1", { lifetimeSeconds: undefined })]);
  run(state, 0);
  observe(state, has(3, "192.0.2.1", mark, "addressDeleted"), 10_000); // As after it stood still.
  assert.deepEqual([run(state, 10_000), state.disturbance.total], [["setAddress 192.0.2.1"], 0]);
  observe(state, has(3, "192.0.2.1", mark, "addressDeleted"), 12_000);
  assert.deepEqual([run(state, 12_000), state.disturbance.total], [["setAddress 192.0.2.1"], 1]);
});

test("what is refused is asked for again after 1, 2, 4 … 60 s; what exists already has everything read", () => {
  const state = known([at("192.0.2.1")]);
  const waits: number[] = [];
  for (let now = 0, i = 0; i < 8; i++) {
    run(state, now, { setAddress: "EACCES" });
    const next = state.agenda.get("lb0 192.0.2.1/32") ?? assert.fail("nothing is due");
    waits.push((next - now) / 1_000);
    now = next;
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.equal(state.entries.values().next().value?.error, "EACCES");
  const twice = known([at("192.0.2.1")]);
  run(twice, 500, { setAddress: "EEXIST" });
  assert.deepEqual([twice.scanAt, run(twice, 500)], [500, []]);
});

test("what exists and is not found, as a route of somebody else's for the same prefix, is tried again at a bounded pace, and said", () => {
  const wanted = [to("192.0.2.1/32"), at("2001:db8::1")];
  const state = known(wanted);
  const refused = { addRoute: "EEXIST", setAddress: "EEXIST" };
  let tries = 0;
  for (let now = 0; now < 60_000; now += 10) {
    tries += run(state, now, refused).length;
    if (now >= state.scanAt) compare(state, { messages: [link(3, "lb0")], complete: true }, now);
  }
  assert.equal(tries, 2 * 6);
  assert.equal(problemsOf(state).get("a"), "the kernel refuses the route to 192.0.2.1/32 in table 198: EEXIST");
  assert.deepEqual(run(state, 63_000).length, 2);
  assert.deepEqual([place(state), problemsOf(state).size], ["placed,placed", 0]);
});

test("an interface is made where it is absent, as a bridge where there are no dummies, and made again when it is gone", () => {
  const state = createKernelState(true);
  want(state, "a", [at("192.0.2.1")], 0);
  compare(state, { messages: [], complete: true }, 0);
  const kinds: string[] = [];
  for (const refusal of ["ENOTSUP", undefined])
    for (const one of plan(state, 0, 100)) {
      assert.equal(one.request.type, "createInterface");
      if (one.request.type === "createInterface") kinds.push(one.request.kind);
      applyResult(state, one, refusal, 0);
    }
  assert.deepEqual(kinds, ["dummy", "bridge"]);
  compare(state, { messages: [link(7, "lb0")], complete: true }, 1);
  assert.deepEqual(run(state, 1), ["promoteSecondaries", "setAddress 192.0.2.1"]);
  observe(state, link(7, "lb0", true, "interfaceDeleted"), 1_000);
  assert.equal(nextDeadline(state), 1_000);
  compare(state, { messages: [], complete: true }, 1_000);
  assert.deepEqual(run(state, 1_000), ["createInterface"]);
  compare(state, { messages: [link(8, "lb0", false)], complete: true }, 1_001);
  assert.deepEqual(run(state, 1_001), ["setInterfaceUp", "promoteSecondaries", "setAddress 192.0.2.1"]);
});

test("an interface that can neither be made nor found, because its name is another one's second name, is tried at a bounded pace", () => {
  const state = createKernelState(true);
  want(state, "a", [at("192.0.2.1")], 0);
  complete(state);
  const asked: number[] = [];
  for (let now = 0; now < 60_000; now = Math.max(now + 1, Math.min(nextDeadline(state), 60_000))) {
    if (run(state, now, { createInterface: "EEXIST" }).length > 0) asked.push(now);
    if (now >= state.scanAt) compare(state, { messages: [link(2, "eth0")], complete: true }, now);
  }
  assert.ok(asked.length < 12, `${asked.length} times in a minute: ${asked.slice(0, 20)}`);
  assert.deepEqual([...problemsOf(state)], [["a", "interface lb0 cannot be made: EEXIST"]]);
  compare(state, { messages: [link(2, "eth0"), link(3, "lb0")], complete: true }, 60_000);
  assert.deepEqual(run(state, 60_000), ["setAddress 192.0.2.1"]);
  assert.equal(state.interfaces.error, undefined);
});

test("an interface of the LAN is waited for", () => {
  const state = known([at("192.0.2.1", { interface: "eth7", isOnLan: true })]);
  assert.deepEqual(run(state, 0), []);
  observe(state, link(9, "eth7"), 100);
  compare(state, { messages: [link(3, "lb0"), link(9, "eth7")], complete: true }, 100);
  assert.deepEqual(run(state, 100), ["setAddress 192.0.2.1"]);
});

test("a route of ours through another interface than it is wanted through is found, and gives way", () => {
  const state = known([to("192.0.2.0/24", { interface: "lb1" })], [link(4, "lb1"), routed(3, "192.0.2.0/24")]);
  assert.deepEqual(run(state, 0), ["deleteRoute 192.0.2.0/24", "addRoute 192.0.2.0/24"]);
});

test("a route that several want stays until none does, and one that changes its interface goes before it comes", () => {
  const state = known([to("192.0.2.0/24")], [link(4, "lb1")]);
  want(state, "b", [to("192.0.2.0/24")], 0);
  assert.deepEqual(run(state, 0), ["addRoute 192.0.2.0/24"]);
  want(state, "a", [], 1);
  assert.deepEqual(run(state, 1), []);
  want(state, "b", [to("192.0.2.0/24", { interface: "lb1" })], 2);
  assert.deepEqual(run(state, 2), ["deleteRoute 192.0.2.0/24", "addRoute 192.0.2.0/24"]);
  want(state, "b", [], 3);
  assert.deepEqual(run(state, 3), ["deleteRoute 192.0.2.0/24"]);
});

test("without marks in the kernel the record says what is ours", () => {
  const before = known([at("192.0.2.1")], [], { hasMarks: false });
  run(before, 0);
  const text = recordText(before);
  const state = createKernelState(false);
  assert.ok(readRecord(state, text));
  complete(state);
  compare(state, { messages: [link(3, "lb0"), has(3, "192.0.2.1"), has(3, "192.0.2.9")], complete: true }, 0);
  assert.deepEqual(run(state, 0), ["deleteAddress 192.0.2.1"]);
  assert.deepEqual(JSON.parse(recordText(state)).addresses, []);
});

test("without marks an address that was once ours and went by itself is no longer ours when somebody else puts it there", () => {
  const state = known([at("192.0.2.1", { isOnLan: true, lifetimeSeconds: undefined })], [], { hasMarks: false });
  run(state, 0);
  observe(state, has(3, "192.0.2.1", undefined), 1);
  observe(state, has(3, "192.0.2.1", undefined, "addressDeleted"), 20_000); // It has expired, or something has flushed it.
  want(state, "a", [], 20_000);
  compare(state, { messages: [link(3, "lb0")], complete: true }, 60_000);
  assert.doesNotMatch(recordText(state), /192\.0\.2\.1/);
  observe(state, has(3, "192.0.2.1", undefined), 90_000);
  assert.deepEqual(run(state, 90_000), []);
});

test("without marks a record says nothing of addresses that are gone when the next life begins", () => {
  const state = createKernelState(false);
  readRecord(state, JSON.stringify({ protocols: [mark], tables: [], addresses: ["lb0 192.0.2.1/32", "lb0 192.0.2.2/32"] }));
  complete(state);
  compare(state, { messages: [link(3, "lb0"), has(3, "192.0.2.2")], complete: true }, 0);
  assert.deepEqual(run(state, 0), ["deleteAddress 192.0.2.2"]);
  observe(state, has(3, "192.0.2.1"), 30_000);
  assert.deepEqual(run(state, 30_000), []);
});

test("property: a record of anything is taken in without an error, and only what can be of it", () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((text) => `{"protocols":${text},"tables":${text},"addresses":${text}}`),
  );
  fc.assert(
    fc.property(anything, (text) => {
      const state = createKernelState(true);
      readRecord(state, text);
      assert.ok([...state.marks].every((one) => one >= 1 && one <= 255));
      assert.ok([...state.tables].every((one) => one >= 1 && one <= 0xffff_ffff));
      assert.ok([...state.recorded].every((one) => typeof one === "string"));
    }),
  );
});

test("property: whatever is told and wanted in whatever order, nothing without our mark is asked to go", () => {
  const octet = fc.integer({ min: 1, max: 4 });
  const step = fc.oneof(
    fc.record({ does: fc.constant("want" as const), n: octet, on: fc.boolean() }),
    fc.record({ does: fc.constantFrom("set" as const, "deleted" as const), n: octet, ours: fc.boolean() }),
    fc.record({ does: fc.constant("lost" as const), n: octet }),
    fc.record({ does: fc.constant("complete" as const), n: octet }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const state = known([], [], { isComplete: false });
      const marks = new Map<string, boolean>(); // address -> whether it has our mark
      let now = 0;
      for (const one of steps) {
        now += 100;
        const text = `192.0.2.${one.n}`;
        if (one.does === "want") want(state, text, one.on ? [at(text)] : [], now);
        else if (one.does === "lost") lostTrack(state, now);
        else if (one.does === "complete") complete(state);
        else if (one.does === "deleted") {
          observe(state, has(3, text, marks.get(text) ? mark : undefined, "addressDeleted"), now);
          marks.delete(text);
        } else if (!marks.has(text)) {
          marks.set(text, one.ours);
          observe(state, has(3, text, one.ours ? mark : undefined), now);
        }
        for (const each of plan(state, now, 100)) {
          const { request } = each;
          const key = "address" in request ? `${request.address}` : "";
          if (request.type === "deleteAddress") {
            assert.equal(marks.get(key), true, key);
            marks.delete(key);
          }
          const isThere = request.type === "setAddress" && !request.replaces && marks.has(key);
          if (request.type === "setAddress") {
            if (request.replaces) assert.equal(marks.get(key), true, key);
            else if (!isThere) marks.set(key, true);
          }
          applyResult(state, each, isThere ? "EEXIST" : undefined, now);
        }
      }
    }),
  );
});
