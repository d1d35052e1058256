/** The keys of one flight. All of them are in one slot of a Cluster. */
export interface FlightKeys {
  /** The name of its channel, too. */
  readonly flight: string;
  readonly waiters: string;
  /** Of the lead with this token. */
  stream(token: string): string;
}

export function flightKeys(namespace: string, keyId: string): FlightKeys {
  const flight = `${namespace}:flight:{${keyId}}`;
  return { flight, waiters: `${flight}:waiters`, stream: (token) => `${flight}:${token}` };
}
