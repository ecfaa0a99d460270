/** The resolver settings of a pod with dnsPolicy ClusterFirst, the default. */
export function podSearch(domain: string, namespace: string): { search: string[]; ndots: number } {
  return { search: [`${namespace}.svc.${domain}`, `svc.${domain}`, domain], ndots: 5 };
}
