import assert from "node:assert/strict";
import { test } from "node:test";
import { SystemCallError } from "./error.ts";
import { EventFd } from "./event-fd.ts";
import { PollSet } from "./poll-set.ts";

test("an event descriptor is ready from the first signal until it is cleared", () => {
  using event = EventFd.create();
  using other = EventFd.create();
  const poll = new PollSet();
  poll.watch([other.fd, event.fd]);
  assert.deepEqual(poll.wait(0), []);
  event.signal();
  event.signal();
  assert.deepEqual(poll.wait(10_000), [event.fd]);
  event.clear();
  event.clear();
  assert.deepEqual(poll.wait(0), []);
});

test("a wait aside lets this thread go on, and ends with a signal", async () => {
  using event = EventFd.create();
  const poll = new PollSet();
  poll.watch([event.fd]);
  assert.deepEqual(await poll.waitAside(0), []);
  const waiting = poll.waitAside(60_000);
  event.signal();
  assert.deepEqual(await waiting, [event.fd]);
});

test("a wait aside for a descriptor that is not open is an error", async () => {
  const poll = new PollSet();
  poll.watch([0x7fff_fff0]);
  await assert.rejects(poll.waitAside(60_000), { code: "EBADF", call: "ppoll" });
});

test("a descriptor that is not open is an error, not an endless loop", () => {
  const poll = new PollSet();
  poll.watch([0x7fff_fff0]);
  assert.throws(
    () => poll.wait(10_000),
    (error) => error instanceof SystemCallError && error.code === "EBADF" && error.call === "ppoll",
  );
});

test("a failed call is told with what was attempted, the call, and the kernel's reason", () => {
  assert.throws(() => new EventFd(0x7fff_fff0).signal(), {
    message: "Cannot signal an event descriptor: write: EBADF, bad file descriptor",
  });
});
