import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** Why a request is not answered. */
export interface AccessRefusal {
  readonly status: number;
  readonly why: string;
}

/** These headers forbid browsers everything but to show the page's own parts, to nobody else. */
export const securityHeaders: Readonly<Record<string, string>> = {
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/**
 * Whether a request may be answered. Everything on this machine can connect, and every page that the browser shows can make it connect:
 * so the name must be this server's (else a name that leads here by DNS could read the answers), a page that asks must be its own, and the
 * path must begin with the token of this run.
 * @returns the rest of the path, without the token
 */
export function admit(
  request: Pick<IncomingMessage, "method" | "url" | "headers">,
  { port, token }: { readonly port: number; readonly token: string },
): string | AccessRefusal {
  const { method, url = "", headers } = request;
  const names = ["127.0.0.1", "localhost"].map((name) => (port === 80 ? name : `${name}:${port}`)); // As browsers write them.
  const { host = "", origin } = headers;
  if (!names.includes(host)) return { status: 421, why: `this is ${names.join(" or ")}; a forwarded port needs the same number` };
  if (origin !== undefined && origin !== `http://${host}`) return { status: 403, why: "not for pages of others" };
  const site = headers["sec-fetch-site"];
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation)
    return { status: 403, why: "not for pages of others" };
  if (method !== "GET" && method !== "HEAD") return { status: 405, why: "only GET and HEAD" };
  const [, given = "", ...rest] = url.split("/");
  if (!isSame(given, token) || rest.length === 0) return { status: 404, why: "open the address that ingotctl printed" };
  return `/${rest.join("/")}`;
}

function isSame(given: string, token: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(token)];
  return one.length === other.length && timingSafeEqual(one, other);
}
