import { type AddressPlacement, excludeLabel, type Refusal } from "#pkg/placement";

/** Why no node at all may announce an address, although there are speakers and endpoints. */
export type Obstacle = Refusal & { readonly reason: "noNodeSelected" | "nodeExcluded" };

export function isObstacle(refusal: Refusal): refusal is Obstacle {
  return refusal.reason === "noNodeSelected" || refusal.reason === "nodeExcluded";
}

/** For the owner of the Service: what is not announced, why, and what to change. */
export function describeObstacle(
  { address, pool }: Pick<AddressPlacement, "address" | "pool">,
  obstacle: Obstacle,
  policy: "Cluster" | "Local",
): string {
  const start = `${address} of pool ${pool} is announced by no node`;
  if (obstacle.reason === "nodeExcluded")
    return (
      `${start}: each that could has the label ${excludeLabel} (${list(obstacle.nodes)}); ` +
      "remove it from one of them, or give the speakers --ignore-exclude-lb"
    );
  const wanted =
    policy === "Local" ? "a running speaker and, for externalTrafficPolicy Local, a ready endpoint" : "a running speaker";
  return `${start}: the pool's node-selectors match none that has ${wanted}; change them or the labels of nodes`;
}

const listed = 5;

function list(nodes: readonly string[]): string {
  const more = nodes.length > listed ? [`${nodes.length - listed} more`] : [];
  return [...nodes.slice(0, listed), ...more].join(", ");
}
