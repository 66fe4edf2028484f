import type { Route } from "./server.ts";

/** An answer for people and programs alike: JSON, indented. */
export function json(value: unknown): Route {
  return { status: 200, contentType: "application/json", body: `${JSON.stringify(value, undefined, 2)}\n` };
}
