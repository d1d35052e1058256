/** Milliseconds of a clock that all processes of this machine share, for times that begin in one and end in another. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
