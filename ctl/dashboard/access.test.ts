import assert from "node:assert/strict";
import { test } from "node:test";
import { type AccessRefusal, admit, securityHeaders } from "./access.ts";

const run = { port: 4711, token: "0123456789abcdef" };
const own = { host: "127.0.0.1:4711" };

const cases: { name: string; method?: string; url?: string; headers: Record<string, string>; want: string | number }[] = [
  { name: "the page", headers: own, want: "/" },
  { name: "a file of the page", url: "/0123456789abcdef/app.js", headers: own, want: "/app.js" },
  { name: "by the name localhost", headers: { host: "localhost:4711" }, want: "/" },
  {
    name: "the page's own request",
    headers: { ...own, origin: "http://127.0.0.1:4711", "sec-fetch-site": "same-origin" },
    want: "/",
  },
  { name: "the address, typed or opened by another program", headers: { ...own, "sec-fetch-site": "none" }, want: "/" },
  {
    name: "a link of another page that has the token",
    headers: { ...own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
    want: "/",
  },
  { name: "a name that DNS leads here", headers: { host: "evil.example:4711" }, want: 421 },
  { name: "no name", headers: {}, want: 421 },
  { name: "another port", headers: { host: "127.0.0.1:80" }, want: 421 },
  { name: "a name that begins like ours", headers: { host: "127.0.0.1:4711.evil.example" }, want: 421 },
  { name: "a page of others", headers: { ...own, origin: "http://evil.example" }, want: 403 },
  { name: "a page without origin", headers: { ...own, origin: "null" }, want: 403 },
  { name: "another port's page", headers: { ...own, origin: "http://127.0.0.1:80" }, want: 403 },
  {
    name: "a script of another page",
    headers: { ...own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
    want: 403,
  },
  {
    name: "a frame in another page",
    headers: { ...own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
    want: 403,
  },
  {
    name: "another port of this machine",
    headers: { ...own, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" },
    want: 403,
  },
  { name: "a POST", method: "POST", headers: own, want: 405 },
  { name: "no token", url: "/", headers: own, want: 404 },
  { name: "another token", url: "/0123456789abcdee/", headers: own, want: 404 },
  { name: "a part of the token", url: "/0123456789abcde/", headers: own, want: 404 },
  { name: "the token without what follows", url: "/0123456789abcdef", headers: own, want: 404 },
  { name: "the token in another place", url: "/stream/0123456789abcdef/", headers: own, want: 404 },
  { name: "what is no address", url: "*", headers: own, want: 404 },
];
test("port 80, which browsers leave out of the name, is served, too", () => {
  const headers = { host: "127.0.0.1", origin: "http://127.0.0.1" };
  assert.equal(admit({ method: "GET", url: "/0123456789abcdef/", headers }, { ...run, port: 80 }), "/");
});

for (const { name, method = "GET", url = "/0123456789abcdef/", headers, want } of cases)
  test(`${typeof want === "string" ? "admitted" : "refused"}: ${name}`, () => {
    const found = admit({ method, url, headers }, run);
    assert.equal(typeof found === "string" ? found : (found satisfies AccessRefusal).status, want);
  });

test("the page may load and ask nothing but this server, and nothing may be put into it", () => {
  const policy = securityHeaders["Content-Security-Policy"] ?? "";
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ])
    assert.ok(policy.split("; ").includes(part), part);
  assert.doesNotMatch(policy, /unsafe|http|\*/);
});
