import type { Route } from "../server.ts";

/** The body as one text. */
export function textOf({ body }: Route): string {
  return typeof body === "string" ? body : Buffer.concat([body].flat()).toString();
}

/** Somebody on this host, who asks with this query. */
export function asked(query = ""): {
  query: URLSearchParams;
  host: string;
  authorization: string;
  from: string;
  isLocal: boolean;
} {
  return { query: new URLSearchParams(query), host: "", authorization: "", from: "127.0.0.1", isLocal: true };
}
