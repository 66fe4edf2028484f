import type { Route } from "#pkg/http";

/** The conditions of readiness, and further messages. */
export interface Readiness {
  /** Resources that have to be seen before the work can begin. */
  readonly missing: readonly string[];
  /** Why the work cannot be done at all. */
  readonly failed?: string | undefined;
  /** Why the ConfigMap's configuration is not the one in force. */
  readonly refused: string | undefined;
  readonly warnings?: readonly string[];
}

/**
 * Ready means that the work has begun. A speaker's ready Pod may make its node own addresses, so every obstacle to its
 * announcements has to make it unready. A missing or refused configuration does not make a process unready, because no other
 * Pod could do better. Nor does a warning about the node, which may be wrong where its operator knows better. The answer tells
 * both all the same.
 */
export function readiness({ missing, failed, refused, warnings = [] }: Readiness): Route {
  const obstacles = [...missing.map((what) => `waiting for ${what}`), ...(failed === undefined ? [] : [failed])];
  const lines = obstacles.length > 0 ? obstacles : ["ready"];
  if (refused !== undefined) lines.push(`configuration not used: ${refused}`);
  lines.push(...warnings.map((warning) => `warning: ${warning}`));
  return { status: obstacles.length > 0 ? 503 : 200, contentType: "text/plain", body: `${lines.join("\n")}\n` };
}

/** The process answers; that is all that a restart could mend. */
export function liveness(): Route {
  return { status: 200, contentType: "text/plain", body: "ok\n" };
}
