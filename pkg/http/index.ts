/** A small HTTP server for `/metrics`, `/healthz` and `/readyz`: GET and HEAD on fixed paths, nothing else. */
export { type HttpServer, type Route, type Routes, serve } from "./server.ts";
