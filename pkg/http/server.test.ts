import assert from "node:assert/strict";
import { test } from "node:test";
import { json, type Routes, serve } from "#pkg/http";
import { silentLog } from "#pkg/log";

const routes: Routes = {
  "/healthz": () => ({ status: 200, contentType: "text/plain", body: "ok\n" }),
  "/readyz": async () => ({ status: 503, contentType: "text/plain", body: "waiting for Services\n" }),
  "/broken": () => {
    throw new Error("broken");
  },
};
const local = { host: "127.0.0.1", port: 0, routes, log: silentLog };

const cases: { name: string; path: string; method?: string; status: number; body?: string }[] = [
  { name: "a route answers", path: "/healthz", status: 200, body: "ok\n" },
  { name: "a query is ignored", path: "/healthz?verbose", status: 200, body: "ok\n" },
  { name: "a route may take its time and say no", path: "/readyz", status: 503, body: "waiting for Services\n" },
  { name: "HEAD has no body", path: "/healthz", method: "HEAD", status: 200, body: "" },
  { name: "an unknown path is not found", path: "/", status: 404 },
  { name: "a name that every object has is not a path", path: "/constructor", status: 404 },
  { name: "other methods are refused", path: "/healthz", method: "POST", status: 405 },
  { name: "a route that throws is an internal error, and the server lives on", path: "/broken", status: 500 },
];
test("serve answers fixed paths", async (t) => {
  await using server = await serve(local);
  for (const { name, path, method, status, body } of cases) {
    await t.test(name, async () => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method: method ?? "GET" });
      const text = await response.text();
      assert.equal(response.status, status);
      if (body !== undefined) assert.equal(text, body);
    });
  }
});

test("a port in use is refused by name", async () => {
  await using first = await serve(local);
  await assert.rejects(serve({ ...local, port: first.port }), { message: `Cannot listen for HTTP on 127.0.0.1:${first.port}` });
});

test("JSON shows control characters as escapes, and is indented", () => {
  assert.equal(json({ name: "a\u001b[2J\u009b\u202eb\n" }).body, '{\n  "name": "a\\u001b[2J\\u009b\\u202eb\\n"\n}\n');
});
