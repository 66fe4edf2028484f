import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { Supervisor } from "./supervisor.ts";

/** A supervisor of threads that do as the test says, and what it did. */
function supervised() {
  const clock = new SimulatedClock();
  const deaths: string[] = [];
  let spawned = 0;
  let refusal: Error | undefined;
  const supervisor = new Supervisor({
    spawn: () => {
      spawned++;
      if (refusal !== undefined) throw refusal;
      return new EventEmitter();
    },
    onDeath: (cause, restartAfter) => deaths.push(`${cause} ${restartAfter}`),
    clock,
    random: () => 1, // The longest wait that chance allows.
  });
  const die = (cause?: Error): void => {
    const { thread } = supervisor;
    assert.ok(thread);
    if (cause !== undefined) thread.emit("error", cause);
    thread.emit("exit", 1);
  };
  return { supervisor, clock, deaths, die, spawned: () => spawned, refuse: (error?: Error) => (refusal = error) };
}

test("a thread that dies is told of with its cause, and replaced after the wait that was told", () => {
  const { supervisor, clock, deaths, die, spawned } = supervised();
  supervisor.start();
  die(new Error("out of luck"));
  assert.deepEqual(deaths, ["Error: out of luck 50"]);
  assert.equal(supervisor.thread, undefined);
  clock.advanceBy(49);
  assert.equal(spawned(), 1);
  clock.advanceBy(1);
  assert.equal(spawned(), 2);
  assert.ok(supervisor.thread);
});

test("a thread that ends without a cause has its code for one", () => {
  const { supervisor, deaths, die } = supervised();
  supervisor.start();
  die();
  assert.deepEqual(deaths, ["Error: Thread ended with code 1 50"]);
});

test("threads that keep dying young are replaced ever later, to 10 s; one that lived a minute starts over", () => {
  const { supervisor, clock, deaths, die } = supervised();
  supervisor.start();
  for (let i = 0; i < 10; i++) {
    die(new Error("x"));
    clock.advanceToNext();
  }
  assert.deepEqual(
    deaths.map((line) => Number(line.split(" ").at(-1))),
    [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000],
  );
  clock.advanceBy(60_000);
  die(new Error("x"));
  assert.equal(deaths.at(-1), "Error: x 50");
});

test("a thread that cannot be started counts as one that died", () => {
  const { supervisor, clock, deaths, refuse } = supervised();
  refuse(new Error("no threads left"));
  supervisor.start();
  assert.deepEqual(deaths, ["Error: no threads left 50"]);
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
  assert.deepEqual([clock.pending(), deaths, spawned()], [[], [], 1]);
});

test("stop between a death and the restart is done at once and cancels the restart", async () => {
  const { supervisor, clock, die } = supervised();
  supervisor.start();
  die(new Error("x"));
  await supervisor.stop();
  assert.deepEqual(clock.pending(), []);
});
