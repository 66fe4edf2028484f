/**
 * How a field is read. A value of zero or nothing means that the field is not set, except for types with `?`, which Go has as
 * pointers. `[]` is for repeated fields; other names are those of messages.
 */
export type FieldType =
  | "string"
  | "string[]"
  | "bytes"
  | "int"
  | "int?"
  | "bool?"
  | "IntOrString"
  | "map<string>"
  | "map<bytes>"
  | "ignored"
  | (string & {});

/** Field number -> name in JSON and type. */
export type Message = Readonly<Record<number, readonly [name: string, type: FieldType]>>;

/** The kinds whose objects may come as protobuf; the rest of `messages` is what they are made of. */
export const kinds: readonly string[] = [
  "Namespace",
  "ConfigMap",
  "Secret",
  "ServiceAccount",
  "Service",
  "Deployment",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding",
  "TokenRequest",
  "SelfSubjectReview",
  "SelfSubjectAccessReview",
  "SelfSubjectRulesReview",
];

const metadata = ["metadata", "ObjectMeta"] as const;
const status = ["status", "ignored"] as const;

/** Numbers from the `generated.proto` files of k8s.io/api v0.35 and k8s.io/apimachinery. */
export const messages: Readonly<Record<string, Message>> = {
  TypeMeta: { 1: ["apiVersion", "string"], 2: ["kind", "string"] },
  ObjectMeta: {
    1: ["name", "string"],
    2: ["generateName", "string"],
    3: ["namespace", "string"],
    5: ["uid", "string"],
    6: ["resourceVersion", "string"],
    8: ["creationTimestamp", "ignored"],
    11: ["labels", "map<string>"],
    12: ["annotations", "map<string>"],
    14: ["finalizers", "string[]"],
  },
  LabelSelector: { 1: ["matchLabels", "map<string>"] },
  Namespace: { 1: metadata, 2: ["spec", "ignored"], 3: status },
  ConfigMap: { 1: metadata, 2: ["data", "map<string>"], 3: ["binaryData", "map<bytes>"], 4: ["immutable", "bool?"] },
  Secret: {
    1: metadata,
    2: ["data", "map<bytes>"],
    3: ["type", "string"],
    4: ["stringData", "map<string>"],
    5: ["immutable", "bool?"],
  },
  ServiceAccount: { 1: metadata },
  Service: { 1: metadata, 2: ["spec", "ServiceSpec"], 3: status },
  ServiceSpec: {
    1: ["ports", "ServicePort[]"],
    2: ["selector", "map<string>"],
    3: ["clusterIP", "string"],
    4: ["type", "string"],
    5: ["externalIPs", "string[]"],
    7: ["sessionAffinity", "string"],
    8: ["loadBalancerIP", "string"],
    9: ["loadBalancerSourceRanges", "string[]"],
    10: ["externalName", "string"],
    11: ["externalTrafficPolicy", "string"],
    17: ["ipFamilyPolicy", "string"],
    18: ["clusterIPs", "string[]"],
    19: ["ipFamilies", "string[]"],
    20: ["allocateLoadBalancerNodePorts", "bool?"],
    21: ["loadBalancerClass", "string"],
    22: ["internalTrafficPolicy", "string"],
  },
  ServicePort: {
    1: ["name", "string"],
    2: ["protocol", "string"],
    3: ["port", "int"],
    4: ["targetPort", "IntOrString"],
    5: ["nodePort", "int"],
    6: ["appProtocol", "string"],
  },
  Deployment: { 1: metadata, 2: ["spec", "DeploymentSpec"], 3: status },
  DeploymentSpec: {
    1: ["replicas", "int?"],
    2: ["selector", "LabelSelector"],
    3: ["template", "PodTemplateSpec"],
    4: ["strategy", "DeploymentStrategy"],
  },
  DeploymentStrategy: { 1: ["type", "string"] },
  PodTemplateSpec: { 1: metadata, 2: ["spec", "PodSpec"] },
  PodSpec: { 2: ["containers", "Container[]"] },
  Container: {
    1: ["name", "string"],
    2: ["image", "string"],
    3: ["command", "string[]"],
    4: ["args", "string[]"],
    6: ["ports", "ContainerPort[]"],
  },
  ContainerPort: { 1: ["name", "string"], 3: ["containerPort", "int"], 4: ["protocol", "string"] },
  Role: { 1: metadata, 2: ["rules", "PolicyRule[]"] },
  ClusterRole: { 1: metadata, 2: ["rules", "PolicyRule[]"] },
  PolicyRule: {
    1: ["verbs", "string[]"],
    2: ["apiGroups", "string[]"],
    3: ["resources", "string[]"],
    4: ["resourceNames", "string[]"],
    5: ["nonResourceURLs", "string[]"],
  },
  RoleBinding: { 1: metadata, 2: ["subjects", "Subject[]"], 3: ["roleRef", "RoleRef"] },
  ClusterRoleBinding: { 1: metadata, 2: ["subjects", "Subject[]"], 3: ["roleRef", "RoleRef"] },
  Subject: { 1: ["kind", "string"], 2: ["apiGroup", "string"], 3: ["name", "string"], 4: ["namespace", "string"] },
  RoleRef: { 1: ["apiGroup", "string"], 2: ["kind", "string"], 3: ["name", "string"] },
  TokenRequest: { 1: metadata, 2: ["spec", "TokenRequestSpec"], 3: status },
  TokenRequestSpec: { 1: ["audiences", "string[]"], 4: ["expirationSeconds", "int?"] },
  SelfSubjectReview: { 1: metadata, 2: status },
  SelfSubjectAccessReview: { 1: metadata, 2: ["spec", "SelfSubjectAccessReviewSpec"], 3: status },
  SelfSubjectAccessReviewSpec: {
    1: ["resourceAttributes", "ResourceAttributes"],
    2: ["nonResourceAttributes", "NonResourceAttributes"],
  },
  ResourceAttributes: {
    1: ["namespace", "string"],
    2: ["verb", "string"],
    3: ["group", "string"],
    4: ["version", "string"],
    5: ["resource", "string"],
    6: ["subresource", "string"],
    7: ["name", "string"],
  },
  NonResourceAttributes: { 1: ["path", "string"], 2: ["verb", "string"] },
  SelfSubjectRulesReview: { 1: metadata, 2: ["spec", "SelfSubjectRulesReviewSpec"], 3: status },
  SelfSubjectRulesReviewSpec: { 1: ["namespace", "string"] },
};
