/**
 * How lists and maps merge, for the fields that are not atomic; what is not named here is replaced as a whole. It is the part
 * of the API's schema that strategic merge patches (`mergeKey`) and server-side apply (`keys`) need.
 */
export interface ListRule {
  /** Identifies an item in a strategic merge patch. Absent: such a patch replaces the list. */
  readonly mergeKey?: string;
  /** Identify an item in server-side apply. Absent: the list is atomic there. */
  readonly keys?: readonly string[];
  /** A list of plain values, merged as a set by both. */
  readonly set?: true;
}

const byName: ListRule = { mergeKey: "name", keys: ["name"] };
const byType: ListRule = { mergeKey: "type", keys: ["type"] };

const everyKind: Record<string, ListRule> = {
  "metadata.finalizers": { set: true },
  "metadata.ownerReferences": { mergeKey: "uid", keys: ["uid"] },
  "status.conditions": byType,
};
const podSpec: Record<string, ListRule> = {
  "spec.imagePullSecrets": byName,
  "spec.volumes": byName,
  "spec.hostAliases": { mergeKey: "ip", keys: ["ip"] },
  ...Object.assign({}, ...["spec.containers", "spec.initContainers"].map(containerRules)),
};
const byKind: Record<string, Record<string, ListRule>> = {
  Namespace: { "spec.finalizers": { set: true } },
  Node: { "spec.taints": { mergeKey: "key" }, "spec.podCIDRs": { set: true }, "status.addresses": byType },
  Service: { "spec.ports": { mergeKey: "port", keys: ["port", "protocol"] } },
  ServiceAccount: { secrets: byName, imagePullSecrets: byName },
  Pod: { ...podSpec, "status.podIPs": { mergeKey: "ip", keys: ["ip"] } },
  Deployment: inTemplate(podSpec),
  DaemonSet: inTemplate(podSpec),
};

/** Maps that server-side apply owns as one value. */
const atomicMaps: Record<string, readonly string[]> = {
  Service: ["spec.selector"],
  Deployment: ["spec.selector", "spec.template.spec.nodeSelector"],
  DaemonSet: ["spec.selector", "spec.template.spec.nodeSelector"],
  Pod: ["spec.nodeSelector"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
};

/** The rule of the list at `path`: field names joined by dots, with nothing for the items of lists. */
export function listRule(kind: string, path: string): ListRule {
  return byKind[kind]?.[path] ?? everyKind[path] ?? {};
}

export function isAtomicMap(kind: string, path: string): boolean {
  return atomicMaps[kind]?.includes(path) ?? false;
}

function containerRules(path: string): Record<string, ListRule> {
  return {
    [path]: byName,
    [`${path}.env`]: byName,
    [`${path}.ports`]: { mergeKey: "containerPort", keys: ["containerPort", "protocol"] },
    [`${path}.volumeMounts`]: { mergeKey: "mountPath", keys: ["mountPath"] },
  };
}

function inTemplate(rules: Record<string, ListRule>): Record<string, ListRule> {
  return Object.fromEntries(Object.entries(rules).map(([path, rule]) => [`spec.template.${path}`, rule]));
}
