import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { address } from "#pkg/net/testing";
import { encodeMessage, MessageType, NetlinkError } from "./codec/netlink-wire.ts";
import { SystemCallError } from "./libc.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { Rtnetlink } from "./rtnetlink.ts";

// A namespace of its own, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("changes of a kernel's addresses and routes", { skip: !available && "needs unshare, ip and user namespaces" }, async () => {
  const file = new URL("./testing/rtnetlink-scenarios.ts", import.meta.url).pathname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
  const options = { env, timeout: 300_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});

const words = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);
const multi = 0x02; // NLM_F_MULTI
const interrupted = multi | 0x10; // NLM_F_DUMP_INTR
const errnos = { networkUnreachable: 101, noBuffers: 105, noMemory: 12, notFound: 2 };

/** Each request of a socket gets the next of these answers, the last one again and again. */
function answering(t: TestContext, ...answers: ((sequence: number) => Uint8Array[])[]): Rtnetlink {
  const waiting: Uint8Array[] = [];
  t.mock.method(NetlinkSocket.prototype, "send", (request: Uint8Array) => {
    const sequence = new DataView(request.buffer, request.byteOffset).getUint32(8, true);
    waiting.push(...((answers.length > 1 ? answers.shift() : answers[0])?.(sequence) ?? []));
  });
  t.mock.method(NetlinkSocket.prototype, "receive", () => waiting.shift());
  return new Rtnetlink();
}

const end = (of: number, flags = multi, result = 0) => encodeMessage(MessageType.done, flags, of, words(result));
const refusal = (of: number, result: number) => encodeMessage(MessageType.error, 0, of, words(-result));
// A default route by 10.0.0.1 on interface 2.
const defaultRoute = (of: number) =>
  encodeMessage(
    MessageType.newRoute,
    multi,
    of,
    words(2, 0x0100_03fe, 0),
    words(0x0004_0008, 2),
    words(0x0005_0008, 0x0100_000a),
  );

for (const { name, answers, want } of [
  { name: "a whole dump", answers: [(of: number) => [defaultRoute(of), end(of)]], want: ["10.0.0.1"] },
  { name: "no such table", answers: [(of: number) => [refusal(of, errnos.notFound)]], want: [] },
  {
    name: "a change in the middle, and then a whole dump",
    answers: [(of: number) => [end(of, interrupted)], (of: number) => [defaultRoute(of), end(of)]],
    want: ["10.0.0.1"],
  },
  { name: "changes without end", answers: [(of: number) => [defaultRoute(of), end(of, interrupted)]], want: NetlinkError },
  { name: "no end", answers: [(of: number) => [defaultRoute(of)]], want: NetlinkError },
  {
    name: "an error in the end",
    answers: [(of: number) => [defaultRoute(of), end(of, multi, -errnos.noMemory)]],
    want: SystemCallError,
  },
  { name: "a refusal", answers: [(of: number) => [refusal(of, errnos.noBuffers)]], want: SystemCallError },
])
  test(`gateways: ${name}`, (t) => {
    using link = answering(t, ...answers);
    if (typeof want === "function") assert.throws(() => link.gateways("IPv4"), want);
    else
      assert.deepEqual(
        link.gateways("IPv4").map(({ address }) => `${address}`),
        want,
      );
  });

for (const { name, errno, isRefused } of [
  { name: "no route", errno: errnos.networkUnreachable, isRefused: false },
  { name: "a kernel without memory for an answer", errno: errnos.noBuffers, isRefused: true },
])
  test(`the interface to an address: ${name}`, (t) => {
    using link = answering(t, (of) => [refusal(of, errno)]);
    if (isRefused) assert.throws(() => link.interfaceTo(address("192.0.2.1")), SystemCallError);
    else assert.equal(link.interfaceTo(address("192.0.2.1")), undefined);
  });
