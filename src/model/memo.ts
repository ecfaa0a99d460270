/**
 * Keeps what was made of an object for as long as the object lives. Objects of informers are never changed in place: a
 * change brings another object, so nothing kept is ever stale, and an unchanged object is not compiled again.
 */
export function perObject<K extends object, V>(make: (object: K) => V): (object: K) => V {
  const made = new WeakMap<K, V>();
  return (object) => {
    const known = made.get(object);
    if (known !== undefined || made.has(object)) return known as V;
    const value = make(object);
    made.set(object, value);
    return value;
  };
}
