import type { Handler, Route, RouteRequest, Routes } from "#pkg/http";
import type { Access, TokenAccess } from "./token-access.ts";

export interface AccessRules {
  readonly "api-auth": "loopback" | "token";
  readonly "metrics-auth": "none" | "token";
}

const metricsPath = "/metrics";
const apiPrefix = "/v1/";

/** The same routes, each for those who may ask it by the flags of these names. Health is everybody's. */
export function guarded(routes: Routes, rules: AccessRules, tokens: Pick<TokenAccess, "decide">): Routes {
  const guard = (path: string, handler: Handler): Handler => {
    if (path === metricsPath && rules["metrics-auth"] === "token") return (asked) => admit(path, handler, asked, tokens);
    if (!path.startsWith(apiPrefix)) return handler;
    return (asked) => admit(path, handler, asked, rules["api-auth"] === "token" ? tokens : undefined);
  };
  return Object.fromEntries(Object.entries(routes).map(([path, handler]) => [path, guard(path, handler)]));
}

async function admit(
  path: string,
  handler: Handler,
  asked: RouteRequest,
  tokens: Pick<TokenAccess, "decide"> | undefined,
): Promise<Route> {
  return (await refusal(path, asked, tokens)) ?? (await handler(asked));
}

async function refusal(
  path: string,
  { isLocal, host, authorization, from }: RouteRequest,
  tokens: Pick<TokenAccess, "decide"> | undefined,
): Promise<Route | undefined> {
  if (isLocal) {
    // A web page that the operator's browser shows may have a name that leads here (DNS rebinding).
    return isLocalName(host) ? undefined : text(403, "use localhost as the name of the host");
  }
  if (tokens === undefined)
    return text(403, "answered on loopback only: use kubectl port-forward, or run this process with --api-auth=token");
  const [, token = ""] = /^Bearer +([!-~]+)$/i.exec(authorization) ?? [];
  if (token === "") return text(401, "a bearer token is missing");
  return refusals[await tokens.decide(token, path, from)];
}

const refusals: Readonly<Record<Access, Route | undefined>> = {
  allowed: undefined,
  unknownToken: text(401, "the API server does not know this token"),
  forbidden: text(403, "get on this path as a nonResourceURL is not allowed to the token's user"),
  tooMany: text(429, "too many tokens were tried"),
  unavailable: text(503, "the API server does not say whether this is allowed; see the log"),
};

function isLocalName(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host);
}

function text(status: number, line: string): Route {
  return { status, contentType: "text/plain", body: `${line}\n` };
}
