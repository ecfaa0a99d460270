/** The names that every server of `bench:dns` serves: Services of 100 namespaces, each with an address of its own. */
export const domain = "cluster.local";
const NAMESPACES = 100;

export interface BenchName {
  readonly service: string;
  readonly namespace: string;
  /** Absolute. */
  readonly name: string;
  readonly address: string;
}

export function benchNames(count: number): readonly BenchName[] {
  return Array.from({ length: count }, (_, i) => {
    const [service, namespace] = [`svc-${i}`, `ns-${i % NAMESPACES}`];
    const address = `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
    return { service, namespace, name: `${service}.${namespace}.svc.${domain}.`, address };
  });
}
