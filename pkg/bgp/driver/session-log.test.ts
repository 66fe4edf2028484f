import assert from "node:assert/strict";
import { test } from "node:test";
import { LoneSession } from "../testing/lone-session.ts";
import { RecordingLog } from "../testing/pair.ts";
import { SessionLog } from "./session-log.ts";

test("sixteen of the reasons that a peer makes up for failed attempts are warnings, until a session is established", () => {
  const log = new RecordingLog();
  const sessionLog = new SessionLog(log);
  const { session } = new LoneSession();
  const reject = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const notification = { type: "notification", code: 6, subcode: 5, data: Uint8Array.of(i >> 8, i) } as const;
      const reason = { type: "received", notification } as const;
      sessionLog.transition({ type: "transition", from: "openSent", to: "active", reason }, session, undefined, 0);
    }
  };
  reject(1_000);
  assert.equal(log.loud.length, 16);
  assert.equal(log.lines.length, 1_000);
  sessionLog.transition({ type: "transition", from: "openConfirm", to: "established", reason: undefined }, session, undefined, 0);
  log.lines.length = 0;
  reject(1_000);
  assert.equal(log.loud.length, 16);
});
