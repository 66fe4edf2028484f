import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench, pools, x } from "../../testing/speaker-bench.ts";

/** The only speaker, which owns all addresses that have an owner. */
function alone(): Bench {
  const bench = new Bench("node1");
  bench.membersChanged(["node1"]);
  bench.setConfig(pools());
  return bench;
}

test("the first announcement of an address is told apart from later ones, also after the address was free in between", () => {
  const bench = alone();
  bench.start();
  const steps: [held: boolean, owned: boolean, want: boolean][] = [
    [true, false, false], // No endpoint yet.
    [true, true, true],
    [true, true, false],
    [true, false, false],
    [true, true, false], // Its endpoints were away.
    [false, false, false],
    [true, true, true],
  ];
  for (const [held, owned, want] of steps) {
    bench.firsts.length = 0;
    bench.serve("default/web", held ? [x] : [], {}, { node1: owned });
    bench.settle();
    assert.deepEqual(bench.firsts, want ? [x] : []);
  }
});

test("an address that a Service held before this process has been announced before", () => {
  const bench = alone();
  bench.serve("default/web", [x]);
  bench.start();
  bench.settle();
  assert.deepEqual([bench.onWire, bench.firsts], [[x], []]);
});
