/** A small HTTP server for `/metrics`, `/healthz`, `/readyz` and `/v1`: GET and HEAD on fixed paths, nothing else. */
export { json } from "./json.ts";
export { type Route, type Routes, serve } from "./server.ts";
