/**
 * Who may ask the HTTP server for more than its health. From the host of the process, or of its Pod, everybody may: that is where `kubectl
 * port-forward` arrives, with the rights of who called it. From elsewhere nobody may, or who bears a token of the cluster, as
 * the API server says (TokenReview, then SubjectAccessReview for the path as a nonResourceURL, as kube-rbac-proxy asks). There is no
 * encryption here.
 */
export { guarded } from "./guard.ts";
export { TokenAccess } from "./token-access.ts";
