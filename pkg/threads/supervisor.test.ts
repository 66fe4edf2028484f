import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { silentLog } from "#pkg/log/testing";
import { Supervisor } from "./supervisor.ts";

/** A supervisor of threads that do as the test says, and its actions. */
function supervised() {
  const clock = new SimulatedClock();
  const lines: string[] = [];
  let deaths = 0;
  let spawned = 0;
  let refusal: Error | undefined;
  const supervisor = new Supervisor({
    spawn: () => {
      spawned++;
      if (refusal !== undefined) throw refusal;
      return new EventEmitter();
    },
    title: "the thread of a test",
    op: "test",
    log: {
      ...silentLog,
      error: (message, { error, restartAfterMs, more } = {}) => {
        assert.equal(message, "the thread of a test died and is restarted");
        lines.push(`${error} ${restartAfterMs}${more === undefined ? "" : ` ${more} more`}`);
      },
    },
    onDeath: () => void deaths++,
    clock,
    random: () => 1, // The longest wait that chance allows.
  });
  const die = (cause?: Error): void => {
    const { thread } = supervisor;
    assert.ok(thread);
    if (cause !== undefined) thread.emit("error", cause);
    thread.emit("exit", 1);
  };
  return {
    supervisor,
    clock,
    lines,
    deaths: () => deaths,
    die,
    spawned: () => spawned,
    refuse: (error?: Error) => (refusal = error),
  };
}

test("a thread that dies is told of with its cause, and replaced after the wait that was told", () => {
  const { supervisor, clock, lines, deaths, die, spawned } = supervised();
  supervisor.start();
  die(new Error("out of luck"));
  assert.deepEqual([lines, deaths()], [["Error: out of luck 50"], 1]);
  assert.equal(supervisor.thread, undefined);
  clock.advanceBy(49);
  assert.equal(spawned(), 1);
  clock.advanceBy(1);
  assert.equal(spawned(), 2);
  assert.ok(supervisor.thread);
});

test("a thread that ends without a cause has its code for one", () => {
  const { supervisor, lines, die } = supervised();
  supervisor.start();
  die();
  assert.deepEqual(lines, ["Error: Thread ended with code 1 50"]);
});

test("threads that keep dying young are replaced ever later, to 1 s; one that lived a minute starts over", () => {
  const { supervisor, clock, lines, die } = supervised();
  supervisor.start();
  for (let i = 0; i < 10; i++) {
    die(new Error("x"));
    clock.advanceToNext();
  }
  assert.deepEqual(
    lines.map((line) => Number(line.split(" ").at(-1))),
    [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000],
  );
  clock.advanceBy(60_000);
  die(new Error("x"));
  assert.equal(lines.at(-1), "Error: x 50");
});

test("ten deaths are logged, then one a minute with the number of the others", () => {
  const { supervisor, clock, lines, deaths, die } = supervised();
  supervisor.start();
  for (let i = 0; i < 300; i++) {
    die(new Error("x"));
    clock.advanceToNext();
  }
  assert.equal(deaths(), 300);
  assert.equal(lines.length, 14);
  assert.match(lines[10] ?? "", /^Error: x 1000 \d\d more$/);
});

test("a thread that is replaced is followed by another at once, and no death is told of", () => {
  const { supervisor, clock, lines, deaths, die, spawned } = supervised();
  supervisor.start();
  for (let i = 2; i < 5; i++) {
    supervisor.replace();
    die();
    assert.deepEqual([spawned(), lines, deaths(), clock.pending()], [i, [], 0, []]);
  }
  die();
  assert.deepEqual(lines, ["Error: Thread ended with code 1 50"]);
});

test("a thread that cannot be started counts as one that died", () => {
  const { supervisor, clock, lines, refuse } = supervised();
  refuse(new Error("no threads left"));
  supervisor.start();
  assert.deepEqual(lines, ["Error: no threads left 50"]);
  refuse(undefined);
  clock.advanceToNext();
  assert.ok(supervisor.thread);
});

test("stop waits for the thread to end and starts no other", async () => {
  const { supervisor, clock, deaths, die, spawned } = supervised();
  supervisor.start();
  const stopped = [supervisor.stop(), supervisor.stop()];
  die();
  await Promise.all(stopped);
  assert.deepEqual([clock.pending(), deaths(), spawned()], [[], 0, 1]);
});

test("stop between a death and the restart is done at once and cancels the restart", async () => {
  const { supervisor, clock, die } = supervised();
  supervisor.start();
  die(new Error("x"));
  await supervisor.stop();
  assert.deepEqual(clock.pending(), []);
});
