import assert from "node:assert/strict";
import { test } from "node:test";
import { readiness } from "#pkg/process";

const cases: { name: string; state: Parameters<typeof readiness>[0]; status: number; body: string }[] = [
  { name: "ready", state: { missing: [], failed: undefined, refused: undefined, warnings: [] }, status: 200, body: "ready\n" },
  {
    name: "unready while something has not been seen",
    state: { missing: ["Services", "endpoints"], failed: undefined, refused: undefined, warnings: [] },
    status: 503,
    body: "waiting for Services\nwaiting for endpoints\n",
  },
  {
    name: "unready when it cannot announce, so that it owns nothing",
    state: { missing: [], failed: "Cannot announce", refused: undefined, warnings: [] },
    status: 503,
    body: "Cannot announce\n",
  },
  {
    name: "ready with a refused configuration, and says so",
    state: { missing: [], failed: undefined, refused: "line 1", warnings: [] },
    status: 200,
    body: "ready\nconfiguration not used: line 1\n",
  },
  {
    name: "ready with warnings about the node, each on a line",
    state: { missing: [], failed: undefined, refused: undefined, warnings: ["one", "two"] },
    status: 200,
    body: "ready\nwarning: one\nwarning: two\n",
  },
];
for (const { name, state, status, body } of cases) {
  test(`readiness: ${name}`, () => {
    assert.deepEqual(readiness(state), { status, contentType: "text/plain", body });
  });
}
