/**
 * Whether a resourceVersion is newer than another one of the same kind. They are decimal numbers of any size, growing
 * with every change (KEP-5504); the empty text is older than all.
 */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
