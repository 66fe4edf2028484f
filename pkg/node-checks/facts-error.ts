/** What /proc tells of this node could not be read, or is not what the kernel writes there. */
export class FactsError extends Error {
  override readonly name = "FactsError";
}
