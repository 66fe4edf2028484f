import { type AddressPlacement, excludeLabel, type Refusal } from "#pkg/placement";
import { list } from "#pkg/text";

const reasons = ["noNodeSelected", "nodeExcluded", "noInterface", "notInSubnet"] as const;

/** Why no node at all may announce an address, although there are speakers and endpoints. */
export type Obstacle = Refusal & { readonly reason: (typeof reasons)[number] };

export function isObstacle(refusal: Refusal): refusal is Obstacle {
  return reasons.some((reason) => reason === refusal.reason);
}

/** For the owner of the Service: what is not announced, why, and what to change. */
export function describeObstacle(
  { address, pool }: Pick<AddressPlacement, "address" | "pool">,
  obstacle: Obstacle,
  policy: "Cluster" | "Local",
): string {
  const start = `${address} of pool ${pool} is announced by no node`;
  const wanted =
    policy === "Local" ? "a running speaker and, for externalTrafficPolicy Local, a ready endpoint" : "a running speaker";
  switch (obstacle.reason) {
    case "nodeExcluded":
      return (
        `${start}: every candidate has the label ${excludeLabel} (${list(obstacle.nodes)}); ` +
        "remove it from one of them, or run the speakers with --ignore-exclude-lb"
      );
    case "noInterface":
      return (
        `${start}: no candidate has an interface for the pool that is up and has a carrier (${list(obstacle.nodes)}); ` +
        "check their cables, or change the pool's interfaces"
      );
    case "notInSubnet":
      return (
        `${start}: the pool's l2-placement asks for a node with an address in the same subnet, and no candidate has one ` +
        `(${list(obstacle.nodes.map(({ node, subnets }) => `${node}: ${subnets.join(" ") || "none"}`))}); ` +
        "use addresses of their subnets, or give a node an address in this one"
      );
    case "noNodeSelected":
      return `${start}: the pool's node-selectors match none that has ${wanted}; change them or the labels of nodes`;
    default:
      return obstacle satisfies never;
  }
}
