import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeRequest } from "./request-codec.ts";

const get = (head: string) => decodeRequest(Buffer.from(head.replaceAll("\n", "\r\n"), "latin1"));
const host = "Host: node1:7472\n\n";

const accepted: { name: string; head: string; method?: string; path: string; keepAlive?: boolean; more?: object }[] = [
  { name: "GET of a path", head: `GET /metrics HTTP/1.1\n${host}`, path: "/metrics" },
  { name: "a query", head: `GET /v1/a?b=c?d HTTP/1.1\n${host}`, path: "/v1/a", more: { query: "b=c?d" } },
  { name: "the absolute form", head: `GET http://node1:7472/healthz HTTP/1.1\n${host}`, path: "/healthz" },
  { name: "the absolute form without a path", head: `GET http://node1?q HTTP/1.1\n${host}`, path: "/", more: { query: "q" } },
  { name: "HEAD", head: `HEAD / HTTP/1.1\n${host}`, method: "HEAD", path: "/" },
  { name: "a method that nothing here takes", head: `OPTIONS * HTTP/1.1\n${host}`, method: "OPTIONS", path: "*" },
  { name: "an empty line before", head: `\nGET / HTTP/1.1\n${host}`, path: "/" },
  { name: "a body of nothing", head: `GET / HTTP/1.1\nContent-Length: 0\n${host}`, path: "/" },
  { name: "a connection to be closed", head: `GET / HTTP/1.1\nConnection: foo, Close\n${host}`, path: "/", keepAlive: false },
  { name: "HTTP/1.0 without Host", head: "GET / HTTP/1.0\n\n", path: "/", keepAlive: false, more: { host: "" } },
  { name: "HTTP/1.0 that is kept", head: "GET / HTTP/1.0\nConnection: keep-alive\n\n", path: "/", more: { host: "" } },
  {
    name: "a token",
    head: `GET / HTTP/1.1\nAuthorization: Bearer abc\n${host}`,
    path: "/",
    more: { authorization: "Bearer abc" },
  },
  { name: "octets beyond ASCII in a value", head: `GET / HTTP/1.1\nX-Name: \xe4\n${host}`, path: "/" },
];
for (const { name, head, method = "GET", path, keepAlive = true, more } of accepted)
  test(`a request is read: ${name}`, () => {
    const length = head.replaceAll("\n", "\r\n").length;
    const rest = { query: "", host: "node1:7472", authorization: "", keepAlive, length };
    assert.deepEqual(get(head), Object.assign({ type: "request", method, path }, rest, more));
  });

const refused: { name: string; head: string; status: number }[] = [
  { name: "no HTTP", head: "SSH-2.0-OpenSSH\n\n", status: 400 },
  { name: "HTTP/0.9", head: "GET /\n\n", status: 400 },
  { name: "HTTP/2 by prior knowledge", head: "PRI * HTTP/2.0\n\n", status: 505 },
  { name: "no Host", head: "GET / HTTP/1.1\n\n", status: 400 },
  { name: "two Hosts", head: `GET / HTTP/1.1\nHost: a\n${host}`, status: 400 },
  { name: "two tokens", head: `GET / HTTP/1.1\nAuthorization: a\nAuthorization: b\n${host}`, status: 400 },
  { name: "a folded line", head: `GET / HTTP/1.1\nX: a\n b\n${host}`, status: 400 },
  { name: "a blank before the colon", head: `GET / HTTP/1.1\nX : a\n${host}`, status: 400 },
  { name: "a control character in a value", head: `GET / HTTP/1.1\nX: a\u0000\n${host}`, status: 400 },
  { name: "a body", head: `GET / HTTP/1.1\nContent-Length: 1\n${host}`, status: 413 },
  { name: "two lengths", head: `GET / HTTP/1.1\nContent-Length: 0\nContent-Length: 9\n${host}`, status: 400 },
  { name: "a body in chunks", head: `POST / HTTP/1.1\nTransfer-Encoding: chunked\n${host}`, status: 413 },
  { name: "65 headers", head: `GET / HTTP/1.1\n${"X: y\n".repeat(64)}${host}`, status: 431 },
  { name: "8 KiB without an end", head: `GET / HTTP/1.1\nX: ${"y".repeat(8192)}`, status: 431 },
  { name: "a head of more than 8 KiB", head: `GET / HTTP/1.1\nX: ${"y".repeat(8192)}\n${host}`, status: 431 },
];
for (const { name, head, status } of refused)
  test(`a request is refused: ${name}`, () => assert.deepEqual(get(head), { type: "refused", status }));

test("a request is read only when its head is complete, and what follows is left for the next one", () => {
  const head = `GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n`;
  for (let length = 0; length < head.length; length++) assert.equal(decodeRequest(Buffer.from(head.slice(0, length))), undefined);
  const reading = decodeRequest(Buffer.from(head + head));
  assert.equal(reading?.type === "request" && reading.length, head.length);
});

test("any octets are read without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300, size: "max" }), fc.boolean(), (octets, ended) => {
      decodeRequest(Buffer.concat([octets, Buffer.from(ended ? "\r\n\r\n" : "")]));
    }),
  );
});
