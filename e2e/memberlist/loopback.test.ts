import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, before, test } from "node:test";
import { waitFor } from "#e2e/lab";
import { systemRandom } from "#pkg/clock";
import { silentLog } from "#pkg/log/testing";
import { Keyring, Memberlist, type MemberlistEvent, type MemberlistOptions, openSockets } from "#pkg/memberlist";
import { PolledEventLoop } from "#pkg/threads";
import { ringAddresses } from "./ring-process.ts";

// Our members alone, on real sockets and real time.

const encrypted = new Keyring([Buffer.from("0123456789abcdef")]);
const noIpv6 =
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")) && "this machine has no IPv6";

const loop = new PolledEventLoop(10);
before(() => loop.start());
after(() => loop[Symbol.dispose]());

async function member(options: Pick<MemberlistOptions, "name" | "bind"> & Partial<MemberlistOptions>): Promise<Memberlist> {
  const made = new Memberlist({
    keyring: encrypted,
    timing: "auto",
    clock: loop,
    random: systemRandom,
    log: silentLog,
    openTransport: openSockets(loop),
    ...options,
  });
  await made.start();
  return made;
}

async function agree(members: readonly Memberlist[]): Promise<void> {
  const all = members.map(({ local }) => `${local.address} ${local.port}`).sort();
  await waitFor(`${all.length} members to know one another`, () => {
    for (const one of members)
      assert.deepEqual(
        one
          .members()
          .map(({ address, port }) => `${address} ${port}`)
          .sort(),
        all,
      );
    return true;
  });
}

test("a ring of five: all know all, one leaves, one falls silent", async () => {
  await using stack = new AsyncDisposableStack();
  const address = ringAddresses();
  const members: Memberlist[] = [];
  for (let i = 1; i <= 5; i++)
    members.push(stack.use(await member({ name: `node-${i}`, bind: { address: address(i), port: 7946 } })));
  const [first, second, third, fourth, fifth] = members;
  assert.ok(first && second && third && fourth && fifth);
  for (const other of [second, third, fourth, fifth]) assert.equal((await other.join([address(1)])).joined, 1);
  await agree(members);
  assert.deepEqual(
    members.map(({ timing }) => timing),
    members.map(() => "fast"),
  );

  const gone: string[] = [];
  first.onEvent((event: MemberlistEvent) => {
    if (event.type === "member" && (event.change === "left" || event.change === "failed"))
      gone.push(`${event.member.name} ${event.change}`);
  });
  assert.equal(await fourth.leave(5_000), true);
  await fourth[Symbol.asyncDispose]();
  await agree([first, second, third, fifth]);
  await fifth[Symbol.asyncDispose]();
  await agree([first, second, third]);
  assert.deepEqual(gone, ["node-4 left", "node-5 failed"]);
  for (const { counters } of [first, second, third])
    assert.deepEqual([counters.conflicts, Object.values(counters.problems).filter((count) => count > 0)], [0, []]);
});

test("a ring on IPv6", { skip: noIpv6 }, async () => {
  await using six = await member({ name: "six", bind: { address: "::1", port: 0 } });
  await using other = await member({ name: "other", bind: { address: "::1", port: 0 } });
  assert.equal((await other.join([`[::1]:${six.local.port}`])).joined, 1);
  await agree([six, other]);
});

test("a taken port is an error that names it", async () => {
  await using first = await member({ name: "first", bind: { address: "127.0.0.1", port: 0 } });
  await assert.rejects(member({ name: "second", bind: first.local }), {
    message: `Cannot listen for memberlist on 127.0.0.1 port ${first.local.port} (TCP)`,
  });
});
