// No node has such a name: it would be no DNS subdomain. So all members know at once that it is no node.
const prefix = "central/";

/** The name of the central speaker that runs on a node, as a member of the ring. */
export function centralName(node: string): string {
  return `${prefix}${node}`;
}

/** The node that a central speaker runs on. */
export function nodeOfCentral(name: string): string {
  return name.slice(prefix.length);
}

export function isCentral(name: string): boolean {
  return name.startsWith(prefix);
}
