/** Where the files of this package lie: sources in a checkout, flat bundles under dist in the published package. */

const bundled = !import.meta.url.endsWith(".ts");

/** Our package.json. */
export const packageFile = new URL(bundled ? "../package.json" : "../../package.json", import.meta.url);

/**
 * The file a process or Worker of ours starts from.
 * @param path such as `cluster/main`, relative to src, without ending
 */
export function entryUrl(path: string): URL {
  return new URL(bundled ? `./${bundleName(path)}.js` : `../${path}.ts`, import.meta.url);
}

/** What the bundle of such a file is called, without ending: `cluster/main` is `cluster-main`. */
export function bundleName(path: string): string {
  return path.replaceAll("/", "-");
}
