import type { Route } from "#pkg/http";
import type { Controller } from "./controller.ts";

/**
 * Ready means that the work has begun: everything has been seen and it is known what the configuration is. A configuration that is
 * missing or refused is no reason to be unready, because no other Pod could do better; the answer tells it all the same.
 */
export function readiness({ missing, refused }: Pick<Controller, "missing" | "refused">): Route {
  const lines = missing.length > 0 ? missing.map((what) => `waiting for ${what}`) : ["ready"];
  if (refused !== undefined) lines.push(`configuration not used: ${refused}`);
  return { status: missing.length > 0 ? 503 : 200, contentType: "text/plain", body: `${lines.join("\n")}\n` };
}

/** The process answers; that is all that a restart could mend. */
export function liveness(): Route {
  return { status: 200, contentType: "text/plain", body: "ok\n" };
}
