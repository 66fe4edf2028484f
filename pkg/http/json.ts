import { escapeControls } from "#pkg/text";
import type { Route } from "./server.ts";

/** An answer for people and programs alike: JSON, indented, with control characters escaped. */
export function json(value: unknown): Route {
  const lines = JSON.stringify(value, undefined, 2).split("\n"); // Of the indentation: in texts they are escaped.
  return { status: 200, contentType: "application/json", body: `${lines.map(escapeControls).join("\n")}\n` };
}
