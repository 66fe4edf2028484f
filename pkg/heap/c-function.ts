/**
 * A function of the C library. The library that calls it is loaded only now: the controller has no other use for it, and need not wait for it
 * when it starts.
 * @param declaration as in C
 * @throws {Error} if the C library has no function of that name
 */
export async function cFunction(declaration: string): Promise<(...args: readonly unknown[]) => number> {
  const { default: koffi } = await import("koffi");
  return koffi.load(null).func(declaration);
}
