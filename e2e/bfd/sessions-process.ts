/**
 * Our sessions in a process of their own, given as JSON in its first argument; its second may be `busy`. It prints each status with the time, in microseconds
 * since 1970, and answers over HTTP on 127.0.0.1, port 8080: `/sessions`, `/counters`, `/configure?PEER&PROFILE` and `/remove?PEER`.
 */
import { createServer } from "node:http";
import { Bfd, type BfdStatus } from "#pkg/bfd";
import { wallClock } from "#pkg/clock";
import { createLog } from "#pkg/log";
import { address } from "#pkg/net/testing";
import type { OurSession, StatusLine } from "./our-sessions.ts";
import { profile } from "./profile.ts";

function print(peer: string, { verdict, reason }: BfdStatus): void {
  const at = Math.round((performance.timeOrigin + performance.now()) * 1000);
  console.log(JSON.stringify({ at, peer, verdict, reason } satisfies StatusLine));
}

/** Keeps this thread busy, with garbage to collect, in slices between which it handles events. */
function beBusy(live: readonly object[] = []): void {
  let next = live;
  for (const end = performance.now() + 20; performance.now() < end; )
    next = Array.from({ length: 20_000 }, (_, i) => ({ i, text: `object ${i}`, list: [i, live[i]?.constructor] }));
  setImmediate(beBusy, next);
}

const sessions = JSON.parse(process.argv[2] ?? "[]") as OurSession[];
await using bfd = new Bfd({ log: createLog("debug", process.stderr), date: wallClock });
const watches = new Map(
  sessions.map(({ peer, local, interface: name, multihop = false, settings }) => {
    const ends = { peer: address(peer), local: local === undefined ? undefined : address(local), interface: name, multihop };
    return [peer, bfd.watch(ends, profile(settings), (status) => print(peer, status))];
  }),
);

function answer(url: string): unknown {
  const { pathname, search } = new URL(url, "http://127.0.0.1");
  const [peer = "", settings = "{}"] = search.slice(1).split("&").map(decodeURIComponent);
  if (pathname === "/sessions") return bfd.describe();
  if (pathname === "/counters") return { sessions: bfd.counters(), ignored: bfd.ignored() };
  if (pathname === "/configure") return watches.get(peer)?.configure(profile(JSON.parse(settings))) ?? null;
  return watches.get(peer)?.[Symbol.dispose]() ?? null;
}

const server = createServer((request, response) => response.end(JSON.stringify(answer(request.url ?? ""))));
server.listen(8080, "127.0.0.1");
console.log("ready");
if (process.argv[3] === "busy") beBusy();
await new Promise((resolve) => process.once("SIGTERM", resolve));
server.close();
server.closeAllConnections();
