/** Versions of the CNI protocol. */

export const supportedVersions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof supportedVersions)[number];
/** Of errors where the configuration names no version that is known. */
export const newestVersion: CniVersion = "1.1.0";

/** Negative if the first one is older. */
export function compareVersions(one: CniVersion, other: CniVersion): number {
  return supportedVersions.indexOf(one) - supportedVersions.indexOf(other);
}
