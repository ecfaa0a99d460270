/**
 * The file a process or Worker of ours starts from: a source in a checkout, a bundle in the published package.
 * @param path such as `cluster/main`, relative to src, without ending
 */
export function entryUrl(path: string): URL {
  return import.meta.url.endsWith(".ts")
    ? new URL(`../${path}.ts`, import.meta.url)
    : new URL(`./${path.replaceAll("/", "-")}.js`, import.meta.url);
}
