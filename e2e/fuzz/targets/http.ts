import assert from "node:assert/strict";
import { decodeRequest } from "../../../pkg/http/codec/request-codec.ts";
import { octetsOf, packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

/** The beginning of a connection to the port for metrics. */
export const http: Target = {
  name: "http",
  maxLength: 9_000,
  seeds: [
    "GET /metrics HTTP/1.1\r\nHost: 10.0.0.1:7472\r\nAccept: text/plain\r\n\r\n",
    "GET http://a/v1/services?name=a%20b HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer abc.def\r\nX: \xe9\r\n\r\n",
    "\r\nHEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\n",
  ].map(octetsOf),
  words: [
    ...wordsIn("pkg/http/codec/*.ts"),
    ...[
      "\r\n",
      "\r\n\r\n",
      "HTTP/1.1",
      "HTTP/2.0",
      "Host: a",
      "Host:",
      "Transfer-Encoding: chunked",
      "Content-Length: 5",
      " ",
      "\t",
      "?",
      "http://",
      "Connection: close",
    ].map(octetsOf),
  ],
  isText: true,
  bounds: { ...packetBounds, memory: 16 },
  run: (input) => {
    const bytes = Buffer.from(input);
    const request = decodeRequest(bytes);
    if (request?.type !== "request") return;
    assert.ok(request.length <= bytes.length && request.path !== "");
    assert.deepEqual(decodeRequest(bytes.subarray(0, request.length)), request);
    assert.equal(decodeRequest(bytes.subarray(0, request.length - 1)), undefined, "a request is complete at its last octet");
    new URLSearchParams(request.query);
  },
};
