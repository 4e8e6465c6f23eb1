type Names<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Name | Names<Rest>
  : P extends `${string}:${infer Name}`
    ? Name
    : never;

/** The values of the pattern's names, like `:id`, in a path that is the pattern's or lies below it. */
export function paramsIn<P extends string>(pattern: P, path: string): Record<Names<P>, string> {
  const parts = path.split("/");
  const found: Record<string, string> = {};
  for (const [index, wanted] of pattern.split("/").entries()) {
    const part = parts[index];
    if (wanted.startsWith(":") && part) found[wanted.slice(1)] = decodeURIComponent(part);
    else if (wanted.toLowerCase() !== part?.toLowerCase()) throw new Error(`${path} is not a path of ${pattern}`);
  }
  return found;
}
