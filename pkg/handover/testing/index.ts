/** Helpers for tests beside `pkg/handover`: a kernel's packet filter without a kernel. */
export { SimulatedFilter } from "./simulated-filter.ts";
