import type { Route } from "#pkg/http";

/**
 * Ready means that this node may own addresses: members count ready Pods only, so whatever stops a speaker from announcing has to
 * make it unready. A refused configuration does not, because no other node could do better; the answer tells it all the same.
 * Nor does a warning about this node, which may be wrong about what its operator knows.
 */
export function readiness(state: {
  readonly missing: readonly string[];
  readonly failed: string | undefined;
  readonly refused: string | undefined;
  readonly warnings: readonly string[];
}): Route {
  const { missing, failed, refused, warnings } = state;
  const obstacles = [...missing.map((what) => `waiting for ${what}`), ...(failed === undefined ? [] : [failed])];
  const lines = obstacles.length > 0 ? obstacles : ["ready"];
  if (refused !== undefined) lines.push(`configuration not used: ${refused}`);
  lines.push(...warnings.map((warning) => `warning: ${warning}`));
  return { status: obstacles.length > 0 ? 503 : 200, contentType: "text/plain", body: `${lines.join("\n")}\n` };
}
