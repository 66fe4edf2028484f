/**
 * Reading what others sent: values of any shape, and streams of any length. A value of the wrong type reads as absent, so that one bad
 * object hides no other. Pure. `pkg/k8s` has the bounds of objects of the API.
 */
export { type Fields, fields, isDeeper, list, octetsUpTo, optionalText, parsed, text } from "./untrusted.ts";
