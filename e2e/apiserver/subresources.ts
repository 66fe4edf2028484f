import { ApiError, badRequest } from "./api-error.ts";
import { asList, asNumber, asObject, asText, at, type Json, type JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import type { Authorizer } from "./rbac.ts";
import { timestamp } from "./registry.ts";
import { serviceAccountUser, type Tokens, tokenAudience, type User } from "./tokens.ts";

/** The `autoscaling/v1` Scale of a workload. */
export function scaleOf(object: KubeObject): KubeObject {
  const { name, namespace = "", uid = "", resourceVersion = "", creationTimestamp = "" } = object.metadata;
  const selector = Object.entries(asObject(at(object, "spec", "selector", "matchLabels"))).map(
    ([key, value]) => `${key}=${asText(value)}`,
  );
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: asNumber(at(object, "spec", "replicas")) ?? 1 },
    status: { replicas: asNumber(at(object, "status", "replicas")) ?? 0, selector: selector.join(",") },
  };
}

/** The workload as a written Scale wants it. */
export function scaled(object: KubeObject, scale: Json): JsonObject {
  const replicas = asNumber(at(scale, "spec", "replicas")) ?? 0;
  if (!Number.isInteger(replicas) || replicas < 0) throw badRequest(`spec.replicas: Invalid value: ${replicas}`);
  const resourceVersion = at(scale, "metadata", "resourceVersion");
  return {
    ...object,
    metadata: { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: { ...asObject(object.spec), replicas },
  };
}

const defaultTokenSeconds = 3600;

/** Answers a TokenRequest for a ServiceAccount. */
export function tokenResponse(account: KubeObject, request: Json, tokens: Tokens, now: Date): JsonObject {
  const seconds = asNumber(at(request, "spec", "expirationSeconds")) ?? defaultTokenSeconds;
  const { name, namespace = "", uid = "" } = account.metadata;
  const expires = now.getTime() + seconds * 1000;
  const token = tokens.issue(
    { ...serviceAccountUser(namespace, name), serviceAccount: { namespace, name, uid } },
    now.getTime(),
    expires,
  );
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: timestamp(now) },
    spec: { audiences: [tokenAudience], expirationSeconds: seconds, boundObjectRef: null },
    status: { token, expirationTimestamp: timestamp(new Date(expires)) },
  };
}

/** Answers the reviews by which a client asks for its identity and rights. */
export function reviewResponse(plural: string, body: Json, user: User, authorizer: Authorizer): JsonObject {
  const review = asObject(body);
  switch (plural) {
    case "selfsubjectaccessreviews":
      return { metadata: {}, ...review, status: { allowed: isAllowed(review, user, authorizer) } };
    case "selfsubjectrulesreviews": {
      const rules = authorizer.rules(user, asText(at(review, "spec", "namespace")));
      const isPath = (rule: Json): boolean => asList(at(rule, "nonResourceURLs")).length > 0;
      const resourceRules = rules.filter((rule) => !isPath(rule));
      return { metadata: {}, ...review, status: { resourceRules, nonResourceRules: rules.filter(isPath), incomplete: false } };
    }
    case "selfsubjectreviews":
      return { metadata: {}, ...review, status: { userInfo: { username: user.name, groups: user.groups } } };
    default:
      throw new ApiError(404, "NotFound", "the server could not find the requested resource", {});
  }
}

function isAllowed(review: JsonObject, user: User, authorizer: Authorizer): boolean {
  const resource = at(review, "spec", "resourceAttributes");
  if (resource !== undefined) {
    const field = (name: string): string => asText(at(resource, name));
    return authorizer.allows(user, {
      type: "resource",
      verb: field("verb"),
      group: field("group"),
      resource: field("resource"),
      subresource: field("subresource"),
      namespace: field("namespace"),
      name: field("name"),
    });
  }
  const path = at(review, "spec", "nonResourceAttributes");
  if (path === undefined) throw badRequest("spec: exactly one of nonResourceAttributes or resourceAttributes must be specified");
  return authorizer.allows(user, { type: "path", verb: asText(at(path, "verb")), path: asText(at(path, "path")) });
}
