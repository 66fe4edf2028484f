/**
 * Decides who may ask the HTTP server for more than its health. Clients on the host of the process, or of its Pod, may: `kubectl
 * port-forward` arrives there, with the rights of its user. Other clients may not, or only with a token of the cluster that the API server
 * accepts (TokenReview, then SubjectAccessReview for the path as a nonResourceURL, as kube-rbac-proxy asks). There is no encryption here.
 */
export { guarded } from "./guard.ts";
export { TokenAccess } from "./token-access.ts";
