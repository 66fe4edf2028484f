import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keepalive, LoneSession, notification, ourId, refresh, summary, theirOpen, update } from "../testing/lone-session.ts";
import type { Event } from "./events.ts";
import type { State } from "./state.ts";

const cease = notification(6, 2);
const message = (message: Extract<Event, { type: "message" }>["message"]): Event => ({
  type: "message",
  connection: 1,
  message,
  octets: 0,
});
const broken = (code: number, subcode: number): Event => ({
  type: "malformed",
  connection: 1,
  notification: notification(code, subcode),
  because: "it is",
});

/** All of RFC 4271, section 8.1, that apply, and the others, by its number where it has one. */
const events: Readonly<Record<string, Event | "deadline">> = {
  "1 start": { type: "start" },
  "2 stop": { type: "stop", notification: cease, because: "maintenance" },
  "8 reset": { type: "reset", notification: cease, because: "maintenance" },
  "9, 10, 11, 13 next deadline": "deadline",
  retry: { type: "retry" },
  "16 connected": { type: "connected", connection: 1, routerId: ourId },
  "17 accepted": { type: "accepted", routerId: ourId },
  "18 lost": { type: "lost", connection: 1, because: "reset" },
  "19 OPEN": message(theirOpen()),
  "21 bad header": broken(1, 1),
  "22 bad OPEN": broken(2, 1),
  "22 OPEN of another AS": message(theirOpen({ asn: 65099, capabilities: [] })),
  "24 NOTIFICATION of a version": message(notification(2, 1)),
  "25 NOTIFICATION": message(notification(6, 4)),
  "26 KEEPALIVE": message(keepalive),
  "27 UPDATE": message(update),
  "28 bad UPDATE": broken(3, 1),
  "ROUTE-REFRESH": message(refresh),
  "timer too soon": { type: "timer" },
  written: { type: "written", connection: 1 },
};

/** Events without an entry change nothing. */
const table: Readonly<Record<State, Readonly<Record<string, readonly [to: State, effects: string]>>>> = {
  idle: {
    "1 start": ["connect", "dial 1"],
    "17 accepted": ["idle", "refuse 6/5"],
  },
  connect: {
    "2 stop": ["idle", "close 1"],
    "9, 10, 11, 13 next deadline": ["active", "close 1, failed connectTimeout"],
    "16 connected": ["openSent", "send open"],
    "17 accepted": ["openSent", "adopt 2, send open"],
    "18 lost": ["active", "close 1, failed lost"],
  },
  active: {
    "2 stop": ["idle", ""],
    retry: ["connect", "dial 2"],
    "9, 10, 11, 13 next deadline": ["connect", "dial 2"],
    "17 accepted": ["openSent", "adopt 2, send open"],
  },
  openSent: {
    "2 stop": ["idle", "send 6/2, close 1"],
    "8 reset": ["idle", "send 6/2, close 1, failed sent"],
    "9, 10, 11, 13 next deadline": ["active", "close 1, failed holdTimerExpired"],
    "17 accepted": ["openSent", "adopt 2, send open"],
    "18 lost": ["active", "close 1, failed lost"],
    "19 OPEN": ["openConfirm", "send keepalive"],
    "21 bad header": ["idle", "send 1/1, close 1, failed sent"],
    "22 bad OPEN": ["idle", "send 2/1, close 1, failed sent"],
    "22 OPEN of another AS": ["idle", "send 2/2, close 1, failed sent"],
    "24 NOTIFICATION of a version": ["idle", "close 1, failed received"],
    "25 NOTIFICATION": ["idle", "close 1, failed received"],
    "26 KEEPALIVE": ["idle", "send 5/1, close 1, failed sent"],
    "27 UPDATE": ["idle", "send 5/1, close 1, failed sent"],
    "28 bad UPDATE": ["idle", "send 3/1, close 1, failed sent"],
    "ROUTE-REFRESH": ["idle", "send 5/1, close 1, failed sent"],
  },
  openConfirm: {
    "2 stop": ["idle", "send 6/2, close 1"],
    "8 reset": ["idle", "send 6/2, close 1, failed sent"],
    "9, 10, 11, 13 next deadline": ["openConfirm", "send keepalive"],
    "17 accepted": ["openConfirm", "adopt 2, send open"],
    "18 lost": ["idle", "close 1, failed lost"],
    "19 OPEN": ["idle", "send 5/2, close 1, failed sent"],
    "21 bad header": ["idle", "send 1/1, close 1, failed sent"],
    "22 bad OPEN": ["idle", "send 2/1, close 1, failed sent"],
    "22 OPEN of another AS": ["idle", "send 5/2, close 1, failed sent"],
    "24 NOTIFICATION of a version": ["idle", "close 1, failed received"],
    "25 NOTIFICATION": ["idle", "close 1, failed received"],
    "26 KEEPALIVE": ["established", "established"],
    "27 UPDATE": ["idle", "send 5/2, close 1, failed sent"],
    "28 bad UPDATE": ["idle", "send 3/1, close 1, failed sent"],
    "ROUTE-REFRESH": ["idle", "send 5/2, close 1, failed sent"],
  },
  established: {
    "2 stop": ["idle", "send 6/2, close 1, down sent"],
    "8 reset": ["idle", "send 6/2, close 1, down sent"],
    "9, 10, 11, 13 next deadline": ["established", "send keepalive"],
    "17 accepted": ["established", "adopt 2, send open"],
    "18 lost": ["idle", "close 1, down lost"],
    "19 OPEN": ["idle", "send 5/3, close 1, down sent"],
    "21 bad header": ["idle", "send 1/1, close 1, down sent"],
    "22 bad OPEN": ["idle", "send 2/1, close 1, down sent"],
    "22 OPEN of another AS": ["idle", "send 5/3, close 1, down sent"],
    "24 NOTIFICATION of a version": ["idle", "close 1, down received"],
    "25 NOTIFICATION": ["idle", "close 1, down received"],
    "27 UPDATE": ["established", "update"],
    "28 bad UPDATE": ["idle", "send 3/1, close 1, down sent"],
    "ROUTE-REFRESH": ["established", "refresh IPv4"],
  },
};

for (const state of Object.keys(table) as State[])
  for (const [name, event] of Object.entries(events)) {
    if (event === "deadline" && state === "idle") continue; // A stopped session waits for nothing.
    const [to, effects] = table[state][name] ?? [state, ""];
    test(`${state}, ${name}: ${to}${effects && `, ${effects}`}`, () => {
      const one = new LoneSession();
      one.reach(state);
      const done = event === "deadline" ? one.next() : one.dispatch(event);
      assert.deepEqual([one.state, summary(done)], [to, effects]);
      const transition = done.find((effect) => effect.type === "transition");
      assert.deepEqual(
        [transition?.from ?? state, transition?.to ?? state],
        [state, to],
        "a change of state is reported, and nothing else is",
      );
    });
  }

test("the table above the source has every state and event, and what the tests above show", () => {
  const source = readFileSync(new URL("./fsm.ts", import.meta.url), "utf8");
  const written = [...source.matchAll(/^ \* \| (.*) \|$/gm)].map(([, row = ""]) => row.split("|").map((cell) => cell.trim()));
  const columns = Object.keys(table) as State[];
  const rows = Object.entries(events).map(([name, event]) => [
    name,
    ...columns.map((state) => (event === "deadline" && state === "idle" ? "" : (table[state][name]?.[0] ?? ""))),
  ]);
  assert.deepEqual(written, [["", ...columns], ["---", ...columns.map(() => "---")], ...rows]);
});

const wrongAs = notification(2, 2);

const mute: Readonly<Record<string, Event>> = {
  "without a word": { type: "lost", connection: 0, because: "reset" },
  "with Cease alone": message(notification(6, 0)),
  "as rejected": message(notification(6, 5)),
  "because of a collision": message(notification(6, 7)),
};

for (const [what, says] of [
  ["the router's statement on the OPEN", message(wrongAs)],
  ["the router's own AS number", message(theirOpen({ asn: 65099, capabilities: [] }))],
] as const)
  for (const [how, last] of Object.entries(mute))
    test(`${what} stays the reason while the router closes other connections ${how}, until it is old`, () => {
      const one = new LoneSession();
      one.dispatch({ type: "start" });
      const attempt = (event: Event) => {
        while (one.state !== "connect") one.next();
        const connection = one.session.lastConnection;
        one.dispatch({ type: "connected", connection, routerId: ourId });
        one.dispatch("connection" in event ? { ...event, connection } : event);
        return one.session.lastFailure?.reason;
      };
      const told = attempt(says);
      assert.ok(told?.type === "received" || told?.type === "sent");
      const isOld = () => one.now - (toldAt ?? 0) >= 300_000;
      const toldAt = one.session.lastFailure?.at;
      let attempts = 0;
      for (; ; attempts++) {
        const reason = attempt(last);
        if (isOld()) {
          assert.notEqual(reason, told);
          break;
        }
        assert.equal(reason, told);
      }
      assert.ok(attempts > 2, `${attempts}`);
    });
