/**
 * A small HTTP/1.1 server for `/metrics`, `/healthz`, `/readyz` and `/v1`: GET and HEAD on fixed paths, nothing else, no bodies. It
 * replaces Node's server, which reads all requests that a client sends ahead in one turn (1,900 of them in 50 ms), enforces its time
 * limits only every 30 s, and drops new connections instead of idle ones.
 */
export { json, OneLine } from "./json.ts";
export { type Handler, type Route, type RouteRequest, type Routes, serve, sourceOfMost } from "./server.ts";
