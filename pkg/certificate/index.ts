/**
 * A certificate of our own for a TLS server of ours: self-signed (RFC 5280, version 3), P-256 with SHA-256, for DNS names. Clients that are
 * to trust it are given it. DER is written here because Node has no call for it; reading is Node's. No certificate authority, no requests,
 * no revocation.
 */
export { type Certificate, expiresWithin, selfSigned } from "./certificate.ts";
