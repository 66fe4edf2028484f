/**
 * Whether an interface of this name is meant by a list of names in which `*` stands for any characters, also none, and `?` for one. An
 * empty list means every interface.
 */
export function matchesInterface(globs: readonly string[], name: string): boolean {
  return globs.length === 0 || globs.some((glob) => matchesGlob(glob, name));
}

/**
 * Before an address: the interface by which a node reaches it, as a name among others. Each node knows its own alone, and reports it under that
 * name as well.
 */
export const canReachPrefix = "can_reach:";

/** The interfaces on which kube-proxy in mode IPVS, and kube-router, keep the addresses of all Services: that they have one says nothing of its use. */
export const serviceHolders: readonly string[] = ["kube-ipvs0", "kube-dummy-if"];

/** Whether all of `text` is like `glob`. Case matters. Takes at most the product of both lengths in steps, for any contents. */
export function matchesGlob(glob: string, text: string): boolean {
  let at = 0; // In `glob`.
  let star: { readonly at: number; readonly from: number } | undefined; // The last `*`, and what it took of `text` ends at `from`.
  for (let next = 0; next < text.length; ) {
    if (glob[at] === "*") star = { at: at++, from: next };
    else if (glob[at] === "?" || glob[at] === text[next]) [at, next] = [at + 1, next + 1];
    else if (star === undefined) return false;
    else {
      star = { at: star.at, from: star.from + 1 }; // An earlier `*` need never take more: this one can take what it would.
      [at, next] = [star.at + 1, star.from];
    }
  }
  while (glob[at] === "*") at++;
  return at === glob.length;
}
