import type { Route } from "#pkg/http";

/**
 * Ready means that this node may own addresses: members count ready Pods only, so whatever stops a speaker from announcing has to
 * make it unready. A refused configuration does not, because no other node could do better; the answer tells it all the same.
 */
export function readiness(state: { missing: readonly string[]; failed: string | undefined; refused: string | undefined }): Route {
  const { missing, failed, refused } = state;
  const obstacles = [...missing.map((what) => `waiting for ${what}`), ...(failed === undefined ? [] : [failed])];
  const lines = obstacles.length > 0 ? obstacles : ["ready"];
  if (refused !== undefined) lines.push(`configuration not used: ${refused}`);
  return { status: obstacles.length > 0 ? 503 : 200, contentType: "text/plain", body: `${lines.join("\n")}\n` };
}
